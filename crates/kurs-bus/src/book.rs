//! A book as the Writer shows it to Readers.

use kurs_core::price::DecimalText;
use kurs_core::{Pair, Price, SourceId, Wall};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Most levels of a side in one answer.
pub const LEVELS_MAX: u16 = 1_000;

/// The synced book of one source and pair at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BookState {
    /// Whose.
    pub source: SourceId,
    /// The market.
    pub pair: Pair,
    /// The venue's own word for it.
    pub symbol: Arc<str>,
    /// Buyers, highest first: price in quote asset, size in base asset.
    #[schemars(with = "Vec<(Price, DecimalText)>")]
    pub bids: Vec<(Price, Decimal)>,
    /// Sellers, lowest first.
    #[schemars(with = "Vec<(Price, DecimalText)>")]
    pub asks: Vec<(Price, Decimal)>,
    /// Levels that are held on the buyers' side, shown or not.
    pub bid_levels: u64,
    /// Levels that are held on the sellers' side, shown or not.
    pub ask_levels: u64,
    /// The venue's id of the last message that was applied, where it has ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_id: Option<u64>,
    /// When the venue says that message was true, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<Wall>,
    /// When that message was received.
    pub received_at: Wall,
    /// What kept it in step: `id_range`, `chain`, `counter`, `checksum`, or `unverifiable`.
    pub verified_by: Arc<str>,
}
