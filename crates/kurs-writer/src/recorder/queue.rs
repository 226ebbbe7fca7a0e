//! What waits for the store.

use kurs_core::Pair;
use kurs_store::{HistoryRow, StoredRate};
use std::collections::{HashMap, VecDeque};

/// Rows in the order in which they came, the ones being written included.
#[derive(Debug)]
pub struct Rows {
    /// Rows of the batch that is being written, oldest first.
    writing: Vec<HistoryRow>,
    waiting: VecDeque<HistoryRow>,
    most: usize,
}

impl Rows {
    /// An empty queue for `most` rows.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            writing: Vec::new(),
            waiting: VecDeque::new(),
            most: most.max(1),
        }
    }

    /// All rows that are not known to be durable.
    #[must_use]
    pub fn len(&self) -> usize {
        self.writing.len() + self.waiting.len()
    }

    /// True when everything is durable.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a row. True when the oldest one that is not being written had to go for it.
    pub fn push(&mut self, row: HistoryRow) -> bool {
        let shed = self.len() >= self.most && self.waiting.pop_front().is_some();
        self.waiting.push_back(row);
        shed
    }

    /// The batch to write: the same one as before until it was [`Self::done`].
    pub fn batch(&mut self, rows: usize) -> Vec<HistoryRow> {
        if self.writing.is_empty() {
            let count = rows.min(self.waiting.len());
            self.writing = self.waiting.drain(..count).collect();
        }
        self.writing.clone()
    }

    /// The batch needs no more care.
    pub fn done(&mut self) {
        self.writing = Vec::new();
    }
}

/// The newest rate of each pair that the store does not have yet.
#[derive(Debug, Default)]
pub struct Rates {
    newest: HashMap<Pair, StoredRate>,
}

impl Rates {
    /// Keeps a rate unless a newer one of its pair waits. Returns how many pairs wait.
    pub fn put(&mut self, rate: StoredRate) -> usize {
        let waiting = self
            .newest
            .entry(rate.rate.pair)
            .or_insert_with(|| rate.clone());
        if rate.id > waiting.id {
            *waiting = rate;
        }
        self.newest.len()
    }

    /// Takes all of them out.
    pub fn take(&mut self) -> Vec<StoredRate> {
        self.newest.drain().map(|(_, rate)| rate).collect()
    }

    /// Pairs that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.newest.len()
    }

    /// True when none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.newest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kurs_core::{Epoch, Price, Seq, SourceId, UpdateId, Wall};

    fn row(seq: u64) -> HistoryRow {
        HistoryRow {
            pair: Pair::parse("BTC-USDT").unwrap(),
            source: SourceId::parse("binance").unwrap(),
            id: UpdateId {
                shard: 0,
                epoch: Epoch(1),
                seq: Seq(seq),
            },
            value: Price::parse("1").unwrap(),
            bid: None,
            ask: None,
            observed_at: None,
            received_at: Wall(0),
        }
    }

    fn seqs(rows: &[HistoryRow]) -> Vec<u64> {
        rows.iter().map(|row| row.id.seq.0).collect()
    }

    #[test]
    fn a_full_queue_sheds_its_oldest_row_but_never_one_that_is_being_written() {
        let mut rows = Rows::new(4);
        assert!((0..4).all(|seq| !rows.push(row(seq))));
        assert_eq!(seqs(&rows.batch(2)), [0, 1]);
        assert!(rows.push(row(4)));
        assert!(rows.push(row(5)));
        assert_eq!(rows.len(), 4);
        assert_eq!(
            seqs(&rows.batch(2)),
            [0, 1],
            "until it is done, the batch stays the same"
        );
        rows.done();
        assert_eq!(seqs(&rows.batch(9)), [4, 5]);
    }
}
