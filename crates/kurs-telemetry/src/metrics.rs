//! Every metric of kurs by name. Labels come from closed sets; series that are known from the
//! start are there from the start, at zero.
//!
//! Handles are plain counters and gauges that are cheap to clone and to update: resolve them
//! once (`metrics.http.route(..)`, `metrics.sources.source(..)`), keep them, update them.

pub mod alert;
pub mod bus;
pub mod histogram;
pub mod http;
pub mod process;
pub mod reader;
pub mod sink;
pub mod source;
pub mod stream;
pub mod telegram;
pub mod writer;

pub use alert::AlertMetrics;
pub use bus::{BusFamilies, BusReading};
pub use histogram::DurationHistogram;
pub use http::{HttpMetrics, RouteMetrics};
pub use process::{Build, ProcessMetrics};
pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::gauge::Gauge;
pub use reader::{RateReading, ReaderMetrics};
pub use sink::{SinkFamilies, SinkMetrics};
pub use source::{SourceFamilies, SourceMetrics, SourceReading};
pub use stream::{StreamMetrics, StreamRefusals};
pub use telegram::TelegramMetrics;
pub use writer::WriterMetrics;

use crate::config::MetricsConfig;
use prometheus_client::registry::Registry;

/// The `Content-Type` of [`Metrics::encode`].
pub const OPENMETRICS_CONTENT_TYPE: &str =
    "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All metrics of one process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// The HTTP server.
    pub http: HttpMetrics,
    /// One set of series per source.
    pub sources: SourceFamilies,
    /// Pricing, publishing, storing.
    pub writer: WriterMetrics,
    /// What goes over a broker.
    pub bus: BusFamilies,
    /// Copies in other databases.
    pub sinks: SinkFamilies,
    /// The picture of all rates.
    pub reader: ReaderMetrics,
    /// Streams to clients.
    pub streams: StreamMetrics,
    /// Alerts.
    pub alerts: AlertMetrics,
    /// The Telegram bot.
    pub telegram: TelegramMetrics,
    /// The process itself.
    pub process: ProcessMetrics,
}

impl Metrics {
    /// All metrics at zero.
    #[must_use]
    pub fn new(config: &MetricsConfig, build: Build) -> Self {
        let mut registry = Registry::with_prefix("kurs");
        let pairs_max = usize::try_from(config.max_pairs).unwrap_or(usize::MAX);
        Self {
            http: HttpMetrics::register(&mut registry),
            sources: SourceFamilies::register(&mut registry),
            writer: WriterMetrics::register(&mut registry),
            bus: BusFamilies::register(&mut registry),
            sinks: SinkFamilies::register(&mut registry),
            reader: ReaderMetrics::register(&mut registry, pairs_max),
            streams: StreamMetrics::register(&mut registry),
            alerts: AlertMetrics::register(&mut registry),
            telegram: TelegramMetrics::register(&mut registry),
            process: ProcessMetrics::register(&mut registry, build),
            registry,
        }
    }

    /// Metrics with default settings, for tests and tools.
    #[must_use]
    pub fn for_tests() -> Self {
        Self::new(
            &MetricsConfig::default(),
            Build {
                version: "test",
                commit: "unknown",
            },
        )
    }

