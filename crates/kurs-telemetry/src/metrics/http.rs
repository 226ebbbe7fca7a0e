//! Metrics of the HTTP server.

use super::histogram::{DurationHistogram, REQUEST_BOUNDS_NS};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::time::Duration;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: &'static str,
    code_class: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    method: &'static str,
    route: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

type NewHistogram = fn() -> DurationHistogram;

/// Metrics of the HTTP server.
#[derive(Debug, Clone)]
pub struct HttpMetrics {
    requests: Family<RequestLabels, Counter>,
    durations: Family<RouteLabels, DurationHistogram, NewHistogram>,
    refused: Family<ReasonLabels, Counter>,
    turned_away: Family<ReasonLabels, Counter>,
    /// Connections that were accepted.
    pub connections_accepted: Counter,
    /// Connections that are open.
    pub connections_open: Gauge,
}

/// Why a connection was turned away or cut. A closed set, so that the labels are bounded.
pub const CUT_REASONS: [&str; 9] = [
    "capacity",
    "address_capacity",
    "handshake_timeout",
    "head_timeout",
    "idle_timeout",
    "body_timeout",
    "write_timeout",
    "protocol",
    "drain",
];

/// Why a caller was not let in. A closed set, so that the labels are bounded.
pub const AWAY_REASONS: [&str; 5] = [
    "unauthorized",
    "forbidden",
    "quota",
    "failures",
    "keys_unavailable",
];

impl HttpMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(|| DurationHistogram::new(&REQUEST_BOUNDS_NS)),
            refused: Family::default(),
            turned_away: Family::default(),
            connections_accepted: Counter::default(),
            connections_open: Gauge::default(),
        };
        registry.register(
            "http_requests",
            "Requests answered, by route template and class of status",
            metrics.requests.clone(),
        );
        registry.register(
            "http_request_duration_seconds",
            "Time from the whole head of a request to the end of its answer",
            metrics.durations.clone(),
        );
        registry.register(
            "http_connections_accepted",
            "Connections accepted",
            metrics.connections_accepted.clone(),
        );
        registry.register(
            "http_connections_open",
            "Connections open at present",
            metrics.connections_open.clone(),
        );
        registry.register(
            "http_connections_cut",
            "Connections turned away or ended by the server, by reason",
            metrics.refused.clone(),
        );
        registry.register(
            "http_requests_turned_away",
            "Requests of callers who were not let in, by reason",
            metrics.turned_away.clone(),
        );
        for reason in AWAY_REASONS {
            let _ = metrics.turned_away.get_or_create(&ReasonLabels { reason });
        }
        for reason in CUT_REASONS {
            let _ = metrics.refused.get_or_create(&ReasonLabels { reason });
        }
        metrics
    }

    /// The series of one route, resolved once when the router is built. `route` is the
    /// template, never a path somebody sent.
    #[must_use]
    pub fn route(&self, method: &'static str, route: &'static str) -> RouteMetrics {
        let counter = |code_class| {
            self.requests.get_or_create_owned(&RequestLabels {
                method,
                route,
                code_class,
            })
        };
        RouteMetrics {
            by_class: ["2xx", "3xx", "4xx", "5xx"].map(counter),
            duration: self
                .durations
                .get_or_create_owned(&RouteLabels { method, route }),
        }
    }

    /// The counter of requests turned away for one of [`AWAY_REASONS`].
    #[must_use]
    pub fn turned_away(&self, reason: &'static str) -> Counter {
        self.turned_away
            .get_or_create_owned(&ReasonLabels { reason })
    }

    /// The counter of connections cut for one of [`CUT_REASONS`].
    #[must_use]
    pub fn cut(&self, reason: &'static str) -> Counter {
        self.refused.get_or_create_owned(&ReasonLabels { reason })
    }
}

/// The series of one route.
#[derive(Debug, Clone)]
pub struct RouteMetrics {
    by_class: [Counter; 4],
    duration: DurationHistogram,
}

impl RouteMetrics {
    /// Counts one answered request.
    pub fn observe(&self, status: u16, elapsed: Duration) {
        // 101 is a success: the connection goes on as a WebSocket.
        let class = usize::from((status / 100).clamp(2, 5)) - 2;
        if let Some(counter) = self.by_class.get(class) {
            counter.inc();
        }
        self.duration.observe(elapsed);
    }
}
