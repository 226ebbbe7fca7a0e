//! The spool: batches that wait, on disk, for a store that is away. Append-only files of records
//! with checksums, bounded, drained in order, opened again after any end of its process.
//!
//! | module | what it holds |
//! |---|---|
//! | [`disk`] | what it asks of a disk, and a folder of this machine |
//! | [`pieces`] | batches taken apart and put together |
//! | `counts` | what is in a record, and which of it may be shed |
//! | `record` | one record: head, checksums, compressed batch |
//! | `segment` | one file of records, and how it is read again |
//! | `writing` | appending, shedding |
//! | `draining` | reading in order, the mark of what is drained |
//! | `opening` | what is found at the start |
//! | `memory` | a disk in memory that fails on demand, for tests (feature `memory-disk`) |
//!
//! Two queues ("lanes") stand side by side. Received rows, states, candles and books are shed,
//! oldest file first, when the bound is reached. Published events, gaps and official rates are
//! never shed: when they find no place the caller is told, and keeps them.
//!
//! What [`Spool::append`] accepted is on the disk: it was synced. After a write or a sync that
//! failed nobody knows what the disk holds, so that file is closed, and the next append begins a
//! new one. A record whose fate is unknown may be given twice; the store passes over the second.
//!
//! Nothing here waits but for the disk: callers in asynchronous code use a thread for it.

mod counts;
pub mod disk;
mod draining;
#[cfg(any(test, feature = "memory-disk"))]
pub mod memory;
mod opening;
pub mod pieces;
mod record;
mod segment;
#[cfg(test)]
mod tests;
mod writing;

pub use counts::RawCounts;
pub use draining::Waiting;

use counts::Lane;
use disk::{Disk, Folder, WriteFile};
use segment::Segment;
use std::collections::VecDeque;
use std::io;
use std::path::Path;

/// Bounds of a spool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpoolOptions {
    /// Bytes that all files together may take.
    pub bytes_max: u64,
    /// Bytes at which a file is closed and the next one begun; also what is shed at once.
    pub segment_bytes: u64,
}

impl SpoolOptions {
    /// Files of 1/32 of the whole, from 64 KiB to 4 MiB.
    #[must_use]
    pub fn of_bytes(bytes_max: u64) -> Self {
        Self {
            bytes_max,
            segment_bytes: (bytes_max / 32).clamp(64 << 10, 4 << 20),
        }
    }
}

impl Default for SpoolOptions {
    /// 1 GiB.
    fn default() -> Self {
        Self::of_bytes(1 << 30)
    }
}

/// What can go wrong, named by what the caller can do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpoolError {
    /// Another process uses the folder: try again when it has ended.
    #[error("another process uses the folder of the spool")]
    Taken,
    /// The bound is reached by what is never shed: drain, or allow more.
    #[error("the spool has reached its bound with what may not be shed")]
    Full,
    /// The disk has no room: try again when it has.
    #[error("the disk of the spool is full")]
    DiskFull,
    /// The disk failed: try again later.
    #[error("the disk of the spool failed: {0}")]
    Disk(String),
}

impl From<io::Error> for SpoolError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull,
            _ => Self::Disk(error.to_string()),
        }
    }
}

/// What a spool holds and what happened to it since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpoolStats {
    /// Bytes of all files.
    pub bytes: u64,
    /// Records that wait.
    pub records: u64,
    /// Things of any kind that wait.
    pub things: u64,
    /// Records made durable.
    pub appended: u64,
    /// Records that could not be made durable.
    pub append_failures: u64,
    /// Records that were drained.
    pub drained: u64,
    /// What was shed.
    pub shed: RawCounts,
    /// Tails that never became whole, cut off.
    pub torn: u64,
    /// Places that could not be read, passed over.
    pub damaged: u64,
    /// Files set aside, because they cannot be read or hold records of another version.
    pub set_aside: u64,
    /// Things too long for a record, given up.
    pub refused: u64,
}

/// Batches on a disk.
#[derive(Debug)]
pub struct Spool {
    disk: Box<dyn Disk>,
    options: SpoolOptions,
    /// Files of each lane, oldest first.
    lanes: [VecDeque<Segment>; Lane::ALL.len()],
    /// The last file of a lane, when it is open for writing.
    active: [Option<Box<dyn WriteFile>>; Lane::ALL.len()],
    next_segment: u64,
    next_record: u64,
    /// Everything up to this record is drained.
    mark: u64,
    /// Everything up to this record is in the hands of whoever drains.
    in_hand: u64,
    stats: SpoolStats,
}

impl Spool {
    /// Opens the spool in a folder of this machine, which is made if it is missing.
    ///
    /// # Errors
    /// [`SpoolError::Taken`] while another process uses it, [`SpoolError::DiskFull`] and
    /// [`SpoolError::Disk`] when the disk refuses.
    pub fn open(folder: &Path, options: SpoolOptions) -> Result<Self, SpoolError> {
        Self::open_on(Box::new(Folder::take(folder)?), options)
    }

    /// True when nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stats.records == 0
    }

    /// What it holds and what happened to it.
    #[must_use]
    pub const fn stats(&self) -> SpoolStats {
        self.stats
    }

    fn lane(&self, lane: Lane) -> &VecDeque<Segment> {
        &self.lanes[lane.index()]
    }

    fn lane_bytes(&self, lane: Lane) -> u64 {
        self.lane(lane).iter().map(|segment| segment.bytes).sum()
    }
}
