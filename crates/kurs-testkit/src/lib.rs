//! Test kit, a dev-dependency only. What fails here fails a test, so these functions panic with
//! a sentence that says what to do.
//!
//! | module | what it holds |
//! |---|---|
//! | [`fixtures`] | the recorded captures named by `KURS_FIXTURES` |
//! | [`influxdb`] | a private InfluxDB server, [`InfluxDb`] |
//! | [`wait`] | [`until`]: wait for a condition with a deadline instead of sleeping |
//! | [`postgres`] | a private PostgreSQL server, [`Postgres`] |
//! | [`process`] | a private child process in a folder of its own, killed on drop |
//! | [`proxy`] | a TCP proxy with faults: latency, silence, cut, reset, little bandwidth |

#![expect(
    clippy::panic,
    clippy::expect_used,
    reason = "a test that cannot be set up fails, and this crate is in no program"
)]

pub mod fixtures;
#[cfg(unix)]
pub mod influxdb;
#[cfg(unix)]
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod wait;

#[cfg(unix)]
pub use influxdb::InfluxDb;
#[cfg(unix)]
pub use postgres::{Postgres, PostgresOptions};
pub use process::{PrivateProcess, free_port};
pub use proxy::Proxy;
pub use wait::until;
