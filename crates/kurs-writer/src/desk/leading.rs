//! One shard under the lease of this Writer: updates get their numbers, and are written down.

use super::{Desk, Withdrawn};
use crate::ledger::{Before, Entry, Ledger, official};
use crate::outcome::Numbering;
use crate::recorder::RecorderHandle;
use crate::standby::{Marks, REMEMBERED_MAX, TakeOver};
use kurs_bus::{Body, Cause, Heartbeat, NoRate, Update};
use kurs_core::{Mono, Now, Pair, UpdateId};
use kurs_store::{Fence, HistoryRow, OfficialRate, Recorded, StoredRate};
use kurs_telemetry::metrics::WriterMetrics;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;

/// How often a Writer says that it lives.
const BEAT_EVERY: Duration = Duration::from_secs(1);
/// How long words that were published before the take-over may still come in.
const FLOORS_LAST: Duration = Duration::from_secs(60);

/// Takes what is to be written down. None of the calls waits.
pub trait Records: Send {
    /// A row of history.
    fn row(&self, row: HistoryRow);
    /// The newest rate of a pair.
    fn current(&self, rate: StoredRate);
    /// A bank's rate of a day.
    fn official(&self, rate: OfficialRate);
    /// What follows from an update.
    fn entry(&self, entry: Entry);
    /// Everything published before this moment was handed over.
    fn recorded(&self, recorded: Recorded);
}

impl Records for RecorderHandle {
    fn row(&self, row: HistoryRow) {
        self.record(row);
    }

    fn current(&self, rate: StoredRate) {
        Self::current(self, rate);
    }

    fn official(&self, rate: OfficialRate) {
        Self::official(self, rate);
    }

    fn entry(&self, entry: Entry) {
        match entry {
            Entry::Published(event) => self.published(event),
            Entry::State(state) => self.state(state),
            Entry::Gap(gap) => self.gap(gap),
        }
    }

    fn recorded(&self, recorded: Recorded) {
        Self::recorded(self, recorded);
    }
}

/// Until when may be published: moved on by whoever renews the lease.
#[derive(Debug)]
pub struct Gate(AtomicU64);

impl Gate {
    /// Open until then.
    #[must_use]
    pub const fn until(moment: Mono) -> Self {
        Self(AtomicU64::new(moment.0))
    }

    /// Opens until then.
    pub fn open_until(&self, moment: Mono) {
        self.0.store(moment.0, Ordering::Release);
    }

    fn is_open(&self, now: Mono) -> bool {
        now.0 < self.0.load(Ordering::Acquire)
    }
}

/// What is needed to lead a shard.
pub struct Lead {
    /// Shard and epoch.
    pub fence: Fence,
    /// Where rows go.
    pub recorder: Box<dyn Records>,
    /// Until when may be published.
    pub gate: Arc<Gate>,
    /// What the ledger goes on from; `None`: from what this Writer heard as a standby.
    pub before: Option<Before>,
    /// Pairs whose former rates nobody stands behind.
    pub withdrawn: Withdrawn,
    /// Hears when former rates are withdrawn and everything is published that came meanwhile.
    pub begun: oneshot::Sender<Begun>,
}

/// What is left to be done after a take-over.
pub struct Begun {
    /// What the former Writer published lately and may not have stored.
    pub heard: Vec<Arc<Update>>,
    /// What was received lately, numbered; the former Writer may have stored some of it.
    pub rows: Vec<HistoryRow>,
    /// Turned true when that is handed to the recorder: until then nothing is said of how far
    /// everything is recorded.
    pub is_caught_up: Arc<AtomicBool>,
}

/// A shard that this Writer leads.
pub(super) struct Leading {
    fence: Fence,
    numbering: Numbering,
    ledger: Ledger,
    recorder: Box<dyn Records>,
    gate: Arc<Gate>,
    /// What waits until it is known whether the lease still holds.
    held: Vec<(Mono, Body, Option<Cause>)>,
    entries: Vec<Entry>,
    floors: HashMap<Pair, Marks>,
    floors_until: Mono,
    beat_at: Mono,
    follows: Option<UpdateId>,
    is_caught_up: Arc<AtomicBool>,
}

