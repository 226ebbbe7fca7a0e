//! Health and messages.

use super::Task;
use crate::recorder::RecorderHealth;
use crate::recorder::queue::Dropped;
use kurs_core::Mono;
use kurs_store::StoreError;
use kurs_store::spool::SpoolError;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Between two messages about the same trouble.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// What was said, and when.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) store_failed_at: Option<Mono>,
    spool_failed_at: Option<Mono>,
    dropped: Dropped,
    dropped_at: Option<Mono>,
}

impl Task {
    /// Opens the spool if it is wanted and not open.
    pub(super) async fn open_spool(&mut self) {
        match self.spool.open_if_due().await {
            None => {}
            Some(Ok(())) => {
                self.spool_trouble = None;
                let stats = self.spool.stats();
                *self.shared.counters.spool.lock() = stats;
                self.shared.is_spool_known.store(true, Ordering::Release);
                if stats.records > 0 {
                    tracing::info!(
                        batches = stats.records,
                        bytes = stats.bytes,
                        "the spool holds history of an earlier time, which is stored first"
                    );
                }
            }
            Some(Err(error)) => self.spool_refused(&error),
        }
    }

    /// Tells how things are.
    pub(super) fn tell(&mut self) {
        let now = self.clock.now().mono;
        let health = self.state().after(&self.health.borrow(), now);
        self.health.send_if_modified(|former| {
            let is_new = *former != health;
            *former = health;
            is_new
        });
        self.say_what_was_dropped();
    }

    fn state(&self) -> RecorderHealth {
        let since = Mono::default();
        let is_spooling = !self.spool.is_empty();
        let why = |text: String| Arc::from(text);
        match (&self.store_trouble, &self.spool_trouble) {
            (None, None) if !is_spooling => RecorderHealth::Writing,
            (None, None) => RecorderHealth::Spooling {
                since,
                why: "the store is back; what waits on disk is being written".into(),
            },
            (None, Some(spool)) if is_spooling => RecorderHealth::Waiting {
                since,
                why: why(format!(
                    "{spool}; new history waits in memory until what is on disk is written"
                )),
            },
            (None, Some(spool)) => RecorderHealth::Unguarded {
                since,
                why: why(format!("{spool}; history goes to the store alone")),
            },
            (Some(store), None) if is_spooling => RecorderHealth::Spooling {
                since,
                why: why(format!("{store}; history waits on disk")),
            },
            (Some(store), None) => RecorderHealth::Waiting {
                since,
                why: why(format!("{store}; history waits in memory")),
            },
            (Some(store), Some(spool)) => RecorderHealth::Waiting {
                since,
                why: why(format!("{store}; {spool}; history waits in memory")),
            },
        }
    }

    pub(super) fn say_store_failed(&mut self, error: &StoreError) {
        let now = self.clock.now().mono;
        if !is_due(self.said.store_failed_at, now) {
            return;
        }
        self.said.store_failed_at = Some(now);
        let waiting = self.shared.queue.lock().rows();
        if self.spool.is_open() {
            tracing::error!(%error, waiting, "history cannot be stored and goes to the spool");
        } else {
            tracing::error!(%error, waiting, "history cannot be stored, rows wait");
        }
    }

    pub(super) fn say_spool_failed(&mut self, error: &SpoolError) {
        let now = self.clock.now().mono;
        if !is_due(self.said.spool_failed_at, now) {
            return;
        }
        self.said.spool_failed_at = Some(now);
        let (rows, events) = {
            let queue = self.shared.queue.lock();
            (queue.rows(), queue.events())
        };
        if self.store_trouble.is_some() {
            kurs_telemetry::critical!(%error, rows, events, "neither the store nor the spool take history, it waits in memory");
        } else {
            tracing::error!(%error, "the spool cannot be used: should the store fail, history waits in memory");
        }
    }

    fn say_what_was_dropped(&mut self) {
        let dropped = self.dropped();
        let now = self.clock.now().mono;
        if dropped == self.said.dropped || !is_due(self.said.dropped_at, now) {
            return;
        }
        let lost = dropped.published - self.said.dropped.published;
        if lost > 0 {
            kurs_telemetry::critical!(
                events = lost,
                total = dropped.published,
                "published rates are lost to the record: neither store nor spool took them; see the gaps of `kurs`"
            );
        }
        let rows = dropped.rows - self.said.dropped.rows;
        if rows > 0 {
            tracing::error!(
                rows,
                total = dropped.rows,
                "history rows were dropped: the store is too slow or away"
            );
        }
        self.said.dropped = dropped;
        self.said.dropped_at = Some(now);
    }
}

fn is_due(said_at: Option<Mono>, now: Mono) -> bool {
    said_at.is_none_or(|at| now.since(at) >= SAY_EVERY)
}
