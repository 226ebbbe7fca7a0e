//! Ticks as venues send them: a walk of best prices, several pairs and sources.

use anyhow::{Context as _, Result};
use kurs_core::{Epoch, Pair, Price, Seq, SourceId, UpdateId, Wall};
use kurs_store::HistoryRow;
use rust_decimal::Decimal;
use std::time::Duration;

/// Pairs with their first price in cents.
const PAIRS: [(&str, i64); 8] = [
    ("BTC-USDT", 8_412_345),
    ("ETH-USDT", 312_077),
    ("SOL-USDT", 18_413),
    ("BNB-USDT", 61_250),
    ("LTC-USDT", 8_911),
    ("BTC-EUR", 7_702_118),
    ("ETH-EUR", 285_904),
    ("BCH-USDT", 45_133),
];
const SOURCES: [&str; 5] = ["binance", "bybit", "coinbase", "kraken", "okx"];
/// Ticks per second of all series together.
pub(super) const TICKS_PER_SECOND: u64 = 2_000;
/// Mean time between two ticks, microseconds.
const MEAN_GAP_US: u64 = 1_000_000 / TICKS_PER_SECOND;

/// A random number generator that needs no more than to be quick and repeatable (splitmix64).
#[derive(Debug, Clone)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    /// From 0 to `below` - 1.
    pub(super) fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below.max(1)
    }

    /// From -`most` to `most`.
    pub(super) fn step(&mut self, most: u64) -> i64 {
        let rolled = i64::try_from(self.roll(2 * most + 1)).unwrap_or_default();
        rolled - i64::try_from(most).unwrap_or_default()
    }
}

#[derive(Debug)]
struct Series {
    pair: Pair,
    source: SourceId,
    bid_cents: i64,
}

/// Gives one tick after the other.
#[derive(Debug)]
pub(super) struct Market {
    series: Vec<Series>,
    dice: Dice,
    epoch: Epoch,
    now_us: i64,
    seq: u64,
}

impl Market {
    /// One whose first tick comes at `begin`, in the words of this Writer's epoch.
    pub(super) fn new(begin: Wall, epoch: Epoch) -> Result<Self> {
        let mut series = Vec::new();
        for (pair, bid_cents) in PAIRS {
            for source in SOURCES {
                series.push(Series {
                    pair: Pair::parse(pair).context("a pair")?,
                    source: SourceId::parse(source).context("a source")?,
                    bid_cents,
                });
            }
        }
        Ok(Self {
            series,
            dice: Dice(7),
            epoch,
            now_us: begin.0,
            seq: 0,
        })
    }

    /// Every pair.
    pub(super) fn pairs() -> impl Iterator<Item = &'static str> {
        PAIRS.into_iter().map(|(pair, _)| pair)
    }

    /// Every source.
    pub(super) fn sources() -> impl Iterator<Item = &'static str> {
        SOURCES.into_iter()
    }

    /// How long this many ticks take.
    pub(super) const fn span(ticks: u64) -> Duration {
        Duration::from_micros(ticks * MEAN_GAP_US)
    }

    /// How many pairs by sources.
    pub(super) const fn series_count() -> usize {
        PAIRS.len() * SOURCES.len()
    }

    /// When the last tick came.
    pub(super) const fn now(&self) -> Wall {
        Wall(self.now_us)
    }

    /// The next tick.
    pub(super) fn tick(&mut self) -> Result<HistoryRow> {
        let dice = &mut self.dice;
        let gap_us = 1 + dice.roll(2 * MEAN_GAP_US - 1);
        self.now_us += i64::try_from(gap_us).unwrap_or_default();
        self.seq += 1;
        let number = usize::try_from(dice.roll(Self::series_count() as u64)).unwrap_or_default();
        let series = self.series.get_mut(number).context("a series")?;
        // A ten thousandth at most, and every fourth tick changes sizes only.
        let most = u64::try_from(series.bid_cents / 10_000).unwrap_or_default() + 1;
        if dice.roll(4) > 0 {
            series.bid_cents = (series.bid_cents + dice.step(most)).max(100);
        }
        let spread = 1 + i64::try_from(dice.roll(most)).unwrap_or_default();
        let bid = Price::new(Decimal::new(series.bid_cents, 2))?;
        let ask = Price::new(Decimal::new(series.bid_cents + spread, 2))?;
        // Venues stamp milliseconds.
        let age_us = 5_000 + i64::try_from(dice.roll(40_000)).unwrap_or_default();
        let row = HistoryRow {
            pair: series.pair,
            source: series.source,
            id: UpdateId {
                shard: 0,
                epoch: self.epoch,
                seq: Seq(self.seq),
            },
            value: Price::mid(bid, ask)?,
            bid: Some(bid),
            ask: Some(ask),
            observed_at: Some(Wall(self.now_us - age_us).to_millisecond()),
            received_at: Wall(self.now_us),
        };
        Ok(row)
    }

    /// The next `count` ticks.
    pub(super) fn rows(&mut self, count: usize) -> Result<Vec<HistoryRow>> {
        (0..count).map(|_| self.tick()).collect()
    }

    /// The next `count` batches.
    pub(super) fn batches(&mut self, count: usize, rows: usize) -> Result<Vec<Vec<HistoryRow>>> {
        (0..count).map(|_| self.rows(rows)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_come_in_order_with_sides_around_their_value() {
        let mut market = Market::new(Wall::from_unix_ms(1_700_000_000_000), Epoch(1)).unwrap();
        let rows = market.rows(1_000).unwrap();
        assert!(rows.windows(2).all(|two| {
            two[0].received_at < two[1].received_at && two[0].id.seq < two[1].id.seq
        }));
        assert!(
            rows.iter()
                .all(|row| row.bid.unwrap() < row.value && row.value < row.ask.unwrap())
        );
    }
}
