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
//! | `binance`, `coingecko`, `openexchangerates`, `ecb`, `cbr` | one venue each |
//! | `http`, `control` | the shared HTTP part and the control routes |

mod binance;
mod calendar;
pub mod capture;
mod cbr;
mod coingecko;
pub mod config;
mod control;
mod ecb;
pub mod faults;
mod http;
pub mod market;
mod openexchangerates;
mod pins;
mod shared;
pub mod sim;
pub mod state;
pub mod venue;

pub use capture::{CaptureConfig, CaptureState, Player, Speed};
pub use config::{BinanceLimits, SimConfig};
pub use faults::{Channel, Fault, FaultKind, FaultWord, Scope, WrongPrice};
pub use pins::Pin;
pub use sim::{Sim, SimError, SimHandle};
pub use state::{SimState, VenueState};
pub use venue::{Venue, VenueUrls};
