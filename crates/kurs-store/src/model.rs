//! Rows and queries of the store.

use kurs_core::{Pair, Price, Rate, SourceId, UpdateId, Wall};
use serde::{Deserialize, Serialize};

/// One rate as received from a source. Unique by pair, source, epoch and seq.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryRow {
    /// The market.
    pub pair: Pair,
    /// Who gave it.
    pub source: SourceId,
    /// Identity within the shard.
    pub id: UpdateId,
    /// Fair price.
    pub value: Price,
    /// Best bid, if the source gives sides.
    pub bid: Option<Price>,
    /// Best ask, if the source gives sides.
    pub ask: Option<Price>,
    /// When the source says it was true, if it says.
    pub observed_at: Option<Wall>,
    /// When it arrived here.
    pub received_at: Wall,
}

/// A place in the history of a pair: everything up to and including this row was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Receive time of the last row seen.
    pub received_at: Wall,
    /// Source of the last row seen.
    pub source: SourceId,
    /// Id of the last row seen.
    pub id: UpdateId,
}

/// Which rows of history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryQuery {
    /// The market.
    pub pair: Pair,
    /// Only this source.
    pub source: Option<SourceId>,
    /// Received at or after.
    pub start: Wall,
    /// Received before.
    pub end: Wall,
    /// At most this many rows.
    pub limit: u32,
    /// Go on after this row.
    pub after: Option<Cursor>,
}

/// One page of history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryPage {
    /// The rows, oldest first, ordered by receive time, source, id.
    pub rows: Vec<HistoryRow>,
    /// Where the next page starts; `None` when this is the last.
    pub next: Option<Cursor>,
}

/// A published rate as kept for cold starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRate {
    /// Identity of the update.
    pub id: UpdateId,
    /// The rate.
    pub rate: Rate,
}

/// Version of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SchemaState {
    /// Version found (before a migration).
    pub found: u32,
    /// Version this program needs (and has after a migration).
    pub needed: u32,
}
