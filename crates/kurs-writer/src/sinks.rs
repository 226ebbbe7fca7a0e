//! Sinks: databases of other people that get a copy of what kurs says.
//!
//! | module | what it holds |
//! |---|---|
//! | [`influxdb`] | [`InfluxSink`]: rates, prices and books as line protocol over HTTP |
//! | [`metrics`] | [`SinkMetrics`]: what a sink counts |
//!
//! A sink listens on the bus like a Reader and holds nothing up: what it cannot hand over in time
//! it drops, counts and says. The store is what kurs itself relies on.

pub mod influxdb;
pub mod metrics;

pub use influxdb::{InfluxConfig, InfluxSink};
pub use metrics::SinkMetrics;

use influxdb::INFLUXDB;
use kurs_bus::Bus;
use kurs_core::{Clock, Pair};
use kurs_sources::Source;
use kurs_telemetry::health::{Health, Status};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::watch;

/// Databases that get a copy of what kurs says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SinksConfig {
    /// InfluxDB, or another database that takes its line protocol.
    pub influxdb: InfluxConfig,
}

impl SinksConfig {
    /// Adds a sentence per mistake, each beginning with the key.
    pub fn validate(&self, mistakes: &mut Vec<String>) {
        self.influxdb.validate(mistakes);
    }
}

/// What sinks work with.
pub struct Means {
    /// Where rates and prices come from.
    pub bus: Arc<dyn Bus>,
    /// Where order books are looked at.
    pub sources: Vec<Arc<dyn Source>>,
    /// Pairs whose order books are looked at.
    pub pairs: watch::Receiver<Arc<[Pair]>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What the InfluxDB sink counts.
    pub influxdb: SinkMetrics,
    /// Where a sink says how it is.
    pub health: Arc<Health>,
    /// Seed of all jitter.
    pub seed: u64,
}

/// The sinks that are switched on.
#[derive(Debug, Default)]
pub struct Sinks {
    influxdb: Option<InfluxSink>,
}

impl Sinks {
    /// Starts them; they hear everything that is published when this has returned. One that cannot be started is told, and missing.
    pub async fn start(config: &SinksConfig, means: Means) -> Self {
        if config.influxdb.url.is_empty() {
            return Self::default();
        }
        let health = Arc::clone(&means.health);
        match InfluxSink::start(&config.influxdb, means).await {
            Ok(sink) => Self {
                influxdb: Some(sink),
            },
            Err(error) => {
                tracing::error!(%error, "the InfluxDB sink cannot be started");
                health.set(INFLUXDB, Status::Degraded, &error.to_string());
                Self::default()
            }
        }
    }

    /// Hands over what waits and ends, at the latest after the configured time.
    pub async fn finish(self) {
        if let Some(sink) = self.influxdb {
            sink.finish().await;
        }
    }
}
