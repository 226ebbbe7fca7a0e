//! Order books kept from time to time.

use super::microseconds;
use kurs_core::{Pair, Price, SourceId, Wall};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// The best levels of a book at one moment. Unique by source, pair and moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BookSnapshot {
    /// The exchange.
    pub source: SourceId,
    /// The market.
    pub pair: Pair,
    /// When the levels arrived here.
    #[serde(with = "microseconds")]
    pub at: Wall,
    /// Price in units of the quote asset, and quantity in units of the base asset; best first.
    pub bids: Vec<(Price, Decimal)>,
    /// The same of the asks.
    pub asks: Vec<(Price, Decimal)>,
}

/// Which books: of one source and pair, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotQuery {
    /// The exchange.
    pub source: SourceId,
    /// The market.
    pub pair: Pair,
    /// Taken at or after.
    pub start: Wall,
    /// Taken before.
    pub end: Wall,
    /// At most this many, from 1 to 1,000.
    pub limit: u32,
}
