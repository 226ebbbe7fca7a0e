//! What a venue says about a book, in words that all venues share.

use kurs_core::Price;
use rust_decimal::Decimal;

/// Side of a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Side {
    /// Buyers, best is highest.
    Bid,
    /// Sellers, best is lowest.
    Ask,
}

/// The new size of one level. Both numbers keep the digits of the wire, trailing zeros
/// included, since checksums are made of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Which side.
    pub side: Side,
    /// The level, in quote asset per base asset.
    pub price: Price,
    /// Its new size, in base asset; zero removes the level. Never negative.
    pub size: Decimal,
}

/// Whether a message replaces the book or changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The whole book, as far as the venue shows it.
    Snapshot,
    /// Levels that changed.
    Diff,
}

/// How a message says where it belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ids {
    /// It does not say (Coinbase `level2_batch`, Kraken).
    None,
    /// It covers the venue's update ids `first..=last` (Binance). A snapshot has both equal.
    Range {
        /// First id covered.
        first: u64,
        /// Last id covered.
        last: u64,
    },
    /// It follows the message `previous` (OKX `prevSeqId`); `None` in a snapshot.
    Chain {
        /// Id of the message before.
        previous: Option<u64>,
        /// Its own id.
        id: u64,
    },
    /// Messages are counted one by one (Bybit `u`); 1 means that counting began anew.
    Counter(u64),
}

/// One message about one book.
#[derive(Debug, Clone, Copy)]
pub struct BookUpdate<'a> {
    /// Replace or change.
    pub kind: Kind,
    /// Its place among the others.
    pub ids: Ids,
    /// What the venue computed over its own book after this message, if it says: the bits of
    /// the number as an unsigned one (OKX sends it signed).
    pub checksum: Option<u32>,
    /// The levels, in the order sent.
    pub changes: &'a [Change],
}