    /// All metrics as OpenMetrics 1.0 text, its `# EOF` included.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::with_capacity(16 * 1024);
        // Writing to a String cannot fail; a metric that cannot be encoded ends the text early.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

/// Moves a counter up to a total; a total below it (of a part that started anew) changes nothing.
fn raise(counter: &Counter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn known_series_are_there_at_zero_from_the_start() {
        let metrics = Metrics::for_tests();
        let _ = metrics.http.route("GET", "/api/v1/courses");
        let _ = metrics.sources.source("binance");
        let text = metrics.encode();
        for line in [
            "kurs_build_info{version=\"test\",commit=\"unknown\"} 1",
            "kurs_http_requests_total{method=\"GET\",route=\"/api/v1/courses\",code_class=\"5xx\"} 0",
            "kurs_source_up{source=\"binance\"} 0",
            "kurs_source_reconnects_total{source=\"binance\",reason=\"planned\"} 0",
            "kurs_rate_state{state=\"fresh\"} 0",
            "kurs_task_panics_total{role=\"writer\"} 0",
            "kurs_store_failures_total{op=\"append\"} 0",
            "kurs_history_shed_total{kind=\"published\"} 0",
            "kurs_spool_bytes 0",
            "kurs_ingest_to_publish_seconds_count 0",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn a_request_is_counted_by_class_and_its_duration_falls_into_its_bucket() {
        let metrics = Metrics::for_tests();
        let route = metrics.http.route("GET", "/livez");
        route.observe(204, Duration::from_micros(100));
        route.observe(404, Duration::from_secs(60));
        let text = metrics.encode();
        for line in [
            "kurs_http_requests_total{method=\"GET\",route=\"/livez\",code_class=\"2xx\"} 1",
            "kurs_http_requests_total{method=\"GET\",route=\"/livez\",code_class=\"4xx\"} 1",
            "kurs_http_request_duration_seconds_bucket{le=\"0.0001\",method=\"GET\",route=\"/livez\"} 1",
            "kurs_http_request_duration_seconds_bucket{le=\"10.0\",method=\"GET\",route=\"/livez\"} 1",
            "kurs_http_request_duration_seconds_bucket{le=\"+Inf\",method=\"GET\",route=\"/livez\"} 2",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn source_totals_are_taken_over_and_never_go_down() {
        let metrics = Metrics::for_tests();
        let source = metrics.sources.source("cbr");
        let reading = SourceReading {
            up: true,
            messages: 7,
            last_message_unix_ms: Some(1_500),
            ..SourceReading::default()
        };
        source.observe(&reading);
        source.observe(&SourceReading {
            messages: 3,
            ..reading
        });
        let text = metrics.encode();
        assert!(
            text.contains("kurs_source_messages_total{source=\"cbr\"} 7"),
            "{text}"
        );
        assert!(
            text.contains("kurs_source_last_message_timestamp_seconds{source=\"cbr\"} 1.5"),
            "{text}"
        );
    }

    #[test]
    fn what_a_bus_counted_is_shown_with_its_broker_and_never_goes_down() {
        let metrics = Metrics::for_tests();
        assert!(!metrics.encode().contains("broker="), "there is none");
        let reading = BusReading {
            connected: true,
            waiting: 3,
            published: 7,
            ..BusReading::default()
        };
        metrics.bus.observe("nats", &reading);
        metrics.bus.observe(
            "nats",
            &BusReading {
                published: 2,
                ..reading
            },
        );
        let text = metrics.encode();
        for line in [
            "kurs_bus_connected{broker=\"nats\"} 1",
            "kurs_bus_waiting{broker=\"nats\"} 3",
            "kurs_bus_published_total{broker=\"nats\"} 7",
            "kurs_bus_gaps_total{broker=\"nats\"} 0",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
    }

    #[test]
    fn the_number_of_pair_series_is_bounded() {
        let config = MetricsConfig { max_pairs: 2 };
        let metrics = Metrics::new(
            &config,
            Build {
                version: "test",
                commit: "unknown",
            },
        );
        let readings: Vec<RateReading> = (0..5)
            .map(|number| RateReading {
                pair: format!("A{number}-USD"),
                age: Duration::from_secs(1),
                state: "fresh",
            })
            .collect();
        metrics.reader.observe_rates(&readings);
        let text = metrics.encode();
        assert_eq!(text.matches("kurs_rate_age_seconds{").count(), 2);
        assert!(
            text.contains("kurs_rate_state{state=\"fresh\"} 5"),
            "{text}"
        );
        assert!(text.contains("kurs_cache_pairs 5"), "{text}");
    }
}
