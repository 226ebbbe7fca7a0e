//! What a bus counts.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters since the start; each only grows.
#[derive(Debug, Default)]
pub struct Counters {
    /// Updates given to the bus.
    pub published: AtomicU64,
    /// Updates that the server has.
    pub acknowledged: AtomicU64,
    /// Updates that had to be sent again.
    pub retried: AtomicU64,
    /// Messages received that cannot be read, or that a later version wrote.
    pub decode_errors: AtomicU64,
    /// Connections that were lost; a bus has two.
    pub reconnects: AtomicU64,
    /// Times the server had lost what it had, and was given everything again.
    pub restored: AtomicU64,
    /// Snapshots of the last values written.
    pub snapshots: AtomicU64,
}

/// Adds to a counter.
pub(crate) fn count(counter: &AtomicU64, more: usize) {
    let more = u64::try_from(more).unwrap_or(u64::MAX);
    counter.fetch_add(more, Ordering::Relaxed);
}
