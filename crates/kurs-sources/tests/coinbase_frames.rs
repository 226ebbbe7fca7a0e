//! Recorded and damaged frames of Coinbase Exchange, read without sockets.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "helpers of tests may fail the test and say what was left out"
)]

use kurs_book::{BookUpdate, Kind, Scheme, Side, SyncedBook, Verdict};
use kurs_core::{Mono, Price};
use kurs_sources::coinbase::Coinbase;
use kurs_sources::venue::codec::{Codec, Heap, Said, Symbols};
use kurs_testkit::fixtures::{self, Direction};
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

/// The symbols of a test, numbered in the order of their first appearance.
#[derive(Default)]
struct Names(HashMap<String, u32>);

impl Names {
    fn learn(&mut self, name: &str) -> u32 {
        let next = u32::try_from(self.0.len()).unwrap();
        *self.0.entry(name.to_owned()).or_insert(next)
    }
}

impl Symbols for Names {
    fn find(&self, name: &str) -> Option<u32> {
        self.0.get(name).copied()
    }
}

/// The frames of every capture of this name, `None` where the machine is told of none.
fn captures(part: &str) -> Option<Vec<(PathBuf, Vec<String>)>> {
    let Some(folder) = fixtures::dir() else {
        println!("KURS_FIXTURES is not set: captures are not tested");
        return None;
    };
    let entries = folder.join("coinbase").read_dir().expect("a folder");
    let files = entries.map(|entry| entry.unwrap().path()).filter(|path| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with(part) && name.contains(".jsonl")
    });
    let frames = files.map(|path| {
        let lines = fixtures::lines(&path).filter(|line| line.dir == Direction::Rx);
        let frames = lines.map(|line| line.text().to_owned()).collect();
        (path, frames)
    });
    let found: Vec<_> = frames.collect();
    assert!(!found.is_empty(), "no capture {part}");
    Some(found)
}

/// The book as the protocol sheet describes it, without the code under test.
#[derive(Default)]
struct Plain([BTreeMap<Decimal, Decimal>; 2]);

impl Plain {
    fn set(&mut self, is_ask: bool, level: &[Value]) {
        let [price, size] = [0, 1].map(|at| level[at].as_str().unwrap().parse().unwrap());
        let side = &mut self.0[usize::from(is_ask)];
        if size == Decimal::ZERO {
            side.remove(&price);
        } else {
            side.insert(price, size);
        }
    }

    fn take(&mut self, frame: &Value) {
        if frame["type"] == "snapshot" {
            self.0 = Default::default();
            for (key, is_ask) in [("bids", false), ("asks", true)] {
                for level in frame[key].as_array().unwrap() {
                    self.set(is_ask, level.as_array().unwrap());
                }
            }
            return;
        }
        for change in frame["changes"].as_array().unwrap() {
            let change = change.as_array().unwrap();
            self.set(change[0] == "sell", &change[1..]);
        }
    }

    fn best(&self) -> Option<[(Decimal, Decimal); 2]> {
        let (bid, ask) = (self.0[0].last_key_value()?, self.0[1].first_key_value()?);
        Some([(*bid.0, *bid.1), (*ask.0, *ask.1)])
    }
}

fn best(book: &SyncedBook) -> Option<[(Decimal, Decimal); 2]> {
    let book = book.book()?;
    let levels = [book.best_bid()?, book.best_ask()?];
    Some(levels.map(|level| (level.price.value(), level.size)))
}

