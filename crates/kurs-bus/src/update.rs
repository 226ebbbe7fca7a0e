//! What travels on the bus.

use kurs_core::{
    Mono, Pair, Price, Rate, SourceId, SourceKind, SourceState, TrackedSymbol, UpdateId, Wall,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// One message: what happened, and its place in the order of its shard. See [`crate::wire`] for
/// its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Shard, epoch and sequence; unique, and growing within a shard.
    pub id: UpdateId,
    /// What happened.
    pub body: Body,
    /// What a source said that led to it; `None` when time did, or a source that has no ids.
    pub cause: Option<Cause>,
    /// When the Writer published it, on its own monotonic clock; `None` where that is not known.
    /// Compared with nothing but other updates of the same epoch: it tells how long this one was
    /// on its way.
    pub at: Option<Mono>,
}

/// A word of a source, by the source's own number. A hot standby knows by it what of its own
/// picture was published already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Cause {
    /// Who.
    pub source: SourceId,
    /// The market it is about.
    pub pair: Pair,
    /// The source's own id of the change, rising per market.
    pub event_id: u64,
}

/// Kinds of [`Update`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// A published rate.
    Rate(Rate),
    /// One source's own price, conflated.
    SourcePrice(SourcePrice),
    /// State and counters of a source, about once a second.
    SourceStatus(SourceStatus),
    /// The full list of tracked symbols, whenever it changes.
    Tracked(Arc<[TrackedSymbol]>),
    /// The pair is not published any more, and what was published of it is not stood behind.
    Withdrawn(Pair),
    /// The pair has a policy of its own, and by it there is no rate yet.
    NoRate(NoRate),
    /// The Writer of a shard lives: the first update of every epoch, and about one a second.
    Heartbeat(Heartbeat),
    /// Of a kind that only a later version knows, which is named here: it has its number, and
    /// means nothing.
    Unknown(Arc<str>),
}

/// What the Writer of a shard says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Heartbeat {
    /// Name of the Writer.
    pub writer: Arc<str>,
    /// The last update of an earlier epoch that it had heard when it took over; `None` when it
    /// had heard none. What an earlier Writer published after it is not known to this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<UpdateId>,
    /// It hands over: nothing of this epoch comes after this.
    #[serde(default)]
    pub ends: bool,
}

/// Why a pair has no rate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NoRate {
    /// The pair.
    pub pair: Pair,
    /// The reason in one short phrase.
    pub why: Arc<str>,
    /// Nobody stands behind what an earlier Writer published of it; else that stays as long as it
    /// is valid.
    #[serde(default)]
    pub withdraws: bool,
}

/// What an update is the last value of: a later update with the same key replaces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// Rates, reasons for none, and withdrawals of a pair.
    Rate(Pair),
    /// Price of one source for one pair.
    SourcePrice(SourceId, Pair),
    /// A source.
    SourceStatus(SourceId),
    /// The tracked symbols.
    Tracked,
    /// The Writer of a shard.
    Heartbeat(u16),
    /// What only a later version knows.
    Unknown,
}

impl Key {
    /// True when it goes with the pair: its rate, and what its sources say.
    #[must_use]
    pub fn is_of(&self, pair: Pair) -> bool {
        match self {
            Self::Rate(other) | Self::SourcePrice(_, other) => *other == pair,
            Self::SourceStatus(_) | Self::Tracked | Self::Heartbeat(_) | Self::Unknown => false,
        }
    }
}

impl Update {
    /// The key this update is a value of.
    #[must_use]
    pub const fn key(&self) -> Key {
        match &self.body {
            Body::Rate(rate) => Key::Rate(rate.pair),
            Body::Withdrawn(pair) => Key::Rate(*pair),
            Body::NoRate(none) => Key::Rate(none.pair),
            Body::SourcePrice(price) => Key::SourcePrice(price.source, price.pair),
            Body::SourceStatus(status) => Key::SourceStatus(status.source),
            Body::Tracked(_) => Key::Tracked,
            Body::Heartbeat(_) => Key::Heartbeat(self.id.shard),
            Body::Unknown(_) => Key::Unknown,
        }
    }
}

/// One source's own price for one pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourcePrice {
    /// Who.
    pub source: SourceId,
    /// The market.
    pub pair: Pair,
    /// Fair price.
    pub value: Price,
    /// Best bid, if the source gives sides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bid: Option<Price>,
    /// Best ask, if the source gives sides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask: Option<Price>,
    /// State of this price.
    pub state: SourceState,
    /// Why the state is what it is; empty when live.
    pub why: Arc<str>,
    /// When it was observed (the source's own time if it gives one, else receipt).
    pub observed_at: Wall,
    /// When it was received.
    pub received_at: Wall,
    /// When this message was published.
    pub published_at: Wall,
    /// How long from publishing the price may be used as fresh. In whole milliseconds in text.
    #[serde(rename = "valid_for_ms", with = "kurs_core::time::milliseconds")]
    #[schemars(with = "u64")]
    pub valid_for: Duration,
}

/// State and counters of a source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SourceStatus {
    /// Who.
    pub source: SourceId,
    /// What kind.
    pub kind: SourceKind,
    /// Its place in the order of preference; 1 is best.
    pub priority: u16,
    /// Its state.
    pub state: SourceState,
    /// Why, in one short phrase; empty when live.
    pub why: Arc<str>,
    /// Since when it is in this state.
    pub since: Wall,
    /// How data comes at present: `websocket`, `rest` or `poll`.
    pub mode: Arc<str>,
    /// Pairs it gives a price for.
    pub pairs: u32,
    /// Frames and replies received.
    pub messages: u64,
    /// Frames and replies that could not be read.
    pub decode_errors: u64,
    /// Connections or polls that were started again after a failure.
    pub reconnects: u64,
    /// Requests that failed.
    pub failures: u64,
    /// What its order books went through.
    #[serde(default)]
    pub books: BookCounts,
    /// Connections that were replaced by a successor before they ended.
    #[serde(default)]
    pub overlaps: u64,
    /// When data last arrived.
    pub last_message_at: Option<Wall>,
    /// Next poll of a polled source.
    pub next_poll_at: Option<Wall>,
    /// Until when the venue forbade further requests (429, 418).
    pub limited_until: Option<Wall>,
    /// Receive time minus the venue's own time of the last dated frame, milliseconds: the
    /// difference of two clocks, so it may be negative.
    pub lag_ms: Option<i64>,
}

/// What the order books of a source went through since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BookCounts {
    /// Books that are in step at present.
    pub synced: u64,
    /// Times a book was lost: a message missing by its ids, a crossed book, a message that cannot
    /// be used.
    pub gaps: u64,
    /// Times the checksum of a book was not the venue's.
    pub checksum_failures: u64,
    /// Books brought back in step after they were lost.
    pub resyncs: u64,
    /// Snapshots taken in.
    pub snapshots: u64,
}
