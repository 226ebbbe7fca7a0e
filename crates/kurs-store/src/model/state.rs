//! Changes of a source's state for a pair, and gaps: when nothing usable came.

use super::{microseconds, optional_microseconds};
use kurs_core::{Pair, SourceId, SourceState, UpdateId, Wall};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A source's price of a pair changed its state. Unique by source, pair and id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceState {
    /// Identity of the update that told it.
    pub id: UpdateId,
    /// Who.
    pub source: SourceId,
    /// The market.
    pub pair: Pair,
    /// Since when.
    #[serde(with = "microseconds")]
    pub at: Wall,
    /// The state since then.
    pub state: SourceState,
    /// Why; empty when live.
    pub why: Arc<str>,
}

/// A time in which a source gave nothing usable of a pair, or in which kurs did not run. Unique
/// by source, pair and begin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Who.
    pub source: SourceId,
    /// The market.
    pub pair: Pair,
    /// The last moment at which its price was usable.
    #[serde(with = "microseconds")]
    pub began: Wall,
    /// When it was usable again; `None` while it is not.
    #[serde(
        default,
        with = "optional_microseconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub ended: Option<Wall>,
    /// One short phrase for people.
    pub why: Arc<str>,
    /// True once candles of that time were filled in from the source's archive.
    #[serde(default)]
    pub is_filled: bool,
}

/// Which gaps: those that overlap a span of time, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GapQuery {
    /// Only of this pair.
    pub pair: Option<Pair>,
    /// Only of this source.
    pub source: Option<SourceId>,
    /// Not ended before.
    pub start: Wall,
    /// Begun before.
    pub end: Wall,
    /// At most this many, from 1 to 10,000.
    pub limit: u32,
}
