//! Candles for tests.

use super::Chart;
use kurs_core::{Pair, Price, Wall};
use kurs_store::{Candle, Interval, Origin};
use rust_decimal::Decimal;

/// Candles of a minute: how many minutes after 1970, and the close. Each opens one below its
/// close and reaches two beyond both.
pub(crate) fn minutes(candles: &[(i64, i64)]) -> Vec<Candle> {
    let price = |value: i64| Price::new(Decimal::from(value)).unwrap();
    candles
        .iter()
        .map(|(minute, close)| Candle {
            pair: pair(),
            source: None,
            interval: Interval::Minute,
            start: Wall::from_unix_seconds(minute * 60),
            open: price(close - 1),
            high: price(close + 2),
            low: price(close - 3),
            close: price(*close),
            count: 5,
            origin: Origin::Live,
        })
        .collect()
}

pub(crate) fn pair() -> Pair {
    Pair::parse("BTC-USD").unwrap()
}

/// A chart of candles that are all closed.
pub(crate) fn chart(candles: &[Candle]) -> Chart<'_> {
    Chart::new(pair(), candles, Interval::Minute, Wall::MAX)
}
