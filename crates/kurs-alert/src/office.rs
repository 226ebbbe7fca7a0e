//! The lease: one process watches and tells. It is that of [`ALERT_SHARD`], which no Writer writes.
//!
//! The holder renews it every second, counts its end from before it asked, and acts no more half a
//! second before. Whatever it writes carries the fence, so one that was stopped and wakes up late is
//! refused by the store.

use kurs_core::{Clock, Mono};
use kurs_store::{ALERT_SHARD, Claim, Fence, Store, StoreError};
use kurs_telemetry::metrics::AlertMetrics;
use kurs_telemetry::{Health, Status};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// For how long a lease is good.
const TTL: Duration = Duration::from_secs(3);
/// How often it is renewed, or asked for.
const EVERY: Duration = Duration::from_secs(1);
/// So long before its end its holder acts no more.
const MARGIN: Duration = Duration::from_millis(500);
/// How long the store may take for an answer about it.
const PATIENCE: Duration = Duration::from_secs(2);
/// The check that the probes show.
const CHECK: &str = "alerts";

/// A lease that this process holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held {
    fence: Fence,
    /// Counted from before the store was asked.
    good_until: Mono,
}

/// What the office works with.
#[derive(Clone)]
pub struct Means {
    /// Where the lease is.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Name of this process among all others.
    pub name: Arc<str>,
    /// What is counted.
    pub metrics: AlertMetrics,
    /// What the probes are told.
    pub health: Arc<Health>,
}

/// Under which fence this process may act, if it may.
#[derive(Clone)]
pub struct Seat {
    held: watch::Receiver<Option<Held>>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Seat").field(&self.fence()).finish()
    }
}

impl Seat {
    /// The fence, while it may be acted under it.
    #[must_use]
    pub fn fence(&self) -> Option<Fence> {
        let held = *self.held.borrow();
        let held = held.filter(|held| self.clock.mono().plus(MARGIN) < held.good_until)?;
        Some(held.fence)
    }

    /// Waits until it may be acted.
    pub async fn taken(&mut self) -> Option<Fence> {
        loop {
            self.held.wait_for(Option::is_some).await.ok()?;
            if let Some(fence) = self.fence() {
                return Some(fence);
            }
            self.held.changed().await.ok()?;
        }
    }

    /// Waits until it may not be acted any more under this fence.
    pub async fn lost(&mut self, fence: Fence) {
        while self.fence() == Some(fence) {
            let _ = timeout(Duration::from_millis(100), self.held.changed()).await;
        }
    }
}

/// Takes and keeps the lease.
pub struct Office {
    means: Means,
    held: watch::Sender<Option<Held>>,
}

impl Office {
    /// Holds nothing yet.
    #[must_use]
    pub fn new(means: Means) -> Self {
        means
            .health
            .set(CHECK, Status::Degraded, "the lease was not asked for yet");
        Self {
            means,
            held: watch::Sender::new(None),
        }
    }

    /// Where others see whether they may act.
    #[must_use]
    pub fn seat(&self) -> Seat {
        Seat {
            held: self.held.subscribe(),
            clock: Arc::clone(&self.means.clock),
        }
    }

    /// Takes the lease whenever it is free, keeps it, and gives it back when `stopped` turns true.
    pub async fn run(self, mut stopped: watch::Receiver<bool>) {
        loop {
            let asked_at = self.means.clock.mono();
            let turn = timeout(PATIENCE, self.turn(asked_at)).await;
            let turn = turn
                .unwrap_or_else(|_| Err(StoreError::Unavailable("no answer in time".to_owned())));
            self.take(turn);
            tokio::select! {
                () = tokio::time::sleep(EVERY) => {}
                _ = stopped.wait_for(|ended| *ended) => break,
            }
        }
        self.give_back().await;
    }

    /// Asks the store: `None` when another process holds the lease.
    async fn turn(&self, asked_at: Mono) -> Result<Option<Held>, StoreError> {
        let good_until = asked_at.plus(TTL);
        let held = *self.held.borrow();
        if let Some(held) = held
            && self.means.store.talk().extend(held.fence, TTL).await?
        {
            return Ok(Some(Held { good_until, ..held }));
        }
        let claim = Claim {
            shard: ALERT_SHARD,
            writer: Arc::clone(&self.means.name),
            ttl: TTL,
            heard: None,
            is_alone: false,
        };
        let epoch = self.means.store.claim(claim).await?;
        Ok(epoch.map(|epoch| Held {
            fence: Fence {
                shard: ALERT_SHARD,
                epoch,
            },
            good_until,
        }))
    }

    fn take(&self, turn: Result<Option<Held>, StoreError>) {
        let before = *self.held.borrow();
        match turn {
            Ok(Some(held)) => {
                self.means.health.set(CHECK, Status::Ok, "");
                if before.map(|before| before.fence) != Some(held.fence) {
                    let epoch = held.fence.epoch.0;
                    tracing::info!(epoch, "watches alerts and tells people");
                    let epoch = i64::try_from(epoch).unwrap_or(i64::MAX);
                    self.means.metrics.lease_epoch.set(epoch);
                }
                self.held.send_replace(Some(held));
            }
            Ok(None) => {
                self.means
                    .health
                    .set(CHECK, Status::Ok, "another process tells people");
                self.let_go(before, "another process took over");
            }
            Err(error) => {
                let detail = format!("the store does not answer about the lease: {error}");
                self.means.health.set(CHECK, Status::Degraded, &detail);
                // It may be good still: its end is counted here, and the store comes back.
                let now = self.means.clock.mono();
                if before.is_some_and(|held| held.good_until <= now) {
                    self.let_go(before, "the lease ran out while the store was away");
                }
            }
        }
        let is_held = self.held.borrow().is_some();
        self.means.metrics.lease_held.set(i64::from(is_held));
    }

    fn let_go(&self, before: Option<Held>, why: &str) {
        if before.is_some() {
            tracing::warn!("watches alerts no more: {why}");
            self.held.send_replace(None);
        }
    }

    async fn give_back(&self) {
        let held = self.held.send_replace(None);
        self.means.metrics.lease_held.set(0);
        if let Some(held) = held {
            let given = timeout(PATIENCE, self.means.store.release(held.fence, None)).await;
            if let Ok(Err(error)) = given {
                tracing::debug!(%error, "the lease of alerts was not given back; it runs out");
            }
        }
    }
}
