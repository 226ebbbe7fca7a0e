//! `grpc.health.v1`, which follows `/readyz`: ready means that this instance serves its roles.

use crate::proto;
use kurs_telemetry::Health;
use std::sync::Arc;
use std::time::Duration;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

/// How often it is looked whether something has changed.
const EVERY: Duration = Duration::from_millis(100);

/// Tells the state of the instance, and of the service, for ever.
pub(crate) async fn follow(health: Arc<Health>, reporter: HealthReporter) {
    let mut told = None;
    loop {
        let (is_ready, _) = health.ready();
        if told != Some(is_ready) {
            told = Some(is_ready);
            let status = if is_ready {
                ServingStatus::Serving
            } else {
                ServingStatus::NotServing
            };
            for service in ["", proto::RATES] {
                reporter.set_service_status(service, status).await;
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}
