//! What must be done from time to time: history is packed, old history goes, the recorder's state
//! is told.

use crate::recorder::{RecorderHandle, RecorderHealth};
use kurs_core::Clock;
use kurs_store::{Packing, Retention, Store};
use kurs_telemetry::health::{Health, Status};
use kurs_telemetry::metrics::WriterMetrics;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// How often history is packed.
const PACK_EVERY: Duration = Duration::from_secs(60);
/// How often old history is deleted.
const PRUNE_EVERY: Duration = Duration::from_secs(600);
/// How often the recorder's counters are told.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// Packs history that is older than `pack_after` (`None`: never), and deletes what is outdated,
/// until it is dropped. One after the other: both ask much of the store.
pub(crate) async fn keep_in_order(
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    retention: Retention,
    pack_after: Option<Duration>,
    metrics: WriterMetrics,
) {
    let mut prune_at = Instant::now();
    loop {
        if Instant::now() >= prune_at {
            prune_at = Instant::now() + PRUNE_EVERY;
            prune_once(&*store, &*clock, retention, &metrics).await;
        }
        if let Some(age) = pack_after {
            pack(&*store, &*clock, age, &metrics).await;
        }
        tokio::time::sleep(PACK_EVERY).await;
    }
}

async fn prune_once(
    store: &dyn Store,
    clock: &dyn Clock,
    retention: Retention,
    metrics: &WriterMetrics,
) {
    let pruned = store.prune(retention.outdated(clock.now().wall)).await;
    metrics.store_request("prune", pruned.is_ok());
    match pruned {
        Ok(0) => {}
        Ok(rows) => tracing::info!(rows, "deleted history that is older than its time"),
        Err(error) => tracing::warn!(%error, "cannot delete old history, trying again later"),
    }
}

async fn pack(store: &dyn Store, clock: &dyn Clock, age: Duration, metrics: &WriterMetrics) {
    let now = clock.now().wall;
    let age_us = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
    let packed = store
        .pack(kurs_core::Wall(now.0.saturating_sub(age_us)))
        .await;
    metrics.store_request("pack", packed.is_ok());
    match packed {
        Ok(Packing {
            rows: 0,
            published: 0,
        }) => {}
        Ok(Packing { rows, published }) => tracing::debug!(rows, published, "packed history"),
        Err(error) => tracing::warn!(%error, "cannot pack history, trying again later"),
    }
}

/// Tells the recorder's state to the probes and its counters to the metrics.
pub(crate) async fn tell(recorder: RecorderHandle, health: Arc<Health>, metrics: WriterMetrics) {
    let mut told = Told::default();
    loop {
        // Rates live on without history, so this Writer stays ready whatever becomes of it.
        match recorder.health() {
            RecorderHealth::Writing => health.set("history", Status::Ok, ""),
            RecorderHealth::Spooling { why, .. } => {
                let batches = recorder.spool().records;
                let detail = format!("{why} ({batches} batches)");
                health.set("history", Status::Degraded, &detail);
            }
            RecorderHealth::Unguarded { why, .. } | RecorderHealth::Waiting { why, .. } => {
                health.set("history", Status::Degraded, &why);
            }
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
    events: u64,
    shed: [u64; 7],
    appends: u64,
    append_failures: u64,
    drained: u64,
    damaged: u64,
}

impl Told {
    fn tell(&mut self, recorder: &RecorderHandle, metrics: &WriterMetrics) {
        let counters = recorder.counters();
        let written = counters.rows_written.load(Ordering::Relaxed);
        metrics
            .history_rows
            .inc_by(since(&mut self.written, written));
        let events = counters.events_written.load(Ordering::Relaxed);
        metrics
            .history_events
            .inc_by(since(&mut self.events, events));
        metrics.history_waiting.set(gauge(recorder.waiting()));
        metrics
            .history_events_waiting
            .set(gauge(recorder.waiting_events()));
        let dropped = recorder.dropped();
        let kinds = [
            ("rows", dropped.rows),
            ("states", dropped.states),
            ("candles", dropped.candles),
            ("books", dropped.books),
            ("published", dropped.published),
            ("gaps", dropped.gaps),
            ("official", dropped.official),
        ];
        for ((kind, total), told) in kinds.into_iter().zip(&mut self.shed) {
            let more = since(told, total);
            metrics.shed(kind, more);
            if kind == "rows" {
                metrics.history_dropped.inc_by(more);
            }
        }
        let spool = recorder.spool();
        metrics.spool_bytes.set(gauge(spool.bytes));
        metrics.spool_batches.set(gauge(spool.records));
        metrics
            .spool_appends
            .inc_by(since(&mut self.appends, spool.appended));
        metrics
            .spool_append_failures
            .inc_by(since(&mut self.append_failures, spool.append_failures));
        metrics
            .spool_drained
            .inc_by(since(&mut self.drained, spool.drained));
        metrics
            .spool_damaged
            .inc_by(since(&mut self.damaged, spool.damaged + spool.set_aside));
    }
}

fn gauge(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

fn since(told: &mut u64, total: u64) -> u64 {
    let more = total.saturating_sub(*told);
    *told = total;
    more
}
