//! Recorded and damaged frames of Bybit spot, read without sockets.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail the test")]

use kurs_book::{BookUpdate, Ids, Kind, Scheme, SyncedBook, Verdict};
use kurs_core::Mono;
use kurs_sources::bybit::Bybit;
use kurs_sources::venue::codec::{Codec, Heap, Said, Symbols};
use kurs_testkit::fixtures::{self, Direction};
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::Value;
use std::collections::BTreeMap;

/// Follows every symbol that is asked for, or one only.
struct Follows(Option<&'static str>);

impl Symbols for Follows {
    fn find(&self, name: &str) -> Option<u32> {
        self.0.is_none_or(|one| one == name).then_some(0)
    }
}

/// The book as the protocol sheet describes it, without the code under test.
fn apply(sides: &mut [BTreeMap<Decimal, Decimal>; 2], frame: &Value) {
    if frame["type"] == "snapshot" {
        *sides = Default::default();
    }
    for (side, key) in sides.iter_mut().zip(["b", "a"]) {
        for level in frame["data"][key].as_array().unwrap() {
            let [price, size]: [Decimal; 2] =
                [0, 1].map(|at| level[at].as_str().unwrap().parse().unwrap());
            if size.is_zero() {
                side.remove(&price);
            } else {
                side.insert(price, size);
            }
        }
    }
    while sides[0].len() > 50 {
        sides[0].pop_first();
    }
    while sides[1].len() > 50 {
        sides[1].pop_last();
    }
}

#[test]
fn every_recorded_frame_is_read_and_the_chains_are_unbroken() {
    let Some(folder) = fixtures::dir() else {
        println!("KURS_FIXTURES is not set: captures are not tested");
        return;
    };
    let (mut frames, mut diffs, mut trades) = (0, 0, 0);
    let entries = folder.join("bybit").read_dir().expect("a folder");
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path
            .extension()
            .is_none_or(|end| end != "jsonl" && end != "gz")
        {
            continue;
        }
        let mut heap = Heap::default();
        let mut book = SyncedBook::new(Scheme::Counter, Some(50));
        let mut plain = Default::default();
        for line in fixtures::lines(&path).filter(|line| line.dir == Direction::Rx) {
            let text = line.text();
            let tree: Value = serde_json::from_str(text).unwrap();
            let topic = tree["topic"].as_str().unwrap_or_default();
            frames += 1;
            heap.clear();
            Bybit::new().read(text, &Follows(None), &mut heap);
            assert_eq!(heap.said.len(), 1, "{text}");
            match &heap.said[0] {
                Said::Book {
                    kind,
                    ids,
                    changes,
                    at,
                    ..
                } => {
                    assert!(topic.starts_with("orderbook.50."), "{text}");
                    assert_eq!(*ids, Ids::Counter(tree["data"]["u"].as_u64().unwrap()));
                    assert_eq!(at.map(|at| at.unix_ms()), tree["cts"].as_i64());
                    let update = BookUpdate {
                        kind: *kind,
                        ids: *ids,
                        checksum: None,
                        changes: &heap.changes[changes.clone()],
                    };
                    let verdict = book.take(Mono(0), update);
                    assert!(
                        matches!(verdict, Verdict::Applied | Verdict::Synced),
                        "{}: {verdict:?}: {text}",
                        path.display()
                    );
                    apply(&mut plain, &tree);
                    let book = book.book().expect("a readable book");
                    let [bids, asks] = &plain;
                    let levels = |levels: &mut dyn Iterator<Item = kurs_core::Level>| {
                        levels
                            .map(|level| (level.price.value(), level.size))
                            .collect::<Vec<_>>()
                    };
                    let expected: Vec<_> = bids.iter().rev().map(|(p, s)| (*p, *s)).collect();
                    assert_eq!(levels(&mut book.bids()), expected);
                    let expected: Vec<_> = asks.iter().map(|(p, s)| (*p, *s)).collect();
                    assert_eq!(levels(&mut book.asks()), expected);
                    diffs += u32::from(*kind == Kind::Diff);
                }
                Said::Trade {
                    id,
                    price,
                    traded_at,
                    ..
                } => {
                    let trade = &tree["data"][0];
                    assert_eq!(Some(id.to_string().as_str()), trade["i"].as_str());
                    assert_eq!(Some(price.to_string().as_str()), trade["p"].as_str());
                    assert_eq!(Some(traded_at.unix_ms()), trade["T"].as_i64());
                    trades += 1;
                }
                Said::Heartbeat => assert!(text.contains("pong"), "{text}"),
                Said::Other => {
                    let is_data = topic.starts_with("orderbook.50.") || topic.starts_with("public");
                    assert!(!is_data, "{text}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
        assert_eq!((book.counters().gaps, book.counters().crossed), (0, 0));
    }
    println!("{frames} frames, {diffs} diffs, {trades} trades");
    assert!(frames >= 22 && diffs >= 9 && trades >= 1);
}

#[test]
fn a_missing_message_is_noticed_and_a_new_snapshot_heals() {
    let frame = |kind: &str, number: u64| {
        format!(
            r#"{{"topic":"orderbook.50.BTCUSDT","ts":1,"type":"{kind}","data":{{"s":"BTCUSDT","b":[["1","{number}"]],"a":[["2","1"]],"u":{number},"seq":1}},"cts":1}}"#
        )
    };
    let mut book = SyncedBook::new(Scheme::Counter, Some(50));
    let mut take = |text: String| {
        let mut heap = Heap::default();
        Bybit::new().read(&text, &Follows(Some("BTCUSDT")), &mut heap);
        let Said::Book { kind, ids, .. } = heap.said[0] else {
            panic!("{text}: {:?}", heap.said)
        };
        let update = BookUpdate {
            kind,
            ids,
            checksum: None,
            changes: &heap.changes,
        };
        let verdict = book.take(Mono(0), update);
        (verdict, book.book().is_some())
    };
    assert_eq!(take(frame("snapshot", 5)), (Verdict::Synced, true));
    assert_eq!(take(frame("delta", 6)), (Verdict::Applied, true));
    let (verdict, is_readable) = take(frame("delta", 8));
    assert!(matches!(verdict, Verdict::Lost(_)) && !is_readable);
    assert_eq!(take(frame("snapshot", 8)), (Verdict::Synced, true));
    // The service began anew: its first message is a snapshot, whatever it is called.
    assert!(take(frame("delta", 1)).1);
    assert_eq!(take(frame("delta", 2)), (Verdict::Applied, true));
}

const FRAMES: [&str; 6] = [
    r#"{"topic":"orderbook.50.BTCUSDT","ts":1731035685345,"type":"delta","data":{"s":"BTCUSDT","b":[["75837.13","0"]],"a":[["75848.89","0.0881490"]],"u":2876701,"seq":47474967823},"cts":1731035685342}"#,
    r#"{"topic":"orderbook.1.BTCUSDT","ts":5000,"type":"snapshot","data":{"s":"BTCUSDT","b":[["1.5","2"]],"a":[["1.6","3"]],"u":9,"seq":1},"cts":4000}"#,
    r#"{"cts":4,"data":{"u":9,"b":[["1.5","2"]],"a":[]},"type":"snapshot","topic":"orderbook.50.BTCUSDT","ts":5}"#,
    r#"{"topic":"publicTrade.BTCUSDT","ts":1690720953113,"type":"snapshot","data":[{"i":"2200000000067341890","T":1690720953111,"p":"3.6279","v":"1.3637","S":"Sell","s":"BTCUSDT","BT":false}]}"#,
    r#"{"success":false,"ret_msg":"error:handler not found,topic:orderbook.50.BTCUSDT","conn_id":"x","req_id":"3","op":"subscribe"}"#,
    r#"{"op":"pong","args":["1753340040127"],"conn_id":"d157a7favkf4mm3ibuvg-14toog"}"#,
];

/// Reads a text and checks what holds for every text.
fn read(text: &str) -> Heap {
    let mut heap = Heap::default();
    Bybit::new().read(text, &Follows(Some("BTCUSDT")), &mut heap);
    assert!(!heap.said.is_empty());
    assert!(heap.changes.len() <= text.len() && heap.said.len() <= text.len() + 1);
    for change in &heap.changes {
        assert!(!change.size.is_sign_negative() || change.size.is_zero());
    }
    for said in &heap.said {
        match said {
            Said::Book { changes, .. } => {
                assert!(changes.end <= heap.changes.len() && changes.start <= changes.end);
            }
            Said::Top { bid, ask, .. } => {
                assert!(
                    [bid.0, ask.0]
                        .iter()
                        .all(|price| price.value() > Decimal::ZERO)
                );
            }
            _ => {}
        }
    }
    heap
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    let deep = "[".repeat(100_000);
    for text in [
        deep.clone(),
        format!(r#"{{"topic":"orderbook.50.BTCUSDT","data":{{"b":{deep}"#),
        format!(r#"{{"data":{deep}"#),
        format!(r#"{{"x":{deep}"#),
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
        put in r#"[\x00-\x7f]{0,6}|"[^"]{0,4}"|-?[0-9]{1,25}(\.[0-9]{1,20})?(e-?[0-9]{1,4})?|null|\[|\{|,"data":\[\]"#,
    ) {
        let frame = FRAMES[which];
        let from = at.index(frame.len());
        let until = (from + cut).min(frame.len());
        read(&format!("{}{put}{}", &frame[..from], &frame[until..]));
    }

    #[test]
    fn no_answer_makes_the_reader_panic(body in any::<Vec<u8>>(), status in 100_u16..600) {
        let codec = Bybit::new();
        let request = codec.ask_tops(&["BTCUSDT".to_owned()]).remove(0);
        let _ = (codec.read_listing(status, &body), codec.read_tops(&request, status, &body));
    }
}
