//! The engine's thread: takes what waits in the inbox, lets the engine price it, and hands out
//! what follows, stamped with epoch and sequence.

use crate::inbox::{Inbox, Message};
use crate::recorder::RecorderHandle;
use kurs_bus::{Body, Bus, SourcePrice, Update};
use kurs_core::{Clock, Epoch, Now, Rate, Seq, UpdateId};
use kurs_pricing::{Effect, Engine, SourceRate};
use kurs_store::{HistoryRow, StoredRate};
use kurs_telemetry::metrics::WriterMetrics;
use std::sync::Arc;
use std::time::Duration;

/// Messages priced before the clock is read again.
const BATCH: usize = 256;

/// What the thread works with.
pub struct Desk {
    /// Prices everything.
    pub engine: Engine,
    /// Where events come from.
    pub inbox: Arc<Inbox>,
    /// Where updates go.
    pub bus: Arc<dyn Bus>,
    /// Where rows go.
    pub recorder: RecorderHandle,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: WriterMetrics,
    /// Which part of the pairs this is.
    pub shard: u16,
    /// Under which lease.
    pub epoch: Epoch,
}

/// Gives every update and row its identity.
#[derive(Debug)]
struct Stamp {
    shard: u16,
    epoch: Epoch,
    updates: u64,
    rows: u64,
}

impl Stamp {
    fn update(&mut self) -> UpdateId {
        self.updates += 1;
        UpdateId {
            shard: self.shard,
            epoch: self.epoch,
            seq: Seq(self.updates),
        }
    }

    /// Rows count for themselves: a row is unique by pair, source and this id.
    fn row(&mut self) -> UpdateId {
        self.rows += 1;
        UpdateId {
            shard: self.shard,
            epoch: self.epoch,
            seq: Seq(self.rows),
        }
    }
}

impl Desk {
    /// Runs until the inbox is closed and empty.
    pub fn run(mut self) {
        let mut stamp = Stamp {
            shard: self.shard,
            epoch: self.epoch,
            updates: 0,
            rows: 0,
        };
        let mut messages = Vec::with_capacity(BATCH);
        let mut effects = Vec::new();
        let mut superseded = 0;
        loop {
            let deadline = self.engine.next_deadline().since(self.clock.now().mono);
            let patience = deadline.clamp(Duration::from_millis(1), Duration::from_secs(1));
            if !self.inbox.take(&mut messages, BATCH, patience) {
                return;
            }
            let now = self.clock.now();
            for message in messages.drain(..) {
                match message {
                    Message::Event(event) => {
                        self.metrics.events.inc();
                        self.engine.handle(now, &event, &mut effects);
                        if !effects.is_empty() {
                            self.carry_out(&mut effects, now, &mut stamp);
                            let taken = self.clock.now().mono.since(event.received.mono);
                            self.metrics.ingest_to_publish.observe(taken);
                        }
                    }
                    Message::Publish(body) => self.publish(stamp.update(), body),
                }
            }
            self.engine.advance(now, &mut effects);
            self.carry_out(&mut effects, now, &mut stamp);
            let total = self.inbox.superseded();
            self.metrics.events_superseded.inc_by(total - superseded);
            superseded = total;
        }
    }

    fn carry_out(&mut self, effects: &mut Vec<Effect>, now: Now, stamp: &mut Stamp) {
        for effect in effects.drain(..) {
            match effect {
                Effect::Publish(rate) => self.publish_rate(stamp.update(), rate),
                Effect::PublishSource(rate) => {
                    self.publish(stamp.update(), Body::SourcePrice(source_price(rate, now)));
                }
                Effect::Record(rate) => self.recorder.record(history_row(&rate, stamp.row())),
                Effect::Withdraw(pair) => self.publish(stamp.update(), Body::Withdrawn(pair)),
                Effect::Report(failover) => self.report(&failover),
            }
        }
    }

    fn publish_rate(&self, id: UpdateId, rate: Rate) {
        self.recorder.current(StoredRate {
            id,
            rate: rate.clone(),
        });
        self.publish(id, Body::Rate(rate));
    }

    fn publish(&self, id: UpdateId, body: Body) {
        self.metrics.updates_published.inc();
        if let Err(error) = self.bus.publish(Arc::new(Update { id, body })) {
            tracing::warn!(%error, "an update could not be published");
        }
    }

    fn report(&self, failover: &kurs_pricing::FailoverReport) {
        let from = failover
            .from
            .map_or_else(|| "none".to_owned(), |source| source.to_string());
        let to = failover
            .to
            .map_or_else(|| "none".to_owned(), |source| source.to_string());
        // The first rate of a pair is no fail-over.
        if failover.from.is_some() || failover.recovered {
            self.metrics.failover(&from, &to);
        }
        let pair = failover.pair;
        match (failover.from, failover.to) {
            (None, Some(source)) if failover.recovered => {
                tracing::warn!(%pair, %source, reason = %failover.reason, "has a live source again");
            }
            (None, Some(source)) => {
                tracing::debug!(%pair, %source, reason = %failover.reason, "has its first rate");
            }
            (Some(_), None) => {
                tracing::error!(%pair, reason = %failover.reason, "has no live source")
            }
            _ if failover.is_best => {
                tracing::info!(%pair, from, to, reason = %failover.reason, "is served by its best source now");
            }
            _ => tracing::warn!(%pair, from, to, reason = %failover.reason, "changed its source"),
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
