//! Metrics of the Writer: pricing, publishing, storing.

use super::histogram::{DurationHistogram, INTERNAL_BOUNDS_NS, REQUEST_BOUNDS_NS};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailoverLabels {
    from: String,
    to: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OpLabels {
    op: &'static str,
}

/// What the Writer asks of the store. A closed set, so that the labels are bounded.
pub const STORE_OPS: [&str; 6] = ["append", "save_current", "pack", "prune", "track", "epoch"];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

/// What the recorder may have to drop. A closed set, so that the labels are bounded.
pub const SHED_KINDS: [&str; 7] = [
    "rows",
    "states",
    "candles",
    "books",
    "published",
    "gaps",
    "official",
];

/// Metrics of the Writer.
#[derive(Debug, Clone)]
pub struct WriterMetrics {
    /// Time from the receipt of a frame to the publishing of the update made from it.
    pub ingest_to_publish: DurationHistogram,
    /// Updates published on the bus.
    pub updates_published: Counter,
    /// Source events taken by the engine.
    pub events: Counter,
    /// Source events that a newer one of the same market replaced before the engine saw them.
    pub events_superseded: Counter,
    /// Time of one durable write to the store.
    pub store_commit: DurationHistogram,
    /// History rows written durably.
    pub history_rows: Counter,
    /// History rows that wait to be written.
    pub history_waiting: Gauge,
    /// History rows given up because queue or spool were full.
    pub history_dropped: Counter,
    /// Published events written durably.
    pub history_events: Counter,
    /// Published events that wait in memory.
    pub history_events_waiting: Gauge,
    /// Bytes of the spool's files.
    pub spool_bytes: Gauge,
    /// Batches that wait in the spool.
    pub spool_batches: Gauge,
    /// Batches that went to the spool.
    pub spool_appends: Counter,
    /// Times that the spool could not take a batch.
    pub spool_append_failures: Counter,
    /// Batches that went from the spool to the store.
    pub spool_drained: Counter,
    /// Places of the spool that could not be read.
    pub spool_damaged: Counter,
    /// 1 when what the sources receive is to be recorded and is not; 0 otherwise.
    pub capture_failed: Gauge,
    /// Greatest epoch of the leases that this Writer holds; 0 while it holds none.
    pub lease_epoch: Gauge,
    /// Leases that this Writer holds: shards that it writes.
    pub lease_held: Gauge,
    /// Pairs that the streaming sources of this Writer follow.
    pub pairs_followed: Gauge,
    /// Writes that the store refused because another Writer had taken over.
    pub fenced_writes: Counter,
    history_shed: Family<KindLabels, Counter>,
    failovers: Family<FailoverLabels, Counter>,
    store_requests: Family<OpLabels, Counter>,
    store_failures: Family<OpLabels, Counter>,
}

impl WriterMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            ingest_to_publish: DurationHistogram::new(&INTERNAL_BOUNDS_NS),
            updates_published: Counter::default(),
            events: Counter::default(),
            events_superseded: Counter::default(),
            store_commit: DurationHistogram::new(&REQUEST_BOUNDS_NS),
            history_rows: Counter::default(),
            history_waiting: Gauge::default(),
            history_dropped: Counter::default(),
            history_events: Counter::default(),
            history_events_waiting: Gauge::default(),
            spool_bytes: Gauge::default(),
            spool_batches: Gauge::default(),
            spool_appends: Counter::default(),
            spool_append_failures: Counter::default(),
            spool_drained: Counter::default(),
            spool_damaged: Counter::default(),
            capture_failed: Gauge::default(),
            lease_epoch: Gauge::default(),
            lease_held: Gauge::default(),
            pairs_followed: Gauge::default(),
            fenced_writes: Counter::default(),
            history_shed: Family::default(),
            failovers: Family::default(),
            store_requests: Family::default(),
            store_failures: Family::default(),
        };
        registry.register(
            "ingest_to_publish_seconds",
            "Time from the receipt of a frame to the publishing of its update",
            metrics.ingest_to_publish.clone(),
        );
        registry.register(
            "updates_published",
            "Updates published on the bus",
            metrics.updates_published.clone(),
        );
        registry.register(
            "engine_events",
            "Source events taken by the pricing engine",
            metrics.events.clone(),
        );
        registry.register(
            "engine_events_superseded",
            "Source events replaced by a newer one of the same market before the engine saw them",
            metrics.events_superseded.clone(),
        );
        registry.register(
            "store_commit_seconds",
            "Time of one durable write to the store",
            metrics.store_commit.clone(),
        );
        registry.register(
            "history_rows",
            "History rows written durably",
            metrics.history_rows.clone(),
        );
        registry.register(
            "history_waiting",
            "History rows that wait to be written",
            metrics.history_waiting.clone(),
        );
        registry.register(
            "history_dropped",
            "History rows given up because queue or spool were full",
            metrics.history_dropped.clone(),
        );
        metrics.register_spool(registry);
        registry.register(
            "capture_failed",
            "1 when what the sources receive is to be recorded and is not",
            metrics.capture_failed.clone(),
        );
        registry.register(
            "lease_epoch",
            "Greatest epoch of the leases that this Writer holds",
            metrics.lease_epoch.clone(),
        );
        registry.register(
            "lease_held",
            "Leases that this Writer holds",
            metrics.lease_held.clone(),
        );
        registry.register(
            "pairs_followed",
            "Pairs that the streaming sources of this Writer follow",
            metrics.pairs_followed.clone(),
        );
        registry.register(
            "fenced_writes",
            "Writes that the store refused because another Writer had taken over",
            metrics.fenced_writes.clone(),
        );
        registry.register(
            "failovers",
            "Changes of the source in use, over all pairs",
            metrics.failovers.clone(),
        );
        registry.register(
            "store_requests",
            "Requests to the store, by kind",
            metrics.store_requests.clone(),
        );
        registry.register(
            "store_failures",
            "Requests to the store that failed, by kind",
            metrics.store_failures.clone(),
        );
        for op in STORE_OPS {
            let _ = metrics.store_requests.get_or_create(&OpLabels { op });
            let _ = metrics.store_failures.get_or_create(&OpLabels { op });
        }
        metrics
    }

    fn register_spool(&self, registry: &mut Registry) {
        registry.register(
            "history_events",
            "Published events written durably",
            self.history_events.clone(),
        );
        registry.register(
            "history_events_waiting",
            "Published events that wait in memory",
            self.history_events_waiting.clone(),
        );
        registry.register(
            "history_shed",
            "Things given up because there was no room for them, by kind",
            self.history_shed.clone(),
        );
        registry.register(
            "spool_bytes",
            "Bytes of the spool's files",
            self.spool_bytes.clone(),
        );
        registry.register(
            "spool_batches",
            "Batches that wait in the spool for the store",
            self.spool_batches.clone(),
        );
        registry.register(
            "spool_appends",
            "Batches that went to the spool",
            self.spool_appends.clone(),
        );
        registry.register(
            "spool_append_failures",
            "Times that the spool could not take a batch",
            self.spool_append_failures.clone(),
        );
        registry.register(
            "spool_drained",
            "Batches that went from the spool to the store",
            self.spool_drained.clone(),
        );
        registry.register(
            "spool_damaged",
            "Places of the spool that could not be read and were passed over",
            self.spool_damaged.clone(),
        );
        for kind in SHED_KINDS {
            let _ = self.history_shed.get_or_create(&KindLabels { kind });
        }
    }

    /// Counts things of one of [`SHED_KINDS`] that were given up for want of room.
    pub fn shed(&self, kind: &'static str, count: u64) {
        if count > 0 {
            self.history_shed
                .get_or_create_owned(&KindLabels { kind })
                .inc_by(count);
        }
    }

    /// Counts a change of the source in use.
    pub fn failover(&self, from: &str, to: &str) {
        let labels = FailoverLabels {
            from: from.to_owned(),
            to: to.to_owned(),
        };
        self.failovers.get_or_create_owned(&labels).inc();
    }

    /// Counts one request of [`STORE_OPS`] to the store and how it ended.
    pub fn store_request(&self, op: &'static str, succeeded: bool) {
        self.store_requests
            .get_or_create_owned(&OpLabels { op })
            .inc();
        if !succeeded {
            self.store_failures
                .get_or_create_owned(&OpLabels { op })
                .inc();
        }
    }
}
