//! What follows from an effect of the engine: an update or a row with its identity. Pure, so
//! that a replay numbers as the running Writer does.

use kurs_bus::{Body, NoRate, SourcePrice, Update};
use kurs_core::{Epoch, Now, Seq, UpdateId};
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

    /// The next update.
    pub fn update(&mut self, body: Body) -> Update {
        self.updates += 1;
        Update {
            id: self.id(self.updates),
            body,
        }
    }

    /// What follows from an effect at `now`.
    pub fn outcome(&mut self, effect: Effect, now: Now) -> Outcome {
        match effect {
            Effect::Publish(rate) => {
                Outcome::Update(self.update(Body::Rate(rate.in_milliseconds())))
            }
            Effect::PublishSource(rate) => {
                Outcome::Update(self.update(Body::SourcePrice(source_price(rate, now))))
            }
            Effect::Record(rate) => {
                // Rows count for themselves: a row is unique by pair, source and this id.
                self.rows += 1;
                Outcome::Row(history_row(&rate, self.id(self.rows)))
            }
            Effect::Withdraw(pair) => Outcome::Update(self.update(Body::Withdrawn(pair))),
            Effect::NoRate { pair, why } => Outcome::Update(self.update(Body::NoRate(NoRate {
                pair,
                why,
                withdraws: false,
            }))),
            Effect::Report(failover) => Outcome::Report(failover),
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

fn history_row(rate: &SourceRate, id: UpdateId) -> HistoryRow {
    HistoryRow {
        pair: rate.pair,
        source: rate.source,
        id,
        value: rate.value,
        bid: rate.bid,
        ask: rate.ask,
        observed_at: rate.observed_at,
        received_at: rate.received_at,
    }
}
