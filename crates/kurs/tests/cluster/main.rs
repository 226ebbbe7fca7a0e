//! Many machines on one: Writers and Readers as processes of their own, on a private PostgreSQL
//! and a private NATS.
//!
//! `CLUSTER_TAKE_OVERS=100` repeats each kind of take-over as often.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "these files are only tests, and tell what they measured"
)]

mod consumer;
mod outages;
mod roles;
mod rolling;
#[path = "../support/mod.rs"]
mod support;
mod take_over;
mod world;
