//! Frames with the traps of the protocol sheet.

use super::*;
use crate::spoken::{self, Names};
use crate::venue::codec::Said;
use kurs_book::{Ids, Kind};

const TWO: Names = Names(&["BTC/USD", "ETH/BTC"]);

fn heap(text: &str) -> Heap {
    spoken::heap(&Kraken::new(), &TWO, text)
}

fn read(text: &str) -> Vec<Said> {
    heap(text).said
}

/// The one book message of a frame, with its levels as text.
fn book(text: &str) -> (u32, Kind, Option<u32>, String) {
    let book = spoken::book(&Kraken::new(), &TWO, text);
    assert_eq!(book.ids, Ids::None);
    (book.symbol, book.kind, book.checksum, book.levels)
}

const BOOK: Channel = Channel::Book;

fn refused(symbol: u32, why: &str) -> Vec<Said> {
    let refused = |channel| Said::StreamRefused {
        symbol,
        channel,
        why: why.to_owned(),
    };
    vec![refused(BOOK), refused(Channel::Trades)]
}

#[test]
fn symbols_are_written_with_a_slash() {
    let symbol = |pair| Kraken::new().symbol(Pair::parse(pair).unwrap());
    assert_eq!(symbol("BTC-USD"), "BTC/USD");
    assert_eq!(symbol("DOGE-EUR"), "DOGE/EUR");
}

#[test]
fn a_book_keeps_every_digit_and_the_order_of_its_levels() {
    let text = r#"{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":78858.80,"qty":0.00000000},{"price":8750.0000,"qty":0.00005100},{"price":8750.0000,"qty":0.10000000}],"asks":[{"price":1e-08,"qty":3}],"checksum":4249465476,"timestamp":"2026-08-24T22:21:58.343688Z"}]}"#;
    let levels = "b78858.80x0.00000000 b8750.0000x0.00005100 b8750.0000x0.10000000 a0.00000001x3";
    assert_eq!(
        book(text),
        (0, Kind::Diff, Some(4_249_465_476), levels.to_owned())
    );
    let Said::Book { at, .. } = &read(text)[0] else {
        panic!()
    };
    assert_eq!(at.unwrap().unix_ms(), 1_787_610_118_343);
}

#[test]
fn keys_may_come_in_any_order_and_new_ones_are_passed_over() {
    let text = r#" {"new":{"a":[1]}, "data":[{"timestamp":"","asks":[{"new":1,"qty":2,"price":1.5}],"new":[{}],"bids":[],"symbol":"ETH\/BTC"}],"type":"snapshot","channel":"book"} "#;
    assert_eq!(book(text), (1, Kind::Snapshot, None, "a1.5x2".to_owned()));
}

