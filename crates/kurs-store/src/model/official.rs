//! A bank's rate of a day. Kept apart from blended rates, and never changed silently: a correction
//! is a further version, and all versions stay.

use super::microseconds;
use kurs_core::{Pair, Price, SourceId, Wall};
use serde::{Deserialize, Serialize};

/// The rate that a bank set for a day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfficialRate {
    /// The bank.
    pub source: SourceId,
    /// The pair as the bank quotes it, for one unit of the base.
    pub pair: Pair,
    /// Begin (UTC) of the calendar day it is for.
    #[serde(with = "microseconds")]
    pub day: Wall,
    /// The rate.
    pub value: Price,
    /// When it was first seen here.
    #[serde(with = "microseconds")]
    pub seen_at: Wall,
}

/// An [`OfficialRate`] as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfficialVersion {
    /// The rate.
    pub rate: OfficialRate,
    /// 1 for what was seen first of this day, one more for each correction.
    pub version: u32,
}

/// Which official rates: of days in a span, by day and version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfficialQuery {
    /// The bank.
    pub source: SourceId,
    /// The pair.
    pub pair: Pair,
    /// From this day on.
    pub start: Wall,
    /// Days before this one.
    pub end: Wall,
    /// At most this many, from 1 to 10,000.
    pub limit: u32,
}
