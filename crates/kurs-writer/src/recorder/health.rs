//! How the recorder is.

use kurs_core::Mono;
use std::sync::Arc;

/// How the recorder is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecorderHealth {
    /// The last write succeeded, or there was none yet.
    Writing,
    /// Batches wait on disk: the store is away, or was, and they are being drained.
    Spooling {
        /// Since when, on the clock that was passed in.
        since: Mono,
        /// What the store said last.
        why: Arc<str>,
    },
    /// The store takes everything, but the spool that should stand in for it cannot be used.
    Unguarded {
        /// Since when.
        since: Mono,
        /// What the disk said last.
        why: Arc<str>,
    },
    /// Neither store nor spool take what is recorded; it waits in memory.
    Waiting {
        /// Since when.
        since: Mono,
        /// What they said last.
        why: Arc<str>,
    },
    /// It has ended.
    Ended,
}

impl RecorderHealth {
    /// This, since `now` or since the same began.
    pub(super) fn after(self, former: &Self, now: Mono) -> Self {
        let began = match (&self, former) {
            (Self::Spooling { .. }, Self::Spooling { since, .. })
            | (Self::Unguarded { .. }, Self::Unguarded { since, .. })
            | (Self::Waiting { .. }, Self::Waiting { since, .. }) => *since,
            _ => now,
        };
        match self {
            Self::Spooling { why, .. } => Self::Spooling { since: began, why },
            Self::Unguarded { why, .. } => Self::Unguarded { since: began, why },
            Self::Waiting { why, .. } => Self::Waiting { since: began, why },
            other => other,
        }
    }
}
