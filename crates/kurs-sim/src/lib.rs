//! Simulated venues that speak the real wire protocols, with faults on demand. One TCP port
//! carries them all; nothing on the wire says that the prices are invented, so whoever points
//! kurs here marks its sources as simulated.
//!
//! | module | what it holds |
//! |---|---|
//! | [`market`] | the seeded market every venue takes its prices from: pure, exact, repeatable |
//! | [`sim`] | [`Sim::start`] and [`SimHandle`]: the running venues and every lever on them |
//! | [`config`] | [`SimConfig`] |
//! | [`venue`] | [`Venue`] and the URLs a client is given |
//! | [`faults`] | [`Fault`]: what can go wrong, as Rust, as JSON, as a command-line word |
//! | [`state`] | [`SimState`]: what the clients did, for tests to judge |
//! | [`capture`] | plays a recorded capture as the venue |
//! | `binance`, `coinbase`, `kraken`, `bybit`, `okx` | one exchange each |
//! | `exchange` | what the last four share: market, books by depth, subscribers |
//! | `coingecko`, `openexchangerates`, `ecb`, `cbr` | one table venue each |
//! | `ws` | the shared WebSocket part: handshake, connection, hub |
//! | [`telegram`] | the Bot API of Telegram, below `/telegram` |
//! | `http`, `control`, `levers` | the shared HTTP part, the control routes, what both they and [`SimHandle`] pull |

mod binance;
mod bybit;
mod calendar;
pub mod capture;
mod cbr;
mod coinbase;
mod coingecko;
pub mod config;
mod control;
mod ecb;
mod exchange;
pub mod faults;
mod http;
mod kraken;
mod levers;
pub mod market;
mod okx;
mod openexchangerates;
mod pins;
mod shared;
pub mod sim;
pub mod state;
pub mod telegram;
pub mod venue;
mod ws;

pub use capture::{CaptureConfig, CaptureState, Player, Speed};
pub use config::{
    BinanceLimits, BybitHabits, CoinbaseHabits, ExchangeLimits, KrakenHabits, OkxHabits, SimConfig,
};
pub use faults::{Channel, Fault, FaultKind, FaultWord, Scope, WrongPrice};
pub use pins::Pin;
pub use sim::{Sim, SimError, SimHandle};
pub use state::{SimState, VenueState};
pub use telegram::{Telegram, TelegramConfig};
pub use venue::{Venue, VenueUrls};
