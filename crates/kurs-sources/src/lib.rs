//! One folder per source, the same file names in each. A source turns what a venue, bank or
//! rate service says into [`kurs_core::SourceEvent`]s; symbols and wire formats end here.
//!
//! | module | what it holds |
//! |---|---|
//! | [`source`] | the [`Source`] trait, its [`Context`], the [`EventSink`] |
//! | [`stats`] | [`SourceStats`]: counters and state every source keeps |

pub mod source;
pub mod stats;

pub use source::{Context, EventSink, ListingError, Source};
pub use stats::SourceStats;
