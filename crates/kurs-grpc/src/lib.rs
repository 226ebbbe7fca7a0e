//! gRPC: the same rates, states and streams as over HTTP. The contract is
//! `proto/kurs/v1/rates.proto`; standard health and reflection stand beside it.
//!
//! | module | what it holds |
//! |---|---|
//! | [`proto`] | messages and client, made of the contract |
//! | [`config`] | [`GrpcConfig`] |
//! | [`gate`] | [`Gate`]: who may ask what |
//! | [`doors`] | [`AtTheDoors`]: the keys, tokens and quotas of all of kurs |
//! | [`server`] | [`serve`]: connections, caps, deadlines, drain |
//! | `connection`, `frames`, `io` | one connection: what it waits for, and for how long it may |
//! | `service` | from path to answer |
//! | `rates` | the answers that end at once |
//! | `subscribe` | streams: events, encoded once and shared by all who listen |
//! | `convert` | documents as messages |
//! | `refusal` | why something is not answered, as a status |
//! | `health` | `grpc.health.v1`, which follows `/readyz` |
//!
//! tonic's own server is not used: ours bounds every wait on a client, as the one of HTTP does.

pub mod config;
mod connection;
mod convert;
pub mod doors;
mod frames;
pub mod gate;
mod health;
mod io;
mod rates;
mod refusal;
pub mod server;
mod service;
mod subscribe;

/// Messages and client, made of `proto/kurs/v1/rates.proto`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    reason = "made by a program of the contract, which documents every field"
)]
pub mod proto {
    include!(concat!(env!("OUT_DIR"), "/kurs.v1.rs"));

    /// The contract as reflection tells it.
    pub const FILE_DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/kurs.v1.bin"));
    /// The full name of the service.
    pub const RATES: &str = "kurs.v1.Rates";
}

pub use config::GrpcConfig;
pub use doors::AtTheDoors;
pub use gate::{Everybody, Gate, Scope, Who};
pub use server::{GrpcParts, serve};
