//! Counters and state that every source keeps, read by the status page and the metrics.

use kurs_core::{SourceState, Wall};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

/// No value, in the atomics that hold a time.
const NEVER: i64 = i64::MIN;

/// Counters and state of one source. Cheap to update from its tasks, cheap to read.
#[derive(Debug)]
pub struct SourceStats {
    /// Frames and replies received.
    pub messages: AtomicU64,
    /// Frames and replies that could not be read.
    pub decode_errors: AtomicU64,
    /// Connections or polls started again after a failure.
    pub reconnects: AtomicU64,
    /// Requests that failed.
    pub failures: AtomicU64,
    /// Pairs with a price.
    pub pairs: AtomicU32,
    /// Connections that were replaced by a successor before they ended.
    pub overlaps: AtomicU64,
    /// What the order books went through.
    pub books: BookStats,
    last_message_at: AtomicI64,
    next_poll_at: AtomicI64,
    limited_until: AtomicI64,
    lag_ms: AtomicI64,
    condition: Mutex<Condition>,
}

/// What the order books of one source went through.
#[derive(Debug, Default)]
pub struct BookStats {
    /// Books in step at present.
    pub synced: AtomicU32,
    /// Times a book was found out of step by its ids, by being crossed, or by a bound.
    pub gaps: AtomicU64,
    /// Times the checksum of a book was not the venue's.
    pub checksum_failures: AtomicU64,
    /// Books brought back in step after they were lost.
    pub resyncs: AtomicU64,
    /// Snapshots taken in, by stream or by REST.
    pub snapshots: AtomicU64,
}

/// State with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The state.
    pub state: SourceState,
    /// Why, in one short phrase; empty when live.
    pub why: Arc<str>,
    /// Since when.
    pub since: Wall,
    /// How data comes at present: `websocket`, `rest` or `poll`.
    pub mode: Arc<str>,
}

impl SourceStats {
    /// Counters at zero; state syncing.
    #[must_use]
    pub fn new(mode: &str, now: Wall) -> Self {
        Self {
            messages: AtomicU64::new(0),
            decode_errors: AtomicU64::new(0),
            reconnects: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            pairs: AtomicU32::new(0),
            overlaps: AtomicU64::new(0),
            books: BookStats::default(),
            last_message_at: AtomicI64::new(NEVER),
            next_poll_at: AtomicI64::new(NEVER),
            limited_until: AtomicI64::new(NEVER),
            lag_ms: AtomicI64::new(NEVER),
            condition: Mutex::new(Condition {
                state: SourceState::Syncing,
                why: "starting".into(),
                since: now,
                mode: mode.into(),
            }),
        }
    }

    /// Sets the state; `since` moves only when the state changes.
    pub fn set_state(&self, state: SourceState, why: &str, now: Wall) {
        let mut condition = self.condition.lock();
        if condition.state != state {
            condition.state = state;
            condition.since = now;
        }
        if &*condition.why != why {
            condition.why = why.into();
        }
    }

    /// Sets how data comes at present.
    pub fn set_mode(&self, mode: &str) {
        let mut condition = self.condition.lock();
        if &*condition.mode != mode {
            condition.mode = mode.into();
        }
    }

    /// State, reason and mode.
    #[must_use]
    pub fn condition(&self) -> Condition {
        self.condition.lock().clone()
    }

    /// Data arrived.
    pub fn message(&self, now: Wall) {
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.last_message_at.store(now.0, Ordering::Relaxed);
    }

    /// When data last arrived.
    #[must_use]
    pub fn last_message_at(&self) -> Option<Wall> {
        read_time(&self.last_message_at)
    }

    /// When the next poll is due.
    #[must_use]
    pub fn next_poll_at(&self) -> Option<Wall> {
        read_time(&self.next_poll_at)
    }

    /// Announces the next poll.
    pub fn set_next_poll_at(&self, at: Option<Wall>) {
        self.next_poll_at
            .store(at.map_or(NEVER, |at| at.0), Ordering::Relaxed);
    }

    /// Until when the venue forbade further requests.
    #[must_use]
    pub fn limited_until(&self) -> Option<Wall> {
        read_time(&self.limited_until)
    }

    /// The venue forbade further requests until then.
    pub fn set_limited_until(&self, until: Option<Wall>) {
        self.limited_until
            .store(until.map_or(NEVER, |at| at.0), Ordering::Relaxed);
    }

    /// Receive time minus the venue's own time of the last dated frame, milliseconds.
    #[must_use]
    pub fn lag_ms(&self) -> Option<i64> {
        let lag = self.lag_ms.load(Ordering::Relaxed);
        (lag != NEVER).then_some(lag)
    }

    /// A dated frame arrived with this lag.
    pub fn set_lag_ms(&self, lag_ms: i64) {
        self.lag_ms.store(lag_ms, Ordering::Relaxed);
    }
}

fn read_time(cell: &AtomicI64) -> Option<Wall> {
    let micros = cell.load(Ordering::Relaxed);
    (micros != NEVER).then_some(Wall(micros))
}
