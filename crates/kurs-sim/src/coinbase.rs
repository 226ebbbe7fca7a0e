//! Simulated Coinbase: the Exchange feed, without login.
//!
//! | part | what it holds |
//! |---|---|
//! | `protocol` | subscribe messages, topics, error frames; pure |
//! | `frames` | what goes over a stream; pure |
//! | `session` | the rules of one WebSocket connection |
//! | `rest` | the REST routes |
//! | `candles` | candles of the past |

pub(crate) mod candles;
pub(crate) mod frames;
pub(crate) mod protocol;
pub(crate) mod rest;
pub(crate) mod session;
