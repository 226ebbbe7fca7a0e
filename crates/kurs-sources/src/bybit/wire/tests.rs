use super::*;
use crate::bybit::Bybit;
use crate::spoken::{self, Names};
use kurs_book::Ids;
use kurs_core::Price;
use rust_decimal::Decimal;

const TWO: Names = Names(&["BTCUSDT", "ETHUSDT"]);

fn heap(text: &str) -> Heap {
    spoken::heap(&Bybit::new(), &TWO, text)
}

fn said(text: &str) -> Said {
    spoken::said(&Bybit::new(), &TWO, text)
}

fn levels(heap: &Heap) -> Vec<String> {
    spoken::levels(&heap.changes)
}

const DELTA: &str = r#"{"topic":"orderbook.50.BTCUSDT","ts":1731035685345,"type":"delta","data":{"s":"BTCUSDT","b":[["75837.13","0"]],"a":[["75848.89","0.0881490"]],"u":2876701,"seq":47474967823},"cts":1731035685342}"#;

#[test]
fn a_delta_is_read_with_its_number_and_the_digits_of_the_wire() {
    let heap = heap(DELTA);
    assert_eq!(
        heap.said,
        [Said::Book {
            symbol: 0,
            kind: Kind::Diff,
            ids: Ids::Counter(2_876_701),
            checksum: None,
            changes: 0..2,
            at: Some(Wall::from_unix_ms(1_731_035_685_342)),
        }]
    );
    assert_eq!(levels(&heap), ["Bid 75837.13 0", "Ask 75848.89 0.0881490"]);
}

#[test]
fn keys_come_in_any_order() {
    let shuffled = r#"{"cts":1731035685342,"data":{"seq":1,"u":2876701,"a":[["75848.89","0.0881490"]],"x":{"b":[1]},"b":[["75837.13","0"]]},"new":[{"a":"\""}],"type":"delta","topic":"orderbook.50.BTCUSDT","ts":1731035685345}"#;
    let (one, other) = (heap(shuffled), heap(DELTA));
    assert_eq!(one.said, other.said);
    assert_eq!(
        levels(&one).iter().rev().collect::<Vec<_>>(),
        levels(&other).iter().collect::<Vec<_>>()
    );
}

#[test]
fn number_one_is_a_snapshot_whatever_it_is_called() {
    let text = DELTA.replace("2876701", "1");
    let Said::Book { kind, ids, .. } = said(&text) else {
        panic!("no book")
    };
    assert_eq!((kind, ids), (Kind::Snapshot, Ids::Counter(1)));
    let Said::Book { kind, .. } = said(&DELTA.replace("delta", "snapshot")) else {
        panic!("no book")
    };
    assert_eq!(kind, Kind::Snapshot);
}

#[test]
fn the_book_of_one_level_gives_the_best_prices_without_an_id() {
    let text = r#"{"topic":"orderbook.1.ETHUSDT","ts":5000,"type":"snapshot","data":{"s":"ETHUSDT","b":[["1.5","2"]],"a":[["1.6","3"]],"u":9,"seq":1},"cts":4000}"#;
    let heap = heap(text);
    let level = |price: &str, size: u32| (Price::parse(price).unwrap(), Some(Decimal::from(size)));
    assert_eq!(
        heap.said,
        [Said::Top {
            symbol: 1,
            bid: level("1.5", 2),
            ask: level("1.6", 3),
            id: None,
            at: Some(Wall::from_unix_ms(4_000)),
        }]
    );
    assert!(heap.changes.is_empty());
}

#[test]
fn a_top_with_an_empty_side_is_no_top() {
    let text = r#"{"topic":"orderbook.1.BTCUSDT","ts":5,"type":"snapshot","data":{"b":[],"a":[["1","1"]],"u":9}}"#;
    assert_eq!(said(text), Said::NoTop { symbol: 0 });
}

#[test]
fn the_newest_trade_of_a_frame_dates_it_unless_it_is_a_block_trade() {
    let text = r#"{"topic":"publicTrade.BTCUSDT","ts":1690720953113,"type":"snapshot","data":[
        {"i":"2200000000067341890","T":1690720953111,"p":"3.6279","v":"1.3637","S":"Sell","s":"BTCUSDT","BT":false},
        {"i":"2200000000067341891","T":1690720953112,"p":"3.6280","v":"1","S":"Buy","s":"BTCUSDT","BT":false,"RPI":false},
        {"i":"2200000000067341892","T":1690720953113,"p":"9","v":"1","S":"Buy","s":"BTCUSDT","BT":true}]}"#;
    assert_eq!(
        said(text),
        Said::Trade {
            symbol: 0,
            id: 2_200_000_000_067_341_891,
            price: Price::parse("3.6280").unwrap(),
            traded_at: Wall::from_unix_ms(1_690_720_953_112),
            sent_at: Wall::from_unix_ms(1_690_720_953_113),
        }
    );
    // No trade, one outside the book, and one numbered in the way of other products.
    for data in [
        "",
        r#"{"i":"1","T":1,"p":"9","BT":true}"#,
        r#"{"i":"6c-a","T":1,"p":"1"}"#,
    ] {
        let text = format!(r#"{{"topic":"publicTrade.BTCUSDT","ts":1,"data":[{data}]}}"#);
        assert_eq!(said(&text), Said::Other, "{text}");
    }
}