#[test]
fn several_books_in_one_frame_are_told_apart_and_others_are_left_out() {
    let row = |symbol: &str, price: u32| {
        format!(
            r#"{{"symbol":"{symbol}","bids":[{{"price":{price},"qty":1}}],"asks":[],"checksum":1}}"#
        )
    };
    let text = format!(
        r#"{{"channel":"book","type":"update","data":[{},{},{}]}}"#,
        row("BTC/USD", 5),
        row("XYZ/USD", 6),
        row("ETH/BTC", 7)
    );
    let heap = heap(&text);
    let found: Vec<(u32, String)> = heap
        .said
        .iter()
        .map(|said| match said {
            Said::Book {
                symbol, changes, ..
            } => {
                assert_eq!(changes.len(), 1);
                (*symbol, heap.changes[changes.start].price.to_string())
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(found, [(0, "5".to_owned()), (1, "7".to_owned())]);
    assert_eq!(heap.changes.len(), 2);
}

#[test]
fn a_book_of_a_symbol_that_is_not_followed_leaves_nothing_behind() {
    for row in [
        r#"{"symbol":"XYZ/USD","bids":[{"price":1,"qty":1}],"asks":[],"checksum":1}"#,
        r#"{"bids":[{"price":1,"qty":1}],"asks":[],"checksum":1,"symbol":"XYZ/USD"}"#,
        r#"{"symbol":"XYZ/USD","bids":[{"price":"x"}],"asks":[]}"#,
    ] {
        let text = format!(r#"{{"channel":"book","type":"snapshot","data":[{row}]}}"#);
        let heap = heap(&text);
        assert_eq!(heap.said, [Said::Other], "{row}");
        assert!(heap.changes.is_empty(), "{row}");
    }
}

#[test]
fn a_book_that_cannot_be_is_told_so_that_it_is_asked_for_again() {
    let level = |price: &str, qty: &str| {
        format!(r#""bids":[{{"price":{price},"qty":{qty}}}],"asks":[],"checksum":1"#)
    };
    let mut broken: Vec<String> = ["0", "0.0", "-1", r#""1""#, "null", "1e308", "[]", "true"]
        .map(|price| level(price, "1"))
        .to_vec();
    broken.extend(["-1", "-0.1", r#""1""#, "null", "1e308", "{}"].map(|qty| level("1", qty)));
    for sum in ["-1", "4294967296", "1.5", "null", r#""1""#] {
        broken.push(format!(r#""bids":[],"asks":[],"checksum":{sum}"#));
    }
    broken.push(r#""bids":[],"checksum":1"#.to_owned());
    broken.push(r#""checksum":1"#.to_owned());
    for row in broken {
        let text = format!(
            r#"{{"channel":"book","type":"update","data":[{{"symbol":"BTC/USD",{row}}}]}}"#
        );
        let heap = heap(&text);
        let impossible = Said::Impossible {
            symbol: 0,
            channel: BOOK,
        };
        assert_eq!(heap.said, [impossible], "{row}");
        assert!(heap.changes.is_empty(), "{row}");
    }
}

#[test]
fn trades_are_read_and_one_without_a_time_only_lives() {
    let text = r#"{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"sell","price":63297.70,"qty":0.5,"ord_type":"limit","trade_id":9007199254740993,"timestamp":"2026-08-12T19:29:02.066592Z"},{"symbol":"ETH/BTC","side":"buy","price":0.05,"qty":1,"ord_type":"market","trade_id":2,"timestamp":"1970-01-01T00:00:00Z"},{"symbol":"ETH/BTC","side":"buy","price":0,"qty":1,"ord_type":"market","trade_id":3,"timestamp":"2026-08-12T19:29:02.066592Z"},{"symbol":"XYZ/USD","price":1,"trade_id":4,"timestamp":""}]}"#;
    let said = read(text);
    let Said::Trade {
        symbol: 0,
        id: 9_007_199_254_740_993,
        price,
        traded_at,
        sent_at,
    } = &said[0]
    else {
        panic!("{said:?}")
    };
    assert_eq!(price.to_string(), "63297.70");
    assert_eq!((traded_at.0 % 1_000_000, traded_at), (66_592, sent_at));
    let channel = Channel::Trades;
    assert_eq!(
        said[1..],
        [
            Said::Alive { symbol: 1, channel },
            Said::Impossible { symbol: 1, channel }
        ]
    );
}

#[test]
fn a_ticker_of_a_dead_market_is_no_quote_and_1970_no_time() {
    let ticker = |bid: &str, ask: &str, time: &str| {
        let text = format!(
            r#"{{"channel":"ticker","type":"update","data":[{{"symbol":"BTC/USD","bid":{bid},"bid_qty":5.75,"ask":{ask},"ask_qty":0.36977970,"last":1{time}}}]}}"#
        );
        read(&text).remove(0)
    };
    let Said::Top {
        bid, ask, id, at, ..
    } = ticker("63297.7", "63297.80", "")
    else {
        panic!()
    };
    assert_eq!(
        (bid.0.to_string(), ask.0.to_string()),
        ("63297.7".into(), "63297.80".into())
    );
    assert_eq!(ask.1.unwrap().to_string(), "0.36977970");
    assert_eq!((id, at), (None, None));
    let Said::Top { at, .. } = ticker("1", "2", r#","timestamp":"1970-01-01T00:00:00.000000Z""#)
    else {
        panic!()
    };
    assert_eq!(at, None);
    for (bid, ask) in [("0", "0"), ("0.0", "1"), ("1", "0")] {
        assert_eq!(ticker(bid, ask, ""), Said::NoTop { symbol: 0 });
    }
    for bid in ["-1", "null", r#""1""#, "1e308"] {
        let impossible = Said::Impossible {
            symbol: 0,
            channel: Channel::Top,
        };
        assert_eq!(ticker(bid, "2", ""), impossible, "{bid}");
    }
}

#[test]
fn a_heartbeat_proves_the_connection_and_no_symbol() {
    for text in [r#"{"channel":"heartbeat"}"#, r#"{ "channel":"heartbeat" }"#] {
        assert_eq!(read(text), [Said::Heartbeat]);
    }
}

#[test]
fn a_venue_that_is_not_online_is_halted() {
    let status = |system: &str| {
        read(&format!(
            r#"{{"channel":"status","type":"update","data":[{{"version":"2.0.10","system":"{system}","api_version":"v2","connection_id":13834819271283118301}}]}}"#
        ))
    };
    assert_eq!(status("online"), [Said::Other]);
    for system in ["maintenance", "cancel_only", "post_only", "anything new"] {
        let why = system.to_owned();
        assert_eq!(status(system), [Said::Halted { why }]);
    }
    let [Said::Halted { why }] = &status(&"x".repeat(10_000))[..] else {
        panic!()
    };
    assert!(why.len() < 200);
}

#[test]
fn acknowledgements_accept_their_command() {
    let text = r#"{"method":"subscribe","result":{"channel":"book","depth":10,"snapshot":true,"symbol":"BTC/USD","warnings":["w"]},"success":true,"time_in":"2026-08-24T22:21:56.724795Z","time_out":"2026-08-24T22:21:56.724853Z","req_id":7}"#;
    assert_eq!(read(text), [Said::Accepted { command: Some(7) }]);
    let unnumbered =
        r#"{"method":"subscribe","result":{"channel":"book","symbol":"BTC/USD"},"success":true}"#;
    assert_eq!(read(unnumbered), [Said::Other]);
    for text in [
        r#"{"method":"pong","req_id":101,"time_in":"a","time_out":"b"}"#,
        r#"{"method":"pong"}"#,
    ] {
        assert_eq!(read(text), [Said::Heartbeat], "{text}");
    }
}

#[test]
fn a_refused_symbol_is_refused_on_every_channel() {
    let error = "Currency pair not supported ETH/BTC";
    let named = format!(
        r#"{{"error":"{error}","method":"subscribe","req_id":3,"success":false,"symbol":"ETH/BTC","time_in":"a","time_out":"b"}}"#
    );
    assert_eq!(read(&named), refused(1, error));
    let in_words = format!(r#"{{"error":"{error}","method":"subscribe","success":false}}"#);
    assert_eq!(read(&in_words), refused(1, error));
    let unknown = r#"{"error":"Currency pair not supported A/B","method":"subscribe","req_id":3,"success":false,"symbol":"A/B"}"#;
    assert_eq!(read(unknown), [Said::Other]);
}

#[test]
fn a_refusal_without_a_symbol_is_one_of_the_whole_command() {
    let why = "Subscription depth not supported".to_owned();
    let text = format!(
        r#"{{"error":"{why}","method":"subscribe","req_id":3,"success":false,"time_in":"a","time_out":"b"}}"#
    );
    assert_eq!(
        read(&text),
        [Said::Refused {
            command: Some(3),
            why
        }]
    );
}

#[test]
fn what_no_command_can_mend_is_no_refusal() {
    for text in [
        r#"{"error":"Exceeded msg rate","method":"subscribe","req_id":3,"success":false}"#,
        r#"{"error":"Exceeded msg rate"}"#,
        r#"{"error":"Already subscribed","method":"subscribe","symbol":"BTC/USD","req_id":3,"success":false}"#,
        r#"{"error":"Subscription Not Found","method":"unsubscribe","symbol":"BTC/USD","req_id":3,"success":false}"#,
        r#"{"error":"anything","method":"ping","success":false}"#,
    ] {
        assert_eq!(read(text), [Said::Other], "{text}");
    }
}

#[test]
fn channels_that_are_not_followed_are_no_errors() {
    for text in [
        r#"{"channel":"instrument","type":"update","data":{"assets":[],"pairs":[]}}"#,
        r#"{"channel":"ohlc","type":"update","data":[{"symbol":"BTC/USD","open":1e-08}]}"#,
        r#"{"channel":"something_new","x":1}"#,
        r#"{"channel":"book","type":"update","data":[]}"#,
    ] {
        assert_eq!(read(text), [Said::Other], "{text}");
    }
}

#[test]
fn broken_frames_are_unreadable_and_leave_nothing_behind() {
    let whole = r#"{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":1,"qty":1}],"asks":[],"checksum":1}]}"#;
    let mut broken: Vec<String> = (0..whole.len())
        .map(|end| whole[..end].to_owned())
        .collect();
    broken.push(format!("{whole}}}"));
    broken.push(format!("{whole},"));
    for text in [
        "null",
        "5",
        "[]",
        "{}",
        r#"{"x":1}"#,
        "\u{fffd}",
        r#"{"event":"heartbeat"}"#,
        r#"{"channel":"book"}"#,
        r#"{"channel":"book","type":"update"}"#,
        r#"{"channel":"book","data":[]}"#,
        r#"{"channel":"book","type":"new","data":[]}"#,
        r#"{"channel":"book","type":"update","data":{}}"#,
        r#"{"channel":"book","type":"update","data":[{"bids":[],"asks":[]}]}"#,
        r#"{"channel":"book","type":"update","data":[{"symbol":5,"bids":[],"asks":[]}]}"#,
        r#"{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":1}],"asks":[]}]}"#,
        r#"{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[],"bids":[],"asks":[]}]}"#,
        r#"{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","symbol":"ETH/BTC","bids":[],"asks":[]}]}"#,
        r#"{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD"}]}"#,
        r#"[0,{"a":[["5541.30000","2.50700000","1534614248.123678"]],"c":"974942666"},"book-10","XBT/USD"]"#,
    ] {
        broken.push(text.to_owned());
    }
    for text in broken {
        let heap = heap(&text);
        assert_eq!(heap.said, [Said::Unreadable], "{text}");
        assert!(heap.changes.is_empty(), "{text}");
    }
}

#[test]
fn a_second_book_that_breaks_off_takes_the_first_with_it() {
    let text = r#"{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":1,"qty":1}],"asks":[]},{"symbol":"ETH/BTC","bids":[{"price":1,"#;
    let heap = heap(text);
    assert_eq!((heap.said, heap.changes.len()), (vec![Said::Unreadable], 0));
}

#[test]
fn a_frame_longer_than_any_of_this_venue_is_not_read() {
    let levels = r#"{"price":1,"qty":1},"#.repeat(20_000);
    let text = format!(
        r#"{{"channel":"book","type":"update","data":[{{"symbol":"BTC/USD","bids":[{levels}{{"price":1,"qty":1}}],"asks":[]}}]}}"#
    );
    let heap = heap(&text);
    assert_eq!(heap.said, [Said::Unreadable]);
    assert_eq!(heap.changes.capacity(), 0);
}

#[test]
fn what_is_in_the_heap_already_stays() {
    let mut heap = heap(
        r#"{"channel":"book","type":"update","data":[{"symbol":"BTC/USD","bids":[{"price":1,"qty":1}],"asks":[]}]}"#,
    );
    for text in [
        "{",
        r#"{"channel":"book","type":"update","data":[{"symbol":"ETH/BTC","bids":[{"price":0,"qty":1}],"asks":[]}]}"#,
    ] {
        Kraken::new().read(text, &TWO, &mut heap);
    }
    assert_eq!((heap.said.len(), heap.changes.len()), (3, 1));
}
