//! Candles: open, high, low and close of a span of time.

use super::microseconds;
use kurs_core::{Pair, Price, SourceId, Wall};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Length of a candle. Candles begin at whole multiples of it since 1970, in UTC.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Interval {
    /// One second; only of published rates.
    #[serde(rename = "1s")]
    Second,
    /// One minute.
    #[serde(rename = "1m")]
    Minute,
    /// Five minutes.
    #[serde(rename = "5m")]
    FiveMinutes,
    /// One hour.
    #[serde(rename = "1h")]
    Hour,
    /// One day.
    #[serde(rename = "1d")]
    Day,
}

impl Interval {
    /// All of them, shortest first.
    pub const ALL: [Self; 5] = [
        Self::Second,
        Self::Minute,
        Self::FiveMinutes,
        Self::Hour,
        Self::Day,
    ];

    /// The word used in requests and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Second => "1s",
            Self::Minute => "1m",
            Self::FiveMinutes => "5m",
            Self::Hour => "1h",
            Self::Day => "1d",
        }
    }

    /// Its length in seconds, which is also its number in the store.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::FiveMinutes => 300,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    /// The interval of this many seconds.
    #[must_use]
    pub fn of_seconds(seconds: u32) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|interval| interval.seconds() == seconds)
    }

    /// Its length.
    #[must_use]
    pub const fn length(self) -> Duration {
        Duration::from_secs(self.seconds() as u64)
    }

    /// Begin of the candle that holds this moment.
    #[must_use]
    pub const fn start_of(self, time: Wall) -> Wall {
        let length = self.seconds() as i64 * 1_000_000;
        Wall(time.0.saturating_sub(time.0.rem_euclid(length)))
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Not an [`Interval`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is one of 1s, 1m, 5m, 1h, 1d")]
pub struct IntervalError;

impl FromStr for Interval {
    type Err = IntervalError;

    fn from_str(text: &str) -> Result<Self, IntervalError> {
        Self::ALL
            .into_iter()
            .find(|interval| interval.as_str() == text)
            .ok_or(IntervalError)
    }
}

/// Where a candle comes from.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Folded from what this server received or published.
    Live,
    /// Filled in from the archive of the source.
    Backfill,
}

impl Origin {
    /// Its number in the store.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Live => 0,
            Self::Backfill => 1,
        }
    }

    /// The origin of this number.
    #[must_use]
    pub const fn of_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Live),
            1 => Some(Self::Backfill),
            _ => None,
        }
    }
}

/// One candle. Unique by pair, source, interval, start and origin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candle {
    /// The pair.
    pub pair: Pair,
    /// Whose prices; `None`: the rates that kurs published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceId>,
    /// Its length.
    pub interval: Interval,
    /// Its begin.
    #[serde(with = "microseconds")]
    pub start: Wall,
    /// First value.
    pub open: Price,
    /// Greatest value.
    pub high: Price,
    /// Least value.
    pub low: Price,
    /// Last value.
    pub close: Price,
    /// Values in it; 0 where the archive does not say.
    pub count: u64,
    /// Where it comes from.
    pub origin: Origin,
}

/// Which candles: of one series, oldest first. Where a live and a backfilled candle begin at the
/// same moment, the backfilled one is given: it was fetched because the live one was incomplete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CandleQuery {
    /// The pair.
    pub pair: Pair,
    /// Whose; `None`: of published rates.
    pub source: Option<SourceId>,
    /// Length of the candles.
    pub interval: Interval,
    /// Begun at or after.
    pub start: Wall,
    /// Begun before.
    pub end: Wall,
    /// At most this many, from 1 to 10,000. There are more behind the last when so many came.
    pub limit: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candles_begin_at_whole_multiples_also_before_1970() {
        let at = Wall(1_723_161_255_208_123);
        let text = |interval: Interval| interval.start_of(at).to_string();
        assert_eq!(text(Interval::Second), "2024-08-08T23:54:15.000Z");
        assert_eq!(text(Interval::FiveMinutes), "2024-08-08T23:50:00.000Z");
        assert_eq!(text(Interval::Day), "2024-08-08T00:00:00.000Z");
        assert_eq!(Interval::Minute.start_of(Wall(-1)), Wall(-60_000_000));
    }

    #[test]
    fn intervals_and_origins_survive_their_words_and_numbers() {
        for interval in Interval::ALL {
            assert_eq!(interval.as_str().parse(), Ok(interval));
            assert_eq!(Interval::of_seconds(interval.seconds()), Some(interval));
            let json = serde_json::to_string(&interval).unwrap();
            assert_eq!(json, format!("\"{interval}\""));
        }
        assert_eq!("2h".parse::<Interval>(), Err(IntervalError));
        for origin in [Origin::Live, Origin::Backfill] {
            assert_eq!(Origin::of_number(origin.number()), Some(origin));
        }
    }
}
