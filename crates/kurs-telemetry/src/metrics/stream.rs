//! Metrics of streams.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

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
    /// Streams that were not opened because as many were open as may be.
    pub refused: Counter,
}

impl StreamMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
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
            "Streams that were not opened because as many were open as may be",
            metrics.refused.clone(),
        );
        metrics
    }
}
