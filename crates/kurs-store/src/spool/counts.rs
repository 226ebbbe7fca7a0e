//! What is in a batch, by kind, and which of it may be shed.

use crate::Batch;

/// How many kinds a lane holds at most.
pub(super) const KINDS: usize = 4;

/// Which of two queues a record stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Lane {
    /// Published events, gaps, official rates: never shed.
    Kept,
    /// Received rows, states, candles, books: the oldest go when the spool is full.
    Raw,
}

impl Lane {
    pub(super) const ALL: [Self; 2] = [Self::Kept, Self::Raw];

    pub(super) const fn index(self) -> usize {
        match self {
            Self::Kept => 0,
            Self::Raw => 1,
        }
    }

    pub(super) const fn prefix(self) -> &'static str {
        match self {
            Self::Kept => "kept-",
            Self::Raw => "raw-",
        }
    }
}

/// Counts of the kinds of one lane: published events, gaps, official rates; or rows, states,
/// candles, books.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts(pub(super) [u32; KINDS]);

impl Counts {
    /// Of a batch of one lane.
    pub(super) fn of(lane: Lane, batch: &Batch) -> Self {
        let number = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let counts = match lane {
            Lane::Kept => [
                batch.published.len(),
                batch.gaps.len(),
                batch.official.len(),
                0,
            ],
            Lane::Raw => [
                batch.rows.len(),
                batch.states.len(),
                batch.candles.len(),
                batch.books.len(),
            ],
        };
        Self(counts.map(number))
    }

    /// Things in all.
    pub(super) fn total(self) -> u64 {
        self.0.iter().copied().map(u64::from).sum()
    }
}

/// Things that may be shed, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RawCounts {
    /// Received rates.
    pub rows: u64,
    /// Changes of state.
    pub states: u64,
    /// Candles.
    pub candles: u64,
    /// Order books.
    pub books: u64,
}

impl RawCounts {
    /// Things in all.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.rows + self.states + self.candles + self.books
    }

    pub(super) fn add(&mut self, counts: Counts) {
        let [rows, states, candles, books] = counts.0.map(u64::from);
        self.rows += rows;
        self.states += states;
        self.candles += candles;
        self.books += books;
    }
}
