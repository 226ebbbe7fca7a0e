mod mending;
mod property;

use super::*;
use kurs_core::{Choice, Epoch, Pair, Price, Rate, RateState, Seq, SourceId, UpdateId, Wall};
use kurs_store::{Candle, HistoryRow, Interval, Published, PublishedEvent};
use std::sync::Arc;
use std::time::Duration;

/// 2026-11-21T10:00:00Z.
const START: Wall = Wall::from_unix_seconds(1_795_255_200);

fn pair(text: &str) -> Pair {
    Pair::parse(text).unwrap()
}

fn id(seq: u64) -> UpdateId {
    UpdateId {
        shard: 0,
        epoch: Epoch(1),
        seq: Seq(seq),
    }
}

fn after(milliseconds: i64) -> Wall {
    Wall(START.0 + milliseconds * 1_000)
}

/// A row this long after the start.
fn row(seq: u64, milliseconds: i64, value: u32) -> HistoryRow {
    HistoryRow {
        pair: pair("BTC-USDT"),
        source: SourceId::parse("binance").unwrap(),
        id: id(seq),
        value: Price::new(value.into()).unwrap(),
        bid: None,
        ask: None,
        observed_at: None,
        received_at: after(milliseconds),
    }
}

fn published(seq: u64, milliseconds: i64, value: u32, state: RateState) -> Published {
    let at = after(milliseconds);
    let source = SourceId::parse("binance").unwrap();
    let rate = Rate {
        pair: pair("BTC-USDT"),
        value: Price::new(value.into()).unwrap(),
        bid: None,
        ask: None,
        confidence: None,
        source,
        state,
        legs: None,
        observed_at: at,
        published_at: at,
        valid_for: Duration::from_secs(5),
        choice: Arc::new(Choice {
            source,
            since: at,
            reason: "first".into(),
            skipped: vec![],
        }),
        evidence: None,
        depeg: None,
    };
    Published::rate(id(seq), rate)
}

/// A folder whose series is known to have had nothing before.
fn completed(config: CandlesConfig, first: &HistoryRow) -> Folder {
    let mut folder = Folder::new(config);
    folder.row(first);
    let before = series::place_of_row(first);
    let series = Series::of_row(first);
    let heads: Vec<_> = (series.intervals().iter())
        .map(|interval| (*interval, interval.start_of(before.0), None))
        .collect();
    folder.take(first.received_at);
    assert_eq!(folder.dirty(10), [Dirty::Tail(series, before)]);
    folder.complete(series, before, &heads, None);
    folder
}

fn text(candle: &Candle) -> String {
    let Candle {
        interval,
        start,
        open,
        high,
        low,
        close,
        count,
        ..
    } = candle;
    format!("{interval} {start} {open} {high} {low} {close} {count}")
}

fn texts(candles: &[Candle], interval: Interval) -> Vec<String> {
    let of = candles.iter().filter(|candle| candle.interval == interval);
    of.map(text).collect()
}

#[test]
fn a_closed_candle_is_handed_out_once_and_holds_its_values() {
    let mut folder = completed(CandlesConfig::default(), &row(1, 0, 10));
    for (seq, milliseconds, value) in [(2, 1_000, 12), (3, 2_000, 8), (4, 59_999, 9)] {
        folder.row(&row(seq, milliseconds, value));
    }
    folder.row(&row(5, 60_000, 11));
    let taken = folder.take(after(60_000));
    assert_eq!(
        texts(&taken, Interval::Minute)[0],
        "1m 2026-11-21T10:00:00.000Z 10 12 8 9 4"
    );
    let again = folder.take(after(64_000));
    assert!(texts(&again, Interval::Minute).is_empty(), "{again:?}");
}

#[test]
fn a_candle_closes_by_time_when_nothing_follows() {
    let mut folder = completed(CandlesConfig::default(), &row(1, 0, 10));
    folder.take(after(0));
    folder.row(&row(2, 1_000, 11));
    assert!(
        folder.take(after(4_000)).is_empty(),
        "open, and handed out lately"
    );
    let open = folder.take(after(6_000));
    assert_eq!(
        texts(&open, Interval::Minute),
        ["1m 2026-11-21T10:00:00.000Z 10 11 10 11 2"]
    );
    assert!(folder.take(after(60_500)).is_empty(), "it may settle");
    let closed = folder.take(after(61_000));
    assert_eq!(closed.len(), 1, "{closed:?}");
    assert_eq!(closed[0].interval, Interval::Minute);
}

#[test]
fn open_candles_are_handed_out_only_when_they_changed() {
    let mut folder = completed(CandlesConfig::default(), &row(1, 0, 10));
    assert_eq!(folder.take(after(5_000)).len(), 4);
    assert!(folder.take(after(10_000)).is_empty());
    folder.row(&row(2, 11_000, 10));
    assert!(folder.take(after(14_000)).is_empty(), "too soon");
    assert_eq!(folder.take(after(15_000)).len(), 4);
}

#[test]
fn values_out_of_order_within_an_open_candle_are_put_in_order() {
    let mut folder = completed(CandlesConfig::default(), &row(1, 0, 10));
    folder.row(&row(4, 130_000, 13));
    folder.row(&row(2, 121_000, 11));
    folder.row(&row(3, 122_000, 12));
    folder.row(&row(5, 180_000, 14));
    let taken = folder.take(after(180_000));
    assert_eq!(
        texts(&taken, Interval::Minute)[1],
        "1m 2026-11-21T10:02:00.000Z 11 13 11 13 3"
    );
}

