//! An order book as a source shows it.

use kurs_book::{Counters, Scheme};
use kurs_core::{Depth, Wall};
use std::sync::Arc;

/// Most levels per side in one view.
pub const LEVELS_MAX: usize = 1_000;

/// The book of one pair at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookView {
    /// The venue's word for the pair.
    pub symbol: Arc<str>,
    /// The best levels; `None` while the book cannot be read.
    pub depth: Option<Arc<Depth>>,
    /// Why it cannot be read, in one phrase; empty when it can.
    pub why: Arc<str>,
    /// Levels that are held: bids, asks.
    pub levels: (usize, usize),
    /// The venue's id of the last message in the book, where it has ids.
    pub last_id: Option<u64>,
    /// When the venue says that message was true, where it says so.
    pub observed_at: Option<Wall>,
    /// When that message was received.
    pub received_at: Option<Wall>,
    /// How it is kept in step.
    pub scheme: Scheme,
    /// What happened to it since it was made, over all connections that are open.
    pub counters: Counters,
}

impl BookView {
    /// What keeps a book of this scheme in step, in one word: `id_range`, `chain`, `counter`,
    /// `checksum` or `unverifiable`.
    #[must_use]
    pub const fn verified_by(&self) -> &'static str {
        match self.scheme {
            Scheme::IdRange => "id_range",
            Scheme::Chain | Scheme::ChainWithChecksum => "chain",
            Scheme::Counter => "counter",
            Scheme::KrakenChecksum => "checksum",
            Scheme::Unverifiable => "unverifiable",
        }
    }
}
