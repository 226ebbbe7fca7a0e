//! Simulated Bybit: v5 public spot.
//!
//! | part | what it holds |
//! |---|---|
//! | `protocol` | requests, topics, acknowledgements; pure |
//! | `frames` | what goes over a topic; pure |
//! | `session` | the rules of one WebSocket connection |
//! | `rest` | the REST routes |
//! | `kline` | candles of the past |

pub(crate) mod frames;
pub(crate) mod kline;
pub(crate) mod protocol;
pub(crate) mod rest;
pub(crate) mod session;
