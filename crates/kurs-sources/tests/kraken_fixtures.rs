//! Recorded frames of Kraken, decoded without sockets. The checksums in them are the oracle: a
//! single digit read wrongly, a level lost or one not cut off makes them differ.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "helpers of tests may fail the test and say what was left out"
)]

#[path = "capture/mod.rs"]
mod capture;

use capture::{Depths, Names, check_frame, corpus};
use kurs_book::{BookUpdate, Scheme, SyncedBook, Verdict};
use kurs_core::{Mono, Wall};
use kurs_sources::kraken::Kraken;
use kurs_sources::venue::codec::{Channel, Codec, Heap, Said};
use kurs_testkit::fixtures::{self, Direction};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

const RECENT: &str = "kraken/recent_frames_20260812.jsonl";
const V2: &str = "kraken/v2_book_btcusd_d10_20260824.jsonl";
const V2_SHAPE: &str = "kraken/v2shape_book_6pairs_20210417_derived.jsonl.gz";
const V1_BOOK: &str = "kraken/v1_book_6pairs_20210417.jsonl.gz";
const V1_TICKER: &str = "kraken/v1_ticker_6pairs_20210417.jsonl.gz";
const V1_TRADE: &str = "kraken/v1_trade_6pairs_20210417.jsonl.gz";

/// Received frames as v2 text; `None` without fixtures.
fn frames(file: &str) -> Option<Vec<String>> {
    let Some(path) = fixtures::file(file) else {
        println!("KURS_FIXTURES is not set: {file} is not tested");
        return None;
    };
    let received = fixtures::lines(&path).filter(|line| line.dir == Direction::Rx);
    Some(received.map(|line| as_v2(line.text())).collect())
}

