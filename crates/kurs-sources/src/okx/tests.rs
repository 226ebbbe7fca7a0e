//! Frames with the traps of the protocol sheet.

use super::*;
use crate::spoken::{self, Names};
use crate::venue::codec::Said;
use kurs_book::{Ids, Kind};

const TWO: Names = Names(&["BTC-USDT", "ETH-BTC"]);

fn heap(text: &str) -> Heap {
    spoken::heap(&Okx::new(), &TWO, text)
}

fn read(text: &str) -> Vec<Said> {
    heap(text).said
}

fn frame(channel: &str, action: &str, row: &str) -> String {
    let action = match action {
        "" => String::new(),
        action => format!(r#","action":"{action}""#),
    };
    format!(r#"{{"arg":{{"channel":"{channel}","instId":"BTC-USDT"}}{action},"data":[{{{row}}}]}}"#)
}

/// Kind, ids, checksum and levels of the one book message of a frame.
fn book(text: &str) -> (Kind, Ids, Option<u32>, String) {
    let book = spoken::book(&Okx::new(), &TWO, text);
    assert_eq!(book.symbol, 0);
    (book.kind, book.ids, book.checksum, book.levels)
}

const fn chain(previous: Option<u64>, id: u64) -> Ids {
    Ids::Chain { previous, id }
}

#[test]
fn symbols_are_written_with_a_dash() {
    assert_eq!(
        Okx::new().symbol(Pair::parse("btc/usdt").unwrap()),
        "BTC-USDT"
    );
}

#[test]
fn a_snapshot_begins_a_chain_and_updates_follow_it() {
    let snapshot = frame(
        "books",
        "snapshot",
        r#""asks":[["78722.30","0.38699412","0","10"]],"bids":[["78722.2","0.50","0","19"]],"ts":"1787612486107","checksum":0,"seqId":80274874800,"prevSeqId":-1"#,
    );
    let levels = "a78722.30x0.38699412 b78722.2x0.50".to_owned();
    assert_eq!(
        book(&snapshot),
        (Kind::Snapshot, chain(None, 80_274_874_800), None, levels)
    );
    let update = frame(
        "books",
        "update",
        r#""asks":[["78729.9","0","0","0"]],"bids":[],"ts":"1787612486207","checksum":0,"seqId":80274874876,"prevSeqId":80274874800"#,
    );
    let ids = chain(Some(80_274_874_800), 80_274_874_876);
    assert_eq!(
        book(&update),
        (Kind::Diff, ids, None, "a78729.9x0".to_owned())
    );
    let Said::Book { at, .. } = &read(&update)[0] else {
        panic!()
    };
    assert_eq!(at.unwrap().unix_ms(), 1_787_612_486_207);
}

#[test]
fn keep_alives_and_resets_are_books_with_the_ids_they_came_with() {
    let update = |id: u64, previous: i64| {
        let row = format!(
            r#""asks":[],"bids":[],"ts":"1787612486207","checksum":0,"seqId":{id},"prevSeqId":{previous}"#
        );
        book(&frame("books", "update", &row)).1
    };
    assert_eq!(update(15, 15), chain(Some(15), 15));
    assert_eq!(update(3, 15), chain(Some(15), 3));
    assert_eq!(update(3, -1), chain(None, 3));
}

#[test]
fn a_snapshot_follows_nothing_whatever_it_says() {
    for previous in ["", r#","prevSeqId":5"#] {
        let row = format!(r#""asks":[],"bids":[],"ts":"1","seqId":9{previous}"#);
        assert_eq!(book(&frame("books", "snapshot", &row)).1, chain(None, 9));
    }
}

#[test]
fn a_checksum_of_zero_is_none_and_another_one_is_signed() {
    let sum = |number: &str| {
        let row = format!(r#""asks":[],"bids":[],"ts":"1","checksum":{number}"#);
        book(&frame("books-l2-tbt", "update", &row)).2
    };
    assert_eq!(sum("0"), None);
    assert_eq!(sum("1483419732"), Some(1_483_419_732));
    assert_eq!(sum("-1328280565"), Some(2_966_686_731));
    assert_eq!(sum("-1"), Some(u32::MAX));
}

#[test]
fn recordings_without_ids_are_books_without_ids() {
    let row =
        r#""asks":[],"bids":[["9.617","441","0","4"]],"ts":"1646003667640","checksum":-980833328"#;
    let (kind, ids, _, levels) = book(&frame("books-l2-tbt", "update", row));
    assert_eq!((kind, ids, &*levels), (Kind::Diff, Ids::None, "b9.617x441"));
}

#[test]
fn keys_may_come_in_any_order_and_new_ones_are_passed_over() {
    let text = r#" {"data":[{"new":{"a":[1]},"prevSeqId":1,"seqId":2,"ts":"","bids":[["\u0031","2",[],{}]],"asks":[]}],"new":1,"action":"update","arg":{"new":[1],"instId":"BTC\u002dUSDT","channel":"books"}} "#;
    assert_eq!(
        book(text),
        (Kind::Diff, chain(Some(1), 2), None, "b1x2".to_owned())
    );
}

#[test]
fn a_book_that_cannot_be_is_told_so_that_it_is_asked_for_again() {
    let mut broken: Vec<String> = [
        r#"["0","1"]"#,
        r#"["-1","1"]"#,
        r#"["1","-1"]"#,
        r#"["","1"]"#,
        r#"["1",""]"#,
        r#"["NaN","1"]"#,
        r#"["1e308","1"]"#,
        r#"[1,2]"#,
    ]
    .map(|level| format!(r#""asks":[],"bids":[["1","1"],{level}],"seqId":2,"prevSeqId":1"#))
    .to_vec();
    for rest in [
        r#""seqId":-2,"prevSeqId":1"#,
        r#""seqId":2,"prevSeqId":-7"#,
        r#""seqId":2"#,
        r#""seqId":"2","prevSeqId":1"#,
        r#""seqId":18446744073709551615,"prevSeqId":1"#,
        r#""seqId":2,"prevSeqId":1.5"#,
        r#""seqId":2,"prevSeqId":1,"checksum":2147483648"#,
        r#""seqId":2,"prevSeqId":1,"checksum":"5""#,
        r#""seqId":2,"prevSeqId":1,"checksum":null"#,
    ] {
        broken.push(format!(r#""asks":[],"bids":[["1","1"]],{rest}"#));
    }
    broken.push(r#""asks":[],"seqId":2,"prevSeqId":1"#.to_owned());
    for row in broken {
        let heap = heap(&frame("books", "update", &row));
        let impossible = Said::Impossible {
            symbol: 0,
            channel: Channel::Book,
        };
        assert_eq!(heap.said, [impossible], "{row}");
        assert!(heap.changes.is_empty(), "{row}");
    }
}

#[test]
fn the_best_level_is_a_top_with_its_id() {
    let row = r#""asks":[["64028.70","2.31126955","0","5"]],"bids":[["64028.6","0.00503390","0","1"]],"ts":"1786538789464","seqId":79706765242"#;
    let said = read(&frame("bbo-tbt", "", row));
    let [
        Said::Top {
            symbol: 0,
            bid,
            ask,
            id: Some(79_706_765_242),
            at: Some(at),
        },
    ] = &said[..]
    else {
        panic!("{said:?}")
    };
    assert_eq!(bid.0.to_string(), "64028.6");
    assert_eq!(bid.1.unwrap().to_string(), "0.00503390");
    assert_eq!(ask.0.to_string(), "64028.70");
    assert_eq!(at.unix_ms(), 1_786_538_789_464);
}

#[test]
fn an_empty_side_is_no_quote() {
    let level = r#"[["1","1","0","1"]]"#;
    for empty in [
        "[]",
        r#""""#,
        r#"[["","","0","0"]]"#,
        r#"[["0","0","0","0"]]"#,
        r#"[["5","0","0","0"]]"#,
    ] {
        for (asks, bids) in [(empty, level), (level, empty), (empty, empty)] {
            let row = format!(r#""asks":{asks},"bids":{bids},"ts":"1786538789464","seqId":5"#);
            let said = read(&frame("bbo-tbt", "", &row));
            assert_eq!(said, [Said::NoTop { symbol: 0 }], "{row}");
        }
    }
}

#[test]
fn a_top_that_cannot_be_is_told() {
    for bad in [
        r#"["-1","1"]"#,
        r#"["1","-1"]"#,
        r#"["NaN","1"]"#,
        r#"["1","x"]"#,
        r#"["1e308","1"]"#,
    ] {
        let row = format!(r#""asks":[{bad}],"bids":[["1","1"]],"ts":"1786538789464","seqId":5"#);
        let impossible = Said::Impossible {
            symbol: 0,
            channel: Channel::Top,
        };
        assert_eq!(read(&frame("bbo-tbt", "", &row)), [impossible], "{bad}");
    }
}

#[test]
fn times_of_1970_are_none() {
    for time in [
        r#""0""#,
        r#""1""#,
        r#""""#,
        r#""x""#,
        "5",
        r#""99999999999999999""#,
    ] {
        let row = format!(r#""asks":[["2","1"]],"bids":[["1","1"]],"ts":{time},"seqId":5"#);
        let said = read(&frame("bbo-tbt", "", &row));
        assert!(matches!(said[..], [Said::Top { at: None, .. }]), "{said:?}");
    }
}

#[test]
fn trades_are_read() {
    let trade = |id: &str, price: &str, time: &str| {
        let row = format!(
            r#""instId":"BTC-USDT","tradeId":"{id}","px":"{price}","sz":"0.5","side":"buy","ts":"{time}","count":"2","source":"0","seqId":7"#
        );
        read(&frame("trades", "", &row)).remove(0)
    };
    let Said::Trade {
        symbol: 0,
        id: 1_040_968_613,
        price,
        traded_at,
        sent_at,
    } = trade("1040968613", "64040.20", "1786538760218")
    else {
        panic!()
    };
    assert_eq!(price.to_string(), "64040.20");
    assert_eq!(
        (traded_at.unix_ms(), traded_at),
        (1_786_538_760_218, sent_at)
    );
    let (symbol, channel) = (0, Channel::Trades);
    assert_eq!(trade("1", "2", "0"), Said::Alive { symbol, channel });
    for (id, price) in [("1", "0"), ("1", "-1"), ("1", "x"), ("x", "1"), ("-1", "1")] {
        let said = trade(id, price, "1786538760218");
        assert_eq!(said, Said::Impossible { symbol, channel });
    }
}

#[test]
fn the_text_pong_is_known() {
    assert_eq!(read("pong"), [Said::Heartbeat]);
    assert_eq!(read("pong "), [Said::Unreadable]);
    assert_eq!(Okx::new().keep_alive().as_deref(), Some("ping"));
}

#[test]
fn events_are_told_from_data() {
    for (text, expect) in [
        (
            r#"{"id":"1512","event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"},"connId":"a4d3ae55"}"#,
            Said::Accepted {
                command: Some(1_512),
            },
        ),
        (
            r#"{"event":"subscribe","arg":{"channel":"books","instId":"BTC-USDT"},"connId":"a4d3ae55"}"#,
            Said::Other,
        ),
        (
            r#"{"event":"notice","code":"64008","msg":"The connection will soon be closed for a service upgrade. Please reconnect.","connId":"a4d3ae55"}"#,
            Said::ShutdownNotice,
        ),
        (
            r#"{"event":"channel-conn-count","channel":"orders","connCount":"2","connId":"abcd1234"}"#,
            Said::Other,
        ),
        (r#"{"event":"notice","code":"1","msg":"x"}"#, Said::Other),
        (r#"{"event":"something-new"}"#, Said::Other),
    ] {
        assert_eq!(read(text), [expect], "{text}");
    }
}

#[test]
fn an_error_about_one_stream_refuses_that_stream() {
    let message = "Wrong URL or channel:books,instId:ETH-BTC doesn't exist.";
    let text =
        format!(r#"{{"event":"error","code":"60018","msg":"{message}","connId":"x","id":"7"}}"#);
    let refused = Said::StreamRefused {
        symbol: 1,
        channel: Channel::Book,
        why: message.to_owned(),
    };
    assert_eq!(read(&text), [refused]);
}

#[test]
fn an_invalid_request_is_refused_as_a_whole_or_else_stream_by_stream() {
    let message = r#"Invalid request: {\"op\": \"subscribe\", \"args\":[{ \"channel\" : \"bbo-tbt\", \"instId\" : \"BTC-USDT\"},{ \"channel\" : \"trades\", \"instId\" : \"ETH-BTC\"}]}"#;
    let with_id =
        format!(r#"{{"id":"7","event":"error","code":"60012","msg":"{message}","connId":"x"}}"#);
    assert!(
        matches!(&read(&with_id)[..], [Said::Refused { command: Some(7), why }] if why.starts_with("60012: Invalid"))
    );
    let without = format!(r#"{{"event":"error","code":"60012","msg":"{message}","connId":"x"}}"#);
    let named: Vec<(u32, Channel)> = read(&without)
        .into_iter()
        .map(|said| match said {
            Said::StreamRefused {
                symbol, channel, ..
            } => (symbol, channel),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(named, [(0, Channel::Top), (1, Channel::Trades)]);
}

#[test]
fn an_error_about_nothing_in_particular_refuses_its_command() {
    let text = r#"{"event":"error","code":"60013","msg":"Invalid args","id":"9"}"#;
    let why = "60013: Invalid args".to_owned();
    assert_eq!(
        read(text),
        [Said::Refused {
            command: Some(9),
            why
        }]
    );
    for text in [
        r#"{"event":"error","code":"60013","msg":"Invalid args"}"#,
        r#"{"event":"error","code":"60014","msg":"Requests too frequent","id":"9"}"#,
        r#"{"event":"error","code":"60018","msg":"channel:books,instId:A-B doesn't exist"}"#,
        r#"{"event":"error"}"#,
    ] {
        assert_eq!(read(text), [Said::Other], "{text}");
    }
}

#[test]
fn other_channels_and_other_symbols_leave_nothing_behind() {
    for text in [
        frame("books5", "", r#""asks":[["1","1"]],"bids":[]"#),
        frame("tickers", "", r#""askPx":"","bidPx":"1""#),
        frame("something-new", "", r#""x":{}"#),
        r#"{"arg":{"channel":"books","instId":"A-B"},"action":"snapshot","data":[{"asks":[["1","1"]],"bids":[]}]}"#.to_owned(),
        r#"{"arg":{"channel":"status"},"data":[{"state":"ongoing"}]}"#.to_owned(),
        r#"{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":[]}"#.to_owned(),
    ] {
        let heap = heap(&text);
        assert_eq!(heap.said, [Said::Other], "{text}");
        assert!(heap.changes.is_empty(), "{text}");
    }
}

#[test]
fn broken_frames_are_unreadable_and_leave_nothing_behind() {
    let whole = frame(
        "books",
        "update",
        r#""asks":[["1","1"]],"bids":[],"seqId":2,"prevSeqId":1"#,
    );
    let mut broken: Vec<String> = (0..whole.len())
        .map(|end| whole[..end].to_owned())
        .collect();
    broken.push(format!("{whole}}}"));
    broken.push(format!("{whole},"));
    broken.push(frame("books", "", r#""asks":[],"bids":[]"#));
    broken.push(frame("books", "new", r#""asks":[],"bids":[]"#));
    broken.push(frame("books", "update", r#""asks":{},"bids":[]"#));
    broken.push(frame("books", "update", r#""asks":[["1"]],"bids":[]"#));
    broken.push(frame("books", "update", r#""asks":[],"asks":[],"bids":[]"#));
    broken.push(frame("bbo-tbt", "", r#""asks":[]"#));
    broken.push(frame("bbo-tbt", "", r#""asks":"x","bids":[]"#));
    broken.push(frame("bbo-tbt", "", r#""asks":[["1"]],"bids":[]"#));
    broken.push(frame("trades", "", r#""px":"1""#));
    for text in [
        "null",
        "5",
        "[]",
        "{}",
        "ping",
        r#"{"x":1}"#,
        "\u{fffd}",
        r#"{"arg":{}}"#,
        r#"{"arg":{"channel":"books","instId":"BTC-USDT"}}"#,
        r#"{"data":[]}"#,
        r#"{"arg":{"channel":"books","instId":"A-B"},"action":"update","data":[{]}"#,
        r#"{"arg":{"channel":"books","instId":"BTC-USDT"},"action":"update","data":{}}"#,
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
fn a_frame_longer_than_any_of_this_venue_is_not_read() {
    let levels = r#"["1","1"],"#.repeat(30_000);
    let row = format!(r#""asks":[{levels}["1","1"]],"bids":[],"seqId":2,"prevSeqId":1"#);
    let heap = heap(&frame("books", "update", &row));
    assert_eq!(heap.said, [Said::Unreadable]);
    assert_eq!(heap.changes.capacity(), 0);
}
