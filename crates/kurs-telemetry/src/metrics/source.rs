//! Metrics of one source.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::atomic::AtomicU64;

/// A gauge of seconds.
pub type SecondsGauge = Gauge<f64, AtomicU64>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabels {
    source: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReconnectLabels {
    source: String,
    reason: &'static str,
}

/// Families with one series per source.
#[derive(Debug, Clone)]
pub struct SourceFamilies {
    up: Family<SourceLabels, Gauge>,
    messages: Family<SourceLabels, Counter>,
    decode_errors: Family<SourceLabels, Counter>,
    failures: Family<SourceLabels, Counter>,
    reconnects: Family<ReconnectLabels, Counter>,
    last_message: Family<SourceLabels, SecondsGauge>,
}

/// The series of one source, resolved once.
#[derive(Debug, Clone)]
pub struct SourceMetrics {
    up: Gauge,
    messages: Counter,
    decode_errors: Counter,
    failures: Counter,
    reconnects: Counter,
    /// Connections replaced on purpose before the venue's own cut.
    pub planned_reconnects: Counter,
    last_message: SecondsGauge,
}

/// What a source counts itself: totals since the process started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SourceReading {
    /// True when its state is live.
    pub up: bool,
    /// Frames and replies received.
    pub messages: u64,
    /// Frames and replies that could not be read.
    pub decode_errors: u64,
    /// Requests that failed.
    pub failures: u64,
    /// Connections or polls started again after a failure.
    pub reconnects: u64,
    /// When data last arrived, milliseconds since 1970.
    pub last_message_unix_ms: Option<i64>,
}

impl SourceFamilies {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let families = Self {
            up: Family::default(),
            messages: Family::default(),
            decode_errors: Family::default(),
            failures: Family::default(),
            reconnects: Family::default(),
            last_message: Family::default(),
        };
        registry.register(
            "source_up",
            "1 when the source is live",
            families.up.clone(),
        );
        registry.register(
            "source_messages",
            "Frames and replies received from a source",
            families.messages.clone(),
        );
        registry.register(
            "source_decode_errors",
            "Frames and replies of a source that could not be read",
            families.decode_errors.clone(),
        );
        registry.register(
            "source_failures",
            "Requests to a source that failed",
            families.failures.clone(),
        );
        registry.register(
            "source_reconnects",
            "Connections to a source started again, after a failure or as planned",
            families.reconnects.clone(),
        );
        registry.register(
            "source_last_message_timestamp_seconds",
            "When data of a source last arrived, unix time; 0 is never",
            families.last_message.clone(),
        );
        families
    }

    /// The series of one source, all at zero when new.
    #[must_use]
    pub fn source(&self, source: &str) -> SourceMetrics {
        let labels = SourceLabels {
            source: source.to_owned(),
        };
        let reconnects = |reason| {
            self.reconnects.get_or_create_owned(&ReconnectLabels {
                source: source.to_owned(),
                reason,
            })
        };
        SourceMetrics {
            up: self.up.get_or_create_owned(&labels),
            messages: self.messages.get_or_create_owned(&labels),
            decode_errors: self.decode_errors.get_or_create_owned(&labels),
            failures: self.failures.get_or_create_owned(&labels),
            reconnects: reconnects("failure"),
            planned_reconnects: reconnects("planned"),
            last_message: self.last_message.get_or_create_owned(&labels),
        }
    }
}

/// Moves a counter up to a total; a total below it (a source that started anew) changes nothing.
fn raise(counter: &Counter, total: u64) {
    counter.inc_by(total.saturating_sub(counter.get()));
}

impl SourceMetrics {
    /// Takes over what the source counted.
    pub fn observe(&self, reading: &SourceReading) {
        self.up.set(i64::from(reading.up));
        raise(&self.messages, reading.messages);
        raise(&self.decode_errors, reading.decode_errors);
        raise(&self.failures, reading.failures);
        raise(&self.reconnects, reading.reconnects);
        let last_ms = reading
            .last_message_unix_ms
            .and_then(|ms| u64::try_from(ms).ok());
        if let Some(ms) = last_ms {
            self.last_message
                .set(std::time::Duration::from_millis(ms).as_secs_f64());
        }
    }
}
