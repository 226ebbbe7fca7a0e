//! Brings what is due to its targets: a few at a time, one at a time for each target, again after
//! pauses that grow, until it is done or given up. What is done is noted before anything else goes
//! to that target.

use crate::config::{AlertConfig, GIVE_UP_AFTER};
use crate::courier::{Courier, Delivered, Delivery};
use crate::office::Seat;
use kurs_core::{Clock, Wall};
use kurs_store::{DeliveryStanding, Store, StoreError};
use kurs_telemetry::metrics::AlertMetrics;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::{self, JoinError, JoinSet};
use tokio::time::{Instant, sleep};

/// How often it is looked for what is due.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often it is counted what is not done.
const COUNT_EVERY: Duration = Duration::from_secs(5);
/// How often it is removed what was done long ago.
const PRUNE_EVERY: Duration = Duration::from_secs(3_600);
/// Longest first pause; it doubles with every attempt.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);
/// Deliveries that are looked at together.
const LOOKED_AT: u32 = 200;
/// Pause before what no courier takes is looked at again.
const NOBODY_PAUSE: Duration = Duration::from_secs(60);
/// Pause before it is noted again how a delivery ended while the store is away.
const NOTE_PAUSE: Duration = Duration::from_millis(500);
/// An attempt that takes longer has failed.
const ATTEMPT_MAX: Duration = Duration::from_secs(30);
/// Longest note of what went wrong, in bytes.
const ERROR_MAX: usize = 500;

/// What the dispatcher works with.
#[derive(Clone)]
pub struct Means {
    /// What is to be told.
    pub store: Arc<dyn Store>,
    /// Whether it may act.
    pub seat: Seat,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The ways to targets.
    pub couriers: Vec<Arc<dyn Courier>>,
    /// Limits.
    pub config: AlertConfig,
    /// What is counted.
    pub metrics: AlertMetrics,
    /// Tells when there is something to be told.
    pub fired: Arc<Notify>,
    /// Seed of the pauses.
    pub seed: u64,
}

