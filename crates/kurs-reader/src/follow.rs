//! Keeps a view up to date: the store's current rates first, then the bus, and the bus' last
//! values again after every gap.

use crate::view::RateView;
use kurs_bus::{Body, Bus, BusError, BusEvent};
use kurs_store::Store;
use kurs_telemetry::metrics::ReaderMetrics;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Wait before the bus or the store is asked again.
const RETRY: Duration = Duration::from_millis(500);

/// Runs until `shutdown` turns true.
pub async fn run(
    view: Arc<RateView>,
    store: Arc<dyn Store>,
    bus: Arc<dyn Bus>,
    metrics: ReaderMetrics,
    mut shutdown: watch::Receiver<bool>,
) {
    let following = async {
        let mut is_warm = false;
        loop {
            if let Err(error) = follow(&view, &*store, &*bus, &metrics, &mut is_warm).await {
                tracing::warn!(%error, "the bus is away, trying again");
                warm_up(&view, &*store, &mut is_warm).await;
            }
            tokio::time::sleep(RETRY).await;
        }
    };
    tokio::select! {
        () = following => {}
        _ = shutdown.wait_for(|ended| *ended) => {}
    }
}

/// First answers come from the store, with their true age and state; once.
async fn warm_up(view: &RateView, store: &dyn Store, is_warm: &mut bool) {
    if std::mem::replace(is_warm, true) {
        return;
    }
    match store.load_current().await {
        Ok(rates) => {
            let count = rates.len();
            for rate in rates {
                view.restore(rate);
            }
            tracing::info!(rates = count, "took the current rates from the store");
        }
        Err(error) => tracing::warn!(%error, "the store gave no current rates, the bus will"),
    }
    match store.tracked().await {
        Ok(symbols) => view.restore_tracked(symbols),
        Err(error) => tracing::warn!(%error, "the store gave no tracked symbols, the bus will"),
    }
}

async fn follow(
    view: &RateView,
    store: &dyn Store,
    bus: &dyn Bus,
    metrics: &ReaderMetrics,
    is_warm: &mut bool,
) -> Result<(), BusError> {
    // Joined first, so that nothing falls between the last values and the flow. Before the store
    // is read, too: what a Writer takes out of it and withdraws is then either missing there or
    // heard here.
    let mut subscription = bus.subscribe().await?;
    warm_up(view, store, is_warm).await;
    take_last_values(view, bus).await?;
    view.set_loaded();
    loop {
        match subscription.next().await? {
            BusEvent::Update(update) => {
                if !view.apply(&update) {
                    metrics.updates_refused.inc();
                } else if let Body::Rate(rate) = &update.body {
                    // The difference of two clocks where Writer and Reader are two machines.
                    let taken = view.now().wall.since(rate.published_at);
                    metrics.publish_to_reader.observe(taken);
                }
            }
            BusEvent::Gap { lost } => {
                metrics.broker_gaps.inc();
                tracing::warn!(lost, "fell behind the bus, taking the last values again");
                take_last_values(view, bus).await?;
            }
        }
    }
}

async fn take_last_values(view: &RateView, bus: &dyn Bus) -> Result<(), BusError> {
    let mut updates = bus.last_values().await?;
    updates.sort_unstable_by_key(|update| update.id);
    for update in &updates {
        view.apply(update);
    }
    view.keep_only(&updates);
    Ok(())
}
