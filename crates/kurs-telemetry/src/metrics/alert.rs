//! Metrics of alerts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The kinds of conditions.
const KINDS: [&str; 5] = ["threshold", "percent", "source_loss", "freeze", "depeg"];
/// The ways to targets.
const COURIERS: [&str; 2] = ["webhook", "telegram"];
/// How deliveries end, `retry` for an attempt that is not the last.
const OUTCOMES: [&str; 4] = ["delivered", "retry", "refused", "gave_up"];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeliveryLabels {
    courier: &'static str,
    outcome: &'static str,
}

/// Metrics of alerts.
#[derive(Debug, Clone, Default)]
pub struct AlertMetrics {
    fired: Family<KindLabels, Counter>,
    deliveries: Family<DeliveryLabels, Counter>,
    /// Deliveries that are not done.
    pub pending: Gauge,
    /// 1 while this process watches and tells.
    pub lease_held: Gauge,
    /// Epoch of the lease that this process held last.
    pub lease_epoch: Gauge,
}

impl AlertMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        for kind in KINDS {
            let _ = metrics.fired.get_or_create_owned(&KindLabels { kind });
        }
        for courier in COURIERS {
            for outcome in OUTCOMES {
                let labels = DeliveryLabels { courier, outcome };
                let _ = metrics.deliveries.get_or_create_owned(&labels);
            }
        }
        registry.register(
            "alerts_fired",
            "Alerts that fired, by kind of their condition",
            metrics.fired.clone(),
        );
        registry.register(
            "alert_deliveries",
            "Attempts to tell somebody, by way and end; retry: to be tried again",
            metrics.deliveries.clone(),
        );
        registry.register(
            "alert_deliveries_pending",
            "What is to be told still, as the holder of the lease counts it",
            metrics.pending.clone(),
        );
        registry.register(
            "alert_lease_held",
            "1 while this process watches alerts and tells people",
            metrics.lease_held.clone(),
        );
        registry.register(
            "alert_lease_epoch",
            "Epoch of the lease of alerts that this process held last",
            metrics.lease_epoch.clone(),
        );
        metrics
    }

    /// An alert fired.
    pub fn fired(&self, kind: &'static str) {
        self.fired.get_or_create_owned(&KindLabels { kind }).inc();
    }

    /// An attempt to tell somebody ended.
    pub fn delivery(&self, courier: &'static str, outcome: &'static str) {
        let labels = DeliveryLabels { courier, outcome };
        self.deliveries.get_or_create_owned(&labels).inc();
    }
}