#[test]
fn every_recorded_frame_is_read_and_the_books_never_cross() {
    let Some(captures) = captures("exchange") else {
        return;
    };
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let (mut compared, mut equal) = (0, 0);
    for (path, frames) in captures {
        let mut names = Names::default();
        let mut heap = Heap::default();
        let mut books: HashMap<u32, (SyncedBook, Plain)> = HashMap::new();
        for text in &frames {
            let tree: Value = serde_json::from_str(text).unwrap();
            let kind = tree["type"].as_str().unwrap();
            if let Some(name) = tree["product_id"].as_str() {
                names.learn(name);
            }
            *counts.entry(kind.to_owned()).or_default() += 1;
            heap.clear();
            Coinbase::new().read(text, &names, &mut heap);
            assert_eq!(heap.said.len(), 1, "{text}");
            match (kind, &heap.said[0]) {
                (
                    "snapshot" | "l2update",
                    Said::Book {
                        symbol,
                        kind,
                        ids,
                        checksum,
                        changes,
                        at,
                    },
                ) => {
                    assert_eq!(at.is_some(), *kind == Kind::Diff);
                    let (book, plain) = books.entry(*symbol).or_insert_with(|| {
                        (
                            SyncedBook::new(Scheme::Unverifiable, None),
                            Plain::default(),
                        )
                    });
                    let update = BookUpdate {
                        kind: *kind,
                        ids: *ids,
                        checksum: *checksum,
                        changes: &heap.changes[changes.clone()],
                    };
                    let verdict = book.take(Mono(0), update);
                    assert!(
                        matches!(verdict, Verdict::Applied | Verdict::Synced),
                        "{}: {verdict:?}: {text}",
                        path.display()
                    );
                    plain.take(&tree);
                    assert_eq!(best(book), plain.best(), "{text}");
                    assert!(book.book().is_some(), "crossed or one-sided: {text}");
                }
                (
                    "ticker",
                    Said::Top {
                        symbol,
                        bid,
                        ask,
                        id,
                        at,
                    },
                ) => {
                    assert_eq!(*id, tree["sequence"].as_u64());
                    assert!(at.is_some());
                    if let Some(best) = books.get(symbol).and_then(|(book, _)| best(book)) {
                        compared += 1;
                        equal +=
                            u32::from(best.map(|level| level.0) == [bid.0.value(), ask.0.value()]);
                    }
                }
                ("match", Said::Trade { id, price, .. }) => {
                    assert_eq!(Some(*id), tree["trade_id"].as_u64());
                    assert_eq!(price.to_string(), tree["price"].as_str().unwrap());
                }
                ("last_match", Said::Other)
                | ("subscriptions", Said::Accepted { command: None }) => {}
                (_, other) => panic!("{text}: {other:?}"),
            }
        }
        for (book, _) in books.values() {
            assert_eq!(book.counters().crossed, 0);
        }
    }
    println!("{counts:?}; ticker and book agree in {equal} of {compared}");
    assert!(
        counts["l2update"] >= 5_559 && counts["snapshot"] >= 6,
        "{counts:?}"
    );
    assert!(compared >= 36, "{compared}");
    assert!(compared - equal <= 4, "{equal} of {compared}");
}

#[test]
fn frames_of_the_other_coinbase_are_not_taken_for_this_ones() {
    let Some(captures) = captures("advanced") else {
        return;
    };
    let mut names = Names::default();
    names.learn("BTC-USD");
    let mut heap = Heap::default();
    for (_, frames) in captures {
        for text in &frames {
            heap.clear();
            Coinbase::new().read(text, &names, &mut heap);
            assert_eq!(heap.said, [Said::Unreadable], "{text}");
            assert!(heap.changes.is_empty());
        }
    }
}

const FRAMES: [&str; 7] = [
    r#"{"type":"l2update","product_id":"BTC-USD","changes":[["buy","9202.70","0.10"],["sell","9203","0.00"]],"time":"2021-04-17T16:43:37.123456Z"}"#,
    r#"{"type":"snapshot","product_id":"BTC-USD","bids":[["2","5"],["1","6"]],"asks":[["3","7"]]}"#,
    r#"{"type":"ticker","sequence":333938798123,"product_id":"BTC-USD","price":"14.7775","best_bid":"14.7550","best_bid_size":"2","best_ask":"14.8060","best_ask_size":"3","time":"2021-04-17T16:43:30.244075Z"}"#,
    r#"{"type":"heartbeat","sequence":90,"last_trade_id":20,"product_id":"BTC-USD","time":"2014-11-07T08:19:28.464459Z"}"#,
    r#"{"type":"match","trade_id":280232,"size":"985","price":"0.00001305","product_id":"BTC-USD","sequence":177100030,"time":"2021-04-17T16:43:37.089723Z"}"#,
    r#"{"type":"error","message":"Failed to subscribe","reason":"BTC-USD is not a valid product"}"#,
    r#"{"type":"subscriptions","channels":[{"name":"ticker","product_ids":["BTC-USD"]}]}"#,
];

