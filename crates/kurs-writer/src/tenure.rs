//! The time in which this Writer leads one shard: what is begun with it, and ended.

use crate::candles::{self, Folder};
use crate::commands;
use crate::desk::{Begun, Lead, Order, Withdrawn};
use crate::former::{self, Former};
use crate::housekeeping;
use crate::ledger::{Before, Entry, Ledger};
use crate::recorder::{Extras, Recorder, RecorderHandle};
use crate::settings;
use crate::shards::LEAD;
use crate::sinks::{Means, Sinks};
use crate::snapshots;
use crate::terms::TermsByShard;
use crate::tracking;
use crate::writer::Shared;
use kurs_store::Fence;
use parking_lot::Mutex;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};

/// Keeps the jitter of sinks apart from that of sources.
const SINK_SEED: u64 = 1_000;
/// How long the command at hand may take to be answered.
const COMMAND_END: Duration = Duration::from_secs(6);
/// How long the store may take for a question that a take-over waits for.
const STORE_PATIENCE: Duration = Duration::from_millis(700);
/// How long a broker may take to have the last update of an epoch.
const FLUSH_PATIENCE: Duration = Duration::from_millis(500);
/// How long the heir waits for what is not stored yet; the rest is stored under its eyes.
const STORING_PATIENCE: Duration = Duration::from_millis(150);

/// One shard, led.
pub(crate) struct Tenure {
    fence: Fence,
    recorder: RecorderHandle,
    helpers: JoinSet<()>,
    duties: Option<Duties>,
}

/// What the Writer of the first shard does for all.
struct Duties {
    stop: watch::Sender<bool>,
    commands: JoinHandle<()>,
    settings: JoinHandle<()>,
    sinks: Sinks,
}

impl Tenure {
    /// Begins to lead. `is_hot`: a standby has followed the shard up to now.
    pub(crate) async fn begin(shared: Arc<Shared>, fence: Fence, is_hot: bool) -> Self {
        let parts = &shared.parts;
        let former_terms = TermsByShard::of_store(&*parts.store, STORE_PATIENCE, is_hot).await;
        let is_same = former_terms
            .as_ref()
            .is_some_and(|former| former.of(fence.shard) == Some(&parts.terms));
        // A hot standby under the same terms knows everything it needs.
        let (before, withdrawn) = if is_hot && (is_same || former_terms.is_none()) {
            (None, Vec::new())
        } else {
            let former = former_terms.as_ref().and_then(|by| by.of(fence.shard));
            cold(&shared, fence, former).await
        };
        // Terms that could not be read may have changed: the next start has to look again.
        let saves_terms = !is_same && (before.is_some() || former_terms.is_some());
        shared.end_leftover(fence.shard).await;
        let folder = Arc::new(Mutex::new(Folder::new(parts.candles.clone())));
        let extras = Extras {
            spool: shared
                .spool(fence.shard)
                .map(|folder| parts.recorder.spool_in(&folder)),
            fold: Some(Box::new(Arc::clone(&folder))),
            fence: Some(fence),
        };
        let recorder = Recorder::start_with(
            Arc::clone(&parts.store),
            parts.recorder.clone(),
            Arc::clone(&parts.clock),
            parts.metrics.clone(),
            extras,
        );
        shared
            .recorders
            .lock()
            .insert(fence.shard, recorder.clone());
        let mut tenure = Self {
            fence,
            recorder: recorder.clone(),
            helpers: JoinSet::new(),
            duties: None,
        };
        // Its sinks hear everything, unless there is something to be published without delay.
        if !is_hot {
            tenure.take_duties(&shared).await;
        }
        let (begun, has_begun) = oneshot::channel();
        let lead = Lead {
            fence,
            recorder: Box::new(recorder.clone()),
            gate: shared.gate(fence.shard),
            before,
            withdrawn,
            begun,
        };
        shared.hearing.leads(fence.shard, Some(fence.epoch));
        shared.inbox.order(Order::Lead(Box::new(lead)));
        let begun = has_begun.await.ok();
        if is_hot {
            tenure.take_duties(&shared).await;
        }
        if let Some(begun) = begun {
            shared.has_begun(fence.shard);
            tenure.helpers.spawn(after(
                Arc::clone(&shared),
                fence,
                recorder.clone(),
                begun,
                saves_terms,
            ));
        }
        tenure.start_helpers(&shared, folder);
        tenure
    }

