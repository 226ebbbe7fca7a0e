//! Pages of a walk.

use super::super::binance::BinanceArchive;
use super::super::okx::OkxArchive;
use super::super::{CandleWalk, Errand};
use super::rig::{walk, wall};
use kurs_core::Wall;
use kurs_store::{Candle, Interval, Origin};

/// The value of a number in the latest request.
fn asked(walk: &mut CandleWalk, key: &str) -> Option<i64> {
    let url = walk.ask()?.fetch.url;
    let (_, rest) = url.split_once(&format!("{key}="))?;
    rest.split('&').next()?.parse().ok()
}

/// A page of Binance: every minute of a span.
fn page(from_ms: i64, minutes: i64) -> String {
    let row = |number: i64| {
        let at = from_ms + number * 60_000;
        format!(r#"[{at},"2","3","1","2.5","1",0,"1",2]"#)
    };
    let rows: Vec<String> = (0..minutes).map(row).collect();
    format!("[{}]", rows.join(","))
}

fn starts(candles: &[Candle], interval: Interval) -> Vec<String> {
    let of = candles.iter().filter(|candle| candle.interval == interval);
    of.map(|candle| candle.start.to_string()[..16].to_owned())
        .collect()
}

#[test]
fn a_walk_goes_page_by_page_from_the_oldest_and_makes_longer_candles_on_the_way() {
    let span = ["2026-11-20T00:00:30Z", "2026-11-21T10:17:59Z"];
    let compose = [Interval::Hour, Interval::Day];
    let mut walk = walk(BinanceArchive, Interval::Minute, &compose, span);
    assert_eq!(walk.requests_left(), 3);
    let begin = wall("2026-11-20T00:00:00Z").unix_ms();
    let mut candles = Vec::new();
    let mut throughs = Vec::new();
    while let Some(from) = asked(&mut walk, "startTime") {
        let end = asked(&mut walk, "endTime").unwrap();
        let haul = walk
            .receive(
                200,
                page(from, (end + 1 - from) / 60_000).as_bytes(),
                Wall(0),
            )
            .unwrap();
        throughs.extend(haul.through);
        candles.extend(haul.candles);
    }
    let minutes = starts(&candles, Interval::Minute);
    assert_eq!(minutes.len(), 24 * 60 + 10 * 60 + 17);
    assert!(minutes.is_sorted());
    assert_eq!(minutes[0], "2026-11-20T00:00");
    assert_eq!(starts(&candles, Interval::Hour).len(), 34);
    assert_eq!(starts(&candles, Interval::Day), ["2026-11-20T00:00"]);
    let day = candles
        .iter()
        .find(|candle| candle.interval == Interval::Day)
        .unwrap();
    assert_eq!(day.count, 2 * 1_440);
    assert_eq!(day.origin, Origin::Backfill);
    assert_eq!(
        throughs,
        [begin + 60_000_000, begin + 120_000_000, begin + 123_420_000].map(Wall::from_unix_ms)
    );
    assert_eq!(walk.requests_left(), 0);
}

#[test]
fn what_a_smaller_page_lacks_is_asked_for_again() {
    let span = ["2026-11-20T00:00:00Z", "2026-11-20T16:40:00Z"];
    let begin = wall(span[0]).unix_ms();
    let mut walk = walk(BinanceArchive, Interval::Minute, &[], span);
    let mut asked_from = Vec::new();
    let mut candles = Vec::new();
    while let Some(from) = asked(&mut walk, "startTime") {
        asked_from.push((from - begin) / 60_000);
        let left = (asked(&mut walk, "endTime").unwrap() + 1 - from) / 60_000;
        // The venue gives no more than 400 now.
        let haul = walk
            .receive(200, page(from, left.min(400)).as_bytes(), Wall(0))
            .unwrap();
        candles.extend(haul.candles);
    }
    assert_eq!(asked_from, [0, 400, 800]);
    assert_eq!(candles.len(), 1_000);
}

#[test]
fn an_empty_page_is_an_answer() {
    let span = ["2026-11-20T00:00:00Z", "2026-11-20T06:00:00Z"];
    let mut walk = walk(OkxArchive, Interval::Minute, &[], span);
    let empty = br#"{"code":"0","msg":"","data":[]}"#;
    let first = walk.receive(200, empty, Wall(0)).unwrap();
    assert_eq!(first.through, Some(wall("2026-11-20T05:00:00Z")));
    assert!(first.candles.is_empty());
    walk.receive(200, empty, Wall(0)).unwrap();
    assert!(walk.ask().is_none());
}

#[test]
fn a_span_without_a_whole_candle_asks_nothing() {
    let span = ["2026-11-20T00:00:10Z", "2026-11-20T00:00:50Z"];
    assert!(
        walk(OkxArchive, Interval::Minute, &[], span)
            .ask()
            .is_none()
    );
    let backwards = ["2026-11-21T00:00:00Z", "2026-11-20T00:00:00Z"];
    assert!(
        walk(OkxArchive, Interval::Minute, &[], backwards)
            .ask()
            .is_none()
    );
}
