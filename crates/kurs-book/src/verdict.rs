//! What became of a message.

use thiserror::Error;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Not in the book yet: it waits for a snapshot (or the snapshot for the diffs that join
    /// it to the stream). Only [`crate::Scheme::IdRange`] keeps such diffs; venues that send
    /// the snapshot in the stream make them worthless.
    Buffered,
    /// Already in the book, or a keep-alive. The stream lives; the book did not change.
    Duplicate,
    /// The book has moved on, and is synced as it was before.
    Applied,
    /// The book is synced, and was not before this message.
    Synced,
    /// The snapshot is older than the diffs at hand; ask for another one.
    SnapshotTooOld,
    /// The book is not synced any more. Ask for a snapshot, or subscribe again.
    Lost(Gap),
}

/// Why a book was lost. Printed as one phrase for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Gap {
    /// Messages are missing.
    #[error("a message is missing: expected id {expected}, got {got}")]
    Sequence {
        /// The id that would have been next (for chained ids: the one to be followed).
        expected: u64,
        /// The id that came instead.
        got: u64,
    },
    /// The book is not the one that the venue has.
    #[error("wrong checksum: the venue says {expected}, the book gives {computed}")]
    Checksum {
        /// What the venue says.
        expected: u32,
        /// What the book gives.
        computed: u32,
    },
    /// The best bid is not below the best ask.
    #[error("the book is crossed")]
    Crossed,
    /// No snapshot came in time for the diffs that wait for it.
    #[error("too many diffs wait for a snapshot")]
    BufferFull,
    /// More levels than a book may have.
    #[error("too many price levels")]
    TooManyLevels,
    /// A message without the ids that keep this book in step.
    #[error("a message without the ids that are needed")]
    NoIds,
}

/// What happened since the book was made. Never reset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages that went into the book, snapshots included.
    pub applied: u64,
    /// Messages that were in it already, and keep-alives.
    pub duplicates: u64,
    /// Times the book was lost to missing messages or to a bound.
    pub gaps: u64,
    /// Times the book was synced again after the first time.
    pub resyncs: u64,
    /// Times it was lost to a wrong checksum.
    pub checksum_failures: u64,
    /// Times it was lost because it was crossed.
    pub crossed: u64,
}
