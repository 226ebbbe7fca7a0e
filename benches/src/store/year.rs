//! A year of invented candles of one minute, made anew each time it is needed.

use super::ticks::Dice;
use anyhow::{Context as _, Result};
use kurs_core::{Pair, Price, Wall};
use kurs_store::{Candle, Interval, Origin};
use rust_decimal::Decimal;

const MINUTES_A_DAY: i64 = 1_440;
const DAY_US: i64 = 86_400_000_000;

/// Candles of what kurs published of one pair.
#[derive(Debug, Clone, Copy)]
pub(super) struct Year {
    pub(super) pair: Pair,
    /// Its first price in ten-thousandths.
    first: i64,
    /// Its first midnight.
    pub(super) begin: Wall,
    pub(super) days: i64,
}

impl Year {
    /// The whole days before `now`.
    pub(super) fn before(now: Wall, days: i64, pair: &str, first: i64) -> Result<Self> {
        let midnight = Interval::Day.start_of(now);
        Ok(Self {
            pair: Pair::parse(pair)?,
            first,
            begin: Wall(midnight.0 - days * DAY_US),
            days,
        })
    }

    /// Where it ends.
    pub(super) const fn end(self) -> Wall {
        Wall(self.begin.0 + self.days * DAY_US)
    }

    pub(super) const fn minutes(self) -> i64 {
        self.days * MINUTES_A_DAY
    }

    pub(super) const fn hours(self) -> i64 {
        self.days * 24
    }

    /// The minutes of one day after the other.
    pub(super) fn by_day(self) -> impl Iterator<Item = Result<Vec<Candle>>> {
        let mut dice = Dice(self.first.unsigned_abs());
        let mut close = self.first;
        (0..self.days).map(move |day| {
            let mut minutes = Vec::new();
            for minute in 0..MINUTES_A_DAY {
                let start = Wall(self.begin.0 + day * DAY_US + minute * 60_000_000);
                let open = close;
                let most = open.unsigned_abs() / 2_000 + 1;
                close = (open + dice.step(most)).max(1_000);
                let mut wick = || i64::try_from(dice.roll(most / 2 + 1)).unwrap_or_default();
                let high = open.max(close) + wick();
                let low = (open.min(close) - wick()).max(1);
                minutes.push(Candle {
                    pair: self.pair,
                    source: None,
                    interval: Interval::Minute,
                    start,
                    open: price(open)?,
                    high: price(high)?,
                    low: price(low)?,
                    close: price(close)?,
                    count: 40 + dice.roll(400),
                    origin: Origin::Live,
                });
            }
            Ok(minutes)
        })
    }
}

fn price(ten_thousandths: i64) -> Result<Price> {
    Price::new(Decimal::new(ten_thousandths, 4)).context("a price")
}

/// Adds a candle to the hours folded so far.
pub(super) fn fold(hours: &mut Vec<Candle>, minute: &Candle) {
    let start = Interval::Hour.start_of(minute.start);
    match hours.last_mut() {
        Some(hour) if hour.start == start => {
            hour.high = hour.high.max(minute.high);
            hour.low = hour.low.min(minute.low);
            hour.close = minute.close;
            hour.count += minute.count;
        }
        _ => hours.push(Candle {
            interval: Interval::Hour,
            start,
            ..minute.clone()
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_holds_its_minutes() {
        let now = Wall::from_unix_seconds(1_800_000_000);
        let year = Year::before(now, 2, "BTC-USDT", 841_234_500).unwrap();
        let minutes: Vec<Candle> = year.by_day().flat_map(Result::unwrap).collect();
        assert_eq!(minutes.len(), 2 * 1_440);
        let mut hours = Vec::new();
        for minute in &minutes {
            fold(&mut hours, minute);
        }
        assert_eq!(hours.len(), 48);
        let (hour, of) = (&hours[1], &minutes[60..120]);
        assert_eq!((hour.open, hour.close), (of[0].open, of[59].close));
        assert!(of.iter().all(|m| m.high <= hour.high && m.low >= hour.low));
        assert_eq!(
            hour.count,
            of.iter().map(|minute| minute.count).sum::<u64>()
        );
        assert_eq!(year.end(), Interval::Day.start_of(now));
    }
}
