//! Keeps a view up to date: the store's current rates first, then the bus, and the bus' last
//! values again after every gap. While the bus is silent the store is asked instead.

use crate::view::RateView;
use kurs_bus::{Body, Bus, BusError, BusEvent, Update};
use kurs_core::{Mono, Pair, Wall};
use kurs_store::Store;
use kurs_telemetry::health::{Health, Status};
use kurs_telemetry::metrics::ReaderMetrics;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Wait before the bus is asked again.
const RETRY: Duration = Duration::from_millis(500);
/// How long the bus may be silent: its Writers say once a second that they live.
const SILENCE: Duration = Duration::from_millis(2_500);
/// How long nothing at all may be heard after the start.
const FIRST_WORD: Duration = Duration::from_secs(5);
/// How often the store is asked while the bus is silent.
const POLL_EVERY: Duration = Duration::from_secs(1);
/// How long the store may take for its current rates.
const POLL_PATIENCE: Duration = Duration::from_secs(5);
/// Name of the check that tells whether the bus is heard.
const CHECK: &str = "bus";

/// Hears what the view takes in, in the same order.
pub trait Told: Send + Sync {
    /// The view takes this update in by `take`, which says whether it did.
    fn around(&self, update: &Arc<Update>, take: &mut dyn FnMut() -> bool) -> bool;

    /// Updates went past: the view was taken anew.
    fn lost(&self, why: &str);

    /// Updates may be late or missing from now on; not any more when `why` is empty.
    fn degraded(&self, why: &str);

    /// The rates of these pairs were taken out of the store.
    fn restored(&self, pairs: &[Pair]);
}

/// What a Reader follows with.
pub struct Means {
    /// The picture.
    pub view: Arc<RateView>,
    /// Where it begins, and what is asked while the bus is silent.
    pub store: Arc<dyn Store>,
    /// What it follows.
    pub bus: Arc<dyn Bus>,
    /// What is counted.
    pub metrics: ReaderMetrics,
    /// Where it says how the bus is.
    pub health: Arc<Health>,
    /// Who hears what the view takes in.
    pub told: Arc<dyn Told>,
}

/// Runs until `shutdown` turns true.
pub async fn run(means: Means, mut shutdown: watch::Receiver<bool>) {
    let follower = Follower {
        heard_at: Mutex::new(means.view.mono()),
        polled_until: Mutex::new(None),
        is_warm: Mutex::new(false),
        means,
    };
    tokio::select! {
        () = follower.follow_for_ever() => {}
        () = follower.poll_for_ever() => {}
        _ = shutdown.wait_for(|ended| *ended) => {}
    }
}

struct Follower {
    means: Means,
    /// When the bus was heard last.
    heard_at: Mutex<Mono>,
    /// Up to where the store's current rates are known, by the store's word.
    polled_until: Mutex<Option<Wall>>,
    is_warm: Mutex<bool>,
}

