//! The simulated venues through real sockets.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "helpers of tests, too, fail by panicking"
)]

mod binance;
mod book;
mod book_faults;
mod bybit;
mod capture;
mod client;
mod coinbase;
mod exchanges;
mod faults;
mod history;
mod kraken;
mod limits;
mod okx;
mod poison;
mod tables;
mod telegram;
