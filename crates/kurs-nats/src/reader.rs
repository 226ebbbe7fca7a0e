//! What everything that reads has in common.

use crate::names::Names;
use crate::stats::{NatsCounters, add};
use kurs_bus::Update;
use kurs_bus::wire::{self, WireError};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tracing::warn;

/// Every so many messages that cannot be read, one is told.
const TOLD_EVERY: u64 = 1_000;

#[derive(Debug, Clone)]
pub(crate) struct Reader {
    pub(crate) names: Names,
    pub(crate) counters: Arc<NatsCounters>,
    /// Updates a subscriber may lie behind.
    pub(crate) buffer: usize,
}

impl Reader {
    /// The update in a message, unless it is none that we know.
    pub(crate) fn decode(&self, text: &[u8]) -> Option<Update> {
        let error = match wire::decode(text) {
            Ok(update) => return Some(update),
            Err(error) => error,
        };
        let counter = match error {
            WireError::Unknown(_) => &self.counters.unknown,
            WireError::Broken(_) | WireError::TooLong(_) => &self.counters.decode_errors,
        };
        if counter.load(Ordering::Relaxed) % TOLD_EVERY == 0 {
            warn!(%error, "a message on our subjects is passed over, as later ones like it");
        }
        add(counter, 1);
        None
    }
}