impl Leading {
    /// Begins an epoch: first the word that it has begun, then what is withdrawn, then what came
    /// since the former Writer's last update.
    pub(super) fn begin(lead: Lead, over: TakeOver, now: Now, desk: &Desk) -> Self {
        let before = lead.before.unwrap_or_else(|| Before {
            standing: over.standing,
            ..Before::default()
        });
        let follows = over.follows;
        let mut leading = Self {
            fence: lead.fence,
            numbering: Numbering::new(lead.fence.shard, lead.fence.epoch),
            ledger: Ledger::new(before),
            recorder: lead.recorder,
            gate: lead.gate,
            held: Vec::new(),
            entries: Vec::new(),
            floors: over.floors,
            floors_until: now.mono.plus(FLOORS_LAST),
            beat_at: now.mono,
            follows,
            is_caught_up: Arc::new(AtomicBool::new(false)),
        };
        leading.beat(now, false, desk);
        for (pair, has_policy) in lead.withdrawn {
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
            leading.publish(body, None, now, desk);
        }
        for (body, cause) in over.publish {
            leading.publish(body, cause, now, desk);
        }
        let rows = over.rows.into_iter().map(|row| leading.numbering.row(row));
        let begun = Begun {
            heard: over.heard,
            rows: rows.collect(),
            is_caught_up: Arc::clone(&leading.is_caught_up),
        };
        // Whoever does not listen has nothing to catch up with.
        if let Err(begun) = lead.begun.send(begun) {
            begun.is_caught_up.store(true, Ordering::Release);
        }
        leading
    }

    /// What is to be done now and then.
    pub(super) fn go_on(&mut self, now: Now, desk: &Desk) {
        if !self.gate.is_open(now.mono) {
            return;
        }
        for (_, body, cause) in std::mem::take(&mut self.held) {
            self.publish(body, cause, now, desk);
        }
        if now.mono >= self.beat_at {
            self.beat(now, false, desk);
        }
        if !self.floors.is_empty() && now.mono >= self.floors_until {
            self.floors.clear();
        }
        if self.is_caught_up.load(Ordering::Acquire) {
            // Whatever follows is published later than this.
            self.recorder.recorded(Recorded {
                shard: self.fence.shard,
                until: now.wall,
            });
        }
    }

    /// What was held back when another Writer had taken over.
    pub(super) fn into_held(self) -> Vec<(Mono, Body, Option<Cause>)> {
        self.held
    }

    /// The last word of this epoch.
    pub(super) fn end(mut self: Box<Self>, now: Now, desk: &Desk) -> UpdateId {
        for (_, body, cause) in std::mem::take(&mut self.held) {
            self.number(body, cause, now, desk);
        }
        self.beat(now, true, desk);
        UpdateId {
            shard: self.fence.shard,
            epoch: self.fence.epoch,
            seq: kurs_core::Seq(self.numbering.updates()),
        }
    }

    fn beat(&mut self, now: Now, ends: bool, desk: &Desk) {
        self.beat_at = now.mono.plus(BEAT_EVERY);
        let beat = Heartbeat {
            writer: Arc::clone(&desk.writer),
            follows: self.follows,
            ends,
        };
        self.number(Body::Heartbeat(beat), None, now, desk);
    }

    pub(super) fn keep(&mut self, row: HistoryRow) {
        let row = self.numbering.row(row);
        if let Some(rate) = official(&row) {
            self.recorder.official(rate);
        }
        self.recorder.row(row);
    }

    pub(super) fn publish(&mut self, body: Body, cause: Option<Cause>, now: Now, desk: &Desk) {
        if self.gate.is_open(now.mono) {
            self.number(body, cause, now, desk);
        } else if self.held.len() < REMEMBERED_MAX {
            self.held.push((now.mono, body, cause));
        }
    }

    fn number(&mut self, body: Body, cause: Option<Cause>, now: Now, desk: &Desk) {
        if !self.floors.is_empty()
            && let Body::Rate(rate) = &body
            && let Some(floor) = self.floors.get(&rate.pair)
            && floor.cover(cause)
        {
            // The former Writer had heard it, and published what followed.
            return;
        }
        let update = self.numbering.update(body, cause, Some(now.mono));
        desk.metrics.updates_published.inc();
        if let Body::Rate(rate) = &update.body {
            self.recorder.current(StoredRate {
                id: update.id,
                rate: rate.clone(),
            });
        }
        self.ledger.update(&update, now.wall, &mut self.entries);
        for entry in self.entries.drain(..) {
            self.recorder.entry(entry);
        }
        if let Err(error) = desk.bus.publish(Arc::new(update)) {
            tracing::warn!(%error, "an update could not be published");
        }
    }
}

/// Tells and counts a change of source.
pub(super) fn report(failover: &kurs_pricing::FailoverReport, metrics: &WriterMetrics) {
    let name = |source: Option<kurs_core::SourceId>| {
        source.map_or_else(|| "none".to_owned(), |source| source.to_string())
    };
    let (from, to) = (name(failover.from), name(failover.to));
    // The first rate of a pair is no fail-over.
    if failover.from.is_some() || failover.recovered {
        metrics.failover(&from, &to);
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
            tracing::error!(%pair, reason = %failover.reason, "has no live source");
        }
        _ if failover.is_best => {
            tracing::info!(%pair, from, to, reason = %failover.reason, "is served by its best source now");
        }
        _ => tracing::warn!(%pair, from, to, reason = %failover.reason, "changed its source"),
    }
}
