//! What the owner of the bus can read of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counters since the start.
#[derive(Debug, Default)]
pub struct RedisCounters {
    /// Updates handed to the connection, those sent again included.
    pub published: AtomicU64,
    /// Updates the server has answered for.
    pub acknowledged: AtomicU64,
    /// Updates that were in flight when a connection ended, and were sent again.
    pub retried: AtomicU64,
    /// Updates the server passed over: of an epoch that has ended, or there already.
    pub refused: AtomicU64,
    /// Times the server had lost what it had, and got the last values again.
    pub put_again: AtomicU64,
    /// Connections that took the place of a lost one: of the publisher, subscriptions and
    /// listeners.
    pub reconnects: AtomicU64,
    /// Messages under our names that could not be read.
    pub decode_errors: AtomicU64,
    /// Messages of a version or kind that this program does not know.
    pub unknown: AtomicU64,
    /// Times a place in the flow was found again after a lost connection.
    pub resumed: AtomicU64,
    /// Gaps that subscribers were told of.
    pub gaps: AtomicU64,
    /// Commands that came too late.
    pub commands_dropped: AtomicU64,
}

pub(crate) fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// How the connection is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BusState {
    /// Updates and commands can travel.
    pub is_connected: bool,
    /// The server's version, once one was reached.
    pub server: Arc<str>,
    /// Why there is no connection, in one sentence; empty when there is one.
    pub why: Arc<str>,
}
