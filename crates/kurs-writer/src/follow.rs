//! What other Writers publish: a standby follows it, and whoever leads learns by it that another
//! one has taken over.

use crate::desk::Order;
use crate::inbox::Inbox;
use crate::tracking;
use kurs_bus::{Body, Bus, BusError, BusEvent, Update};
use kurs_core::{Epoch, UpdateId};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// Wait before the bus is asked again.
const RETRY: Duration = Duration::from_millis(500);

/// Something about leases was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Notice {
    /// Which update it was.
    pub(crate) id: UpdateId,
    /// The holder gives the shard away.
    pub(crate) ends: bool,
}

/// How far each shard was heard, and which epochs are this Writer's own.
#[derive(Debug, Default)]
pub(crate) struct Hearing {
    known: Mutex<Known>,
    /// An active Writer was heard speaking, or this one speaks itself.
    is_hot: AtomicBool,
    /// A picture of a standby is to be made anew.
    pub(crate) again: Notify,
}

#[derive(Debug, Default)]
struct Known {
    last: BTreeMap<u16, UpdateId>,
    own: BTreeMap<u16, Epoch>,
}

impl Hearing {
    /// The last update heard of each shard.
    pub(crate) fn last(&self) -> Vec<UpdateId> {
        self.known.lock().last.values().copied().collect()
    }

    /// True once an active Writer was heard speaking.
    pub(crate) fn is_hot(&self) -> bool {
        self.is_hot.load(Ordering::Acquire)
    }

    /// This Writer leads the shard under this epoch; `None`: it does not any more.
    pub(crate) fn leads(&self, shard: u16, epoch: Option<Epoch>) {
        let mut known = self.known.lock();
        match epoch {
            Some(epoch) => {
                known.own.insert(shard, epoch);
            }
            None => {
                known.own.remove(&shard);
            }
        }
    }
}

/// Where what is heard goes.
pub(crate) struct Ears {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) hearing: Arc<Hearing>,
    pub(crate) notices: mpsc::Sender<Notice>,
    pub(crate) tracking: mpsc::Sender<tracking::Order>,
}

/// Follows the bus until it is dropped.
pub(crate) async fn run(ears: Ears) {
    loop {
        if let Err(error) = follow(&ears).await {
            tracing::debug!(%error, "cannot follow the bus");
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn follow(ears: &Ears) -> Result<(), BusError> {
    let mut subscription = ears.bus.subscribe().await?;
    take_last_values(ears).await?;
    loop {
        let event = tokio::select! {
            event = subscription.next() => Some(event?),
            () = ears.hearing.again.notified() => None,
        };
        match event {
            Some(BusEvent::Update(update)) => {
                ears.hearing.is_hot.store(true, Ordering::Release);
                hear(ears, &update);
            }
            Some(BusEvent::Gap { lost }) => {
                tracing::debug!(lost, "fell behind the bus, taking the last values again");
                take_last_values(ears).await?;
            }
            None => take_last_values(ears).await?,
        }
    }
}

async fn take_last_values(ears: &Ears) -> Result<(), BusError> {
    let mut updates = ears.bus.last_values().await?;
    updates.sort_unstable_by_key(|update| update.id);
    for update in &updates {
        hear(ears, update);
    }
    Ok(())
}

fn hear(ears: &Ears, update: &Arc<Update>) {
    let id = update.id;
    let (is_new_epoch, own) = {
        let mut known = ears.hearing.known.lock();
        let former = known.last.get(&id.shard).copied();
        let last = known.last.entry(id.shard).or_insert(id);
        *last = (*last).max(id);
        let is_new_epoch = former.is_none_or(|former| former.epoch < id.epoch);
        (is_new_epoch, known.own.get(&id.shard).copied())
    };
    if own.is_some_and(|own| id.epoch <= own) {
        return;
    }
    let ends = matches!(&update.body, Body::Heartbeat(beat) if beat.ends);
    if is_new_epoch || ends || own.is_some() {
        // One that is lost is made good by the next: the store is asked as well.
        let _ = ears.notices.try_send(Notice { id, ends });
    }
    if let Body::Tracked(symbols) = &update.body {
        let heard = tracking::Order::Heard(Arc::clone(symbols));
        let _ = ears.tracking.try_send(heard);
    }
    ears.inbox.order(Order::Heard(Arc::clone(update)));
}
