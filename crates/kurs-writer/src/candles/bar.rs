//! Values folded in order.

use super::series::{Place, Series};
use kurs_core::{Price, Wall};
use kurs_store::{Candle, Interval, Origin};

/// Values that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) open: Price,
    pub(super) high: Price,
    pub(super) low: Price,
    pub(super) close: Price,
    pub(super) count: u64,
}

impl Bar {
    pub(super) const fn of(value: Price) -> Self {
        Self {
            open: value,
            high: value,
            low: value,
            close: value,
            count: 1,
        }
    }

    pub(super) const fn of_candle(candle: &Candle) -> Self {
        Self {
            open: candle.open,
            high: candle.high,
            low: candle.low,
            close: candle.close,
            count: candle.count,
        }
    }

    /// This, and what came after it.
    pub(super) fn then(self, later: Self) -> Self {
        Self {
            open: self.open,
            high: self.high.max(later.high),
            low: self.low.min(later.low),
            close: later.close,
            count: self.count.saturating_add(later.count),
        }
    }

    /// What may come before a bar, and the bar.
    pub(super) fn after(self, earlier: Option<Self>) -> Self {
        earlier.map_or(self, |earlier| earlier.then(self))
    }

    pub(super) const fn candle(self, series: Series, interval: Interval, start: Wall) -> Candle {
        Candle {
            pair: series.pair,
            source: series.source,
            interval,
            start,
            open: self.open,
            high: self.high,
            low: self.low,
            close: self.close,
            count: self.count,
            origin: Origin::Live,
        }
    }
}

/// Values that may come in any order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ordered {
    pub(super) bar: Bar,
    first: Place,
    last: Place,
}

impl Ordered {
    pub(super) const fn of(place: Place, value: Price) -> Self {
        Self {
            bar: Bar::of(value),
            first: place,
            last: place,
        }
    }

    pub(super) fn add(&mut self, place: Place, value: Price) {
        let bar = &mut self.bar;
        bar.high = bar.high.max(value);
        bar.low = bar.low.min(value);
        bar.count = bar.count.saturating_add(1);
        if place < self.first {
            (self.first, bar.open) = (place, value);
        }
        if place >= self.last {
            (self.last, bar.close) = (place, value);
        }
    }
}
