//! What follows from an effect of the engine: an update or a row with its identity. Pure, so
//! that a replay numbers as the running Writer does.

use kurs_bus::{Body, Cause, NoRate, SourcePrice, Update};
use kurs_core::{Epoch, Mono, Now, Seq, UpdateId};
use kurs_pricing::{Effect, FailoverReport, SourceRate};
use kurs_store::HistoryRow;

/// One thing to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Publish this.
    Update(Update),
    /// Keep this row in the history.
    Row(HistoryRow),
    /// Tell and count this.
    Report(FailoverReport),
}

/// The same before it has an identity.
#[derive(Debug, Clone, PartialEq)]
pub enum Intent {
    /// To be published.
    Publish(Body),
    /// To be kept in the history; its id is not set.
    Keep(HistoryRow),
    /// To be told and counted.
    Report(FailoverReport),
}

impl Intent {
    /// What follows from an effect at `now`.
    #[must_use]
    pub fn of(effect: Effect, now: Now) -> Self {
        match effect {
            Effect::Publish(rate) => Self::Publish(Body::Rate(rate.in_milliseconds())),
            Effect::PublishSource(rate) => {
                Self::Publish(Body::SourcePrice(source_price(rate, now)))
            }
            Effect::Record(rate) => Self::Keep(history_row(&rate)),
            Effect::Withdraw(pair) => Self::Publish(Body::Withdrawn(pair)),
            Effect::NoRate { pair, why } => Self::Publish(Body::NoRate(NoRate {
                pair,
                why,
                withdraws: false,
            })),
            Effect::Report(failover) => Self::Report(failover),
        }
    }
}

/// Gives every update and row its identity.
#[derive(Debug, Clone)]
pub struct Numbering {
    shard: u16,
    epoch: Epoch,
    updates: u64,
    rows: u64,
}

impl Numbering {
    /// Begins at the first number of this epoch.
    #[must_use]
    pub const fn new(shard: u16, epoch: Epoch) -> Self {
        Self {
            shard,
            epoch,
            updates: 0,
            rows: 0,
        }
    }

    /// Updates numbered so far.
    #[must_use]
    pub const fn updates(&self) -> u64 {
        self.updates
    }

    /// The next update: the word of a source that led to it, and when it is published on this
    /// machine's clock, where that is of use.
    pub fn update(&mut self, body: Body, cause: Option<Cause>, at: Option<Mono>) -> Update {
        self.updates += 1;
        Update {
            id: self.id(self.updates),
            body,
            cause,
            at,
        }
    }

    /// A row with the next number. Rows count for themselves: a row is unique by pair, source
    /// and this id.
    pub fn row(&mut self, row: HistoryRow) -> HistoryRow {
        self.rows += 1;
        HistoryRow {
            id: self.id(self.rows),
            ..row
        }
    }

    /// What follows from an effect at `now`.
    pub fn outcome(&mut self, effect: Effect, now: Now) -> Outcome {
        match Intent::of(effect, now) {
            Intent::Publish(body) => Outcome::Update(self.update(body, None, None)),
            Intent::Keep(row) => Outcome::Row(self.row(row)),
            Intent::Report(failover) => Outcome::Report(failover),
        }
    }

    const fn id(&self, seq: u64) -> UpdateId {
        UpdateId {
            shard: self.shard,
            epoch: self.epoch,
            seq: Seq(seq),
        }
    }
}

fn source_price(rate: SourceRate, now: Now) -> SourcePrice {
    SourcePrice {
        source: rate.source,
        pair: rate.pair,
        value: rate.value,
        bid: rate.bid,
        ask: rate.ask,
        state: rate.state,
        why: rate.why,
        observed_at: rate.observed_at.unwrap_or(rate.received_at),
        received_at: rate.received_at,
        published_at: now.wall,
        valid_for: rate.valid_for,
    }
}

fn history_row(rate: &SourceRate) -> HistoryRow {
    HistoryRow {
        pair: rate.pair,
        source: rate.source,
        id: UpdateId::default(),
        value: rate.value,
        bid: rate.bid,
        ask: rate.ask,
        observed_at: rate.observed_at,
        received_at: rate.received_at,
    }
}
