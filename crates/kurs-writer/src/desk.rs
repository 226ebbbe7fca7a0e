//! The engine's thread: takes what waits in the inbox, lets the engine price it, and hands out
//! what follows, stamped with epoch and sequence.

use crate::inbox::{Inbox, Message};
use crate::ledger::{Entry, Ledger, official};
use crate::outcome::{Numbering, Outcome};
use crate::recorder::RecorderHandle;
use kurs_bus::{Body, Bus, NoRate, Update};
use kurs_core::{Clock, Epoch, Now, Pair, Wall};
use kurs_pricing::{Effect, Engine};
use kurs_store::{Recorded, StoredRate};
use kurs_telemetry::metrics::WriterMetrics;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

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
    /// What is written down of every update.
    pub ledger: Ledger,
    /// Pairs whose former rates nobody stands behind; true where they have a policy now.
    pub withdrawn: Vec<(Pair, bool)>,
}

impl Desk {
    /// Runs until the inbox is closed and empty. `begun` hears when former rates are withdrawn.
    pub fn run(mut self, begun: oneshot::Sender<()>) {
        let mut numbering = Numbering::new(self.shard, self.epoch);
        let mut entries = Vec::new();
        let begin = self.clock.now().wall;
        for (pair, has_policy) in std::mem::take(&mut self.withdrawn) {
            // At no moment may a way around its policy be served.
            let body = if has_policy {
                Body::NoRate(NoRate {
                    pair,
                    why: "no rate: its terms were changed, and no price has come yet".into(),
                    withdraws: true,
                })
            } else {
                Body::Withdrawn(pair)
            };
            self.publish(numbering.update(body), begin, &mut entries);
        }
        // Whoever does not listen does not mind.
        let _ = begun.send(());
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
                            self.carry_out(&mut effects, now, &mut numbering, &mut entries);
                            let taken = self.clock.now().mono.since(event.received.mono);
                            self.metrics.ingest_to_publish.observe(taken);
                        }
                    }
                    Message::Publish(body) => {
                        self.publish(numbering.update(body), now.wall, &mut entries);
                    }
                }
            }
            self.engine.advance(now, &mut effects);
            self.carry_out(&mut effects, now, &mut numbering, &mut entries);
            // Whatever follows is published later than this.
            self.recorder.recorded(Recorded {
                shard: self.shard,
                until: now.wall,
            });
            let total = self.inbox.superseded();
            self.metrics.events_superseded.inc_by(total - superseded);
            superseded = total;
        }
    }

    fn carry_out(
        &mut self,
        effects: &mut Vec<Effect>,
        now: Now,
        numbering: &mut Numbering,
        entries: &mut Vec<Entry>,
    ) {
        for effect in effects.drain(..) {
            match numbering.outcome(effect, now) {
                Outcome::Update(update) => {
                    if let Body::Rate(rate) = &update.body {
                        self.recorder.current(StoredRate {
                            id: update.id,
                            rate: rate.clone(),
                        });
                    }
                    self.publish(update, now.wall, entries);
                }
                Outcome::Row(row) => {
                    if let Some(rate) = official(&row) {
                        self.recorder.official(rate);
                    }
                    self.recorder.record(row);
                }
                Outcome::Report(failover) => self.report(&failover),
            }
        }
    }

    fn publish(&mut self, update: Update, now: Wall, entries: &mut Vec<Entry>) {
        self.metrics.updates_published.inc();
        self.ledger.update(&update, now, entries);
        for entry in entries.drain(..) {
            match entry {
                Entry::Published(event) => self.recorder.published(event),
                Entry::State(state) => self.recorder.state(state),
                Entry::Gap(gap) => self.recorder.gap(gap),
            }
        }
        if let Err(error) = self.bus.publish(Arc::new(update)) {
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
