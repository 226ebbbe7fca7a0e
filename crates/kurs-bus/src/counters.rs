//! [`BusCounters`]: what goes over a broker, counted alike for all of them.

use crate::Update;
use crate::wire::{self, WireError};
use std::sync::atomic::{AtomicU64, Ordering};

/// Of so many messages that cannot be read, one is told.
const TOLD_EVERY: u64 = 1_000;

/// What a bus over a broker counts since its start; each only grows.
#[derive(Debug, Default)]
pub struct BusCounters {
    /// Updates handed to the connection, those sent again included.
    pub published: AtomicU64,
    /// Updates that the broker has said it has.
    pub acknowledged: AtomicU64,
    /// Updates that were on their way when something went wrong, and were sent again.
    pub sent_again: AtomicU64,
    /// Updates that the broker does not take: too long, of an epoch that has ended, or there
    /// already.
    pub refused: AtomicU64,
    /// Times the broker had lost what it had, and got the last values again.
    pub put_again: AtomicU64,
    /// Connections that took the place of a lost one.
    pub reconnects: AtomicU64,
    /// Updates that subscribers were given.
    pub received: AtomicU64,
    /// Gaps that subscribers were told of.
    pub gaps: AtomicU64,
    /// Times a subscriber's place in the flow was found again after silence or a loss.
    pub resumed: AtomicU64,
    /// Messages under our names that cannot be read.
    pub decode_errors: AtomicU64,
    /// Messages of a version or kind that this program does not know.
    pub unknown: AtomicU64,
    /// Commands that came too late, or more than could wait.
    pub commands_dropped: AtomicU64,
    /// Snapshots of the last values written, for a broker that keeps none by itself.
    pub snapshots: AtomicU64,
}

impl BusCounters {
    /// The update in a message. One that cannot be read, or that this program does not know, is
    /// counted, and told now and then.
    #[must_use]
    pub fn decode(&self, text: &[u8]) -> Option<Update> {
        let error = match wire::decode(text) {
            Ok(update) => return Some(update),
            Err(error) => error,
        };
        let counter = match error {
            WireError::Unknown(_) => &self.unknown,
            WireError::Broken(_) | WireError::TooLong(_) => &self.decode_errors,
        };
        if counter.fetch_add(1, Ordering::Relaxed) % TOLD_EVERY == 0 {
            tracing::warn!(%error, "a message on the bus is passed over, as later ones like it");
        }
        None
    }
}

/// Adds to a counter.
pub fn count(counter: &AtomicU64, more: usize) {
    let more = u64::try_from(more).unwrap_or(u64::MAX);
    counter.fetch_add(more, Ordering::Relaxed);
}

/// Reads a counter.
#[must_use]
pub fn total(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::rate;

    #[test]
    fn what_cannot_be_read_is_counted_apart_from_what_is_of_a_later_version() {
        let counters = BusCounters::default();
        let update = rate("BTC-USDT", 1);
        assert_eq!(
            counters.decode(&wire::encode(&update)),
            Some((*update).clone())
        );
        assert_eq!(counters.decode(b"{"), None);
        let later = br#"{"v":9,"id":"0.1-7","kind":"rate","data":{}}"#;
        assert_eq!(counters.decode(later), None);
        assert_eq!(total(&counters.decode_errors), 1);
        assert_eq!(total(&counters.unknown), 1);
    }
}
