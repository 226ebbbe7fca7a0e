//! The simulated venues through real sockets.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests, too, fail by panicking"
)]

mod binance;
mod capture;
mod client;
mod faults;
mod limits;
mod tables;
