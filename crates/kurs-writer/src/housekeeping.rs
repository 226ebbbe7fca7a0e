//! What must be done from time to time: old history goes, the recorder's state is told.

use crate::recorder::{RecorderHandle, RecorderHealth};
use kurs_core::Clock;
use kurs_store::Store;
use kurs_telemetry::health::{Health, Status};
use kurs_telemetry::metrics::WriterMetrics;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How often old history is deleted.
const PRUNE_EVERY: Duration = Duration::from_secs(600);
/// How often the recorder's counters are told.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// Deletes history older than `keep`, in small steps, until it is dropped.
pub(crate) async fn prune(
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    keep: Duration,
    metrics: WriterMetrics,
) {
    loop {
        let now = clock.now().wall;
        let keep_us = i64::try_from(keep.as_micros()).unwrap_or(i64::MAX);
        let before = kurs_core::Wall(now.0.saturating_sub(keep_us));
        let pruned = store.prune(before).await;
        metrics.store_request("prune", pruned.is_ok());
        match pruned {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "deleted history that is older than its time"),
            Err(error) => tracing::warn!(%error, "cannot delete old history, trying again later"),
        }
        tokio::time::sleep(PRUNE_EVERY).await;
    }
}

/// Tells the recorder's state to the probes and its counters to the metrics.
pub(crate) async fn tell(recorder: RecorderHandle, health: Arc<Health>, metrics: WriterMetrics) {
    let mut told = Told::default();
    loop {
        match recorder.health() {
            RecorderHealth::Writing => health.set("history", Status::Ok, ""),
            // Rates live on without the store, so this Writer stays ready.
            RecorderHealth::Waiting { why, .. } => health.set("history", Status::Degraded, &why),
            RecorderHealth::Ended => health.set("history", Status::Degraded, "ended"),
        }
        told.tell(&recorder, &metrics);
        tokio::time::sleep(TELL_EVERY).await;
    }
}

/// What the metrics know already.
#[derive(Default)]
struct Told {
    written: u64,
    dropped: u64,
}

impl Told {
    fn tell(&mut self, recorder: &RecorderHandle, metrics: &WriterMetrics) {
        let counters = recorder.counters();
        metrics
            .history_rows
            .inc_by(since(&mut self.written, &counters.rows_written));
        metrics
            .history_dropped
            .inc_by(since(&mut self.dropped, &counters.rows_shed));
        metrics
            .history_waiting
            .set(i64::try_from(recorder.waiting()).unwrap_or(i64::MAX));
    }
}

fn since(told: &mut u64, counter: &AtomicU64) -> u64 {
    let total = counter.load(Ordering::Relaxed);
    let more = total.saturating_sub(*told);
    *told = total;
    more
}
