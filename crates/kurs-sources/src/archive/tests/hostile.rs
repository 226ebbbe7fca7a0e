//! Answers that no archive should give.

use super::super::binance::BinanceArchive;
use super::super::bybit::BybitArchive;
use super::super::coinbase::CoinbaseArchive;
use super::super::kraken::KrakenArchive;
use super::super::okx::OkxArchive;
use super::super::{ArchiveError, CandleWalk, Errand, Flaw};
use super::rig::{walk, wall};
use kurs_core::Wall;
use kurs_store::Interval;
use proptest::prelude::*;

const SPAN: [&str; 2] = ["2026-11-21T10:00:00Z", "2026-11-21T11:00:00Z"];
const BEGIN_S: i64 = 1_795_255_200;

/// One candle, as open, high, low, close.
type Row = (i64, [&'static str; 4]);

/// How a venue writes a page.
type Write = fn(&[Row]) -> String;

fn binance(rows: &[Row]) -> String {
    let row = |(at, [o, h, l, c]): &Row| {
        format!(r#"[{at}000,"{o}","{h}","{l}","{c}","1",{at}999,"1",5,"1","1","0"]"#)
    };
    format!("[{}]", joined(rows, row))
}

fn coinbase(rows: &[Row]) -> String {
    let row = |(at, [o, h, l, c]): &Row| format!("[{at},{l},{h},{o},{c},1]");
    format!("[{}]", joined(rows, row))
}

fn kraken(rows: &[Row]) -> String {
    let row = |(at, [o, h, l, c]): &Row| format!(r#"[{at},"{o}","{h}","{l}","{c}","1","1",5]"#);
    format!(
        r#"{{"error":[],"result":{{"X":[{}],"last":1}}}}"#,
        joined(rows, row)
    )
}

fn bybit(rows: &[Row]) -> String {
    let row = |(at, [o, h, l, c]): &Row| format!(r#"["{at}000","{o}","{h}","{l}","{c}","1","1"]"#);
    format!(
        r#"{{"retCode":0,"retMsg":"OK","result":{{"list":[{}]}}}}"#,
        joined(rows, row)
    )
}

fn okx(rows: &[Row]) -> String {
    let row = |(at, [o, h, l, c]): &Row| {
        format!(r#"["{at}000","{o}","{h}","{l}","{c}","1","1","1","1"]"#)
    };
    format!(r#"{{"code":"0","msg":"","data":[{}]}}"#, joined(rows, row))
}

fn joined(rows: &[Row], one: impl Fn(&Row) -> String) -> String {
    rows.iter().map(one).collect::<Vec<_>>().join(",")
}

/// Every venue with its way of writing, and whether its newest candle comes first.
fn venues() -> [(CandleWalk, Write, bool); 5] {
    [
        (
            walk(BinanceArchive, Interval::Minute, &[], SPAN),
            binance,
            false,
        ),
        (
            walk(CoinbaseArchive, Interval::Minute, &[], SPAN),
            coinbase,
            true,
        ),
        (
            walk(KrakenArchive, Interval::Minute, &[], SPAN),
            kraken,
            false,
        ),
        (walk(BybitArchive, Interval::Minute, &[], SPAN), bybit, true),
        (walk(OkxArchive, Interval::Minute, &[], SPAN), okx, true),
    ]
}

const GOOD: [&str; 4] = ["2", "3", "1", "2"];

/// Rows given oldest first are answered in the venue's order.
fn check(rows: &[Row], expect: Result<usize, Flaw>) {
    for (mut walk, write, newest_first) in venues() {
        let mut rows = rows.to_vec();
        if newest_first {
            rows.reverse();
        }
        let name = walk.series();
        let answer = walk.receive(200, write(&rows).as_bytes(), Wall(0));
        let found = answer.map(|haul| haul.candles.len());
        assert_eq!(found, expect.map_err(ArchiveError::from), "{name}");
    }
}

fn minute(number: i64) -> i64 {
    BEGIN_S + number * 60
}

#[test]
fn impossible_candles_are_refused_by_name() {
    let last = minute(59);
    check(&[(minute(0), GOOD), (last, GOOD)], Ok(2));
    for (texts, flaw) in [
        (["0", "3", "1", "2"], Flaw::Price),
        (["2", "3", "-1", "2"], Flaw::Price),
        (["2", "1e99", "1", "2"], Flaw::Price),
        (["2", "1", "3", "2"], Flaw::Contradiction),
        (["2", "3", "1", "4"], Flaw::Contradiction),
        (["2", "3", "2.5", "3"], Flaw::Contradiction),
    ] {
        check(&[(minute(0), GOOD), (last, texts)], Err(flaw));
    }
    check(
        &[(minute(1), GOOD), (minute(0), GOOD)],
        Err(Flaw::Disordered),
    );
    check(&[(minute(1), GOOD), (minute(1), GOOD)], Err(Flaw::Twice));
    check(&[(minute(1) + 1, GOOD)], Err(Flaw::Misplaced));
    let many: Vec<Row> = (0..1_001).map(|number| (minute(number), GOOD)).collect();
    check(&many, Err(Flaw::TooMany));
}

#[test]
fn a_page_of_another_time_is_refused_unless_the_archive_gives_such_ones() {
    for (mut walk, write, _) in venues() {
        let name = walk.series().source.to_string();
        let page = write(&[(minute(-60), GOOD)]);
        let answer = walk.receive(200, page.as_bytes(), Wall(0));
        match name.as_str() {
            // Kraken answers all it has, Coinbase also what was before.
            "kraken" | "coinbase" => assert_eq!(answer.unwrap().candles, []),
            _ => assert_eq!(answer, Err(Flaw::NotAsked.into()), "{name}"),
        }
    }
}

#[test]
fn a_page_cut_anywhere_brings_nothing_and_changes_nothing() {
    for (mut walk, write, newest_first) in venues() {
        let mut rows = [(minute(0), GOOD), (minute(59), GOOD)];
        if newest_first {
            rows.reverse();
        }
        let page = write(&rows);
        let before = walk.ask().unwrap().fetch.url;
        for cut in 0..page.len() {
            let answer = walk.receive(200, &page.as_bytes()[..cut], Wall(0));
            assert!(
                matches!(answer, Err(ArchiveError::Unreadable(_))),
                "{cut}: {answer:?}"
            );
            assert_eq!(walk.ask().unwrap().fetch.url, before);
        }
        assert_eq!(
            walk.receive(200, page.as_bytes(), Wall(0))
                .unwrap()
                .candles
                .len(),
            2
        );
        assert!(walk.ask().is_none());
    }
}

#[test]
fn a_walk_ends_although_every_answer_stops_short() {
    // One candle an answer, at the near end of what was asked for: each answer leaves a rest, and
    // each rest is shorter.
    let mut walk = walk(BybitArchive, Interval::Minute, &[], SPAN);
    let mut requests = 0;
    while let Some(ask) = walk.ask() {
        requests += 1;
        assert!(requests <= 61, "no end");
        let end = ask
            .fetch
            .url
            .split("end=")
            .nth(1)
            .unwrap()
            .split('&')
            .next()
            .unwrap();
        let newest = (end.parse::<i64>().unwrap() / 60_000) * 60;
        walk.receive(200, bybit(&[(newest, GOOD)]).as_bytes(), Wall(0))
            .unwrap();
    }
    assert_eq!(requests, 60);
}

proptest! {
    #[test]
    fn no_answer_panics(bytes in prop::collection::vec(any::<u8>(), 0..400), status in 200_u16..600) {
        for (mut walk, ..) in venues() {
            let _ = walk.receive(status, &bytes, wall(SPAN[0]));
        }
    }

    #[test]
    fn no_page_of_odd_numbers_panics(
        rows in prop::collection::vec((any::<i64>(), 0_usize..6), 0..20),
    ) {
        const TEXTS: [[&str; 4]; 6] = [
            GOOD,
            ["", "", "", ""],
            ["99999999999999999999999999999", "1", "1", "1"],
            ["1e-28", "1e28", "1e-28", "1"],
            ["+1", "1", "1", "1"],
            ["0x1", "1", "1", "1"],
        ];
        let rows: Vec<Row> = rows.into_iter().map(|(at, which)| (at, TEXTS[which])).collect();
        for (mut walk, write, _) in venues() {
            let _ = walk.receive(200, write(&rows).as_bytes(), wall(SPAN[0]));
        }
    }
}