    async fn take_duties(&mut self, shared: &Arc<Shared>) {
        if self.fence.shard != LEAD {
            return;
        }
        let parts = &shared.parts;
        let means = Means {
            bus: Arc::clone(&parts.bus),
            sources: parts.sources.clone(),
            pairs: shared.follow.clone(),
            clock: Arc::clone(&parts.clock),
            influxdb: parts.sink_metrics.clone(),
            health: Arc::clone(&parts.health),
            seed: parts.seed.wrapping_add(SINK_SEED),
        };
        let sinks = Sinks::start(&parts.sinks, means).await;
        let (stop, stopped) = watch::channel(false);
        // The channel has room, or the keeper of the symbols has ended.
        let _ = shared
            .tracking
            .send(tracking::Order::Lead(self.fence))
            .await;
        let (to_settings, changes) = mpsc::channel(settings::CHANGES_MAX);
        let keeper = settings::Keeper {
            store: Arc::clone(&parts.store),
            clock: Arc::clone(&parts.clock),
            judge: shared.judge.clone(),
            fence: self.fence,
        };
        let settings = tokio::spawn(keeper.serve(changes));
        let means = commands::Means {
            bus: Arc::clone(&parts.bus),
            sources: parts.sources.clone(),
            elsewhere: shared.elsewhere.subscribe(),
            changes: shared.tracking.clone(),
            settings: to_settings,
        };
        let commands = tokio::spawn(commands::serve(means, stopped));
        self.helpers.spawn(housekeeping::keep_in_order(
            Arc::clone(&parts.store),
            Arc::clone(&parts.clock),
            parts.retention,
            parts.pack_after,
            parts.metrics.clone(),
        ));
        shared.polls.send_replace(true);
        self.duties = Some(Duties {
            stop,
            commands,
            settings,
            sinks,
        });
    }

    fn start_helpers(&mut self, shared: &Arc<Shared>, folder: Arc<Mutex<Folder>>) {
        let parts = &shared.parts;
        if let Some(what) = parts.snapshots {
            let shards = shared.shards.clone();
            let shard = self.fence.shard;
            self.helpers.spawn(snapshots::run(
                what,
                parts.sources.clone(),
                shared.follow.clone(),
                Box::new(move |pair| shards.of_pair(pair) == shard),
                self.recorder.clone(),
            ));
        }
        self.helpers.spawn(candles::keep_mended(
            folder,
            self.fence.shard,
            Arc::clone(&parts.store),
            Arc::clone(&parts.clock),
        ));
        self.helpers.spawn(housekeeping::tell(
            self.recorder.clone(),
            Arc::clone(&parts.health),
            parts.metrics.clone(),
        ));
    }

    /// Does this when the store says that another Writer has taken over.
    pub(crate) fn when_fenced(&mut self, then: impl Future<Output = ()> + Send + 'static) {
        let recorder = self.recorder.clone();
        self.helpers.spawn(async move {
            recorder.fenced().await;
            then.await;
        });
    }

    /// Ends the epoch in order. When this returns the lease may be given back: everything
    /// published is with the bus and, as far as the store is quick, stored. What is not goes on
    /// being stored; the handle ends with it.
    pub(crate) async fn end(mut self, shared: &Arc<Shared>, has_heir: bool) -> JoinHandle<()> {
        self.stop_duties(shared).await;
        let (ended, has_ended) = oneshot::channel();
        shared.inbox.order(Order::End(self.fence.shard, ended));
        let _ = has_ended.await;
        shared.has_ended(self.fence.shard);
        let recorder = self.recorder.clone();
        let mut finishing = tokio::spawn(async move {
            recorder.finish().await;
        });
        let bus = Arc::clone(&shared.parts.bus);
        let flushed = async {
            if tokio::time::timeout(FLUSH_PATIENCE, bus.flush())
                .await
                .is_err()
            {
                tracing::warn!("the bus did not take the last updates in time");
            }
        };
        // Where nobody waits for the lease, everything is stored under it.
        let patience = if has_heir {
            STORING_PATIENCE
        } else {
            Duration::from_millis(shared.parts.recorder.finish_ms)
        };
        let stored = async { tokio::time::timeout(patience, &mut finishing).await.is_ok() };
        let ((), is_stored) = tokio::join!(flushed, stored);
        let helpers = std::mem::take(&mut self.helpers);
        let duties = self.duties.take();
        tokio::spawn(async move {
            let mut helpers = helpers;
            if !is_stored {
                let _ = finishing.await;
            }
            helpers.shutdown().await;
            if let Some(duties) = duties {
                duties.sinks.finish().await;
            }
        })
    }