/// Sends until `stopped` turns true; what is under way then has a moment to end.
pub async fn run(means: Means, mut stopped: watch::Receiver<bool>) {
    let mut under_way = UnderWay::default();
    let mut random = fastrand::Rng::with_seed(means.seed);
    let (mut count_at, mut prune_at) = (Instant::now(), Instant::now() + COUNT_EVERY);
    loop {
        if means.seat.fence().is_some() {
            send_due(&means, &mut under_way, &mut random).await;
            let now = Instant::now();
            if now >= count_at {
                count_at = now + COUNT_EVERY;
                count(&means).await;
            }
            if now >= prune_at {
                prune_at = now + PRUNE_EVERY;
                prune(&means).await;
            }
        } else {
            means.metrics.pending.set(0);
        }
        tokio::select! {
            () = sleep(LOOK_EVERY) => {}
            () = means.fired.notified() => {}
            Some(ended) = under_way.tasks.join_next_with_id() => under_way.end(ended),
            _ = stopped.wait_for(|ended| *ended) => break,
        }
    }
    let ending = async { while under_way.tasks.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(Duration::from_secs(5), ending).await;
}

/// Deliveries that are being tried: one at a time for each target.
#[derive(Default)]
struct UnderWay {
    tasks: JoinSet<()>,
    targets: HashMap<task::Id, Arc<str>>,
}

impl UnderWay {
    fn is_busy(&self, target: &str) -> bool {
        self.targets.values().any(|busy| &**busy == target)
    }

    fn busy(&self) -> Vec<Arc<str>> {
        self.targets.values().cloned().collect()
    }

    fn end(&mut self, ended: Result<(task::Id, ()), JoinError>) {
        let id = match ended {
            Ok((id, ())) => id,
            Err(error) => {
                tracing::error!(%error, "a delivery ended badly");
                error.id()
            }
        };
        self.targets.remove(&id);
    }
}

async fn send_due(means: &Means, under_way: &mut UnderWay, random: &mut fastrand::Rng) {
    while let Some(ended) = under_way.tasks.try_join_next_with_id() {
        under_way.end(ended);
    }
    let most = usize::try_from(means.config.concurrency).unwrap_or(usize::MAX);
    if under_way.tasks.len() >= most {
        return;
    }
    let now = means.clock.now().wall;
    let talk = means.store.talk();
    // A target that takes nothing may have more waiting than is looked at here.
    let due = match talk.due_deliveries(now, under_way.busy(), LOOKED_AT).await {
        Ok(due) => due,
        Err(error) => {
            tracing::warn!(%error, "what is to be told cannot be read");
            return;
        }
    };
    for due in due {
        if under_way.tasks.len() >= most {
            return;
        }
        let target = Arc::clone(&due.delivery.target);
        if under_way.is_busy(&target) {
            continue;
        }
        let (means, seed) = (means.clone(), random.u64(..));
        let started = under_way.tasks.spawn(async move {
            match Delivery::read(&due) {
                Ok(delivery) => one(&means, &delivery, seed).await,
                Err(why) => {
                    let created_at = due.delivery.created_at;
                    let tried = due.delivery.standing.attempts;
                    let standing = ended(means.clock.now().wall, tried, "refused", Some(why));
                    tracing::error!(id = %due.delivery.id, %created_at, "cannot be understood");
                    note(&means, &due.delivery.id, standing).await;
                }
            }
        });
        under_way.targets.insert(started.id(), target);
    }
}

/// Tries one delivery, and notes how it ended.
async fn one(means: &Means, delivery: &Delivery, seed: u64) {
    let courier = means
        .couriers
        .iter()
        .find(|courier| courier.takes(&delivery.target));
    let Some(courier) = courier else {
        let standing = nobody(means.clock.now().wall, delivery);
        note(means, &delivery.id, standing).await;
        return;
    };
    if means.seat.fence().is_none() {
        return;
    }
    let attempt = tokio::time::timeout(ATTEMPT_MAX, courier.deliver(delivery)).await;
    let delivered = attempt.unwrap_or_else(|_| Delivered::Again {
        after: None,
        why: "it took too long".to_owned(),
    });
    let mut random = fastrand::Rng::with_seed(seed);
    let now = means.clock.now().wall;
    let (outcome, standing) = judge(delivery, delivered, &means.config, now, &mut random);
    let why = standing.error.as_deref().unwrap_or_default();
    let (id, attempts) = (&delivery.id, standing.attempts);
    match outcome {
        "delivered" => tracing::debug!(%id, attempts, "delivered"),
        "retry" => tracing::warn!(%id, attempts, why, "not delivered, to be tried again"),
        _ => tracing::error!(%id, attempts, why, "not delivered, and not tried again"),
    }
    means.metrics.delivery(delivery.target.courier(), outcome);
    note(means, &delivery.id, standing).await;
}

/// How a delivery stands after an attempt; pure.
fn judge(
    delivery: &Delivery,
    delivered: Delivered,
    config: &AlertConfig,
    now: Wall,
    random: &mut fastrand::Rng,
) -> (&'static str, DeliveryStanding) {
    let attempts = delivery.attempts.saturating_add(1);
    let (after, why) = match delivered {
        Delivered::Done => return ("delivered", ended(now, attempts, "delivered", None)),
        Delivered::Never { why } => {
            return ("refused", ended(now, attempts, "refused", Some(why)));
        }
        Delivered::Again { after, why } => (after, why),
    };
    let pause = after.unwrap_or_default().max(pause(attempts, random));
    let due_at = now.plus(pause);
    let is_too_late = due_at.since(delivery.created_at) >= GIVE_UP_AFTER;
    if attempts >= config.attempts || is_too_late {
        return ("gave_up", ended(now, attempts, "gave_up", Some(why)));
    }
    let standing = DeliveryStanding {
        due_at,
        attempts,
        done_at: None,
        outcome: None,
        error: Some(cut(&why)),
    };
    ("retry", standing)
}

/// Full jitter: a random part of a bound that doubles.
fn pause(attempts: u32, random: &mut fastrand::Rng) -> Duration {
    let doubled = 2_u32.saturating_pow(attempts.saturating_sub(1));
    let bound = FIRST_PAUSE.saturating_mul(doubled).min(PAUSE_MAX);
    let bound_ms = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(random.u64(100..=bound_ms.max(100)))
}

fn nobody(now: Wall, delivery: &Delivery) -> DeliveryStanding {
    let why = format!(
        "nobody here brings anything to {}",
        delivery.target.courier()
    );
    if now.since(delivery.created_at) >= GIVE_UP_AFTER {
        return ended(now, delivery.attempts, "gave_up", Some(why));
    }
    DeliveryStanding {
        error: Some(cut(&why)),
        attempts: delivery.attempts,
        ..DeliveryStanding::due(now.plus(NOBODY_PAUSE))
    }
}

fn ended(now: Wall, attempts: u32, outcome: &str, why: Option<String>) -> DeliveryStanding {
    DeliveryStanding {
        due_at: now,
        attempts,
        done_at: Some(now),
        outcome: Some(outcome.into()),
        error: why.map(|why| cut(&why)),
    }
}

fn cut(why: &str) -> Arc<str> {
    let mut end = why.len().min(ERROR_MAX);
    while !why.is_char_boundary(end) {
        end -= 1;
    }
    why.get(..end).unwrap_or_default().into()
}

/// Notes how a delivery stands. While the store is away it is tried again: what is done must not be
/// sent a second time. Without the lease another process sends it again, under the same key.
async fn note(means: &Means, id: &str, standing: DeliveryStanding) {
    loop {
        let Some(fence) = means.seat.fence() else {
            return;
        };
        let talk = means.store.talk();
        match talk.settle_delivery(id, standing.clone(), fence).await {
            Ok(_) => return,
            Err(StoreError::Unavailable(_)) => sleep(NOTE_PAUSE).await,
            Err(error) => {
                tracing::warn!(id, %error, "how a delivery ended is not noted");
                return;
            }
        }
    }
}

async fn count(means: &Means) {
    if let Ok(pending) = means.store.talk().pending_deliveries().await {
        let pending = i64::try_from(pending).unwrap_or(i64::MAX);
        means.metrics.pending.set(pending);
    }
}

async fn prune(means: &Means) {
    let kept = Duration::from_secs(86_400 * u64::from(means.config.keep_days));
    let kept_us = i64::try_from(kept.as_micros()).unwrap_or(i64::MAX);
    let before = Wall(means.clock.now().wall.0.saturating_sub(kept_us));
    while let Some(fence) = means.seat.fence() {
        match means.store.talk().prune_deliveries(before, fence).await {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "what was told long ago is not removed");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests;
