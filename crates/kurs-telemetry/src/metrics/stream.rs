//! Metrics of streams.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

/// Streams that were not opened, by reason.
#[derive(Debug, Clone, Default)]
pub struct StreamRefusals {
    /// As many are open as may be.
    pub capacity: Counter,
    /// As many are open as one address may have.
    pub address: Counter,
    /// This instance ends.
    pub drain: Counter,
}

/// Metrics of streams.
#[derive(Debug, Clone, Default)]
pub struct StreamMetrics {
    /// Streams that are open.
    pub open: Gauge,
    /// Events handed to the sockets of clients.
    pub events: Counter,
    /// Times that a client was too slow and heard the newest of each topic only.
    pub conflations: Counter,
    /// Streams that were ended because the client took nothing.
    pub slow: Counter,
    /// Streams that were not opened.
    pub refused: StreamRefusals,
}

impl StreamMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let refusals = Family::<ReasonLabels, Counter>::default();
        let refused = |reason| refusals.get_or_create_owned(&ReasonLabels { reason });
        let metrics = Self {
            refused: StreamRefusals {
                capacity: refused("capacity"),
                address: refused("address_capacity"),
                drain: refused("drain"),
            },
            ..Self::default()
        };
        registry.register(
            "streams_open",
            "Streams that are open",
            metrics.open.clone(),
        );
        registry.register(
            "stream_events",
            "Events handed to the sockets of clients",
            metrics.events.clone(),
        );
        registry.register(
            "stream_conflations",
            "Times that a client was too slow and heard the newest of each topic only",
            metrics.conflations.clone(),
        );
        registry.register(
            "stream_slow_clients",
            "Streams that were ended because the client took nothing",
            metrics.slow.clone(),
        );
        registry.register(
            "stream_refusals",
            "Streams that were not opened, by reason",
            refusals,
        );
        metrics
    }
}
