//! What waits to be written: bounded, never blocking a source. What finds no place is counted,
//! and the count stands in the file at the place of the loss.

use super::line::Direction;
use kurs_core::{Now, SourceId};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::time::Duration;

/// Most records that wait.
const RECORDS_MAX: usize = 65_536;
/// Most bytes that wait.
const BYTES_MAX: usize = 64 << 20;

/// How long the taker waits for more once something is there: one wake-up for many frames.
const LINGER: Duration = Duration::from_millis(10);

/// One thing to be written.
#[derive(Debug, Clone)]
pub struct Record {
    /// When it arrived.
    pub now: Now,
    /// Whose.
    pub source: Option<SourceId>,
    /// Which way.
    pub direction: Direction,
    /// Number of the connection.
    pub connection: Option<u64>,
    /// Where it came from, without anything secret.
    pub url: Option<Arc<str>>,
    /// HTTP status.
    pub status: Option<u16>,
    /// What must be known of a REST answer besides, as a JSON object on one line.
    pub head: Option<Box<str>>,
    /// The bytes.
    pub bytes: Option<Box<[u8]>>,
}

impl Record {
    fn size(&self) -> usize {
        self.bytes.as_ref().map_or(0, |bytes| bytes.len())
    }
}

/// What is taken of the queue, in order.
#[derive(Debug)]
pub enum Taken {
    /// To be written.
    Record(Record),
    /// So many found no place here.
    Lost {
        /// How many.
        records: u64,
        /// When the first of them came.
        since: Now,
    },
}

#[derive(Debug, Default)]
struct Inner {
    waiting: Vec<Taken>,
    bytes: usize,
    lost: u64,
    lost_since: Now,
    closed: bool,
}

impl Inner {
    fn end_gap(&mut self) {
        if self.lost > 0 {
            let gap = Taken::Lost {
                records: std::mem::take(&mut self.lost),
                since: self.lost_since,
            };
            self.waiting.push(gap);
        }
    }
}

/// The queue.
#[derive(Debug)]
pub struct Queue {
    inner: Mutex<Inner>,
    filled: Condvar,
    records_max: usize,
    bytes_max: usize,
}

impl Default for Queue {
    fn default() -> Self {
        Self::bounded(RECORDS_MAX, BYTES_MAX)
    }
}

impl Queue {
    /// A queue that holds so much.
    #[must_use]
    pub fn bounded(records_max: usize, bytes_max: usize) -> Self {
        Self {
            inner: Mutex::default(),
            filled: Condvar::new(),
            records_max,
            bytes_max,
        }
    }

    /// Puts a record at the end. False when it found no place or nobody takes any more. Never
    /// waits.
    pub fn push(&self, record: Record) -> bool {
        let size = record.size();
        let mut inner = self.inner.lock();
        if inner.closed {
            return false;
        }
        let is_full = inner.waiting.len() >= self.records_max
            || inner.bytes.saturating_add(size) > self.bytes_max;
        if is_full {
            if inner.lost == 0 {
                inner.lost_since = record.now;
            }
            inner.lost += 1;
            return false;
        }
        inner.end_gap();
        inner.bytes += size;
        let was_empty = inner.waiting.is_empty();
        inner.waiting.push(Taken::Record(record));
        drop(inner);
        if was_empty {
            self.filled.notify_one();
        }
        true
    }

    /// Takes all that waits into the empty `into`, waiting up to `patience` for the first.
    /// False when the queue is closed and empty.
    pub fn take(&self, into: &mut Vec<Taken>, patience: Duration) -> bool {
        let mut inner = self.inner.lock();
        if inner.waiting.is_empty() && !inner.closed {
            let _ = self.filled.wait_for(&mut inner, patience);
            if !inner.closed && !inner.waiting.is_empty() {
                // Only closing wakes it now.
                let _ = self.filled.wait_for(&mut inner, LINGER);
            }
        }
        std::mem::swap(&mut inner.waiting, into);
        inner.bytes = 0;
        if inner.closed {
            inner.end_gap();
        }
        !(inner.closed && inner.waiting.is_empty() && into.is_empty())
    }

    /// Takes nothing more; what waits is still handed out.
    pub fn close(&self) {
        self.inner.lock().closed = true;
        self.filled.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(size: usize) -> Record {
        Record {
            now: Now::default(),
            source: None,
            direction: Direction::Rx,
            connection: None,
            url: None,
            status: None,
            head: None,
            bytes: Some(vec![0; size].into()),
        }
    }

    fn drain(queue: &Queue) -> Vec<u64> {
        let mut taken = Vec::new();
        queue.take(&mut taken, Duration::ZERO);
        taken
            .iter()
            .map(|taken| match taken {
                Taken::Record(_) => 0,
                Taken::Lost { records, .. } => *records,
            })
            .collect()
    }

    #[test]
    fn what_finds_no_place_is_counted_at_its_place() {
        let queue = Queue::bounded(2, 100);
        for _ in 0..5 {
            queue.push(record(1));
        }
        assert_eq!(drain(&queue), [0, 0]);
        assert!(queue.push(record(1)));
        assert_eq!(drain(&queue), [3, 0]);
        assert!(queue.push(record(60)));
        assert!(!queue.push(record(60)), "bytes are bounded too");
        queue.close();
        assert!(!queue.push(record(1)));
        assert_eq!(drain(&queue), [0]);
        assert_eq!(drain(&queue), [1]);
        assert!(!queue.take(&mut Vec::new(), Duration::ZERO));
    }
}
