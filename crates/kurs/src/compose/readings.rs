//! Metrics that are read when they are asked for.

use super::Built;
use kurs_bus::Monitor;
use kurs_bus::counters::total;
use kurs_core::{SourceState, Wall};
use kurs_reader::Missing;
use kurs_telemetry::metrics::{BusReading, RateReading, SourceReading};
use std::sync::Arc;

impl Built {
    /// All metrics, with ages and states as they are now.
    pub(super) fn metrics_text(&self) -> String {
        let now = self.view.now().wall;
        let mut readings = Vec::new();
        for pair in self.view.pairs() {
            let document = match self.view.rate(pair, None) {
                Ok(answer) => answer.document,
                Err(Missing::Expired(document)) => Arc::from(document),
                Err(_) => continue,
            };
            readings.push(RateReading {
                pair: pair.to_string(),
                age: now.since(document.observed_at),
                state: document.state.as_str(),
            });
        }
        self.metrics.reader.observe_rates(&readings);
        for status in self.view.sources() {
            self.metrics
                .sources
                .source(status.source.as_str())
                .observe(&SourceReading {
                    up: status.state == SourceState::Live,
                    messages: status.messages,
                    decode_errors: status.decode_errors,
                    failures: status.failures,
                    reconnects: status.reconnects,
                    last_message_unix_ms: status.last_message_at.map(Wall::unix_ms),
                    planned_reconnects: status.overlaps,
                    lag_ms: status.lag_ms,
                    books_synced: status.books.synced,
                    book_gaps: status.books.gaps,
                    book_checksum_failures: status.books.checksum_failures,
                    book_resyncs: status.books.resyncs,
                });
        }
        if let Some(broker) = self.bus.broker() {
            self.metrics.bus.observe(broker.broker(), &reading(broker));
        }
        self.metrics.encode()
    }
}

/// What a bus over a broker counts.
fn reading(broker: &Monitor) -> BusReading {
    let (counters, outbox) = (broker.counters(), broker.outbox());
    BusReading {
        connected: broker.is_connected(),
        waiting: u64::try_from(outbox.len()).unwrap_or(u64::MAX),
        published: total(&counters.published),
        acknowledged: total(&counters.acknowledged),
        sent_again: total(&counters.sent_again),
        refused: total(&counters.refused),
        superseded: outbox.superseded(),
        put_again: total(&counters.put_again),
        reconnects: total(&counters.reconnects),
        received: total(&counters.received),
        gaps: total(&counters.gaps),
        resumed: total(&counters.resumed),
        decode_errors: total(&counters.decode_errors),
        unknown: total(&counters.unknown),
        commands_dropped: total(&counters.commands_dropped),
        snapshots: total(&counters.snapshots),
    }
}
