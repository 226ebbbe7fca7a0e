//! Many machines on one: Writers and Readers as processes of their own, on a private PostgreSQL
//! and a private NATS, Redis or RabbitMQ.
//!
//! `CLUSTER_TAKE_OVERS=100` repeats each kind of take-over as often,
//! `CLUSTER_OUTAGE_SECONDS=300` keeps servers away as long.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "these files are only tests, and tell what they measured"
)]

mod alerts;
mod broker;
mod client;
mod consumer;
mod healing;
mod keys;
mod outages;
mod partition;
mod roles;
mod rolling;
mod settings;
mod spread;
mod streams;
#[path = "../support/mod.rs"]
mod support;
mod take_over;
mod world;
