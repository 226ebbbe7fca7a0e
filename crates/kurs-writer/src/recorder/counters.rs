//! What the recorder counts. Read by the metrics.

use kurs_store::spool::SpoolStats;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets of [`Counters::commits`], in microseconds.
pub const COMMIT_BOUNDS_US: [u64; 11] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000,
];

/// Counts since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Rows taken from the engine.
    pub rows_taken: AtomicU64,
    /// Rows that are in the store.
    pub rows_written: AtomicU64,
    /// Rows that went to the spool.
    pub rows_spooled: AtomicU64,
    /// Rows dropped because the queue or the spool was full or the recorder had ended.
    pub rows_shed: AtomicU64,
    /// Rows given up because the store said that it can never take them.
    pub rows_refused: AtomicU64,
    /// Published events taken from the engine.
    pub events_taken: AtomicU64,
    /// Published events that are in the store.
    pub events_written: AtomicU64,
    /// Published events that came after the recorder had ended.
    pub events_late: AtomicU64,
    /// Other things given up because the store said that it can never take them.
    pub others_refused: AtomicU64,
    /// What the spool holds and what happened to it.
    pub spool: Mutex<SpoolStats>,
    /// Current rates written.
    pub rates_written: AtomicU64,
    /// Writes tried.
    pub attempts: AtomicU64,
    /// Writes that failed.
    pub failures: AtomicU64,
    /// Successful writes by how long they took: up to the bound of [`COMMIT_BOUNDS_US`] at the
    /// same place, the last one for those that took longer. Each counts in one bucket.
    pub commits: [AtomicU64; COMMIT_BOUNDS_US.len() + 1],
    /// Time that all successful writes took, microseconds.
    pub commit_us_sum: AtomicU64,
}

impl Counters {
    /// Adds to a counter.
    pub(super) fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn committed(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = COMMIT_BOUNDS_US.partition_point(|bound| *bound < micros);
        self.commits[bucket].fetch_add(1, Ordering::Relaxed);
        self.commit_us_sum.fetch_add(micros, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_counts_in_the_bucket_whose_bound_it_does_not_pass() {
        let counters = Counters::default();
        for micros in [0, 500, 501, 5_000_000, 5_000_001] {
            counters.committed(Duration::from_micros(micros));
        }
        let counts: Vec<u64> = counters
            .commits
            .iter()
            .map(|count| count.load(Ordering::Relaxed))
            .collect();
        assert_eq!(counts, [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
    }
}
