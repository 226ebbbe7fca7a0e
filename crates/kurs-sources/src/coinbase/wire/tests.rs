use super::*;
use crate::coinbase::Coinbase;
use crate::spoken::{self, Names};
use kurs_book::{Ids, Kind};
use kurs_core::{Price, Wall};
use rust_decimal::Decimal;

const TWO: Names = Names(&["BTC-USD", "ETH-USD"]);

fn heap(text: &str) -> Heap {
    spoken::heap(&Coinbase::new(), &TWO, text)
}

fn said(text: &str) -> Said {
    spoken::said(&Coinbase::new(), &TWO, text)
}

fn levels(heap: &Heap) -> Vec<String> {
    spoken::levels(&heap.changes)
}

fn wall(text: &str) -> Wall {
    text.parse().unwrap()
}

const UPDATE: &str = r#"{"type":"l2update","product_id":"BTC-USD","changes":[["buy","9202.70","0.10"],["sell","9203","0.00"]],"time":"2021-04-17T16:43:37.123456Z"}"#;
const TICKER: &str = r#"{"type":"ticker","sequence":333938798123,"product_id":"ETH-USD","price":"14.7775","best_bid":"14.7550","best_bid_size":"2","best_ask":"14.8060","best_ask_size":"3","side":"buy","time":"2021-04-17T16:43:30.244075Z","trade_id":881613,"last_size":"0.04"}"#;

#[test]
fn an_update_is_read_with_the_digits_of_the_wire() {
    let heap = heap(UPDATE);
    assert_eq!(
        heap.said,
        [Said::Book {
            symbol: 0,
            kind: Kind::Diff,
            ids: Ids::None,
            checksum: None,
            changes: 0..2,
            at: Some(wall("2021-04-17T16:43:37.123456Z")),
        }]
    );
    assert_eq!(levels(&heap), ["Bid 9202.70 0.10", "Ask 9203 0.00"]);
}

#[test]
fn a_snapshot_replaces_the_book() {
    let text = r#"{"type":"snapshot","product_id":"ETH-USD","bids":[["2","5"],["1","6"]],"asks":[["3","7"]]}"#;
    let heap = heap(text);
    assert!(matches!(
        heap.said[..],
        [Said::Book {
            symbol: 1,
            kind: Kind::Snapshot,
            ids: Ids::None,
            at: None,
            ..
        }]
    ));
    assert_eq!(levels(&heap), ["Bid 2 5", "Bid 1 6", "Ask 3 7"]);
}

#[test]
fn keys_come_in_any_order() {
    let shuffled = r#"{"time":"2021-04-17T16:43:37.123456Z","changes":[["buy","9202.70","0.10"],["sell","9203","0.00"]],"new":{"type":[{}]},"product_id":"BTC\u002dUSD","type":"l2update"}"#;
    assert_eq!(heap(shuffled).said, heap(UPDATE).said);
    assert_eq!(heap(shuffled).changes, heap(UPDATE).changes);
}