#[test]
fn what_comes_after_a_candle_was_closed_marks_it() {
    let mut folder = completed(CandlesConfig::default(), &row(1, 0, 10));
    folder.row(&row(2, 300_000, 11));
    folder.row(&row(3, 59_000, 12));
    assert!(
        folder.dirty(10).is_empty(),
        "nothing before the next take: it is not yet stored"
    );
    let taken = folder.take(after(300_000));
    assert_eq!(
        texts(&taken, Interval::Minute)[0],
        "1m 2026-11-21T10:00:00.000Z 10 10 10 10 1"
    );
    let series = Series::of_row(&row(1, 0, 1));
    assert_eq!(
        folder.dirty(10),
        [
            Dirty::Candle(series, Interval::Minute, START),
            Dirty::Candle(series, Interval::FiveMinutes, START),
        ]
    );
    assert_eq!(
        texts(&taken, Interval::Hour),
        ["1h 2026-11-21T10:00:00.000Z 10 12 10 11 3"],
        "the hour is still open, and takes it"
    );
    assert!(folder.is_clean());
}

#[test]
fn a_candle_whose_begin_is_not_known_is_not_handed_out_but_named() {
    let mut folder = Folder::new(CandlesConfig::default());
    folder.row(&row(1, 30_000, 10));
    assert!(folder.take(after(40_000)).is_empty());
    folder.row(&row(2, 60_000, 11));
    let taken = folder.take(after(60_000));
    assert_eq!(
        taken.iter().map(text).collect::<Vec<_>>(),
        ["1m 2026-11-21T10:01:00.000Z 11 11 11 11 1"]
    );
    let named = folder.dirty(10);
    let series = Series::of_row(&row(1, 0, 1));
    assert_eq!(named.len(), 2);
    assert_eq!(named[1], Dirty::Candle(series, Interval::Minute, START));
    folder.again(named.clone());
    assert_eq!(folder.dirty(10), named, "what failed is named again");
}

#[test]
fn suspect_rates_count_and_what_is_no_rate_does_not() {
    let mut folder = Folder::new(CandlesConfig::default());
    folder.published(&published(1, 0, 10, RateState::Fresh));
    folder.published(&published(2, 1_000, 11, RateState::Suspect));
    folder.published(&published(3, 2_000, 99, RateState::Stale));
    let mut none = published(4, 3_000, 99, RateState::Fresh);
    none.event = PublishedEvent::Withdrawn;
    folder.published(&none);
    folder.published(&published(5, 4_000, 12, RateState::Fresh));
    let taken = folder.take(after(4_000));
    assert_eq!(
        texts(&taken, Interval::Second),
        [
            "1s 2026-11-21T10:00:01.000Z 11 11 11 11 1",
            "1s 2026-11-21T10:00:04.000Z 12 12 12 12 1"
        ]
    );
    assert!(taken.iter().all(|candle| candle.source.is_none()));
}

#[test]
fn the_series_that_was_silent_longest_makes_room_and_loses_nothing() {
    let config = CandlesConfig {
        series_max: 16,
        ..CandlesConfig::default()
    };
    let mut folder = completed(config, &row(1, 0, 10));
    for number in 0..16_u64 {
        let other = HistoryRow {
            pair: pair(&format!("A{number}-USD")),
            ..row(2 + number, 1_000, 5)
        };
        folder.row(&other);
    }
    assert_eq!(folder.held(), 16);
    let taken = folder.take(after(1_000));
    assert_eq!(taken.len(), 4, "all intervals of the one that went");
    assert!(taken.iter().all(|c| c.pair == pair("BTC-USDT")));
    folder.row(&row(20, 2_000, 11));
    folder.take(after(2_000));
    let named = folder.dirty(100);
    assert!(named.iter().any(|one| matches!(one,
        Dirty::Tail(series, (at, _)) if series.pair == pair("BTC-USDT") && *at == after(2_000))));
}

#[test]
fn marks_are_bounded_and_what_is_given_up_is_counted() {
    let config = CandlesConfig {
        repairs_max: 100,
        ..CandlesConfig::default()
    };
    let mut folder = completed(config, &row(1, 0, 10));
    folder.row(&row(2, 86_400_000, 10));
    for number in 0..200 {
        folder.row(&row(3 + number, 60_000 * number.cast_signed(), 9));
    }
    assert!(folder.given_up() > 0);
    folder.take(after(86_400_000));
    assert_eq!(folder.dirty(1_000).len(), 100);
}

#[test]
fn a_clock_that_was_ahead_does_not_make_the_present_late() {
    let mut folder = completed(CandlesConfig::default(), &row(1, 0, 10));
    folder.row(&row(2, 7_200_000, 11));
    folder.take(after(1_000));
    folder.row(&row(3, 1_500, 12));
    folder.take(after(2_000));
    let named = folder.dirty(10);
    assert!(
        named
            .iter()
            .any(|one| matches!(one, Dirty::Tail(_, (at, _)) if *at == after(1_500))),
        "{named:?}"
    );
}

#[test]
fn every_mistake_in_the_configuration_is_named() {
    let mut mistakes = Vec::new();
    CandlesConfig::default().validate(&mut mistakes);
    assert!(mistakes.is_empty(), "{mistakes:?}");
    let wrong = CandlesConfig {
        series_max: 0,
        open_every_ms: 1,
        settle_ms: 100_000,
        repairs_max: 1,
    };
    wrong.validate(&mut mistakes);
    assert_eq!(mistakes.len(), 4, "{mistakes:?}");
}
