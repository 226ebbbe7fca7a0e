//! What waits in the spool goes to the store.

use super::writing::{Refused, refuse, salvage, store_or_salvage};
use super::{Finish, HOPELESS_TRIES, RETRY_FIRST, Task};
use crate::recorder::counters::Counters;
use kurs_core::Mono;
use kurs_store::spool::Waiting;
use kurs_store::{StoreError, StoredRate};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// How long a store may take for a drained batch. Longer than for a fresh one: nobody waits for
/// it, and a store that is slow but takes what it gets must not be asked for the same for ever.
const PATIENCE: Duration = Duration::from_secs(30);
/// Times in a row that the disk may fail to give what waits.
const READ_TRIES: u32 = 5;

/// A drained batch on its way to the store.
pub(super) struct Draining {
    waiting: Waiting,
    rates: Vec<StoredRate>,
    until: Option<kurs_core::Wall>,
    began: Mono,
    task: JoinHandle<Result<Refused, StoreError>>,
    outcome: Option<Result<Refused, StoreError>>,
}

impl Drop for Draining {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Until a drained batch had its answer; for ever when there is none.
pub(super) async fn ended(draining: &mut Option<Draining>) {
    match draining {
        Some(draining) if draining.outcome.is_none() => {
            let outcome = (&mut draining.task).await;
            draining.outcome = Some(outcome.unwrap_or_else(|error| {
                Err(StoreError::Unavailable(format!("it ended badly: {error}")))
            }));
        }
        Some(_) => {}
        None => std::future::pending().await,
    }
}

impl Task {
    /// Looks after the batch that is on its way, and sends the next one.
    pub(super) async fn drain(&mut self) {
        if let Some(mut draining) = self.draining.take_if(|one| one.outcome.is_some())
            && let Some(outcome) = draining.outcome.take()
        {
            self.drained(&draining, outcome).await;
        }
        let is_due = self.draining.is_none()
            && !self.spool.is_empty()
            && Instant::now() >= self.drain_at
            && self.finish == Finish::NotAsked;
        if is_due {
            self.send().await;
        }
        *self.shared.counters.spool.lock() = self.spool.stats();
    }

    async fn drained(&mut self, draining: &Draining, outcome: Result<Refused, StoreError>) {
        self.metrics.store_request("append", outcome.is_ok());
        match outcome {
            Ok(refused) => {
                let now = self.clock.now().mono;
                self.metrics.store_commit.observe(now.since(draining.began));
                let counters = &self.shared.counters;
                counters.committed(now.since(draining.began));
                let batch = &draining.waiting.batch;
                let rows = u64::try_from(batch.rows.len()).unwrap_or(u64::MAX);
                counters
                    .rows_written
                    .fetch_add(rows - refused.rows.min(rows), Ordering::Relaxed);
                Counters::add(&counters.events_written, batch.published.len());
                refuse(counters, refused);
                self.rates_written(&draining.rates, draining.began);
                if let Some(until) = draining.until {
                    self.until_written = Some((until, draining.began));
                }
                // Should this fail, it is drained again, which the store passes over.
                let _ = self.spool.done(draining.waiting.through).await;
                self.drain_failures = 0;
                self.drain_hopeless = 0;
                self.drain_at = Instant::now();
                self.store_took();
                if self.spool.is_empty() {
                    self.spool_trouble = None;
                    self.failures = 0;
                    self.hold_until = None;
                    tracing::info!("the spool is drained, the store takes history again");
                }
            }
            Err(error) => {
                self.put_back(draining.rates.clone());
                let is_hopeless = matches!(error, StoreError::Corrupt(_));
                self.drain_hopeless = if is_hopeless {
                    self.drain_hopeless + 1
                } else {
                    0
                };
                self.in_hand = Some(draining.waiting.clone());
                self.drain_failures = self.drain_failures.saturating_add(1);
                self.drain_at = Instant::now() + self.pause(self.drain_failures);
                self.store_refused(&error);
            }
        }
    }

    async fn send(&mut self) {
        let waiting = match self.in_hand.take() {
            Some(waiting) => waiting,
            None => match self.spool.next(self.shared.config.batch_rows).await {
                Ok(Some(waiting)) => waiting,
                Ok(None) => return,
                Err(error) => {
                    self.spool_refused(&error);
                    self.read_failures += 1;
                    self.drain_at = Instant::now() + RETRY_FIRST;
                    if self.read_failures >= READ_TRIES {
                        self.read_failures = 0;
                        let _ = self.spool.pass_over().await;
                    }
                    return;
                }
            },
        };
        self.read_failures = 0;
        let mut batch = waiting.batch.clone();
        // Under another epoch they would be refused with it.
        let rates = if batch.fence == self.fence {
            self.rates_due()
        } else {
            Vec::new()
        };
        batch.current = self.aged(&rates);
        Counters::add(&self.shared.counters.attempts, 1);
        let until = batch.recorded_until.map(|recorded| recorded.until);
        let store = Arc::clone(&self.store);
        let (shared, metrics) = (Arc::clone(&self.shared), self.metrics.clone());
        let own = self.fence;
        let is_hopeless = self.drain_hopeless >= HOPELESS_TRIES;
        let write = async move {
            let written = async {
                if is_hopeless {
                    return salvage(&*store, batch).await;
                }
                store_or_salvage(&shared, &*store, &metrics, batch, own).await
            };
            let written = tokio::time::timeout(PATIENCE, written).await;
            written.unwrap_or_else(|_| {
                Err(StoreError::Unavailable(format!(
                    "it did not answer within {} s",
                    PATIENCE.as_secs()
                )))
            })
        };
        self.draining = Some(Draining {
            waiting,
            rates,
            until,
            began: self.clock.now().mono,
            task: tokio::spawn(write),
            outcome: None,
        });
    }
}
