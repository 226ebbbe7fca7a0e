//! What goes in and out of the keeper of leases: times, questions, turns.

use kurs_store::{Beat, Claim, Fence};
use std::sync::Arc;
use std::time::Duration;

/// The times of leases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// How long a lease is good without being renewed.
    pub ttl: Duration,
    /// How often a holder renews.
    pub renew: Duration,
    /// How often one looks who waits for a lease.
    pub watch: Duration,
    /// How long before its end a holder that cannot renew stops storing.
    pub margin: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(3),
            renew: Duration::from_secs(1),
            watch: Duration::from_millis(200),
            margin: Duration::from_millis(500),
        }
    }
}

/// A question to the store. One at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Renew, and tell how all leases stand.
    Renew(Beat),
    /// Take the lease of a shard.
    Claim(Claim),
}

/// What changes for this Writer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// It writes this shard from now on.
    Lead(Fence),
    /// It is to end its epoch in order and give the lease to this heir; then it says so with
    /// [`Keeper::gave_back`](super::Keeper::gave_back).
    HandOver(Fence, Option<Arc<str>>),
    /// Another Writer has taken over: nothing more may be published under this epoch.
    Deposed(Fence),
}