impl Follower {
    async fn follow_for_ever(&self) {
        loop {
            if let Err(error) = self.follow().await {
                tracing::warn!(%error, "the bus is away, trying again");
                self.warm_up().await;
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    /// First answers come from the store, with their true age and state; once.
    async fn warm_up(&self) {
        if std::mem::replace(&mut *self.is_warm.lock(), true) {
            return;
        }
        let is_there = self.take_current().await;
        match self.means.store.tracked().await {
            Ok(symbols) => self.means.view.restore_tracked(symbols),
            Err(error) => tracing::warn!(%error, "the store gave no tracked symbols, the bus will"),
        }
        if is_there {
            tracing::info!("took the current rates from the store");
        } else {
            *self.is_warm.lock() = false;
        }
    }

    /// Takes in what has changed in the store. False when it does not answer.
    async fn take_current(&self) -> bool {
        let since = *self.polled_until.lock();
        let asked = self.means.store.changed_current(since);
        match tokio::time::timeout(POLL_PATIENCE, asked).await {
            Ok(Ok(changed)) => {
                let pairs: Vec<Pair> = changed
                    .rates
                    .iter()
                    .map(|current| current.stored.rate.pair)
                    .collect();
                self.means.view.restore_all(changed.rates);
                self.means.told.restored(&pairs);
                *self.polled_until.lock() = changed.until;
                true
            }
            Ok(Err(error)) => {
                tracing::debug!(%error, "the store gave no current rates");
                false
            }
            Err(_) => false,
        }
    }

    async fn follow(&self) -> Result<(), BusError> {
        let (view, metrics) = (&*self.means.view, &self.means.metrics);
        // Joined first, so that nothing falls between the last values and the flow. Before the
        // store is read, too: what a Writer takes out of it and withdraws is then either missing
        // there or heard here.
        let mut subscription = match self.means.bus.subscribe().await {
            Ok(subscription) => subscription,
            Err(error) => {
                self.warm_up().await;
                if *self.is_warm.lock() {
                    view.set_loaded();
                }
                return Err(error);
            }
        };
        self.warm_up().await;
        self.take_last_values().await?;
        let joined_at = view.mono();
        // The store may have had the rates already; else they are shown as soon as something is
        // heard of their Writer.
        let is_shown = |now: Mono| {
            !view.has_undated() || !view.pairs().is_empty() || now.since(joined_at) > SILENCE
        };
        if is_shown(joined_at) {
            view.set_loaded();
        }
        self.means
            .told
            .lost("this instance has joined the bus anew");
        loop {
            match subscription.next().await? {
                BusEvent::Update(update) => {
                    let mut take = || view.apply(&update);
                    if !self.means.told.around(&update, &mut take) {
                        metrics.updates_refused.inc();
                    } else if let Body::Rate(rate) = &update.body {
                        // The difference of two clocks where Writer and Reader are two machines.
                        let taken = view.now().wall.since(rate.published_at);
                        metrics.publish_to_reader.observe(taken);
                    }
                    // What waited while the broker was away says nothing of the present: until
                    // all of it went by, rates come from the store.
                    if view.is_timely(&update, SILENCE) {
                        *self.heard_at.lock() = view.mono();
                    }
                    if !view.is_loaded() && is_shown(view.mono()) {
                        view.set_loaded();
                    }
                }
                BusEvent::Gap { lost } => {
                    metrics.broker_gaps.inc();
                    tracing::warn!(lost, "fell behind the bus, taking the last values again");
                    self.take_last_values().await?;
                    self.means.told.lost("this instance fell behind the bus");
                }
            }
        }
    }

    async fn take_last_values(&self) -> Result<(), BusError> {
        let updates = self.means.bus.last_values().await?;
        self.means.view.take_last_values(updates);
        Ok(())
    }

    /// Asks the store while the bus says nothing, so that what is served stays fresh.
    async fn poll_for_ever(&self) {
        let mut ticks = tokio::time::interval(POLL_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut was_silent = false;
        let began = *self.heard_at.lock();
        loop {
            ticks.tick().await;
            let view = &*self.means.view;
            let heard_at = *self.heard_at.lock();
            // A Writer that starts at the same time has its first words to find.
            let patience = if heard_at == began {
                FIRST_WORD
            } else {
                SILENCE
            };
            let is_silent = view.mono().since(heard_at) > patience;
            let health = &self.means.health;
            if is_silent {
                self.means
                    .told
                    .degraded("the bus is silent or late: rates come from the store each second");
                view.give_up_undated();
                if !was_silent {
                    tracing::warn!("the bus is silent: asks the store each second instead");
                }
                let is_there = self.take_current().await;
                if is_there {
                    // As good a beginning as the bus' last values.
                    view.set_loaded();
                    let detail = "silent: rates come from the store each second";
                    health.set(CHECK, Status::Degraded, detail);
                } else {
                    let detail = "silent, and the store does not answer either";
                    health.set(CHECK, Status::Degraded, detail);
                }
            } else {
                if was_silent {
                    tracing::info!("the bus is heard again");
                }
                self.means.told.degraded("");
                health.set(CHECK, Status::Ok, "");
            }
            was_silent = is_silent;
        }
    }
}
