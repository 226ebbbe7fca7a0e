//! Metrics of sinks: databases of other people that get a copy of what kurs says.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SinkLabels {
    sink: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DropLabels {
    sink: &'static str,
    reason: &'static str,
}

/// Families with one series per sink.
#[derive(Debug, Clone, Default)]
pub struct SinkFamilies {
    lines: Family<SinkLabels, Counter>,
    written: Family<SinkLabels, Counter>,
    dropped: Family<DropLabels, Counter>,
    requests: Family<SinkLabels, Counter>,
    failures: Family<SinkLabels, Counter>,
    waiting: Family<SinkLabels, Gauge>,
    waiting_bytes: Family<SinkLabels, Gauge>,
}

/// Counters and gauges of one sink. Lines are what a database gets one point from.
#[derive(Debug, Clone, Default)]
pub struct SinkMetrics {
    /// Lines made.
    pub lines: Counter,
    /// Lines that the database took.
    pub written: Counter,
    /// Lines dropped because the queue was full.
    pub dropped_full: Counter,
    /// Lines that the database refused.
    pub dropped_refused: Counter,
    /// Updates that were gone from the bus before they were read.
    pub dropped_lost: Counter,
    /// Lines that waited when the sink ended.
    pub dropped_unsent: Counter,
    /// Requests sent.
    pub requests: Counter,
    /// Requests that failed or were refused.
    pub failures: Counter,
    /// Lines that wait.
    pub waiting: Gauge,
    /// Their length in bytes.
    pub waiting_bytes: Gauge,
}

impl SinkFamilies {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let families = Self::default();
        registry.register(
            "sink_lines",
            "Lines made for a sink",
            families.lines.clone(),
        );
        registry.register(
            "sink_written",
            "Lines that a sink's database took",
            families.written.clone(),
        );
        registry.register(
            "sink_dropped",
            "Lines for a sink that were dropped: the queue was full, the database refused them, the bus had gone on, or the sink ended",
            families.dropped.clone(),
        );
        registry.register(
            "sink_requests",
            "Requests of a sink",
            families.requests.clone(),
        );
        registry.register(
            "sink_failures",
            "Requests of a sink that failed or were refused",
            families.failures.clone(),
        );
        registry.register(
            "sink_waiting_lines",
            "Lines that wait in a sink",
            families.waiting.clone(),
        );
        registry.register(
            "sink_waiting_bytes",
            "Bytes that wait in a sink",
            families.waiting_bytes.clone(),
        );
        families
    }

    /// The series of one sink, all at zero when new.
    #[must_use]
    pub fn sink(&self, sink: &'static str) -> SinkMetrics {
        let labels = SinkLabels { sink };
        let dropped = |reason| {
            self.dropped
                .get_or_create_owned(&DropLabels { sink, reason })
        };
        SinkMetrics {
            lines: self.lines.get_or_create_owned(&labels),
            written: self.written.get_or_create_owned(&labels),
            dropped_full: dropped("full"),
            dropped_refused: dropped("refused"),
            dropped_lost: dropped("lost"),
            dropped_unsent: dropped("unsent"),
            requests: self.requests.get_or_create_owned(&labels),
            failures: self.failures.get_or_create_owned(&labels),
            waiting: self.waiting.get_or_create_owned(&labels),
            waiting_bytes: self.waiting_bytes.get_or_create_owned(&labels),
        }
    }
}
