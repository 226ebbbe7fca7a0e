//! The recorder: takes history rows and current rates from the engine's thread, which it never
//! holds up, and writes them to the store in batches.
//!
//! | module | what it holds |
//! |---|---|
//! | [`queue`] | what waits: a bounded row queue that sheds its oldest, the newest rate per pair |
//! | [`counters`] | what is counted |
//! | `task` | the loop that writes |
//!
//! While the store is away rows wait in the queue, and rates stay alive without it. A batch
//! whose fate is unknown is written again with the same ids, which the store passes over.

pub mod counters;
pub mod queue;
mod task;

use counters::Counters;
use kurs_core::{Clock, Mono, UpdateId};
use kurs_store::{HistoryRow, Store, StoredRate};
use kurs_telemetry::metrics::WriterMetrics;
use parking_lot::Mutex;
use queue::{Rates, Rows};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

/// How rows and current rates reach the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RecorderConfig {
    /// Rows that may wait for the store; beyond them the oldest are dropped.
    pub queue_rows: usize,
    /// Most rows written at once.
    pub batch_rows: usize,
    /// Milliseconds that rows wait for others to be written with them.
    pub linger_ms: u64,
    /// Milliseconds between two writes of the current rates.
    pub current_every_ms: u64,
    /// Longest wait before a store that failed is tried again, in milliseconds.
    pub retry_max_ms: u64,
    /// Milliseconds that the end of the program waits for what is not yet written.
    pub finish_ms: u64,
}

impl Default for RecorderConfig {
    fn default() -> Self {
        Self {
            queue_rows: 100_000,
            batch_rows: 1_000,
            linger_ms: 200,
            current_every_ms: 500,
            retry_max_ms: 5_000,
            finish_ms: 5_000,
        }
    }
}

impl RecorderConfig {
    /// Adds a sentence per mistake, each beginning with the key below `recorder`.
    pub fn validate(&self, mistakes: &mut Vec<String>) {
        let mut check = |key: &str, value: u64, least: u64, most: u64| {
            if !(least..=most).contains(&value) {
                mistakes.push(format!("recorder.{key}: must be from {least} to {most}"));
            }
        };
        let number = |rows: usize| u64::try_from(rows).unwrap_or(u64::MAX);
        check("queue_rows", number(self.queue_rows), 1_000, 10_000_000);
        check("batch_rows", number(self.batch_rows), 1, 10_000);
        check("linger_ms", self.linger_ms, 1, 10_000);
        check("current_every_ms", self.current_every_ms, 50, 60_000);
        check("retry_max_ms", self.retry_max_ms, 250, 60_000);
        check("finish_ms", self.finish_ms, 0, 60_000);
    }
}

/// Starts recording.
#[derive(Debug, Clone, Copy)]
pub struct Recorder;

impl Recorder {
    /// Starts the writing task on the present runtime.
    pub fn start(
        store: Arc<dyn Store>,
        config: RecorderConfig,
        clock: Arc<dyn Clock>,
        metrics: WriterMetrics,
    ) -> RecorderHandle {
        let (state, health) = watch::channel(RecorderHealth::Writing);
        let shared = Arc::new(Shared {
            rows: Mutex::new(Rows::new(config.queue_rows)),
            rates: Mutex::new(Rates::default()),
            counters: Counters::default(),
            acknowledged: Mutex::new(None),
            work: Notify::new(),
            full: Notify::new(),
            finishing: AtomicBool::new(false),
            config,
        });
        let task = task::Task::new(Arc::clone(&shared), store, clock, metrics, state);
        // Its end shows in `health`, however it came.
        let task = tokio::spawn(task.run()).abort_handle();
        RecorderHandle {
            shared,
            health,
            task,
        }
    }
}

/// What the engine's thread and the writing task share.
#[derive(Debug)]
struct Shared {
    rows: Mutex<Rows>,
    rates: Mutex<Rates>,
    counters: Counters,
    acknowledged: Mutex<Option<UpdateId>>,
    /// Something waits where nothing waited before, or it is time to finish.
    work: Notify,
    /// A whole batch waits, or it is time to finish.
    full: Notify,
    finishing: AtomicBool,
    config: RecorderConfig,
}

/// How the recorder is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecorderHealth {
    /// The last write succeeded, or there was none yet.
    Writing,
    /// The store refuses; rows wait.
    Waiting {
        /// Since when, on the clock that was passed in.
        since: Mono,
        /// What the store said last.
        why: Arc<str>,
    },
    /// It has ended.
    Ended,
}

/// What was left when the recorder ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// History rows that are not in the store.
    pub rows: usize,
    /// Pairs whose current rate in the store is not the newest.
    pub rates: usize,
}

/// Gives the recorder work, from any thread. None of the calls waits for the store.
#[derive(Debug, Clone)]
pub struct RecorderHandle {
    shared: Arc<Shared>,
    health: watch::Receiver<RecorderHealth>,
    task: AbortHandle,
}

impl RecorderHandle {
    /// Takes a row of history. When the queue is full the oldest row in it is dropped and
    /// counted. Rows are written in the order in which they came.
    pub fn record(&self, row: HistoryRow) {
        let shared = &self.shared;
        Counters::add(&shared.counters.rows_taken, 1);
        if shared.finishing.load(Ordering::Acquire) {
            Counters::add(&shared.counters.rows_shed, 1);
            return;
        }
        let (waiting, shed) = {
            let mut rows = shared.rows.lock();
            let shed = rows.push(row);
            (rows.len(), shed)
        };
        if shed {
            Counters::add(&shared.counters.rows_shed, 1);
        }
        if waiting == 1 {
            shared.work.notify_one();
        }
        if waiting == shared.config.batch_rows {
            shared.full.notify_one();
        }
    }

    /// Takes the newest published rate of a pair; only the newest is written.
    pub fn current(&self, rate: StoredRate) {
        if self.shared.rates.lock().put(rate) == 1 {
            self.shared.work.notify_one();
        }
    }

    /// The id of the last row that is durable. Rows recorded before it are durable too, unless
    /// they were dropped (see [`Counters::rows_shed`]).
    #[must_use]
    pub fn acknowledged(&self) -> Option<UpdateId> {
        *self.shared.acknowledged.lock()
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// History rows that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.rows.lock().len()
    }

    /// How it is.
    #[must_use]
    pub fn health(&self) -> RecorderHealth {
        self.health.borrow().clone()
    }

    /// Follows how it is.
    #[must_use]
    pub fn watch_health(&self) -> watch::Receiver<RecorderHealth> {
        self.health.clone()
    }

    /// Writes what waits and ends, at the latest after the configured time. What is recorded
    /// afterwards is dropped.
    pub async fn finish(&self) -> Left {
        self.shared.finishing.store(true, Ordering::Release);
        self.shared.work.notify_one();
        self.shared.full.notify_one();
        let mut health = self.health.clone();
        let ended = health.wait_for(|health| *health == RecorderHealth::Ended);
        let patience = Duration::from_millis(self.shared.config.finish_ms);
        // An error says that the task is gone, which is an end as well.
        let _ = tokio::time::timeout(patience, ended).await;
        self.task.abort();
        let left = Left {
            rows: self.shared.rows.lock().len(),
            rates: self.shared.rates.lock().len(),
        };
        if left.rows > 0 {
            tracing::error!(
                rows = left.rows,
                "history rows could not be stored before the end"
            );
        }
        left
    }
}
