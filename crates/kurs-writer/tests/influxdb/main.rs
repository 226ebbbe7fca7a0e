//! Promises of the InfluxDB sink: with a real InfluxDB 1.x of its own (`real`), and with servers
//! that are unwell or of another kind (`unwell`).
#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking; helpers are no test functions"
)]

mod fake;
mod real;
mod rig;
mod unwell;