/// Reads a text and checks what holds for every text.
fn read(text: &str) -> Heap {
    let mut names = Names::default();
    names.learn("BTC-USD");
    let mut heap = Heap::default();
    Coinbase::new().read(text, &names, &mut heap);
    assert!(!heap.said.is_empty());
    assert!(heap.changes.len() <= text.len() && heap.said.len() <= text.len() + 1);
    for change in &heap.changes {
        assert!(!change.size.is_sign_negative() || change.size.is_zero());
    }
    for said in &heap.said {
        match said {
            Said::Book {
                symbol, changes, ..
            } => {
                assert_eq!(*symbol, 0);
                assert!(changes.end <= heap.changes.len() && changes.start <= changes.end);
            }
            Said::Top { bid, ask, .. } => {
                let prices: [Price; 2] = [bid.0, ask.0];
                assert!(prices.iter().all(|price| price.value() > Decimal::ZERO));
            }
            _ => {}
        }
    }
    heap
}

#[test]
fn a_snapshot_of_many_levels_takes_time_and_memory_in_proportion() {
    const LEVELS: usize = 100_000;
    let side = |from: usize| {
        let level = |number| format!(r#"["{number}.01","0.{number}"]"#);
        (from..from + LEVELS)
            .map(level)
            .collect::<Vec<_>>()
            .join(",")
    };
    let (bids, asks) = (side(1), side(1_000_000));
    let text =
        format!(r#"{{"type":"snapshot","product_id":"BTC-USD","bids":[{bids}],"asks":[{asks}]}}"#);
    let heap = read(&text);
    assert_eq!(heap.changes.len(), 2 * LEVELS);
    let bids = heap
        .changes
        .iter()
        .filter(|change| change.side == Side::Bid);
    assert_eq!(bids.count(), LEVELS);
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    let deep = "[".repeat(100_000);
    for text in [
        deep.clone(),
        format!(r#"{{"type":"l2update","product_id":"BTC-USD","changes":{deep}"#),
        format!(r#"{{"type":"l2update","x":{deep}"#),
    ] {
        let said = read(&text).said.swap_remove(0);
        assert!(matches!(said, Said::Unreadable | Said::Impossible { .. }));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_codec_panic(text in any::<String>()) {
        read(&text);
    }

    #[test]
    fn no_damaged_frame_makes_the_codec_panic(
        which in 0..FRAMES.len(),
        at in any::<prop::sample::Index>(),
        cut in 0_usize..12,
        put in r#"[\x00-\x7f]{0,6}|"[^"]{0,4}"|-?[0-9]{1,25}(\.[0-9]{1,20})?(e-?[0-9]{1,4})?|null|\[|\{|,"changes":\[\]"#,
    ) {
        let frame = FRAMES[which];
        let from = at.index(frame.len());
        let until = (from + cut).min(frame.len());
        read(&format!("{}{put}{}", &frame[..from], &frame[until..]));
    }

    #[test]
    fn no_answer_makes_the_reader_panic(body in any::<Vec<u8>>(), status in 100_u16..600) {
        let codec = Coinbase::new();
        let request = codec.ask_tops(&["BTC-USD".to_owned()]).remove(0);
        let _ = (codec.read_listing(status, &body), codec.read_tops(&request, status, &body));
    }
}
