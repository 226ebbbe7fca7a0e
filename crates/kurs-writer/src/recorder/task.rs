//! The loop that writes.
//!
//! | module | what it holds |
//! |---|---|
//! | `writing` | what waits in memory goes to the store, or to the spool |
//! | `draining` | what waits in the spool goes to the store |
//! | `telling` | health and messages |
//!
//! While something waits in the spool everything newer goes there too, behind it: so the order
//! holds, and whoever drains needs to look at one place only.

mod draining;
mod telling;
mod writing;

use super::fold::Fold;
use super::queue::Dropped;
use super::spooling::Spooling;
use super::{Extras, RecorderHealth, Shared};
use draining::Draining;
use kurs_core::{Clock, Mono, Wall};
use kurs_store::spool::Waiting;
use kurs_store::{Batch, Fence, Store};
use kurs_telemetry::metrics::WriterMetrics;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Wait before the first new try.
const RETRY_FIRST: Duration = Duration::from_millis(250);
/// Tries of a batch that the store says it can never take. Then what of it cannot be stored is
/// given up, so that it cannot stand in the way of all others.
const HOPELESS_TRIES: u32 = 5;
/// The longest that nothing is looked after.
const TICK_MAX: Duration = Duration::from_millis(500);
/// How often it is written how far everything is recorded, when there is nothing else to write.
const HEARTBEAT: Duration = Duration::from_secs(1);

pub(super) struct Task {
    shared: Arc<Shared>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    metrics: WriterMetrics,
    health: watch::Sender<RecorderHealth>,
    fold: Option<Box<dyn Fold>>,
    fence: Option<Fence>,
    spool: Spooling,
    /// What the store said last, if it refused.
    store_trouble: Option<Arc<str>>,
    /// What the spool said last, if it refused.
    spool_trouble: Option<Arc<str>>,
    /// Failures in a row, of what waits in memory.
    failures: u32,
    /// Times in a row that the store said it can never take the batch.
    hopeless: u32,
    /// Nothing that waits in memory is tried before.
    hold_until: Option<Instant>,
    /// What waits in memory is written then.
    linger_until: Option<Instant>,
    tick_at: Instant,
    rates_written_at: Option<Mono>,
    until_written: Option<(Wall, Mono)>,
    /// What is being drained.
    draining: Option<Draining>,
    /// What was taken from the spool and refused by the store.
    in_hand: Option<Waiting>,
    drain_at: Instant,
    drain_failures: u32,
    drain_hopeless: u32,
    read_failures: u32,
    finish: Finish,
    said: telling::Said,
}

/// How far the end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finish {
    NotAsked,
    Begun,
    /// The last candles were taken.
    Folded,
    /// Everything was tried that can be.
    Over,
}

impl Drop for Task {
    /// However it ends, it is seen.
    fn drop(&mut self) {
        self.health.send_replace(RecorderHealth::Ended);
    }
}

impl Task {
    pub(super) fn new(
        shared: Arc<Shared>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        metrics: WriterMetrics,
        health: watch::Sender<RecorderHealth>,
        extras: Extras,
    ) -> Self {
        let now = Instant::now();
        Self {
            shared,
            store,
            clock,
            metrics,
            health,
            fold: extras.fold,
            fence: extras.fence,
            spool: Spooling::new(extras.spool),
            store_trouble: None,
            spool_trouble: None,
            failures: 0,
            hopeless: 0,
            hold_until: None,
            linger_until: None,
            tick_at: now,
            rates_written_at: None,
            until_written: None,
            draining: None,
            in_hand: None,
            drain_at: now,
            drain_failures: 0,
            drain_hopeless: 0,
            read_failures: 0,
            finish: Finish::NotAsked,
            said: telling::Said::default(),
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            self.open_spool().await;
            self.look_for_the_end();
            self.write_what_waits().await;
            self.drain().await;
            self.tell();
            if self.finish == Finish::Over {
                return;
            }
            self.wait().await;
        }
    }

    /// Until there is something to do.
    async fn wait(&mut self) {
        let now = Instant::now();
        let is_empty = self.shared.queue.lock().is_empty();
        let mut wake = self.tick_at;
        if !is_empty {
            let linger = Duration::from_millis(self.shared.config.linger_ms);
            let linger_until = *self.linger_until.get_or_insert(now + linger);
            let due = if self.is_batch_full() || self.is_finishing() {
                now
            } else {
                linger_until
            };
            wake = wake.min(due.max(self.hold_until.unwrap_or(due)));
        } else if self.is_finishing() {
            wake = wake.min(self.hold_until.unwrap_or(now));
        }
        if self.draining.is_none() && !self.spool.is_empty() {
            wake = wake.min(self.drain_at);
        }
        let is_held = self.hold_until.is_some_and(|until| until > now);
        let Self {
            shared, draining, ..
        } = self;
        tokio::select! {
            biased;
            () = draining::ended(draining) => {}
            () = tokio::time::sleep_until(wake) => {}
            () = shared.full.notified(), if !is_held || !is_finishing(shared) => {}
            () = shared.work.notified(), if is_empty => {}
        }
    }

    fn is_finishing(&self) -> bool {
        is_finishing(&self.shared)
    }

    fn is_batch_full(&self) -> bool {
        let most = self.shared.config.batch_rows;
        let queue = self.shared.queue.lock();
        queue.rows() >= most || queue.events() >= most
    }

    /// When the end is asked for, waiting ends.
    fn look_for_the_end(&mut self) {
        if self.finish == Finish::NotAsked && self.is_finishing() {
            self.finish = Finish::Begun;
            self.hold_until = None;
        }
    }

    /// Takes what came meanwhile into the batch, past whoever makes candles of it.
    fn gather(&mut self) {
        let most = self.shared.config.batch_rows;
        let mut fresh = self.shared.queue.lock().fresh(most);
        self.fold(&mut fresh);
        self.shared.queue.lock().write(fresh);
    }

    fn fold(&mut self, fresh: &mut Batch) {
        let Some(fold) = &mut self.fold else {
            return;
        };
        for row in &fresh.rows {
            fold.row(row);
        }
        for event in &fresh.published {
            fold.published(event);
        }
        let now = self.clock.now().wall;
        fresh.candles = match self.finish {
            Finish::NotAsked => fold.take(now),
            _ => fold.end(now),
        };
    }

    /// How long to wait after so many failures in a row. Without jitter: this is the only one who
    /// writes for its shard.
    fn pause(&self, failures: u32) -> Duration {
        let most = Duration::from_millis(self.shared.config.retry_max_ms);
        if self.is_finishing() {
            // The end is near: what can be saved must be saved soon.
            return RETRY_FIRST.min(most);
        }
        RETRY_FIRST
            .saturating_mul(1 << failures.saturating_sub(1).min(10))
            .min(most)
    }

    /// What was dropped so far.
    fn dropped(&self) -> Dropped {
        let queue = self.shared.queue.lock().dropped();
        Dropped {
            rows: self.shared.counters.rows_shed.load(Ordering::Relaxed),
            ..queue
        }
    }
}

fn is_finishing(shared: &Shared) -> bool {
    shared.finishing.load(Ordering::Acquire)
}
