//! Archives of the sources: candles of exchanges and of a rate service, official rates of banks.
//! Everything but [`mod@run`] is pure: a thing to be fetched is an [`Errand`], which says its next
//! request and reads the answer.
//!
//! | module | what it holds |
//! |---|---|
//! | [`errand`] | [`Errand`], its [`Ask`]s, and the [`Haul`] of an answer |
//! | [`error`] | [`ArchiveError`] and [`Flaw`]: why an answer brings nothing |
//! | [`candle`] | [`ArchivedCandle`], and what every candle of an archive must fulfil |
//! | [`codec`] | [`CandleCodec`]: what one exchange's archive differs in from another's |
//! | [`walk`] | [`CandleWalk`]: a series of candles, page by page |
//! | [`compose`] | longer candles made of minutes |
//! | [`mod@binance`], [`mod@coinbase`], [`mod@kraken`], [`mod@bybit`], [`mod@okx`] | one exchange each |
//! | [`mod@openexchangerates`] | a table a day |
//! | [`mod@ecb`], [`mod@cbr`] | official rates |
//! | [`catalog`] | [`Catalog`]: the archives of the configured sources |
//! | [`pace`], [`patience`] | how fast, and what after a failure |
//! | [`mod@progress`] | [`Progress`]: up to where each series is done |
//! | [`mod@run`] | the async shell: venues at the same time, one request at a time each |
//!
//! Candles of an archive are made of trades at that venue. Live candles are folded from what the
//! sources say while kurs listens, which is the middle of bid and ask: the two are near each
//! other and not the same.

pub mod binance;
pub mod bybit;
pub mod candle;
pub mod catalog;
pub mod cbr;
pub mod codec;
pub mod coinbase;
pub mod compose;
pub mod ecb;
pub mod errand;
pub mod error;
pub mod kraken;
pub mod okx;
pub mod openexchangerates;
pub mod pace;
pub mod patience;
pub mod progress;
pub mod run;
#[cfg(test)]
mod tests;
pub mod walk;

pub use candle::ArchivedCandle;
pub use catalog::{Archive, Catalog, Kind};
pub use codec::CandleCodec;
pub use errand::{Ask, Errand, Haul, Series};
pub use error::{ArchiveError, Flaw};
pub use pace::Limits;
pub use progress::Progress;
pub use run::{Ended, Runner, Sink, SinkError, VenueErrands};
pub use walk::CandleWalk;
