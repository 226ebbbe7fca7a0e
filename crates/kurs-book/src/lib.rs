//! Order books kept in step with their venue. Pure: messages in, verdicts out; no I/O, no
//! clock, no allocation per message once a book has reached its size.
//!
//! | module | what it holds |
//! |---|---|
//! | [`update`] | [`BookUpdate`]: what a venue says about a book, in words that all venues share |
//! | [`scheme`] | [`Scheme`]: how a venue lets its books be kept in step |
//! | [`book`] | [`Book`]: sorted levels, exact, with the digits of the wire |
//! | [`synced`] | [`SyncedBook`]: a book that can be read only while it is the venue's |
//! | [`verdict`] | [`Verdict`], [`Gap`], [`Counters`]: what became of a message |
//! | `buffer` | diffs that wait for a snapshot (id ranges) |
//! | `chain`, `counter`, `place` | where a message belongs, by its ids |
//! | `checksum` | CRC32 the way Kraken and OKX compute it |
//!
//! Whatever the scheme, a book that is crossed after a whole message is lost. A lost book
//! is not readable until it is synced again.

mod buffer;
mod chain;
mod checksum;
mod counter;
mod place;

pub mod book;
pub mod scheme;
pub mod synced;
pub mod update;
pub mod verdict;

pub use book::Book;
pub use scheme::Scheme;
pub use synced::{LEVELS_MAX, SyncedBook};
pub use update::{BookUpdate, Change, Ids, Kind, Side};
pub use verdict::{Counters, Gap, Verdict};