    /// Another Writer has taken over: nothing more is published, and of what was recorded the
    /// store takes what it may.
    pub(crate) async fn fall(mut self, shared: &Arc<Shared>) {
        let (deposed, is_deposed) = oneshot::channel();
        shared.inbox.order(Order::Depose(self.fence.shard, deposed));
        let _ = is_deposed.await;
        shared.has_ended(self.fence.shard);
        self.stop_duties(shared).await;
        self.helpers.shutdown().await;
        self.recorder.finish().await;
        if let Some(duties) = self.duties.take() {
            duties.sinks.finish().await;
        }
    }

    /// A command that was begun is answered first.
    async fn stop_duties(&mut self, shared: &Shared) {
        let Some(duties) = &mut self.duties else {
            return;
        };
        shared.polls.send_replace(false);
        duties.stop.send_replace(true);
        let ended = tokio::time::timeout(COMMAND_END, &mut duties.commands);
        if ended.await.is_err() {
            tracing::warn!("a command did not end in time");
            duties.commands.abort();
        }
        // It ends when nobody can hand it anything any more.
        let ended = tokio::time::timeout(COMMAND_END, &mut duties.settings);
        if ended.await.is_err() {
            tracing::warn!("a change of settings did not end in time");
            duties.settings.abort();
        }
        let _ = shared.tracking.send(tracking::Order::Rest).await;
    }
}

/// What a Writer needs that knows nothing of the time before it.
async fn cold(
    shared: &Shared,
    fence: Fence,
    former_terms: Option<&crate::Terms>,
) -> (Option<Before>, Withdrawn) {
    let parts = &shared.parts;
    let Former {
        withdrawn,
        standing,
    } = former::sort_out(parts, &shared.shards, fence, former_terms).await;
    let before = former::before(&*parts.store, fence.shard, standing).await;
    let before = before.unwrap_or_else(|error| {
        tracing::warn!(%error, "cannot read what was recorded before, begins a new ledger");
        Before::default()
    });
    let withdrawn = withdrawn
        .into_iter()
        .map(|pair| (pair, parts.terms.has_policy(pair)));
    (Some(before), withdrawn.collect())
}

/// What can wait until the epoch has begun: the former Writer's last updates, if it could not
/// store them, and the terms.
async fn after(
    shared: Arc<Shared>,
    fence: Fence,
    recorder: RecorderHandle,
    begun: Begun,
    saves_terms: bool,
) {
    let parts = &shared.parts;
    if !begun.heard.is_empty() || !begun.rows.is_empty() {
        let until = tokio::time::timeout(
            STORE_PATIENCE * 3,
            parts.store.shard_recorded_until(fence.shard),
        )
        .await;
        // Where nothing is known all of it is stored: what is there already is passed over.
        let until = until.ok().and_then(Result::ok).flatten();
        let is_new = |at| until.is_none_or(|until| at >= until);
        let mut ledger = Ledger::default();
        let mut entries = Vec::new();
        let now = parts.clock.now().wall;
        for update in &begun.heard {
            ledger.update(update, now, &mut entries);
        }
        for entry in entries {
            if let Entry::Published(event) = entry
                && is_new(event.published_at)
            {
                recorder.published(event);
            }
        }
        for row in begun.rows.into_iter().filter(|row| is_new(row.received_at)) {
            recorder.record(row);
        }
    }
    begun.is_caught_up.store(true, Ordering::Release);
    if saves_terms {
        // Only now: a Writer that dies before withdraws former rates again.
        let saved = TermsByShard::save(&*parts.store, fence, &parts.terms).await;
        if let Err(error) = saved {
            tracing::warn!(%error, "cannot write down the terms, every rate is looked at again at the next start");
        }
    }
}