#[test]
fn answers_are_told_by_their_number() {
    let accepted =
        r#"{"success":true,"ret_msg":"subscribe","conn_id":"x","req_id":"7","op":"subscribe"}"#;
    assert_eq!(said(accepted), Said::Accepted { command: Some(7) });
    let unnumbered = r#"{"success":true,"ret_msg":"subscribe","conn_id":"x","op":"subscribe"}"#;
    assert_eq!(said(unnumbered), Said::Other);
    let again = r#"{"success":false,"ret_msg":"error:already subscribed,topic:orderbook.50.BTCUSDT","req_id":"8","op":"subscribe"}"#;
    assert_eq!(said(again), Said::Accepted { command: Some(8) });
    let leaving = r#"{"success":false,"ret_msg":"error:handler not found,topic:orderbook.50.BTCUSDT","req_id":"8","op":"unsubscribe"}"#;
    assert_eq!(said(leaving), Said::Other);
}

#[test]
fn a_refusal_that_names_a_topic_refuses_it_and_leaves_the_rest_to_be_asked_for_again() {
    let text = r#"{"success":false,"ret_msg":"error:handler not found,topic:orderbook.50.ETHUSDT","conn_id":"x","req_id":"3","op":"subscribe"}"#;
    let why = "error:handler not found,topic:orderbook.50.ETHUSDT".to_owned();
    assert_eq!(
        heap(text).said,
        [
            Said::StreamRefused {
                symbol: 1,
                channel: Channel::Book,
                why: why.clone(),
            },
            Said::Refused {
                command: Some(3),
                why
            },
        ]
    );
    let unnamed =
        r#"{"success":false,"ret_msg":"error:args size >10","req_id":"4","op":"subscribe"}"#;
    assert_eq!(
        said(unnamed),
        Said::Refused {
            command: Some(4),
            why: "error:args size >10".to_owned(),
        }
    );
}

#[test]
fn both_forms_of_a_pong_are_signs_of_life_of_the_connection() {
    for text in [
        r#"{"success":true,"ret_msg":"pong","conn_id":"x","req_id":"","op":"ping"}"#,
        r#"{"success":true,"ret_msg":"pong","conn_id":"x","req_id":"5","op":"ping"}"#,
        r#"{"op":"pong","args":["1753340040127"],"conn_id":"x"}"#,
        r#"{"req_id":"5","op":"pong","args":["1"],"conn_id":"x","success":true}"#,
    ] {
        assert_eq!(said(text), Said::Heartbeat, "{text}");
    }
}

#[test]
fn what_is_not_followed_is_of_no_interest() {
    for text in [
        r#"{"topic":"orderbook.50.XYZUSDT","ts":1,"type":"delta","data":{"b":"?","u":-1}}"#,
        r#"{"data":{"b":"?","u":-1},"topic":"orderbook.200.BTCUSDT","ts":1,"type":"delta"}"#,
        r#"{"topic":"tickers.BTCUSDT","type":"delta","data":{"symbol":"BTCUSDT","bid1Price":"1"},"cs":1,"ts":1}"#,
        r#"{"topic":"kline.5.BTCUSDT","data":[{"start":1,"a":2}],"ts":1,"type":"snapshot"}"#,
    ] {
        assert_eq!(said(text), Said::Other, "{text}");
    }
}

#[test]
fn what_cannot_be_is_told_with_its_symbol_and_channel() {
    let book = Channel::Book;
    for (bad, channel) in [
        (DELTA.replace("0.0881490", "-1"), book),
        (DELTA.replace("0.0881490", "1e308"), book),
        (DELTA.replace("75848.89", "0"), book),
        (DELTA.replace("75848.89", "NaN"), book),
        (DELTA.replace(r#""u":2876701,"#, ""), book),
        (DELTA.replace("2876701", "-5"), book),
        (DELTA.replace("delta", "patch"), book),
        (DELTA.replace(r#""a":"#, r#""b":"#), book),
        (DELTA.replace(r#""a":"#, r#""x":"#), book),
        (DELTA.replace(r#","cts":1731035685342}"#, ""), book),
        (DELTA.replace(".50.", ".1."), Channel::Top),
        (
            DELTA.replace(".50.", ".1.").replace("delta", "snapshot"),
            Channel::Top,
        ),
        (
            DELTA.replace("orderbook.50", "publicTrade"),
            Channel::Trades,
        ),
        (
            r#"{"topic":"publicTrade.BTCUSDT","data":[{"i":"1","T":1,"p":"-1"}]}"#.to_owned(),
            Channel::Trades,
        ),
    ] {
        let heap = heap(&bad);
        let symbol = 0;
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
        "5",
        "{}",
        "\u{fffd}",
        r#"{"topic":5}"#,
        r#"{"data":{},"ts":1}"#,
        r#"{"type":"l2update","product_id":"BTC-USD","changes":[]}"#,
    ] {
        assert_eq!(said(text), Said::Unreadable, "{text}");
    }
}

#[test]
fn times_that_cannot_be_are_none() {
    for bad in ["0", "-5", "9223372036854775807", "null"] {
        let text = DELTA
            .replace("1731035685342", bad)
            .replace("1731035685345", bad);
        let Said::Book { at, .. } = said(&text) else {
            panic!("{text}")
        };
        assert_eq!(at, None, "{bad}");
    }
}

#[test]
fn a_heap_that_holds_something_already_is_added_to() {
    let mut heap = heap(DELTA);
    read(DELTA, &TWO, &mut heap);
    read(&DELTA.replace("0.0881490", "-1"), &TWO, &mut heap);
    assert_eq!(heap.said.len(), 3);
    assert!(matches!(&heap.said[1], Said::Book { changes, .. } if *changes == (2..4)));
    assert_eq!(heap.changes.len(), 4);
}
