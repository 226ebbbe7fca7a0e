//! Tests of the grid.

use super::*;
use crate::chart::sample::{chart, minutes};

#[test]
fn a_missing_candle_leaves_its_place_empty() {
    let candles = minutes(&[(0, 10), (1, 11), (4, 12), (6, 9)]);
    let bars = Bars::of(&chart(&candles), 100).unwrap();
    assert_eq!(bars.places, 7);
    assert_eq!(bars.missing, 3);
    assert_eq!(bars.gaps(), [(2, 2), (5, 1)]);
    assert_eq!(bars.bars.iter().map(|bar| bar.place).sum::<i64>(), 11);
}

#[test]
fn the_time_asked_for_is_shown_also_where_nothing_is() {
    let candles = minutes(&[(5, 10)]);
    let mut chart = chart(&candles);
    chart.from = Some(Wall::from_unix_seconds(180));
    chart.until = Some(Wall::from_unix_seconds(480));
    let bars = Bars::of(&chart, 100).unwrap();
    assert_eq!((bars.places, bars.begin), (5, 180_000_000));
    assert_eq!(bars.gaps(), [(0, 2), (3, 2)]);
}

#[test]
fn folding_keeps_first_and_last_and_the_extremes() {
    let all: Vec<(i64, i64)> = (0..1_000).map(|at| (at, 100 + at % 7)).collect();
    let candles = minutes(&all);
    let bars = Bars::of(&chart(&candles), 100).unwrap();
    assert_eq!((bars.folded, bars.places, bars.missing), (10, 100, 0));
    let first = bars.bars[0];
    assert_eq!(first.open, candles[0].open.value());
    assert_eq!(first.close, candles[9].close.value());
    let highs = candles[..10].iter().map(|candle| candle.high.value());
    assert_eq!(Some(first.high), highs.max());
}

#[test]
fn a_candle_whose_time_has_not_passed_is_open() {
    let candles = minutes(&[(0, 10), (1, 11)]);
    let mut chart = chart(&candles);
    chart.now = Wall::from_unix_seconds(90);
    let bars = Bars::of(&chart, 100).unwrap();
    assert!(!bars.bars[0].is_open && bars.bars[1].is_open);
    assert_eq!(
        Bars::of(&super::super::chart::sample::chart(&[]), 100),
        None
    );
}
