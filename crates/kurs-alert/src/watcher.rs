//! Looks at the rates, steps the machines, and stores what fired together with what is to be told.

use crate::alert::{Alert, AlertId};
use crate::condition::Condition;
use crate::machine::{self, AlertState, Fired, Observation, SeenRate, SeenSource};
use crate::message::AlertMessage;
use crate::office::Seat;
use kurs_core::{Pair, SourceId, SourceState, Wall};
use kurs_reader::{Missing, RateDocument, RateView};
use kurs_store::{AlertStep, Delivery, DeliveryStanding, Fence, Store, StoreError};
use kurs_telemetry::metrics::AlertMetrics;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often it is looked whether something has changed.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often all are looked at though nothing has changed: time passes as well.
const STEP_EVERY: Duration = Duration::from_millis(250);
/// How often the store is asked whether people have changed alerts.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// How often what machines remember is stored where nothing depends on it but how much of it a
/// restart forgets.
const REMEMBER_EVERY: Duration = Duration::from_secs(10);
/// Steps stored at one time.
const STEPS_MAX: usize = 500;

/// What the watcher works with.
pub struct Means {
    /// The rates.
    pub view: Arc<RateView>,
    /// The alerts.
    pub store: Arc<dyn Store>,
    /// Whether it may act.
    pub seat: Seat,
    /// What is counted.
    pub metrics: AlertMetrics,
    /// Told when there is something to be told.
    pub fired: Arc<Notify>,
}

/// An alert that is watched.
struct Watched {
    alert: Alert,
    /// What the store has of its machine.
    stored: AlertState,
}

/// A step that is to be stored.
struct Pending {
    step: AlertStep,
    next: AlertState,
    fired: Option<Fired>,
}

/// Watches until `stopped` turns true.
pub async fn run(means: Means, mut stopped: watch::Receiver<bool>) {
    let mut watcher = Watcher {
        means,
        under: None,
        version: None,
        alerts: BTreeMap::new(),
        pending: Vec::new(),
        seen_revision: None,
        step_at: Instant::now(),
        ask_at: Instant::now(),
        remember_at: Instant::now() + REMEMBER_EVERY,
    };
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = ticks.tick() => watcher.turn().await,
            () = async { let _ = stopped.wait_for(|ended| *ended).await; } => break,
        }
    }
    watcher.remember().await;
}

struct Watcher {
    means: Means,
    under: Option<Fence>,
    version: Option<u64>,
    alerts: BTreeMap<AlertId, Watched>,
    /// What could not be stored yet: it comes before anything else is looked at.
    pending: Vec<Pending>,
    seen_revision: Option<u64>,
    step_at: Instant,
    ask_at: Instant,
    remember_at: Instant,
}

impl Watcher {
    async fn turn(&mut self) {
        let Some(fence) = self.means.seat.fence() else {
            self.forget();
            return;
        };
        if self.under != Some(fence) {
            self.forget();
            self.under = Some(fence);
            self.ask_at = Instant::now();
        }
        let now = Instant::now();
        if now >= self.ask_at {
            self.ask_at = now + ASK_EVERY;
            if let Err(error) = self.read().await {
                tracing::warn!(%error, "the alerts cannot be read");
                return;
            }
        }
        if self.version.is_none() {
            return;
        }
        if !self.pending.is_empty() {
            self.keep(fence).await;
            return;
        }
        let revision = self.means.view.revision();
        let is_due = now >= self.step_at || self.seen_revision != Some(revision);
        if !is_due || !self.means.view.is_loaded() || self.alerts.is_empty() {
            return;
        }
        self.seen_revision = Some(revision);
        self.step_at = now + STEP_EVERY;
        let remembers = now >= self.remember_at;
        if remembers {
            self.remember_at = now + REMEMBER_EVERY;
        }
        self.step(remembers);
        self.keep(fence).await;
    }

