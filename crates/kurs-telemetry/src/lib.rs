//! Logs, metrics and health of kurs. Pure crates do without it.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | [`LogConfig`] and [`MetricsConfig`] |
//! | [`level`] | [`Level`]: the five named levels |
//! | [`logs`] | [`logs::install`]: one event per line to stderr, repeats counted instead of repeated |
//! | [`metrics`] | [`Metrics`]: every metric of kurs by name, as types with bounded labels |
//! | [`health`] | [`Health`]: named checks behind `/readyz` |
//! | [`secret`] | [`Secret`]: a text that is never shown |
//!
//! Code logs with the macros of `tracing`; [`critical!`] is for "kurs cannot do its job".

pub mod config;
pub mod health;
pub mod level;
pub mod logs;
pub mod metrics;
pub mod secret;

pub use config::{LogConfig, LogFormat, MetricsConfig};
pub use health::{Check, Health, Status};
pub use level::Level;
pub use logs::LogHandle;
pub use metrics::Metrics;
pub use secret::Secret;

/// The `tracing` that [`critical!`] expands to, so that its callers need no own dependency.
#[doc(hidden)]
pub use tracing as __tracing;

/// Logs at level CRITICAL: kurs cannot do its job and a person must act now. Takes what
/// `tracing::error!` takes.
#[macro_export]
macro_rules! critical {
    ($($arguments:tt)+) => {
        $crate::__tracing::error!(critical = true, $($arguments)+)
    };
}
