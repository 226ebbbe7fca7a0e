//! What the engine wants done.

use kurs_core::{Pair, Price, Rate, SourceId, SourceState, Wall};
use std::sync::Arc;
use std::time::Duration;

/// One thing to do. The engine never waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Publish this rate.
    Publish(Rate),
    /// Publish this source's own price.
    PublishSource(SourceRate),
    /// Keep this price in the history: it differs from the last one of its source and pair, or
    /// it is a fresh answer of a polled source.
    Record(SourceRate),
    /// The pair has no source any more: publish that it is withdrawn.
    Withdraw(Pair),
    /// The pair has a policy of its own, and by it there is no rate yet: publish why.
    NoRate {
        /// The pair.
        pair: Pair,
        /// The reason in one short phrase.
        why: Arc<str>,
    },
    /// The pair is served by another source now: log and count.
    Report(Failover),
}

/// One source's own price for one pair, with its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRate {
    /// Who.
    pub source: SourceId,
    /// The market.
    pub pair: Pair,
    /// Fair price.
    pub value: Price,
    /// Best bid, if the source gives sides.
    pub bid: Option<Price>,
    /// Best ask, if the source gives sides.
    pub ask: Option<Price>,
    /// State of this price.
    pub state: SourceState,
    /// Why the state is what it is; empty when live.
    pub why: Arc<str>,
    /// When the source says it was true, if it says.
    pub observed_at: Option<Wall>,
    /// When it was received.
    pub received_at: Wall,
    /// How long from now it may be used as fresh.
    pub valid_for: Duration,
}

/// A change of source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failover {
    /// The pair.
    pub pair: Pair,
    /// Served before; `None` for the first rate or after a time without any.
    pub from: Option<SourceId>,
    /// Serves now; `None` when no source is left.
    pub to: Option<SourceId>,
    /// True when the pair had no live source for a time before this.
    pub recovered: bool,
    /// True when no better source is passed over.
    pub is_best: bool,
    /// One sentence for people.
    pub reason: Arc<str>,
}
