//! One folder per source, the same file names in each. A source turns what a venue, bank or
//! rate service says into [`kurs_core::SourceEvent`]s; symbols and wire formats end here.
//!
//! | module | what it holds |
//! |---|---|
//! | [`binance`] | [`Binance`](binance::Binance): WebSocket streams, REST polling where they fail |
//! | [`source`] | the [`Source`] trait, its [`Context`], the [`EventSink`] |
//! | [`stats`] | [`SourceStats`]: counters and state every source keeps |
//! | [`settings`] | checks that the configurations of all sources share |
//! | [`period`] | [`Period`] and [`TimeOfDay`]: `9h`, `04:00` |
//! | [`zone`] | civil dates and times of the banks' places |
//! | [`timetable`] | [`Timetable`]: anchor and period within the day |
//! | [`coingecko`] | crypto in fiat, one batched call |
//! | [`openexchangerates`] | fiat rates by key |
//! | [`ecb`] | euro reference rates |
//! | [`cbr`] | official rates to the rouble |
//! | [`config`] | [`SourcesConfig`]: settings of all sources |
//! | [`registry`] | [`registry::build`]: the enabled sources, ready to run |
//! | [`iso4217`] | the currencies in use |
//! | [`decode`] | [`DecodeError`] and [`Rates`], shared by all decoders |
//! | [`poller`] | [`Poller`]: when to poll, as a state machine |
//! | [`protocol`] | [`Protocol`]: what one polled source makes of requests and answers |
//! | [`polled`] | [`Polled`]: the source that runs a [`Protocol`] by a poller |

pub mod binance;
pub mod cbr;
pub mod coingecko;
pub mod config;
pub mod decode;
pub mod ecb;
pub mod iso4217;
pub mod openexchangerates;
pub mod period;
pub mod polled;
pub mod poller;
pub mod protocol;
pub mod registry;
pub mod settings;
pub mod source;
pub mod stats;
pub mod timetable;
pub mod zone;

pub use config::SourcesConfig;
pub use decode::{DecodeError, Rates};
pub use period::{Period, TimeOfDay};
pub use polled::{Polled, Transport};
pub use poller::{PollFailure, Poller, Schedule, Step};
pub use protocol::Protocol;
pub use registry::{Built, Means, SourceInfo};
pub use source::{Context, EventSink, ListingError, Source};
pub use stats::SourceStats;
pub use timetable::Timetable;
