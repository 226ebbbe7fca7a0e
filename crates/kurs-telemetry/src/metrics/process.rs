//! Metrics of the process itself.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RoleLabels {
    role: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
    commit: &'static str,
}

/// Which program this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Build {
    /// Version, such as `0.1.0`.
    pub version: &'static str,
    /// Commit it was built from, or `unknown`.
    pub commit: &'static str,
}

/// Where tasks run. A closed set, so that the labels are bounded.
pub const ROLES: [&str; 5] = ["writer", "reader", "api", "source", "process"];

/// Metrics of the process.
#[derive(Debug, Clone)]
pub struct ProcessMetrics {
    /// Configurations read again and taken over.
    pub config_reloads: Counter,
    /// Configurations read again and refused; the old one stayed in force.
    pub config_reload_failures: Counter,
    /// When this process started, unix time in seconds.
    pub start_time: Gauge,
    panics: Family<RoleLabels, Counter>,
}

impl ProcessMetrics {
    pub(super) fn register(registry: &mut Registry, build: Build) -> Self {
        let metrics = Self {
            config_reloads: Counter::default(),
            config_reload_failures: Counter::default(),
            start_time: Gauge::default(),
            panics: Family::default(),
        };
        let labels = BuildLabels {
            version: build.version,
            commit: build.commit,
        };
        registry.register("build", "Which program this is", Info::new(labels));
        registry.register(
            "process_start_timestamp_seconds",
            "When this process started, unix time",
            metrics.start_time.clone(),
        );
        registry.register(
            "config_reloads",
            "Configurations read again, taken over or not",
            metrics.config_reloads.clone(),
        );
        registry.register(
            "config_reload_failures",
            "Configurations read again and refused; the old one stayed in force",
            metrics.config_reload_failures.clone(),
        );
        registry.register(
            "task_panics",
            "Panics that were contained; the task was started again or its work given up",
            metrics.panics.clone(),
        );
        for role in ROLES {
            let _ = metrics.panics.get_or_create(&RoleLabels { role });
        }
        metrics
    }

    /// The counter of contained panics of one of [`ROLES`].
    #[must_use]
    pub fn panics(&self, role: &'static str) -> Counter {
        self.panics.get_or_create_owned(&RoleLabels { role })
    }
}
