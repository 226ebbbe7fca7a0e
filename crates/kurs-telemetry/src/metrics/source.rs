//! Metrics of one source.

use super::raise;
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
    lag: Family<SourceLabels, SecondsGauge>,
    books_synced: Family<SourceLabels, Gauge>,
    book_gaps: Family<SourceLabels, Counter>,
    book_checksum_failures: Family<SourceLabels, Counter>,
    book_resyncs: Family<SourceLabels, Counter>,
}

/// The series of one source, resolved once.
#[derive(Debug, Clone)]
pub struct SourceMetrics {
    up: Gauge,
    messages: Counter,
    decode_errors: Counter,
    failures: Counter,
    reconnects: Counter,
    planned_reconnects: Counter,
    last_message: SecondsGauge,
    lag: SecondsGauge,
    books_synced: Gauge,
    book_gaps: Counter,
    book_checksum_failures: Counter,
    book_resyncs: Counter,
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
    /// Connections replaced on purpose by a successor.
    pub planned_reconnects: u64,
    /// Receive time minus the venue's own time of the last dated frame, milliseconds.
    pub lag_ms: Option<i64>,
    /// Order books in step at present.
    pub books_synced: u64,
    /// Times an order book was lost: a message missing, a crossed book, an unusable message.
    pub book_gaps: u64,
    /// Order books whose checksum was not the venue's.
    pub book_checksum_failures: u64,
    /// Order books brought back in step.
    pub book_resyncs: u64,
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
            lag: Family::default(),
            books_synced: Family::default(),
            book_gaps: Family::default(),
            book_checksum_failures: Family::default(),
            book_resyncs: Family::default(),
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
        registry.register(
            "source_lag_seconds",
            "Receive time minus the venue's own time of the last dated frame; two clocks, so it may be negative",
            families.lag.clone(),
        );
        registry.register(
            "source_books_synced",
            "Order books of a source that are in step",
            families.books_synced.clone(),
        );
        registry.register(
            "source_book_gaps",
            "Times an order book of a source was lost: a message missing by its ids, a crossed book, a message that cannot be used",
            families.book_gaps.clone(),
        );
        registry.register(
            "source_book_checksum_failures",
            "Order books of a source whose checksum was not the venue's",
            families.book_checksum_failures.clone(),
        );
        registry.register(
            "source_book_resyncs",
            "Order books of a source brought back in step after they were lost",
            families.book_resyncs.clone(),
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
            lag: self.lag.get_or_create_owned(&labels),
            books_synced: self.books_synced.get_or_create_owned(&labels),
            book_gaps: self.book_gaps.get_or_create_owned(&labels),
            book_checksum_failures: self.book_checksum_failures.get_or_create_owned(&labels),
            book_resyncs: self.book_resyncs.get_or_create_owned(&labels),
        }
    }
}

impl SourceMetrics {
    /// Takes over what the source counted.
    pub fn observe(&self, reading: &SourceReading) {
        self.up.set(i64::from(reading.up));
        raise(&self.messages, reading.messages);
        raise(&self.decode_errors, reading.decode_errors);
        raise(&self.failures, reading.failures);
        raise(&self.reconnects, reading.reconnects);
        raise(&self.planned_reconnects, reading.planned_reconnects);
        raise(&self.book_gaps, reading.book_gaps);
        raise(&self.book_checksum_failures, reading.book_checksum_failures);
        raise(&self.book_resyncs, reading.book_resyncs);
        self.books_synced
            .set(i64::try_from(reading.books_synced).unwrap_or(i64::MAX));
        if let Some(lag_ms) = reading.lag_ms {
            let size = std::time::Duration::from_millis(lag_ms.unsigned_abs()).as_secs_f64();
            self.lag
                .set(size.copysign(if lag_ms < 0 { -1.0 } else { 1.0 }));
        }
        let last_ms = reading
            .last_message_unix_ms
            .and_then(|ms| u64::try_from(ms).ok());
        if let Some(ms) = last_ms {
            self.last_message
                .set(std::time::Duration::from_millis(ms).as_secs_f64());
        }
    }
}