/// A frame of v1 in the words of v2, digits untouched; one of v2 as it is.
fn as_v2(text: &str) -> String {
    let tree: Value = serde_json::from_str(text).unwrap();
    let symbol = |pair: &Value| pair.as_str().unwrap().replace("XBT", "BTC");
    if let Some(event) = tree.get("event") {
        return match event.as_str().unwrap() {
            "heartbeat" => r#"{"channel":"heartbeat"}"#.to_owned(),
            "systemStatus" => format!(
                r#"{{"channel":"status","type":"update","data":[{{"system":{}}}]}}"#,
                tree["status"]
            ),
            "subscriptionStatus" => format!(
                r#"{{"method":"subscribe","result":{{"symbol":"{}"}},"success":true}}"#,
                symbol(&tree["pair"])
            ),
            other => panic!("{other}"),
        };
    }
    let Some(parts) = tree.as_array() else {
        return text.to_owned();
    };
    let [_, payloads @ .., channel, pair] = &parts[..] else {
        panic!("{text}")
    };
    let channel = channel.as_str().unwrap();
    let mut row = format!(r#""symbol":"{}""#, symbol(pair));
    if channel == "ticker" {
        let number = |side: &str, at: usize| payloads[0][side][at].as_str().unwrap();
        return format!(
            r#"{{"channel":"ticker","type":"update","data":[{{{row},"bid":{},"bid_qty":{},"ask":{},"ask_qty":{}}}]}}"#,
            number("b", 0),
            number("b", 2),
            number("a", 0),
            number("a", 2)
        );
    }
    if channel == "trade" {
        let rows = payloads[0].as_array().unwrap().iter().map(|trade| {
            let seconds: String = trade[2].as_str().unwrap().replace('.', "");
            let at = Wall(seconds.parse().unwrap());
            let price = trade[0].as_str().unwrap();
            format!(
                r#"{{{row},"price":{price},"trade_id":{},"timestamp":"{at}"}}"#,
                at.0
            )
        });
        let rows: Vec<String> = rows.collect();
        return format!(
            r#"{{"channel":"trade","type":"update","data":[{}]}}"#,
            rows.join(",")
        );
    }
    let mut kind = "update";
    let mut sides = BTreeMap::from([("bids", String::new()), ("asks", String::new())]);
    for (key, value) in payloads.iter().flat_map(|part| part.as_object().unwrap()) {
        let side = match &**key {
            "a" => "asks",
            "b" => "bids",
            "as" | "bs" => {
                kind = "snapshot";
                if key == "as" { "asks" } else { "bids" }
            }
            "c" => {
                write!(row, r#","checksum":{}"#, value.as_str().unwrap()).unwrap();
                continue;
            }
            other => panic!("{other}"),
        };
        let levels: Vec<String> = value
            .as_array()
            .unwrap()
            .iter()
            .map(|level| {
                let [price, qty] = [0, 1].map(|at| level[at].as_str().unwrap());
                format!(r#"{{"price":{price},"qty":{qty}}}"#)
            })
            .collect();
        sides.insert(side, levels.join(","));
    }
    format!(
        r#"{{"channel":"book","type":"{kind}","data":[{{{row},"bids":[{}],"asks":[{}]}}]}}"#,
        sides["bids"], sides["asks"]
    )
}

fn read(text: &str, names: &Names) -> Heap {
    let mut heap = Heap::default();
    Kraken::new().read(text, names, &mut heap);
    heap
}

#[test]
fn every_recorded_frame_is_read() {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for file in [RECENT, V2, V2_SHAPE, V1_BOOK, V1_TICKER, V1_TRADE] {
        let Some(frames) = frames(file) else { return };
        assert!(!frames.is_empty());
        let names = Names::learning();
        for text in frames {
            let kind = match &read(&text, &names).said[..] {
                [Said::Other] => "other",
                [Said::Heartbeat] => "heartbeat",
                [Said::Accepted { .. }] => "accepted",
                [Said::Top { .. }] => "top",
                [Said::Book { .. }] => "book",
                [Said::Trade { .. }, ..] => "trade",
                other => panic!("{file}: {text}: {other:?}"),
            };
            *counts.entry(kind).or_default() += 1;
        }
    }
    println!("{counts:?}");
    assert_eq!(counts["top"], 2 + 9);
    assert_eq!(counts["book"], 4 + 2_529 + 2_529);
    assert_eq!(counts["trade"], 3);
}

/// (file, depth subscribed by its recording, checksums in it)
const BOOKS: [(&str, usize, u32); 3] = [
    (V2, 10, 4),
    (V2_SHAPE, 1_000, 2_523),
    (V1_BOOK, 1_000, 2_523),
];

#[test]
fn digits_are_read_so_that_every_recorded_checksum_matches() {
    for (file, depth, expect) in BOOKS {
        let Some(frames) = frames(file) else { return };
        let names = Names::learning();
        let mut books: BTreeMap<u32, Depths> = BTreeMap::new();
        let mut matched = 0;
        for text in frames {
            let heap = read(&text, &names);
            for said in &heap.said {
                let Said::Book {
                    symbol,
                    kind,
                    checksum,
                    changes,
                    ..
                } = said
                else {
                    continue;
                };
                let book = books.entry(*symbol).or_default();
                book.apply(*kind, &heap.changes[changes.clone()], depth);
                if let Some(checksum) = checksum {
                    assert_eq!(book.kraken_checksum(), *checksum, "{file}: {text}");
                    matched += 1;
                }
                assert!(!book.is_crossed(), "{file}: {text}");
            }
        }
        println!("{file}: {matched} checksums match");
        assert_eq!(matched, expect);
    }
}

#[test]
fn synced_books_hold_through_every_recording() {
    for (file, depth, expect) in BOOKS {
        let Some(frames) = frames(file) else { return };
        let names = Names::learning();
        let mut books: BTreeMap<u32, SyncedBook> = BTreeMap::new();
        let mut verified = 0;
        for text in frames {
            let heap = read(&text, &names);
            for said in &heap.said {
                let Said::Book {
                    symbol,
                    kind,
                    ids,
                    checksum,
                    changes,
                    ..
                } = said
                else {
                    continue;
                };
                let book = books
                    .entry(*symbol)
                    .or_insert_with(|| SyncedBook::new(Scheme::KrakenChecksum, Some(depth)));
                let update = BookUpdate {
                    kind: *kind,
                    ids: *ids,
                    checksum: *checksum,
                    changes: &heap.changes[changes.clone()],
                };
                let verdict = book.take(Mono::default(), update);
                assert!(
                    matches!(verdict, Verdict::Applied | Verdict::Synced),
                    "{file}: {text}: {verdict:?}"
                );
                assert!(book.book().is_some(), "{file}: {text}");
                verified += u32::from(checksum.is_some());
            }
        }
        assert_eq!(verified, expect);
        for book in books.values() {
            let counters = book.counters();
            assert_eq!(
                (counters.checksum_failures, counters.gaps, counters.crossed),
                (0, 0, 0)
            );
        }
    }
}

/// Frames in use, with their levels: (bids, asks) as (price, size) texts.
type Levels = Vec<(String, String)>;

fn levels() -> impl Strategy<Value = Levels> {
    prop::collection::vec(
        (
            r"[1-9][0-9]{0,6}(\.[0-9]{1,8})?",
            r"(0|[1-9][0-9]{0,6})(\.[0-9]{1,8})?",
        ),
        0..8,
    )
}

fn written(levels: &Levels, is_reversed: bool) -> String {
    let level = |(price, size): &(String, String)| {
        if is_reversed {
            format!(r#"{{"qty":{size}, "price":{price}}}"#)
        } else {
            format!(r#"{{"price":{price},"qty":{size}}}"#)
        }
    };
    levels.iter().map(level).collect::<Vec<_>>().join(",")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_codec_panic(text in any::<String>()) {
        check_frame(&Kraken::new(), &text);
    }

    #[test]
    fn no_damaged_frame_makes_the_codec_panic_or_grow(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        cut in 0_usize..12,
        put in capture::DAMAGE,
    ) {
        let seeds = corpus("kraken_frame");
        let frame = &seeds[which.index(seeds.len())].1;
        check_frame(&Kraken::new(), &capture::damaged(frame, at, cut, &put));
    }

    #[test]
    fn books_read_the_same_in_any_order_of_keys(
        bids in levels(), asks in levels(), checksum in any::<u32>(), is_snapshot in any::<bool>(),
    ) {
        let kind = if is_snapshot { "snapshot" } else { "update" };
        let usual = format!(
            r#"{{"channel":"book","type":"{kind}","data":[{{"symbol":"AAA/USD","bids":[{}],"asks":[{}],"checksum":{checksum},"timestamp":"2026-01-02T03:04:05.678901Z"}}]}}"#,
            written(&bids, false), written(&asks, false)
        );
        let unusual = format!(
            r#"{{"data":[{{"bids":[{}], "timestamp":"2026-01-02T03:04:05.678901Z","checksum":{checksum},"asks":[{}],"x":{{}},"symbol":"AAA\/USD"}}],"type":"{kind}","channel":"book"}}"#,
            written(&bids, true), written(&asks, true)
        );
        let names = Names::of(&["AAA/USD"]);
        let (one, other) = (read(&usual, &names), read(&unusual, &names));
        prop_assert_eq!(&one.said, &other.said);
        prop_assert_eq!(&one.changes, &other.changes);
        let texts: Levels = one
            .changes
            .iter()
            .map(|change| (change.price.to_string(), change.size.to_string()))
            .collect();
        prop_assert_eq!(texts, [bids, asks].concat());
    }
}

#[test]
fn seeds_of_the_fuzz_target_are_frames() {
    for (name, text) in corpus("kraken_frame") {
        let names = Names::of(&["AAA/USD", "BBB/BTC"]);
        let said = read(&text, &names).said;
        assert!(!said.contains(&Said::Unreadable), "{name}: {said:?}");
        let is_bad = name.starts_with("bad_");
        let is_impossible = said.contains(&Said::Impossible {
            symbol: 0,
            channel: Channel::Book,
        });
        assert_eq!(is_impossible, is_bad, "{name}: {said:?}");
    }
}
