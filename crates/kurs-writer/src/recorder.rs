//! The recorder: takes what is received and published from the engine's thread, which it never
//! holds up, and writes it to the store in batches.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | [`RecorderConfig`] |
//! | [`queue`] | what waits in memory: bounded, sheds its oldest; the newest rate per pair |
//! | [`fold`] | [`Fold`]: what else is made of everything that is recorded |
//! | [`health`] | how it is |
//! | [`counters`] | what is counted |
//! | `spooling` | the spool behind a thread, since disks wait |
//! | `task` | the loop that writes |
//!
//! While the store is away, or takes longer than `store_wait_ms` for a batch, batches go to the
//! spool on disk, in order; when it is back they are drained in order before anything newer.
//! Without a spool, or when it takes nothing either, everything waits in memory. Received rows
//! are shed, oldest first, where there is no room; published events are the last to go: only when
//! store and spool refuse them for so long that the memory set aside for them is full, and then
//! the ledger of gaps says so. A batch whose fate is unknown is written again with the same ids,
//! which the store passes over. Current rates are not spooled: only the newest count.

pub mod config;
pub mod counters;
pub mod fold;
pub mod health;
pub mod queue;
mod spooling;
mod task;

pub use config::{OpenSpool, RecorderConfig};
pub use fold::Fold;
pub use health::RecorderHealth;

use counters::Counters;
use kurs_core::{Clock, UpdateId};
use kurs_store::spool::SpoolStats;
use kurs_store::{
    BookSnapshot, Fence, Gap, HistoryRow, OfficialRate, PriceState, Published, Recorded, Store,
    StoredRate,
};
use kurs_telemetry::metrics::WriterMetrics;
use parking_lot::Mutex;
use queue::{Dropped, Queue, Rates};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

/// Starts recording.
#[derive(Debug, Clone, Copy)]
pub struct Recorder;

/// What a recorder may have besides its store.
#[derive(Default)]
pub struct Extras {
    /// Where batches wait on disk while the store is away.
    pub spool: Option<OpenSpool>,
    /// Who makes candles of what is recorded.
    pub fold: Option<Box<dyn Fold>>,
    /// Under which epoch everything is made; `None` where there is no lease.
    pub fence: Option<Fence>,
}

impl Recorder {
    /// Starts the writing task on the present runtime, without a spool.
    pub fn start(
        store: Arc<dyn Store>,
        config: RecorderConfig,
        clock: Arc<dyn Clock>,
        metrics: WriterMetrics,
    ) -> RecorderHandle {
        Self::start_with(store, config, clock, metrics, Extras::default())
    }

    /// Starts the writing task on the present runtime.
    pub fn start_with(
        store: Arc<dyn Store>,
        config: RecorderConfig,
        clock: Arc<dyn Clock>,
        metrics: WriterMetrics,
        extras: Extras,
    ) -> RecorderHandle {
        let (state, health) = watch::channel(RecorderHealth::Writing);
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue::new(config.queue_rows, config.queue_events)),
            rates: Mutex::new(Rates::default()),
            counters: Counters::default(),
            acknowledged: Mutex::new(Acknowledged::default()),
            work: Notify::new(),
            full: Notify::new(),
            finishing: AtomicBool::new(false),
            is_spool_known: AtomicBool::new(extras.spool.is_none()),
            may_store: AtomicBool::new(true),
            fenced: watch::Sender::new(false),
            config,
        });
        let task = task::Task::new(Arc::clone(&shared), store, clock, metrics, state, extras);
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
    queue: Mutex<Queue>,
    rates: Mutex<Rates>,
    counters: Counters,
    acknowledged: Mutex<Acknowledged>,
    /// Something waits where nothing waited before, or it is time to finish.
    work: Notify,
    /// A whole batch waits, or it is time to finish.
    full: Notify,
    finishing: AtomicBool,
    /// What an earlier time left in the spool is known, or there is no spool.
    is_spool_known: AtomicBool,
    /// The lease is good, by this machine's clock.
    may_store: AtomicBool,
    /// The store has refused a batch: another Writer has taken over.
    fenced: watch::Sender<bool>,
    config: RecorderConfig,
}

/// The last of what is durable.
#[derive(Debug, Default)]
struct Acknowledged {
    row: Option<UpdateId>,
    event: Option<UpdateId>,
}

/// What was left when the recorder ended. What is in the spool is not left: the next start drains
/// it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Left {
    /// History rows that are nowhere durable.
    pub rows: usize,
    /// Published events that are nowhere durable.
    pub events: usize,
    /// Pairs whose current rate in the store is not the newest.
    pub rates: usize,
}

