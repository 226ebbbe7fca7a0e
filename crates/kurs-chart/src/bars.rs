//! Candles on a grid of time. A slot without a candle stays empty; where there are more slots
//! than there is room for, neighbours are folded into one bar.

use crate::chart::Chart;
use kurs_core::Wall;
use rust_decimal::Decimal;

/// One bar: a candle, or several that were folded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bar {
    /// Its place, counted from the left.
    pub(crate) place: i64,
    pub(crate) open: Decimal,
    pub(crate) high: Decimal,
    pub(crate) low: Decimal,
    pub(crate) close: Decimal,
    /// Its time has not passed: it will change.
    pub(crate) is_open: bool,
}

/// All bars of a chart, from left to right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bars {
    pub(crate) bars: Vec<Bar>,
    /// Places on the axis of time, empty ones included; at least one.
    pub(crate) places: i64,
    /// Begin of the first place, microseconds since 1970.
    pub(crate) begin: i64,
    /// Length of a place, microseconds.
    pub(crate) step: i64,
    /// Candles that one bar may hold.
    pub(crate) folded: i64,
    /// Candles that could be there and are not.
    pub(crate) missing: i64,
}

impl Bars {
    /// The bars of a chart that has room for this many; `None` when there is no candle.
    pub(crate) fn of(chart: &Chart<'_>, room: i64) -> Option<Self> {
        let length = i64::from(chart.interval.seconds()).saturating_mul(1_000_000);
        let slot_of = |time: Wall| time.0.div_euclid(length);
        let mut candles: Vec<_> = chart.candles.iter().collect();
        candles.sort_by_key(|candle| candle.start);
        candles.dedup_by_key(|candle| slot_of(candle.start));
        let (first, last) = (candles.first()?, candles.last()?);
        let from = chart.from.map_or(i64::MAX, slot_of);
        let first_slot = slot_of(first.start).min(from);
        // A candle that begins at the very end does not belong to the chart.
        let until = chart.until.map(|end| Wall(end.0.saturating_sub(1)));
        let last_slot = slot_of(last.start).max(until.map_or(i64::MIN, slot_of));
        let slots = last_slot.saturating_sub(first_slot).saturating_add(1);
        let folded = slots.div_euclid(room.max(1)) + i64::from(slots.rem_euclid(room.max(1)) > 0);
        let folded = folded.max(1);
        let first_place = first_slot.div_euclid(folded);
        let places = last_slot.div_euclid(folded).saturating_sub(first_place) + 1;
        let now_slot = slot_of(chart.now);
        let mut bars: Vec<Bar> = Vec::new();
        for candle in &candles {
            let slot = slot_of(candle.start);
            let place = slot.div_euclid(folded).saturating_sub(first_place);
            let (open, close) = (candle.open.value(), candle.close.value());
            let (high, low) = (candle.high.value(), candle.low.value());
            match bars.last_mut().filter(|bar| bar.place == place) {
                Some(bar) => {
                    bar.high = bar.high.max(high);
                    bar.low = bar.low.min(low);
                    bar.close = close;
                    bar.is_open = slot >= now_slot;
                }
                None => bars.push(Bar {
                    place,
                    open,
                    high,
                    low,
                    close,
                    is_open: slot >= now_slot,
                }),
            }
        }
        let there = i64::try_from(candles.len()).unwrap_or(i64::MAX);
        Some(Self {
            bars,
            places,
            begin: first_place.saturating_mul(folded).saturating_mul(length),
            step: folded.saturating_mul(length),
            folded,
            missing: slots.saturating_sub(there),
        })
    }

    /// Runs of empty places: the first of each, and how many.
    pub(crate) fn gaps(&self) -> Vec<(i64, i64)> {
        let mut gaps = Vec::new();
        let mut next = 0;
        for place in self.bars.iter().map(|bar| bar.place).chain([self.places]) {
            if place > next {
                gaps.push((next, place - next));
            }
            next = place + 1;
        }
        gaps
    }

    /// Least and greatest value.
    pub(crate) fn range(&self) -> (Decimal, Decimal) {
        let lows = self.bars.iter().map(|bar| bar.low);
        let highs = self.bars.iter().map(|bar| bar.high);
        (
            lows.min().unwrap_or(Decimal::ZERO),
            highs.max().unwrap_or(Decimal::ONE),
        )
    }
}

#[cfg(test)]
mod tests;
