//! What was traded before: candles of any span, as a pure function of seed, symbol and time.
//! Minutes are made first and everything longer of them, so that all lengths tell one story. The
//! past is of its own: it does not end at the price at which the live market of a sim begins.

use super::Habit;
use super::catalog::SymbolSpec;
use super::reference::{Reference, hash_name, mix};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use std::ops::Range;

/// Begin of the first candle, seconds since 1970: 14 July 2017.
pub(crate) const FIRST_S: u64 = 1_499_990_400;
/// Symbols that change less often than this have minutes without a trade, milliseconds.
const LIVELY_MS: u64 = 500;

/// The past of one symbol.
#[derive(Debug, Clone, Copy)]
pub(crate) struct History<'a> {
    reference: Reference,
    spec: &'a SymbolSpec,
    key: u64,
    /// Now, seconds since 1970.
    now_s: u64,
}

/// A candle; prices in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PastCandle {
    /// Its begin, seconds since 1970.
    pub(crate) start_s: u64,
    pub(crate) open: u64,
    pub(crate) high: u64,
    pub(crate) low: u64,
    pub(crate) close: u64,
    /// Trades; without any all prices are the last one before.
    pub(crate) count: u64,
    /// Traded base asset, in lots.
    pub(crate) lots: u64,
}

impl<'a> History<'a> {
    /// The past of a symbol of a venue with this seed, up to now.
    pub(crate) fn new(seed: u64, habit: Habit, spec: &'a SymbolSpec, now_s: u64) -> Self {
        Self {
            // Not the reference of the live market: the hour in which a sim starts must not
            // change what was.
            reference: Reference::new(seed, 0),
            key: mix(mix(seed, habit.salt), hash_name(&spec.name)),
            spec,
            now_s,
        }
    }

    /// Candles of this length that begin within a span, oldest first. The last one may be under
    /// way. `most`: no more than so many, the oldest or the newest of them.
    pub(crate) fn candles(&self, length_s: u64, span: Range<u64>, most: Most) -> Vec<PastCandle> {
        let length_s = length_s.max(60);
        let from = span.start.max(FIRST_S).div_ceil(length_s);
        let to = span.end.min(self.now_s + 1).div_ceil(length_s);
        let range = match most {
            Most::Oldest(most) => from..to.min(from.saturating_add(most)),
            Most::Newest(most) => from.max(to.saturating_sub(most))..to,
        };
        let one = |number: u64| self.candle(number * length_s, length_s);
        range.map(one).collect()
    }

    fn candle(&self, start_s: u64, length_s: u64) -> PastCandle {
        let last = (self.now_s / 60).min((start_s + length_s) / 60 - 1);
        let mut whole = self.minute(start_s / 60);
        for minute in start_s / 60 + 1..=last {
            let next = self.minute(minute);
            match (whole.count, next.count) {
                (_, 0) => {}
                (0, _) => whole = PastCandle { start_s, ..next },
                _ => {
                    whole.high = whole.high.max(next.high);
                    whole.low = whole.low.min(next.low);
                    whole.close = next.close;
                    whole.count += next.count;
                    whole.lots += next.lots;
                }
            }
        }
        whole
    }

    fn minute(&self, minute: u64) -> PastCandle {
        let chance = mix(self.key, minute);
        let mean = (60_000 / self.spec.interval_ms.max(1) / 2).max(2);
        let is_empty = self.spec.interval_ms >= LIVELY_MS && chance.is_multiple_of(7);
        let start_s = minute * 60;
        let open = self.ticks(start_s);
        if is_empty {
            return PastCandle {
                start_s,
                open,
                high: open,
                low: open,
                close: open,
                count: 0,
                lots: 0,
            };
        }
        let close = self.ticks(start_s + 60);
        let wick = open / 10_000 + 3;
        let count = chance % (2 * mean) + 1;
        PastCandle {
            start_s,
            open,
            high: open.max(close) + (chance >> 20) % wick,
            low: open.min(close).saturating_sub((chance >> 40) % wick).max(1),
            close,
            count,
            lots: count * self.spec.size_lots.max(1) / 10 + 1,
        }
    }

    /// The price at a second, in ticks.
    fn ticks(&self, second: u64) -> u64 {
        let usd = |asset: &str| self.reference.usd(asset, second * 1_000);
        usd(&self.spec.base)
            .checked_div(usd(&self.spec.quote))
            .and_then(|price| price.checked_div(self.spec.tick()))
            .and_then(|ticks| ticks.to_u64())
            .map_or(1, |ticks| ticks.max(1))
    }

    /// A price, from its ticks.
    pub(crate) fn price(&self, ticks: u64) -> Decimal {
        Decimal::from(ticks)
            .checked_mul(self.spec.tick())
            .unwrap_or(Decimal::ONE)
    }

    /// Open, high, low and close of a candle.
    pub(crate) fn prices(&self, candle: &PastCandle) -> [Decimal; 4] {
        [candle.open, candle.high, candle.low, candle.close].map(|ticks| self.price(ticks))
    }

    /// What was traded, in units of the base asset.
    pub(crate) fn volume(&self, candle: &PastCandle) -> Decimal {
        Decimal::from(candle.lots)
            .checked_mul(self.spec.lot())
            .unwrap_or_default()
    }
}

/// Which candles of a span that has too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Most {
    Oldest(u64),
    Newest(u64),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::catalog::symbols;

    const NOW_S: u64 = 1_790_000_030;

    fn check(name: &str, act: impl Fn(&History<'_>)) {
        let specs = symbols(0);
        let spec = specs.iter().find(|spec| &*spec.name == name).unwrap();
        act(&History::new(3, Habit::BINANCE, spec, NOW_S));
    }

    #[test]
    fn every_length_tells_the_story_of_its_minutes() {
        for name in ["BTCUSDT", "TONUSDT", "BTCEUR"] {
            check(name, |history| {
                let from = 1_789_000_000 / 86_400 * 86_400;
                let span = from..from + 2 * 3_600;
                let hours = history.candles(3_600, span.clone(), Most::Oldest(9));
                let minutes = history.candles(60, span, Most::Oldest(999));
                assert_eq!((hours.len(), minutes.len()), (2, 120));
                for (hour, minutes) in hours.iter().zip(minutes.chunks(60)) {
                    let traded: Vec<_> = minutes.iter().filter(|one| one.count > 0).collect();
                    assert_eq!(hour.open, traded[0].open);
                    assert_eq!(Some(hour.close), traded.last().map(|last| last.close));
                    assert_eq!(Some(hour.high), traded.iter().map(|one| one.high).max());
                    assert_eq!(Some(hour.low), traded.iter().map(|one| one.low).min());
                    assert_eq!(hour.count, traded.iter().map(|one| one.count).sum::<u64>());
                }
                let empty = minutes.iter().filter(|minute| minute.count == 0).count();
                assert_eq!(empty > 0, name == "TONUSDT", "{name}: {empty}");
            });
        }
    }

    #[test]
    fn the_past_ends_now_and_begins_in_2017() {
        check("BTCUSDT", |history| {
            let all = 0..u64::MAX / 2;
            let newest = history.candles(60, all.clone(), Most::Newest(2));
            let starts: Vec<u64> = newest.iter().map(|candle| candle.start_s).collect();
            let present = NOW_S / 60 * 60;
            assert_eq!(starts, [present - 60, present]);
            let oldest = history.candles(86_400, all, Most::Oldest(1));
            assert_eq!(oldest[0].start_s, FIRST_S);
        });
    }
}