/// Gives the recorder work, from any thread. None of the calls waits for the store or a disk.
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
        let counters = &self.shared.counters;
        Counters::add(&counters.rows_taken, 1);
        if self.has_ended() {
            Counters::add(&counters.rows_shed, 1);
            return;
        }
        self.push(|queue| {
            let before = queue.dropped().rows;
            queue.push_row(row);
            let shed = queue.dropped().rows - before;
            counters.rows_shed.fetch_add(shed, Ordering::Relaxed);
        });
    }

    /// Takes a published event. Events are written in the order in which they came, and none is
    /// dropped as long as store or spool take them.
    pub fn published(&self, event: Published) {
        Counters::add(&self.shared.counters.events_taken, 1);
        if self.has_ended() {
            Counters::add(&self.shared.counters.events_late, 1);
            return;
        }
        self.push(|queue| queue.push_published(event));
    }

    /// Takes note that everything published before this moment was handed over.
    pub fn recorded(&self, recorded: Recorded) {
        self.shared.queue.lock().until(recorded);
    }

    /// Takes a change of a source's state for a pair; shed like a row.
    pub fn state(&self, state: PriceState) {
        self.push(|queue| queue.push_state(state));
    }

    /// Takes a gap; kept like a published event.
    pub fn gap(&self, gap: Gap) {
        self.push(|queue| queue.push_gap(gap));
    }

    /// Takes an order book; shed like a row.
    pub fn book(&self, book: BookSnapshot) {
        self.push(|queue| queue.push_book(book));
    }

    /// Takes a bank's rate; kept like a published event.
    pub fn official(&self, rate: OfficialRate) {
        self.push(|queue| queue.push_official(rate));
    }

    /// Takes the newest published rate of a pair; only the newest is written.
    pub fn current(&self, rate: StoredRate) {
        if self.shared.rates.lock().put(rate) == 1 {
            self.shared.work.notify_one();
        }
    }

    fn has_ended(&self) -> bool {
        self.shared.finishing.load(Ordering::Acquire)
    }

    fn push(&self, put: impl FnOnce(&mut Queue)) {
        if self.has_ended() {
            return;
        }
        let (is_first, is_batch) = {
            let mut queue = self.shared.queue.lock();
            let was_empty = queue.is_empty();
            put(&mut queue);
            let most = self.shared.config.batch_rows;
            (was_empty, queue.rows() == most || queue.events() == most)
        };
        if is_first {
            self.shared.work.notify_one();
        }
        if is_batch {
            self.shared.full.notify_one();
        }
    }

    /// The id of the last row that is durable, in the store or in the spool. Rows recorded before
    /// it are durable too, unless they were dropped (see [`Counters::rows_shed`]): a spool that
    /// reaches its bound sheds its oldest rows.
    #[must_use]
    pub fn acknowledged(&self) -> Option<UpdateId> {
        self.shared.acknowledged.lock().row
    }

    /// The same of published events, which no bound sheds once they are durable.
    #[must_use]
    pub fn acknowledged_event(&self) -> Option<UpdateId> {
        self.shared.acknowledged.lock().event
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }

    /// What was dropped for want of room, in memory and in the spool.
    #[must_use]
    pub fn dropped(&self) -> Dropped {
        let queue = self.shared.queue.lock().dropped();
        let counters = &self.shared.counters;
        let spool = counters.spool.lock().shed;
        Dropped {
            rows: counters.rows_shed.load(Ordering::Relaxed),
            states: queue.states + spool.states,
            candles: queue.candles + spool.candles,
            books: queue.books + spool.books,
            published: queue.published + counters.events_late.load(Ordering::Relaxed),
            ..queue
        }
    }

    /// History rows that wait in memory.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.queue.lock().rows()
    }

    /// Published events that wait in memory.
    #[must_use]
    pub fn waiting_events(&self) -> usize {
        self.shared.queue.lock().events()
    }

    /// True when everything that was taken, and what an earlier time left in the spool, is in the
    /// store and not on its way there. False as long as the spool could not be opened.
    #[must_use]
    pub fn is_all_stored(&self) -> bool {
        self.shared.is_spool_known.load(Ordering::Acquire)
            && self.shared.queue.lock().is_empty()
            && self.spool().records == 0
    }

    /// What the spool holds, as of its last use.
    #[must_use]
    pub fn spool(&self) -> SpoolStats {
        *self.shared.counters.spool.lock()
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

    /// Whether the lease is good, as far as this machine knows. While it is not, batches go to the
    /// spool as if the store were away.
    pub fn set_may_store(&self, may_store: bool) {
        self.shared.may_store.store(may_store, Ordering::Release);
    }

    /// Waits until the store says that another Writer has taken over; for ever if it never does.
    pub async fn fenced(&self) {
        let mut fenced = self.shared.fenced.subscribe();
        if fenced.wait_for(|fenced| *fenced).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Writes what waits in memory, to the store or to the spool, and ends, at the latest after
    /// the configured time. What is recorded afterwards is dropped.
    pub async fn finish(&self) -> Left {
        let patience = Duration::from_millis(self.shared.config.finish_ms);
        self.finish_within(patience).await
    }

    /// As [`Self::finish`], at the latest after this time. What was on its way from the spool to
    /// the store stays in the spool.
    pub async fn finish_within(&self, patience: Duration) -> Left {
        self.shared.finishing.store(true, Ordering::Release);
        self.shared.work.notify_one();
        self.shared.full.notify_one();
        let mut health = self.health.clone();
        let ended = health.wait_for(|health| *health == RecorderHealth::Ended);
        // An error says that the task is gone, which is an end as well.
        let _ = tokio::time::timeout(patience, ended).await;
        self.task.abort();
        let left = {
            let queue = self.shared.queue.lock();
            Left {
                rows: queue.rows(),
                events: queue.events(),
                rates: self.shared.rates.lock().len(),
            }
        };
        if left.rows > 0 || left.events > 0 {
            tracing::error!(
                rows = left.rows,
                events = left.events,
                "history could not be stored before the end"
            );
        }
        let spooled = self.spool().records;
        if spooled > 0 {
            tracing::info!(
                batches = spooled,
                "the next start stores what waits in the spool"
            );
        }
        left
    }
}