#[test]
fn a_ticker_gives_the_best_prices_by_their_sequence_with_or_without_sizes() {
    let level =
        |price: &str, size: Option<u32>| (Price::parse(price).unwrap(), size.map(Decimal::from));
    let top = |sizes: [Option<u32>; 2]| Said::Top {
        symbol: 1,
        bid: level("14.7550", sizes[0]),
        ask: level("14.8060", sizes[1]),
        id: Some(333_938_798_123),
        at: Some(wall("2021-04-17T16:43:30.244075Z")),
    };
    assert_eq!(said(TICKER), top([Some(2), Some(3)]));
    let old = TICKER
        .replace(r#""best_bid_size":"2","#, "")
        .replace(r#""best_ask_size":"3","#, "");
    assert_eq!(said(&old), top([None, None]));
    assert_eq!(
        said(&TICKER.replace("14.7550", "0")),
        Said::NoTop { symbol: 1 }
    );
}

#[test]
fn a_heartbeat_is_a_sign_of_life() {
    let heartbeat = r#"{"type":"heartbeat","sequence":90,"last_trade_id":20,"product_id":"BTC-USD","time":"2014-11-07T08:19:28.464459Z"}"#;
    let alive = Said::Alive {
        symbol: 0,
        channel: Channel::Heartbeat,
    };
    assert_eq!(said(heartbeat), alive);
}

#[test]
fn a_match_is_a_trade_unless_it_is_old_or_undated() {
    let text = r#"{"type":"match","trade_id":280232,"maker_order_id":"a","taker_order_id":"b","side":"sell","size":"985","price":"0.00001305","product_id":"BTC-USD","sequence":177100030,"time":"2021-04-17T16:43:37.089723Z"}"#;
    let at = wall("2021-04-17T16:43:37.089723Z");
    assert_eq!(
        said(text),
        Said::Trade {
            symbol: 0,
            id: 280_232,
            price: Price::parse("0.00001305").unwrap(),
            traded_at: at,
            sent_at: at,
        }
    );
    let undated = text.replace("2021-04-17", "0001-01-01");
    assert_eq!(said(&undated), Said::Other);
    assert_eq!(said(&text.replace("match", "last_match")), Said::Other);
}

#[test]
fn times_that_cannot_be_are_none_and_the_frame_is_used() {
    for bad in [
        r#""0001-01-01T00:00:00.000000Z""#,
        r#""yesterday""#,
        r#""""#,
        "null",
        "5",
        "-5.5",
        "true",
    ] {
        let text = UPDATE.replace(r#""2021-04-17T16:43:37.123456Z""#, bad);
        let Said::Book { at, .. } = said(&text) else {
            panic!("{text}")
        };
        assert_eq!(at, None, "{bad}");
    }
    let untimed = UPDATE.replace(r#","time":"2021-04-17T16:43:37.123456Z""#, "");
    assert!(matches!(said(&untimed), Said::Book { at: None, .. }));
}

#[test]
fn a_refusal_that_names_a_product_refuses_its_streams() {
    let text = r#"{"type":"error","message":"Failed to subscribe","reason":"ETH-USD is not a valid product"}"#;
    let refused: Vec<_> = heap(text)
        .said
        .into_iter()
        .filter_map(|said| match said {
            Said::StreamRefused {
                symbol,
                channel,
                why,
            } => {
                assert_eq!(why, "unknown symbol: ETH-USD is not a valid product");
                Some((symbol, channel))
            }
            // The others of the command are to be asked for again.
            Said::Refused { command: None, why } => {
                assert_eq!(why, "Failed to subscribe: ETH-USD is not a valid product");
                None
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(refused, Channel::ALL.map(|channel| (1, channel)));
    assert!(matches!(heap(text).said.last(), Some(Said::Refused { .. })));
}

#[test]
fn the_list_of_what_is_subscribed_accepts_the_next_command() {
    let text =
        r#"{"type":"subscriptions","channels":[{"name":"level2","product_ids":["BTC-USD"]}]}"#;
    assert_eq!(said(text), Said::Accepted { command: None });
}

#[test]
fn a_refusal_that_names_nobody_is_told_with_the_venues_words() {
    for reason in [
        "level2, level3, and full channels now require authentication",
        "XYZ-USD is not a valid product",
    ] {
        let text =
            format!(r#"{{"type":"error","message":"Failed to subscribe","reason":"{reason}"}}"#);
        let Said::Refused { command: None, why } = said(&text) else {
            panic!("{text}")
        };
        assert!(why.ends_with(reason), "{why}");
    }
    let long = format!(r#"{{"type":"error","message":"{}"}}"#, "x".repeat(9_000));
    assert!(matches!(said(&long), Said::Refused { why, .. } if why.len() == 120));
}

#[test]
fn answers_and_what_is_not_followed_are_of_no_interest() {
    for text in [
        r#"{"type":"status","products":[{"id":"BTC-USD"}],"currencies":[]}"#,
        r#"{"type":"received","product_id":"BTC-USD","time":"x","price":5}"#,
        r#"{"type":"something_new","price":{},"changes":7}"#,
        r#"{"type":"l2update","product_id":"XYZ-USD","changes":"?"}"#,
        r#"{"changes":[["buy","1","1"]],"product_id":"XYZ-USD","type":"l2update"}"#,
    ] {
        let told = heap(text);
        assert_eq!(told.said, [Said::Other], "{text}");
        assert!(told.changes.is_empty());
    }
}

#[test]
fn what_cannot_be_is_told_with_its_symbol_and_channel() {
    let book = (0, Channel::Book);
    for (bad, (symbol, channel)) in [
        (UPDATE.replace("0.10", "0.-10000"), book),
        (UPDATE.replace("0.10", "-1"), book),
        (UPDATE.replace(r#""0.10""#, "0.1"), book),
        (UPDATE.replace(r#","0.10""#, ""), book),
        (UPDATE.replace("9202.70", "0"), book),
        (UPDATE.replace("buy", "bid"), book),
        (UPDATE.replace("changes", "updates"), book),
        (UPDATE.replace("l2update", "snapshot"), book),
        (UPDATE.replace("}", ""), book),
        (UPDATE.replace("}", "}}"), book),
        (UPDATE.replace("}", r#","changes":[]}"#), book),
        (UPDATE.replace("}", r#","type":"snapshot"}"#), book),
        (TICKER.replace("14.7550", "-1"), (1, Channel::Top)),
        (TICKER.replace("14.7550", "NaN"), (1, Channel::Top)),
        (
            TICKER.replace(r#""best_bid_size":"2""#, r#""best_bid_size":"-2""#),
            (1, Channel::Top),
        ),
        (TICKER.replace("best_bid\"", "bid\""), (1, Channel::Top)),
        (
            r#"{"type":"match","product_id":"BTC-USD","trade_id":1,"price":"0"}"#.to_owned(),
            (0, Channel::Trades),
        ),
    ] {
        let heap = heap(&bad);
        assert_eq!(heap.said, [Said::Impossible { symbol, channel }], "{bad}");
        assert!(heap.changes.is_empty(), "{bad}");
    }
}

#[test]
fn what_is_no_frame_is_unreadable() {
    for text in [
        "",
        "{",
        "null",
        "[]",
        "{}",
        "\u{fffd}",
        r#"{"type":5}"#,
        r#"{"type":"l2update","changes":[]}"#,
        r#"{"type":"error""#,
        r#"{"product_id":"BTC-USD","changes":[]}"#,
        r#"{"channel":"l2_data","sequence_num":1,"events":[{"type":"update","product_id":"BTC-USD","updates":[]}]}"#,
    ] {
        assert_eq!(said(text), Said::Unreadable, "{text}");
    }
}

#[test]
fn a_heap_that_holds_something_already_is_added_to() {
    let mut heap = heap(UPDATE);
    read(UPDATE, &TWO, &mut heap);
    read(&UPDATE.replace("0.10", "-1"), &TWO, &mut heap);
    assert_eq!(heap.said.len(), 3);
    assert!(matches!(&heap.said[1], Said::Book { changes, .. } if *changes == (2..4)));
    assert_eq!(heap.changes.len(), 4);
}
