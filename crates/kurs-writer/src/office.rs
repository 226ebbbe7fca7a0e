//! Asks the store for leases, and begins and ends the time in which this Writer leads a shard as
//! [`Keeper`] says.

use crate::follow::Notice;
use crate::lease::{Ask, Keeper, Turn};
use crate::tenure::Tenure;
use crate::writer::Shared;
use kurs_core::{Epoch, Mono};
use kurs_store::{Claim, Fence, Leases, StoreError};
use kurs_telemetry::health::Status;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

/// How long the store may take for one question about leases.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest that nothing is looked after.
const LOOK_MAX: Duration = Duration::from_millis(250);
/// How long the end of all tenures may take.
const END_MAX: Duration = Duration::from_secs(9);

/// What comes back from tasks that begin and end tenures.
enum Done {
    GaveBack(Fence),
    Fenced(Fence),
}

/// The office of one Writer.
pub(crate) struct Office {
    shared: Arc<Shared>,
    keeper: Keeper,
    tenures: BTreeMap<u16, JoinHandle<Tenure>>,
    done: (mpsc::Sender<Done>, mpsc::Receiver<Done>),
    /// Tenures that end.
    endings: JoinSet<()>,
    has_answered: bool,
    trouble: Option<String>,
}

impl Office {
    pub(crate) fn new(shared: Arc<Shared>, keeper: Keeper) -> Self {
        Self {
            shared,
            keeper,
            tenures: BTreeMap::new(),
            done: mpsc::channel(256),
            endings: JoinSet::new(),
            has_answered: false,
            trouble: None,
        }
    }

