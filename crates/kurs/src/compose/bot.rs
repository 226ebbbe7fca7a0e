//! The role that tells people: alerts, webhooks, Telegram.
//!
//! One process does it, whoever holds the lease. Everything runs for the time of one lease and ends
//! with it; the next one goes on from what the store says.

use super::Built;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::supervise::supervise;
use kurs_alert::office::{self, Office};
use kurs_alert::webhook::{SystemResolver, WebhookCourier};
use kurs_alert::{Courier, Seat, dispatch, watcher};
use kurs_bot::{Bot, ChartPictures};
use kurs_store::Fence;
use std::sync::Arc;
use tokio::sync::{Notify, watch};
use tokio::task::{JoinError, JoinSet};

/// Runs until `stopped` turns true.
pub(super) async fn bot(built: Arc<Built>, config: Config, stopped: watch::Receiver<bool>) {
    let panics = built.metrics.process.panics("bot");
    supervise("bot", panics, stopped.clone(), || {
        run(Arc::clone(&built), config.clone(), stopped.clone())
    })
    .await;
}

async fn run(built: Arc<Built>, config: Config, mut stopped: watch::Receiver<bool>) {
    let mut couriers = match webhooks(&built, &config) {
        Ok(webhooks) => vec![webhooks],
        Err(failure) => {
            tracing::error!(error = %failure, "nobody can be told anything");
            return;
        }
    };
    let office = Office::new(office::Means {
        store: Arc::clone(&built.store),
        clock: Arc::clone(&built.clock),
        name: Arc::clone(&built.writer_name),
        metrics: built.metrics.alerts.clone(),
        health: Arc::clone(&built.health),
    });
    let mut seat = office.seat();
    // The lease is given back last: until then everything may be written down.
    let (close, closed) = watch::channel(false);
    let mut open = JoinSet::new();
    open.spawn(office.run(closed));
    let mut talking = JoinSet::new();
    if let Some(telegram) = telegram(&built, &config, seat.clone()) {
        couriers.push(telegram.courier());
        let stopped = stopped.clone();
        talking.spawn(async move { telegram.run(stopped).await });
    }
    while !*stopped.borrow() {
        let time = async {
            let fence = tokio::select! {
                fence = seat.taken() => fence,
                _ = stopped.wait_for(|ended| *ended) => None,
            };
            if let Some(fence) = fence {
                let couriers = couriers.clone();
                let seat = seat.clone();
                tenure(&built, &config, couriers, seat, fence, stopped.clone()).await;
            }
        };
        tokio::select! {
            () = time => {}
            () = trouble(&mut open) => {}
            () = trouble(&mut talking) => {}
        }
    }
    while let Some(ended) = talking.join_next().await {
        pass_on(Some(ended));
    }
    close.send_replace(true);
    while let Some(ended) = open.join_next().await {
        pass_on(Some(ended));
    }
}

/// Never ends, but by the panic of a part.
async fn trouble(parts: &mut JoinSet<()>) {
    while let Some(ended) = parts.join_next().await {
        pass_on(Some(ended));
    }
    std::future::pending().await
}

/// A panic of a part is one of the whole, which is then started again.
fn pass_on(ended: Option<Result<(), JoinError>>) {
    if let Some(Err(error)) = ended
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}

fn webhooks(built: &Built, config: &Config) -> Result<Arc<dyn Courier>, Failure> {
    let tls = kurs_net::http::tls_config().map_err(|error| Failure::new(Exit::Failure, error))?;
    let courier = WebhookCourier::new(
        tls,
        Arc::new(SystemResolver),
        Arc::clone(&built.clock),
        concat!("kurs/", env!("CARGO_PKG_VERSION")).to_owned(),
        config.alerts.insecure_webhooks,
    );
    Ok(Arc::new(courier))
}

/// The time of one lease.
async fn tenure(
    built: &Arc<Built>,
    config: &Config,
    couriers: Vec<Arc<dyn Courier>>,
    mut seat: Seat,
    fence: Fence,
    mut stopped: watch::Receiver<bool>,
) {
    let (end, ended) = watch::channel(false);
    let fired = Arc::new(Notify::new());
    let mut parts = JoinSet::new();
    let means = watcher::Means {
        view: Arc::clone(&built.view),
        store: Arc::clone(&built.store),
        seat: seat.clone(),
        metrics: built.metrics.alerts.clone(),
        fired: Arc::clone(&fired),
    };
    parts.spawn(watcher::run(means, ended.clone()));
    let means = dispatch::Means {
        store: Arc::clone(&built.store),
        seat: seat.clone(),
        clock: Arc::clone(&built.clock),
        couriers,
        config: config.alerts.clone(),
        metrics: built.metrics.alerts.clone(),
        fired,
        seed: built.seed ^ fence.epoch.0,
    };
    parts.spawn(dispatch::run(means, ended.clone()));
    tokio::select! {
        () = seat.lost(fence) => {}
        first = parts.join_next() => pass_on(first),
        _ = stopped.wait_for(|ended| *ended) => {}
    }
    end.send_replace(true);
    while let Some(part) = parts.join_next().await {
        pass_on(Some(part));
    }
}

/// The bot in Telegram, if it has a token.
fn telegram(built: &Built, config: &Config, seat: Seat) -> Option<Bot> {
    let means = kurs_bot::Means {
        config: config.telegram.clone(),
        view: Arc::clone(&built.view),
        store: Arc::clone(&built.store),
        clock: Arc::clone(&built.clock),
        pictures: Arc::new(ChartPictures),
        health: Arc::clone(&built.health),
        seat,
        metrics: built.metrics.telegram.clone(),
        alerts: config.alerts.clone(),
        seed: built.seed,
    };
    match Bot::new(means) {
        Ok(bot) => bot,
        Err(error) => {
            tracing::error!(error, "there is no way to Telegram");
            None
        }
    }
}
