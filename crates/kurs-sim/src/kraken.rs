//! Simulated Kraken spot: WebSocket v2 and public REST.
//!
//! | part | what it holds |
//! |---|---|
//! | `protocol` | requests, topics, acknowledgements and refusals; pure |
//! | `frames` | what goes over a stream, checksums included; pure |
//! | `names` | the words of REST: `XXBTZUSD`, `XBTUSD`, `XBT/USD`; pure |
//! | `session` | the rules of one WebSocket connection |
//! | `rest` | the REST routes |
//! | `ohlc` | candles of the past |

pub(crate) mod frames;
pub(crate) mod names;
pub(crate) mod ohlc;
pub(crate) mod protocol;
pub(crate) mod rest;
pub(crate) mod session;
