//! The loop that writes.

use super::counters::Counters;
use super::{RecorderHealth, Shared};
use kurs_core::{Clock, Mono};
use kurs_store::{Store, StoreError};
use kurs_telemetry::metrics::WriterMetrics;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::watch;

/// Wait before the first new try.
const RETRY_FIRST: Duration = Duration::from_millis(250);
/// Tries of a batch that the store says it can never take. Then it is given up, so that it
/// cannot stand in the way of all others.
const HOPELESS_TRIES: u32 = 5;
/// Between two messages about the same trouble.
const SAY_EVERY: Duration = Duration::from_secs(60);

pub(super) struct Task {
    shared: Arc<Shared>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    metrics: WriterMetrics,
    health: watch::Sender<RecorderHealth>,
    /// Failures in a row.
    failures: u32,
    rates_written_at: Option<Mono>,
    shed_said: u64,
    shed_said_at: Option<Mono>,
    failure_said_at: Option<Mono>,
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
    ) -> Self {
        Self {
            shared,
            store,
            clock,
            metrics,
            health,
            failures: 0,
            rates_written_at: None,
            shed_said: 0,
            shed_said_at: None,
            failure_said_at: None,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            let rows = self.shared.rows.lock().len();
            let rates = self.shared.rates.lock().len();
            if rows == 0 && rates == 0 {
                if self.is_finishing() {
                    return;
                }
                self.shared.work.notified().await;
                continue;
            }
            self.linger(rows).await;
            match self.write().await {
                Ok(()) => self.succeeded(),
                Err(error) => self.failed(&error).await,
            }
            self.say_what_was_shed();
        }
    }

    fn is_finishing(&self) -> bool {
        self.shared.finishing.load(Ordering::Acquire)
    }

    /// Lets a batch gather.
    async fn linger(&self, rows: usize) {
        if rows >= self.shared.config.batch_rows || self.is_finishing() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(self.shared.config.linger_ms)) => {}
            () = self.shared.full.notified() => {}
        }
    }

    /// One batch of rows and, when it is their time, the rates. Both are asked for at once, so
    /// that a store may put them into one commit.
    async fn write(&mut self) -> Result<(), StoreError> {
        let batch = self.shared.rows.lock().batch(self.shared.config.batch_rows);
        let (count, last) = (batch.len(), batch.last().map(|row| row.id));
        let now = self.clock.now().mono;
        let every = Duration::from_millis(self.shared.config.current_every_ms);
        let is_time = self
            .rates_written_at
            .is_none_or(|at| now.since(at) >= every);
        let rates = if is_time || self.is_finishing() {
            self.shared.rates.lock().take()
        } else {
            Vec::new()
        };
        let is_idle = batch.is_empty() && rates.is_empty();
        let shared = &self.shared;
        let store = &self.store;
        let (rows, rates) = tokio::join!(
            async {
                if batch.is_empty() {
                    return Ok(());
                }
                Counters::add(&shared.counters.attempts, 1);
                let appended = store.append(batch).await;
                self.metrics.store_request("append", appended.is_ok());
                appended?;
                Counters::add(&shared.counters.rows_written, count);
                *shared.acknowledged.lock() = last;
                shared.rows.lock().done();
                Ok(())
            },
            async {
                if rates.is_empty() {
                    return Ok(());
                }
                Counters::add(&shared.counters.attempts, 1);
                let outcome = store.save_current(rates.clone()).await;
                self.metrics.store_request("save_current", outcome.is_ok());
                match &outcome {
                    Ok(()) => Counters::add(&shared.counters.rates_written, rates.len()),
                    // A rate that came meanwhile is newer and stays.
                    Err(_) => {
                        let mut waiting = shared.rates.lock();
                        for rate in rates.iter().cloned() {
                            waiting.put(rate);
                        }
                    }
                }
                outcome
            }
        );
        if is_time {
            self.rates_written_at = Some(now);
        }
        if matches!(rows, Err(StoreError::Corrupt(_))) && self.failures + 1 >= HOPELESS_TRIES {
            tracing::error!(
                rows = count,
                "history rows were given up: the store cannot take them"
            );
            Counters::add(&self.shared.counters.rows_refused, count);
            self.shared.rows.lock().done();
        }
        let done = rows.and(rates);
        if done.is_ok() && !is_idle {
            let took = self.clock.now().mono.since(now);
            self.metrics.store_commit.observe(took);
            self.shared.counters.committed(took);
        }
        done
    }

    fn succeeded(&mut self) {
        if self.failures == 0 {
            return;
        }
        self.failures = 0;
        self.failure_said_at = None;
        tracing::info!("the store takes history again");
        self.health.send_replace(RecorderHealth::Writing);
    }

    /// Remembers and tells a failure, and waits before the next try. Without jitter: this is
    /// the only one who writes for its shard.
    async fn failed(&mut self, error: &StoreError) {
        Counters::add(&self.shared.counters.failures, 1);
        self.failures = self.failures.saturating_add(1);
        let now = self.clock.now().mono;
        let since = match &*self.health.borrow() {
            RecorderHealth::Waiting { since, .. } => *since,
            RecorderHealth::Writing | RecorderHealth::Ended => now,
        };
        let why = error.to_string().into();
        self.health
            .send_replace(RecorderHealth::Waiting { since, why });
        if is_due(self.failure_said_at, now) {
            self.failure_said_at = Some(now);
            let waiting = self.shared.rows.lock().len();
            tracing::error!(%error, waiting, "history cannot be stored, rows wait");
        }
        let most = Duration::from_millis(self.shared.config.retry_max_ms);
        let doubled = RETRY_FIRST.saturating_mul(1 << self.failures.saturating_sub(1).min(10));
        if self.is_finishing() {
            // The end is near: what can be saved must be saved soon.
            tokio::time::sleep(RETRY_FIRST.min(most)).await;
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(doubled.min(most)) => {}
            () = self.finish_was_asked() => {}
        }
    }

    async fn finish_was_asked(&self) {
        while !self.is_finishing() {
            self.shared.full.notified().await;
        }
    }

    fn say_what_was_shed(&mut self) {
        let shed = self.shared.counters.rows_shed.load(Ordering::Relaxed);
        let now = self.clock.now().mono;
        if shed > self.shed_said && is_due(self.shed_said_at, now) {
            tracing::error!(
                rows = shed - self.shed_said,
                total = shed,
                "history rows were dropped: the store is too slow or away"
            );
            self.shed_said = shed;
            self.shed_said_at = Some(now);
        }
    }
}

fn is_due(said_at: Option<Mono>, now: Mono) -> bool {
    said_at.is_none_or(|at| now.since(at) >= SAY_EVERY)
}
