//! Test kit, a dev-dependency only. What fails here fails a test, so these functions panic with
//! a sentence that says what to do.
//!
//! | module | what it holds |
//! |---|---|
//! | [`consumer`] | a consumer in Python that is no part of kurs |
//! | [`fixtures`] | the recorded captures named by `KURS_FIXTURES` |
//! | `held` | a server that ends with the test program, also when that is killed |
//! | [`influxdb`] | a private InfluxDB server, [`InfluxDb`] |
//! | [`nginx`] | a private nginx that balances between servers, [`Nginx`] |
//! | [`wait`] | [`until`]: wait for a condition with a deadline instead of sleeping |
//! | [`nats`] | a private NATS server with JetStream, [`NatsServer`] |
//! | [`postgres`] | a private PostgreSQL server, [`Postgres`] |
//! | [`process`] | a private child process in a folder of its own, killed on drop |
//! | [`proxy`] | a TCP proxy with faults: latency, silence, cut, reset, little bandwidth, corruption, doubling, reordering |
//! | [`rabbitmq`] | a private RabbitMQ server, [`RabbitServer`] |
//! | [`redis`] | a private Redis server, [`RedisServer`] |

#![expect(
    clippy::panic,
    clippy::expect_used,
    reason = "a test that cannot be set up fails, and this crate is in no program"
)]

pub mod consumer;
pub mod fixtures;
#[cfg(unix)]
mod held;
#[cfg(unix)]
pub mod influxdb;
#[cfg(unix)]
pub mod nats;
#[cfg(unix)]
pub mod nginx;
#[cfg(unix)]
pub mod postgres;
pub mod process;
pub mod proxy;
#[cfg(unix)]
pub mod rabbitmq;
#[cfg(unix)]
pub mod redis;
pub mod wait;

#[cfg(unix)]
pub use influxdb::InfluxDb;
#[cfg(unix)]
pub use nats::NatsServer;
#[cfg(unix)]
pub use nginx::Nginx;
#[cfg(unix)]
pub use postgres::{Postgres, PostgresOptions};
pub use process::{PrivateProcess, free_port};
pub use proxy::{Faults, Proxy, Weather};
#[cfg(unix)]
pub use rabbitmq::RabbitServer;
#[cfg(unix)]
pub use redis::{RedisServer, RedisServerOptions};
pub use wait::until;
