//! The bot against the simulated Bot API, with the store, the alerts and the lease as they are.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, too, fail by panicking"
)]

mod alerts;
mod commands;
mod crowd;
mod hostile;
mod http;
mod limits;
mod manual;
mod world;
