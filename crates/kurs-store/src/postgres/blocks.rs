//! Blocks as they are read back.

use super::fault::Fault;
use crate::HistoryRow;
use crate::packed::{events::Events, rows};
use kurs_core::{Pair, SourceId};

/// The rows of a block of this pair and source.
pub(super) fn decode_rows(
    pair: Pair,
    source: SourceId,
    block: &[u8],
) -> Result<Vec<HistoryRow>, Fault> {
    rows::decode(block, pair, source)
        .ok_or_else(|| Fault::corrupt(format!("a block of {pair} by {source}")))
}

/// The events of a block of this pair.
pub(super) fn open_events(pair: Pair, block: &[u8]) -> Result<Events, Fault> {
    Events::open(block, pair).ok_or_else(|| Fault::corrupt(format!("a block of events of {pair}")))
}

/// One of them.
pub(super) fn event(events: &Events, index: usize) -> Result<crate::Published, Fault> {
    events
        .get(index)
        .ok_or_else(|| Fault::corrupt("an event of a block"))
}
