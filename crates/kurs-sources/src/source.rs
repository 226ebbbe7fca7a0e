//! What every source is and is given.

use crate::book::BookView;
use crate::input::{Machine, Tap};
use crate::stats::SourceStats;
use async_trait::async_trait;
use kurs_core::{Clock, Pair, SourceEvent, SourceId, SourceKind};
use std::sync::Arc;
use thiserror::Error;
use tokio::sync::watch;

/// Takes events. Never blocks and never fails: what is superseded before it is read is merged
/// and counted by the taker.
pub trait EventSink: Send + Sync {
    /// Hands one event over.
    fn deliver(&self, event: SourceEvent);
}

/// What a running source is given.
#[derive(Clone)]
pub struct Context {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where events go.
    pub events: Arc<dyn EventSink>,
    /// The pairs to follow on streaming venues; a source takes those it lists and ignores the
    /// rest. Changes take effect without reconnecting the others.
    pub pairs: watch::Receiver<Arc<[Pair]>>,
    /// The pairs whose order books are looked into: their best levels are delivered as
    /// [`kurs_core::EventKind::Depth`].
    pub depth: Arc<[Pair]>,
    /// Sees everything that goes into the source, if somebody records it.
    pub tap: Option<Arc<dyn Tap>>,
    /// Seed of the source's own randomness (jitter).
    pub seed: u64,
    /// True while this Writer asks polled sources; else another one does, and what they said
    /// comes over the bus. Streams are followed by all.
    pub polls: watch::Receiver<bool>,
    /// Becomes true when the source must end; it closes its connections and returns.
    pub shutdown: watch::Receiver<bool>,
}

/// Why a venue could not be asked for its listing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{source_name} cannot be asked at present: {why}")]
pub struct ListingError {
    /// The source.
    pub source_name: SourceId,
    /// One phrase for people.
    pub why: String,
}

/// A place prices come from.
#[async_trait]
pub trait Source: Send + Sync {
    /// Its name in answers: `sim:`-marked when its venue is simulated.
    fn id(&self) -> SourceId;

    /// What it is.
    fn kind(&self) -> SourceKind;

    /// Its place in the order of preference; 1 is best.
    fn priority(&self) -> u16;

    /// Its counters and state.
    fn stats(&self) -> &SourceStats;

    /// True when it follows tracked pairs (streams), false when it gives a fixed table.
    fn follows_pairs(&self) -> bool;

    /// Whether the venue lists this pair for trading. `Ok(false)` for sources that follow none.
    ///
    /// # Errors
    /// [`ListingError`] when the venue cannot be asked.
    async fn lists(&self, pair: Pair) -> Result<bool, ListingError>;

    /// The order book of a pair, at most `levels` per side and never more than
    /// [`crate::book::LEVELS_MAX`]; `None` when the source keeps no book of it.
    fn book(&self, pair: Pair, levels: usize) -> Option<BookView> {
        let _ = (pair, levels);
        None
    }

    /// The same source without its sockets, from the very start, for recorded inputs; `None` for
    /// one that cannot be driven so.
    fn machine(&self, events: Arc<dyn EventSink>, depth: Arc<[Pair]>) -> Option<Box<dyn Machine>> {
        let _ = (events, depth);
        None
    }

    /// Runs until shutdown. Never returns earlier and never panics on what the outside sends:
    /// failures are counted, backed off from, and tried again.
    async fn run(self: Arc<Self>, context: Context);
}