    /// Runs until `shutdown` turns true; then everything is handed over or given back.
    pub(crate) async fn run(
        mut self,
        mut notices: mpsc::Receiver<Notice>,
        mut shutdown: watch::Receiver<bool>,
    ) {
        loop {
            let asked = self.ask_what_is_due();
            tokio::select! {
                () = asked => {}
                _ = shutdown.wait_for(|ended| *ended) => break,
            }
            self.show();
            let now = self.shared.parts.clock.now().mono;
            let wait = self.keeper.next_deadline().since(now).min(LOOK_MAX);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                Some(notice) = notices.recv() => self.notice(notice),
                Some(done) = self.done.1.recv() => self.is_done(&done),
                _ = shutdown.wait_for(|ended| *ended) => break,
            }
        }
        self.leave().await;
    }

    fn now(&self) -> Mono {
        self.shared.parts.clock.now().mono
    }

    async fn ask_what_is_due(&mut self) {
        let now = self.now();
        self.keeper.set_ready(self.shared.is_ready());
        for id in self.shared.hearing.last() {
            let turn = self.keeper.heard(now, id, false);
            self.turn(turn);
        }
        while let Some(ask) = self.keeper.ask(self.now()) {
            let sent = self.now();
            match ask {
                Ask::Renew(beat) => {
                    let store = Arc::clone(&self.shared.parts.store);
                    let answer = in_time(store.renew(beat)).await;
                    let answer = self.judge(answer);
                    let turns = self.keeper.renewed(sent, self.now(), answer);
                    self.open_gates();
                    self.shared.follow_only(self.keeper.scope());
                    for turn in turns {
                        self.turn(Some(turn));
                    }
                }
                Ask::Claim(claim) => {
                    let turn = self.claim(&claim, sent).await;
                    self.turn(turn);
                }
            }
        }
    }

    async fn claim(&mut self, claim: &Claim, sent: Mono) -> Option<Turn> {
        let store = Arc::clone(&self.shared.parts.store);
        let claimed = in_time(store.claim(claim.clone())).await;
        let metrics = &self.shared.parts.metrics;
        metrics.store_request("epoch", claimed.is_ok());
        let epoch: Option<Epoch> = claimed.unwrap_or_else(|error| {
            tracing::warn!(shard = claim.shard, %error, "cannot take a lease, trying again");
            None
        });
        let turn = self.keeper.claimed(claim, sent, self.now(), epoch);
        self.open_gates();
        turn
    }

    /// Says until when may be published.
    fn open_gates(&self) {
        for fence in self.keeper.fences() {
            let until = self.keeper.publish_until(fence.shard);
            self.shared.gate(fence.shard).open_until(until);
        }
    }

    /// Says once that the store is away, and that it is back.
    fn judge(&mut self, answer: Result<Leases, StoreError>) -> Option<Leases> {
        match answer {
            Ok(leases) => {
                self.has_answered = true;
                if self.trouble.take().is_some() {
                    tracing::warn!("the store answers again: leases are renewed");
                }
                Some(leases)
            }
            Err(error) => {
                let text = error.to_string();
                if self.trouble.is_none() {
                    tracing::error!(%error, "leases cannot be renewed: publishing goes on under the present epochs");
                }
                self.trouble = Some(text);
                None
            }
        }
    }

    fn notice(&mut self, notice: Notice) {
        let turn = self.keeper.heard(self.now(), notice.id, notice.ends);
        self.turn(turn);
    }

    fn is_done(&mut self, done: &Done) {
        match done {
            Done::GaveBack(fence) => self.keeper.gave_back(*fence),
            Done::Fenced(fence) => {
                let turn = self.keeper.refused(*fence);
                self.turn(turn);
            }
        }
    }

    fn turn(&mut self, turn: Option<Turn>) {
        match turn {
            None => {}
            Some(Turn::Lead(fence)) => self.lead(fence),
            Some(Turn::HandOver(fence, heir)) => self.hand_over(fence, heir),
            Some(Turn::Deposed(fence)) => {
                kurs_telemetry::critical!(
                    shard = fence.shard,
                    epoch = fence.epoch.0,
                    "another Writer has taken over: is a standby from now on"
                );
                if let Some(tenure) = self.tenures.remove(&fence.shard) {
                    let shared = Arc::clone(&self.shared);
                    self.endings.spawn(async move {
                        if let Ok(tenure) = tenure.await {
                            tenure.fall(&shared).await;
                        }
                    });
                }
            }
        }
    }

    fn lead(&mut self, fence: Fence) {
        // What was only found on the bus says nothing of the time in between.
        let hearing = &self.shared.hearing;
        let is_known = hearing.last().iter().any(|id| id.shard == fence.shard);
        let is_hot = hearing.is_hot() && is_known;
        tracing::info!(
            shard = fence.shard,
            epoch = fence.epoch.0,
            hot = is_hot,
            "writes under a new epoch"
        );
        let shared = Arc::clone(&self.shared);
        let done = self.done.0.clone();
        let former = self.tenures.remove(&fence.shard);
        let tenure = tokio::spawn(async move {
            if let Some(former) = former
                && let Ok(former) = former.await
            {
                former.fall(&shared).await;
            }
            let mut tenure = Tenure::begin(shared, fence, is_hot).await;
            tenure.when_fenced(async move {
                let _ = done.send(Done::Fenced(fence)).await;
            });
            tenure
        });
        self.tenures.insert(fence.shard, tenure);
    }

    fn hand_over(&mut self, fence: Fence, heir: Option<Arc<str>>) {
        let Some(tenure) = self.tenures.remove(&fence.shard) else {
            self.keeper.gave_back(fence);
            return;
        };
        let (shared, done) = (Arc::clone(&self.shared), self.done.0.clone());
        tracing::info!(
            shard = fence.shard,
            epoch = fence.epoch.0,
            heir = heir.as_deref().unwrap_or("nobody"),
            "hands a shard over"
        );
        self.endings.spawn(async move {
            let storing = match tenure.await {
                Ok(tenure) => Some(tenure.end(&shared, heir.is_some()).await),
                Err(_) => None,
            };
            let released = in_time(shared.parts.store.release(fence, heir)).await;
            if let Err(error) = released {
                tracing::warn!(shard = fence.shard, %error, "cannot give a lease back, it runs out");
            }
            let _ = done.send(Done::GaveBack(fence)).await;
            if let Some(storing) = storing {
                let _ = storing.await;
            }
        });
    }

    /// Health and metrics.
    fn show(&mut self) {
        while self.endings.try_join_next().is_some() {}
        let fences = self.keeper.fences();
        let now = self.now();
        let metrics = &self.shared.parts.metrics;
        let held = i64::try_from(fences.len()).unwrap_or(i64::MAX);
        metrics.lease_held.set(held);
        let followed = self.shared.follow.borrow().len();
        metrics
            .pairs_followed
            .set(i64::try_from(followed).unwrap_or(i64::MAX));
        let epoch = fences.iter().map(|fence| fence.epoch.0).max().unwrap_or(0);
        metrics
            .lease_epoch
            .set(i64::try_from(epoch).unwrap_or(i64::MAX));
        for fence in &fences {
            let may_store = self.keeper.may_store(fence.shard, now);
            self.shared.may_store(fence.shard, may_store);
        }
        let health = &self.shared.parts.health;
        match (&self.trouble, fences.is_empty()) {
            (Some(trouble), true) if !self.has_answered => {
                let detail = format!("waiting for the store: {trouble}");
                health.set("writer", Status::Failed, &detail);
            }
            (Some(trouble), _) => {
                let detail = format!("leases cannot be renewed: {trouble}");
                health.set("writer", Status::Degraded, &detail);
            }
            (None, true) if self.has_answered && !self.shared.parts.is_alone => {
                health.set("writer", Status::Ok, "standby");
            }
            (None, true) => health.set("writer", Status::Failed, "waiting for the store"),
            (None, false) if self.shared.all_begun(fences.len()) => {
                health.set("writer", Status::Ok, "");
            }
            (None, false) => {}
        }
    }

    /// Hands everything over, and is gone.
    async fn leave(mut self) {
        self.shared
            .parts
            .health
            .set("writer", Status::Failed, "stopping");
        for turn in self.keeper.leave() {
            self.turn(Some(turn));
        }
        let ended = async { while self.endings.join_next().await.is_some() {} };
        if tokio::time::timeout(END_MAX, ended).await.is_err() {
            tracing::error!("some shards could not be ended in time");
        }
        let name = Arc::clone(&self.shared.parts.name);
        if let Err(error) = in_time(self.shared.parts.store.leave(&name)).await {
            tracing::debug!(%error, "cannot sign off");
        }
    }
}

/// An answer within the patience that leases have.
async fn in_time<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(PATIENCE, answer)
        .await
        .unwrap_or_else(|_| {
            let text = format!("it did not answer within {} ms", PATIENCE.as_millis());
            Err(StoreError::Unavailable(text))
        })
}