    /// Whoever holds the lease next begins with what is stored.
    fn forget(&mut self) {
        self.under = None;
        self.version = None;
        self.alerts.clear();
        self.pending.clear();
        self.seen_revision = None;
    }

    async fn read(&mut self) -> Result<(), StoreError> {
        let talk = self.means.store.talk();
        if self.version.is_some() && self.version == Some(talk.alert_version().await?) {
            return Ok(());
        }
        let stored = talk.alerts().await?;
        let mut known = std::mem::take(&mut self.alerts);
        for one in &stored.alerts {
            let alert = match Alert::read(one) {
                Ok(alert) => alert,
                Err(error) => {
                    tracing::error!(%error, "an alert cannot be understood and is not watched");
                    continue;
                }
            };
            // What this process remembers is newer than what is stored.
            let watched = match known.remove(&alert.id) {
                Some(known) if known.alert.revision == alert.revision => known,
                _ => Watched {
                    stored: alert.state.clone(),
                    alert,
                },
            };
            self.alerts.insert(Arc::clone(&watched.alert.id), watched);
        }
        let alerts = &self.alerts;
        self.pending.retain(|pending| {
            let watched = alerts.get(&pending.step.id);
            watched.is_some_and(|watched| watched.alert.revision == pending.step.revision)
        });
        self.version = Some(stored.version);
        Ok(())
    }

    /// Steps all machines; what has to be stored goes into `pending`.
    fn step(&mut self, remembers: bool) {
        let now = self.means.view.now().wall;
        let mut rates = Rates::of(&self.means.view);
        for watched in self.alerts.values_mut() {
            if watched.alert.is_paused {
                continue;
            }
            let condition = &watched.alert.terms.condition;
            let (observation, rate) = rates.look(condition);
            let (next, fired) = machine::step(
                &watched.alert.terms,
                &watched.alert.state,
                &observation,
                now,
            );
            let is_due = remembers && next != watched.stored;
            if !(is_due || next.must_be_stored(&watched.stored)) {
                watched.alert.state = next;
                continue;
            }
            let number = watched
                .alert
                .fired
                .saturating_add(u64::from(fired.is_some()));
            self.pending.push(Pending {
                step: AlertStep {
                    id: Arc::clone(&watched.alert.id),
                    revision: watched.alert.revision,
                    state: next.json(),
                    number,
                    fired: fired
                        .as_ref()
                        .map(|fired| delivery(&watched.alert, fired, number, rate.as_deref())),
                },
                next,
                fired,
            });
        }
    }

    /// Stores what is pending; machines go on from there when that is done.
    async fn keep(&mut self, fence: Fence) {
        while !self.pending.is_empty() {
            let count = self.pending.len().min(STEPS_MAX);
            let steps = self.pending.iter().take(count);
            let steps: Vec<AlertStep> = steps.map(|pending| pending.step.clone()).collect();
            match self.means.store.talk().step_alerts(steps, fence).await {
                Ok(stored) => self.kept(count, stored),
                Err(StoreError::Unavailable(why)) => {
                    tracing::warn!(why, "what alerts came to is not stored yet");
                    return;
                }
                Err(StoreError::Fenced(_)) => {
                    tracing::info!("another process watches the alerts");
                    self.forget();
                    return;
                }
                Err(error) => {
                    tracing::error!(%error, "what alerts came to cannot be stored");
                    // Begins anew with what is stored, at the next question.
                    self.forget();
                    self.under = Some(fence);
                    return;
                }
            }
        }
    }

