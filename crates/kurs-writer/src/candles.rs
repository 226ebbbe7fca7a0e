//! Candles: open, high, low and close of what was received and of what was published, folded as
//! it happens, and mended from the store where that was not enough.
//!
//! | module | what it holds |
//! |---|---|
//! | [`series`] | [`Series`]: whose prices of which pair, and the intervals it is kept in |
//! | [`config`] | [`CandlesConfig`] |
//! | `bar` | values folded in order |
//! | [`folder`] | [`Folder`]: rows and events in, candles out; no I/O |
//! | [`mod@mend`] | what [`Folder::dirty`] names, computed again from the store |
//! | [`task`] | [`keep_mended`]: does so while the Writer runs |
//!
//! A candle is exact however its values came: within an open candle they are put in order by their
//! place; what comes after the candle was closed, or was there before this process, is asked of
//! the store.

mod bar;
pub mod config;
mod fold;
pub mod folder;
pub mod mend;
pub mod series;
pub mod task;

pub use config::CandlesConfig;
pub use folder::{Dirty, Folder};
pub use mend::mend;
pub use series::Series;
pub use task::keep_mended;

#[cfg(test)]
mod tests;
