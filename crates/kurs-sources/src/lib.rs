//! One folder per source, the same file names in each. A source turns what a venue, bank or
//! rate service says into [`kurs_core::SourceEvent`]s; symbols and wire formats end here.
//!
//! | module | what it holds |
//! |---|---|
//! | [`archive`] | candles and official rates of the past, from the archives of the sources |
//! | [`binance`], [`coinbase`], [`kraken`], [`bybit`], [`okx`] | the languages of the streaming venues |
//! | [`source`] | the [`Source`] trait, its [`Context`], the [`EventSink`] |
//! | [`input`] | [`Machine`] and its [`Input`]: the one door into a source, for recorders and replays |
//! | [`book`] | [`BookView`]: an order book as a source shows it |
//! | [`venue`] | the runtime of all streaming venues; [`venue::codec`] is what they differ in |
//! | [`stats`] | [`SourceStats`]: counters and state every source keeps |
//! | [`settings`] | checks that the configurations of all sources share |
//! | [`period`] | [`Period`] and [`TimeOfDay`]: `9h`, `04:00` |
//! | [`zone`] | civil dates and times of the banks' places |
//! | [`timetable`] | [`Timetable`]: anchor and period within the day |
//! | [`coingecko`] | crypto in fiat, one batched call |
//! | [`openexchangerates`] | fiat rates by key |
//! | [`http_source`] | any JSON, XML or CSV, by configuration alone |
//! | [`ecb`] | euro reference rates |
//! | [`cbr`] | official rates to the rouble |
//! | [`config`] | [`SourcesConfig`]: settings of all sources |
//! | [`registry`] | [`registry::build`]: the enabled sources, ready to run |
//! | [`iso4217`] | the currencies in use |
//! | [`decode`] | [`DecodeError`] and [`Rates`], shared by all decoders |
//! | [`poller`] | [`Poller`]: when to poll, as a state machine |
//! | [`protocol`] | [`Protocol`]: what one polled source makes of requests and answers |
//! | [`probe`] | [`probe::once`]: asks a polled source once and shows what it makes of the answer |
//! | [`polled`] | [`Polled`]: the source that runs a [`Protocol`] by a poller |

pub mod archive;
pub mod binance;
pub mod book;
pub mod bybit;
pub mod cbr;
pub mod coinbase;
pub mod coingecko;
pub mod config;
pub mod decode;
pub mod ecb;
pub mod http_source;
pub mod input;
pub mod iso4217;
pub mod kraken;
mod levels;
pub mod okx;
pub mod openexchangerates;
pub mod period;
pub mod polled;
pub mod poller;
pub mod probe;
pub mod protocol;
pub mod registry;
mod rows;
pub mod settings;
pub mod source;
#[cfg(test)]
mod spoken;
pub mod stats;
pub mod timetable;
pub mod venue;
pub mod zone;

pub use book::BookView;
pub use config::SourcesConfig;
pub use decode::{DecodeError, Rates};
pub use input::{Input, Machine, Tap, Wishes};
pub use period::{Period, TimeOfDay};
pub use polled::{Polled, Transport};
pub use poller::{PollFailure, Poller, Schedule, Step};
pub use protocol::Protocol;
pub use registry::{Built, BuiltMachine, Means, SourceInfo};
pub use source::{Context, EventSink, ListingError, Source};
pub use stats::{BookStats, SourceStats};
pub use timetable::Timetable;