    fn kept(&mut self, count: usize, stored: u64) {
        for pending in self.pending.drain(..count) {
            let Some(watched) = self.alerts.get_mut(&pending.step.id) else {
                continue;
            };
            watched.stored = pending.next.clone();
            watched.alert.state = pending.next;
            watched.alert.fired = pending.step.number;
            if let Some(fired) = pending.fired {
                watched.alert.fired_at = Some(fired.at);
                let kind = watched.alert.terms.condition.kind();
                self.means.metrics.fired(kind);
                let alert = &watched.alert.id;
                tracing::info!(%alert, kind, number = pending.step.number, "an alert fired");
                self.means.fired.notify_one();
            }
        }
        if stored != u64::try_from(count).unwrap_or(u64::MAX) {
            // People have changed some of them meanwhile.
            self.version = None;
            self.ask_at = Instant::now();
        }
    }

    /// Stores what machines remember, for whoever goes on.
    async fn remember(&mut self) {
        if let (Some(fence), true) = (self.means.seat.fence(), self.pending.is_empty()) {
            for watched in self.alerts.values() {
                if watched.alert.state != watched.stored {
                    self.pending.push(Pending {
                        step: AlertStep {
                            id: Arc::clone(&watched.alert.id),
                            revision: watched.alert.revision,
                            state: watched.alert.state.json(),
                            number: watched.alert.fired,
                            fired: None,
                        },
                        next: watched.alert.state.clone(),
                        fired: None,
                    });
                }
            }
            self.keep(fence).await;
        }
    }
}

/// What is to be told because an alert fired.
fn delivery(alert: &Alert, fired: &Fired, number: u64, rate: Option<&RateDocument>) -> Delivery {
    let id: Arc<str> = format!("{}-{number}", alert.id).into();
    let message = AlertMessage::fired(Arc::clone(&id), alert, fired, rate);
    outgoing(id, alert, &message, fired.at)
}

/// A message on its way to the target of its alert.
#[must_use]
pub fn outgoing(id: Arc<str>, alert: &Alert, message: &AlertMessage, at: Wall) -> Delivery {
    Delivery {
        id,
        alert: Arc::clone(&alert.id),
        target: alert.target.to_string().into(),
        body: serde_json::to_string(message).unwrap_or_default().into(),
        created_at: at,
        standing: DeliveryStanding::due(at),
    }
}

/// The rates and sources of one moment, each looked up once.
struct Rates<'a> {
    view: &'a RateView,
    rates: HashMap<Pair, Option<Arc<RateDocument>>>,
    sources: Option<BTreeMap<SourceId, SourceState>>,
}

impl<'a> Rates<'a> {
    fn of(view: &'a RateView) -> Self {
        Self {
            view,
            rates: HashMap::new(),
            sources: None,
        }
    }

    fn look(&mut self, condition: &Condition) -> (Observation, Option<Arc<RateDocument>>) {
        if let Some(source) = condition.source() {
            let state = self.source(source);
            let seen = state.map(|state| SeenSource { source, state });
            return (Observation::Source(seen), None);
        }
        let Some(pair) = condition.pair() else {
            return (Observation::Rate(None), None);
        };
        let view = self.view;
        let rate = self
            .rates
            .entry(pair)
            .or_insert_with(|| current(view, pair));
        let seen = rate.as_ref().map(|rate| SeenRate {
            value: rate.value,
            state: rate.state,
            source: rate.source,
            observed_at: rate.observed_at,
        });
        (Observation::Rate(seen), rate.clone())
    }

    fn source(&mut self, source: SourceId) -> Option<SourceState> {
        let view = self.view;
        let sources = self.sources.get_or_insert_with(|| {
            let sources = view.sources();
            let states = sources.iter().map(|status| (status.source, status.state));
            states.collect()
        });
        // A simulated source is meant by its own name as well.
        let simulated = || sources.get(&source.simulated());
        sources.get(&source).or_else(simulated).copied()
    }
}

/// The rate of a pair, whatever its state.
#[must_use]
pub fn current(view: &RateView, pair: Pair) -> Option<Arc<RateDocument>> {
    match view.rate(pair, None) {
        Ok(answer) => Some(answer.document),
        Err(Missing::Expired(document)) => Some(Arc::from(document)),
        Err(_) => None,
    }
}
