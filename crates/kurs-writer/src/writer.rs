//! Starts all parts of the Writer under a new epoch, and ends them in order.

use crate::candles::{self, CandlesConfig, Folder};
use crate::commands;
use crate::desk::Desk;
use crate::housekeeping;
use crate::inbox::Inbox;
use crate::ledger::{Before, Ledger};
use crate::recorder::{Extras, Recorder, RecorderConfig};
use crate::sinks::{Means, SinkMetrics, Sinks, SinksConfig};
use crate::snapshots::{self, Snapshots};
use crate::status;
use crate::terms::Terms;
use crate::tracking::Tracking;
use kurs_bus::{Body, Bus};
use kurs_core::{Clock, Epoch, Pair, Wall};
use kurs_pricing::{Engine, EngineConfig};
use kurs_sources::{Context, EventSink, Source, Tap};
use kurs_store::{GapQuery, Retention, Store, StoreError, StoredRate};
use kurs_telemetry::health::{Health, Status};
use kurs_telemetry::metrics::{Counter, WriterMetrics};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

/// Keeps the jitter of sinks apart from that of sources.
const SINK_SEED: u64 = 1_000;
/// Wait before the store is asked again for an epoch.
const STORE_RETRY: Duration = Duration::from_millis(500);
/// Wait before a source that ended by a panic is started again.
const SOURCE_RESTART: Duration = Duration::from_secs(1);
/// How long the command at hand may take to be answered.
const COMMAND_END: Duration = Duration::from_secs(6);
/// How long the sources may take to close their connections.
const SOURCES_END: Duration = Duration::from_secs(2);

/// What a Writer is made of.
pub struct Parts {
    /// Where rates go.
    pub bus: Arc<dyn Bus>,
    /// Where rows and tracked symbols are kept.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where prices come from.
    pub sources: Vec<Arc<dyn Source>>,
    /// How they become rates.
    pub engine: EngineConfig,
    /// Pairs that are tracked from the first start.
    pub pairs: Vec<Pair>,
    /// Seed of all jitter.
    pub seed: u64,
    /// What is counted.
    pub metrics: WriterMetrics,
    /// Counts sources that ended by a panic.
    pub source_panics: Counter,
    /// Where this role says how it is.
    pub health: Arc<Health>,
    /// How rows reach the store.
    pub recorder: RecorderConfig,
    /// Sees everything that goes into the sources, if somebody records it.
    pub tap: Option<Arc<dyn Tap>>,
    /// Pairs whose order books pricing looks into.
    pub depth: Arc<[Pair]>,
    /// Pairs that policies name: followed whatever is tracked.
    pub named: Vec<Pair>,
    /// How long what is kept.
    pub retention: Retention,
    /// How old history is when it is packed; `None`: never.
    pub pack_after: Option<Duration>,
    /// Folder in which batches wait while the store is away; `None` for none.
    pub spool: Option<PathBuf>,
    /// How candles are made.
    pub candles: CandlesConfig,
    /// Databases that get a copy of what is published.
    pub sinks: SinksConfig,
    /// What the copy counts.
    pub sink_metrics: SinkMetrics,
    /// Which order books are written down; `None` for none.
    pub snapshots: Option<Snapshots>,
    /// Under which terms rates are made.
    pub terms: Terms,
    /// Turns true when former rates that nobody stands behind any more are withdrawn.
    pub begun: watch::Sender<bool>,
}

/// The Writer role.
pub struct Writer {
    parts: Parts,
}

impl Writer {
    /// A Writer that has not started.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts }
    }

    /// Runs until `shutdown` turns true. Everything accepted before is published and stored.
    pub async fn run(self, mut shutdown: watch::Receiver<bool>) {
        let parts = self.parts;
        parts
            .health
            .set("writer", Status::Failed, "waiting for the store");
        let Some(epoch) = begin_epoch(&parts, &mut shutdown).await else {
            return;
        };
        parts
            .metrics
            .lease_epoch
            .set(i64::try_from(epoch.0).unwrap_or(i64::MAX));
        tracing::info!(epoch = epoch.0, "writes under a new epoch");
        let Former {
            withdrawn,
            standing,
        } = former(&parts).await;
        let before = before(&*parts.store, standing).await;
        let before = before.unwrap_or_else(|error| {
            tracing::warn!(%error, "cannot read what was recorded before, begins a new ledger");
            Before::default()
        });

        let inbox = Arc::new(Inbox::new());
        let folder = Arc::new(Mutex::new(Folder::new(parts.candles.clone())));
        let extras = Extras {
            spool: parts
                .spool
                .as_deref()
                .map(|folder| parts.recorder.spool_in(folder)),
            fold: Some(Box::new(Arc::clone(&folder))),
        };
        let recorder = Recorder::start_with(
            Arc::clone(&parts.store),
            parts.recorder.clone(),
            Arc::clone(&parts.clock),
            parts.metrics.clone(),
            extras,
        );
        let desk = Desk {
            engine: Engine::new(parts.engine.clone()),
            inbox: Arc::clone(&inbox),
            bus: Arc::clone(&parts.bus),
            recorder: recorder.clone(),
            clock: Arc::clone(&parts.clock),
            metrics: parts.metrics.clone(),
            shard: 0,
            epoch,
            ledger: Ledger::new(before),
            withdrawn: withdrawn
                .into_iter()
                .map(|pair| (pair, parts.terms.has_policy(pair)))
                .collect(),
        };
        let (begun, has_begun) = oneshot::channel();
        let pricing = tokio::task::spawn_blocking(move || desk.run(begun));
        // Only then: a Writer that dies before withdraws them again.
        let has_begun = has_begun.await.is_ok();
        parts.begun.send_replace(has_begun);
        if has_begun && let Err(error) = parts.store.save_terms(parts.terms.to_text()).await {
            tracing::warn!(%error, "cannot write down the terms, every rate is looked at again at the next start");
        }

        let (followed, follow) = watch::channel::<Arc<[Pair]>>(Arc::new([]));
        let means = Means {
            bus: Arc::clone(&parts.bus),
            sources: parts.sources.clone(),
            pairs: follow.clone(),
            clock: Arc::clone(&parts.clock),
            influxdb: parts.sink_metrics.clone(),
            health: Arc::clone(&parts.health),
            seed: parts.seed.wrapping_add(SINK_SEED),
        };
        let sinks = Sinks::start(&parts.sinks, means).await;
        let (stop_sources, sources_stopped) = watch::channel(false);
        let mut sources = JoinSet::new();
        for (index, source) in (0_u64..).zip(&parts.sources) {
            let context = Context {
                clock: Arc::clone(&parts.clock),
                events: Arc::clone(&inbox) as Arc<dyn EventSink>,
                pairs: follow.clone(),
                depth: Arc::clone(&parts.depth),
                tap: parts.tap.clone(),
                seed: parts.seed.wrapping_add(index),
                shutdown: sources_stopped.clone(),
            };
            sources.spawn(keep_running(
                Arc::clone(source),
                context,
                parts.source_panics.clone(),
            ));
        }
        let mut tracking = Tracking::new(
            Arc::clone(&parts.store),
            Arc::clone(&inbox),
            parts.sources.clone(),
            followed,
            Arc::clone(&parts.clock),
            parts.named.clone(),
        );
        if let Err(error) = tracking.load(&parts.pairs).await {
            tracing::error!(%error, "cannot read the tracked symbols, follows the configured ones");
            tracking.load_without_store(&parts.pairs);
        }
        let mut helpers = JoinSet::new();
        let commands = commands::serve(
            Arc::clone(&parts.bus),
            parts.sources.clone(),
            tracking,
            shutdown.clone(),
        );
        let mut commands = tokio::spawn(commands);
        helpers.spawn(status::run(parts.sources.clone(), Arc::clone(&inbox)));
        if let Some(what) = parts.snapshots {
            let sources = parts.sources.clone();
            helpers.spawn(snapshots::run(what, sources, follow, recorder.clone()));
        }
        helpers.spawn(housekeeping::keep_in_order(
            Arc::clone(&parts.store),
            Arc::clone(&parts.clock),
            parts.retention,
            parts.pack_after,
            parts.metrics.clone(),
        ));
        helpers.spawn(candles::keep_mended(
            folder,
            Arc::clone(&parts.store),
            Arc::clone(&parts.clock),
        ));
        helpers.spawn(housekeeping::tell(
            recorder.clone(),
            Arc::clone(&parts.health),
            parts.metrics.clone(),
        ));
        parts.health.set("writer", Status::Ok, "");

        // An error means that the sender is gone, which is a shutdown as well.
        let _ = shutdown.wait_for(|ended| *ended).await;
        parts.health.set("writer", Status::Failed, "stopping");
        if tokio::time::timeout(COMMAND_END, &mut commands)
            .await
            .is_err()
        {
            tracing::warn!("a command did not end in time");
            commands.abort();
        }
        stop_sources.send_replace(true);
        let ended = async { while sources.join_next().await.is_some() {} };
        if tokio::time::timeout(SOURCES_END, ended).await.is_err() {
            tracing::warn!("some sources did not end in time");
        }
        helpers.shutdown().await;
        inbox.close();
        if let Err(error) = pricing.await {
            tracing::error!(%error, "the pricing thread ended badly");
        }
        // What is left is logged by each.
        let _ = tokio::join!(recorder.finish(), sinks.finish());
    }
}

/// What an earlier Writer left.
struct Former {
    /// Pairs that it published under terms that do not hold any more.
    withdrawn: Vec<Pair>,
    /// Its rates of all other pairs.
    standing: Vec<StoredRate>,
}

/// Sorts out what an earlier Writer left. What is withdrawn is out of the store when this returns.
async fn former(parts: &Parts) -> Former {
    let former = match parts.store.terms().await {
        Ok(former) => former.as_deref().and_then(Terms::parse),
        Err(error) => {
            tracing::warn!(%error, "cannot read the former terms");
            None
        }
    };
    let mut rates: BTreeMap<Pair, StoredRate> = BTreeMap::new();
    match parts.store.load_current().await {
        Ok(stored) => rates.extend(stored.into_iter().map(|one| (one.rate.pair, one))),
        Err(error) => tracing::warn!(%error, "cannot read the former rates"),
    }
    for update in parts.bus.last_values().await.unwrap_or_default() {
        if let Body::Rate(rate) = &update.body {
            let stored = StoredRate {
                id: update.id,
                rate: rate.clone(),
            };
            rates.insert(rate.pair, stored);
        }
    }
    let mut withdrawn: BTreeSet<Pair> = former
        .as_ref()
        .map(|former| parts.terms.changed_pairs(former))
        .unwrap_or_default();
    for (pair, stored) in &rates {
        if let Some(why) = parts.terms.objection(former.as_ref(), &stored.rate) {
            tracing::info!(%pair, why, "does not stand behind the former rate");
            withdrawn.insert(*pair);
        }
    }
    rates.retain(|pair, _| !withdrawn.contains(pair));
    let withdrawn: Vec<Pair> = withdrawn.into_iter().collect();
    if let Err(error) = parts.store.drop_current(withdrawn.clone()).await {
        tracing::warn!(%error, "cannot take former rates out of the store");
    }
    Former {
        withdrawn,
        standing: rates.into_values().collect(),
    }
}

/// Open gaps that are taken up again, at most.
const OPEN_GAPS_MAX: u32 = 10_000;

/// What the ledger goes on from.
async fn before(store: &dyn Store, standing: Vec<StoredRate>) -> Result<Before, StoreError> {
    let Some(recorded_until) = store.recorded_until().await? else {
        return Ok(Before {
            standing,
            ..Before::default()
        });
    };
    let mut rows = Vec::new();
    for pair in standing.iter().map(|stored| stored.rate.pair) {
        rows.extend(store.last_rows(pair, recorded_until).await?);
    }
    // What the last Writer received; others had been given up before it.
    let last = rows.iter().map(|row| row.id.epoch).max();
    let followed = rows
        .iter()
        .filter(|row| Some(row.id.epoch) == last)
        .map(|row| (row.source, row.pair))
        .collect();
    let gaps = store.gaps(GapQuery {
        pair: None,
        source: None,
        start: recorded_until,
        end: Wall::MAX,
        limit: OPEN_GAPS_MAX,
    });
    let mut open = gaps.await?;
    open.retain(|gap| gap.ended.is_none());
    Ok(Before {
        standing,
        recorded_until: Some(recorded_until),
        followed,
        open,
    })
}

/// Takes the next epoch; a store that is away is waited for.
async fn begin_epoch(parts: &Parts, shutdown: &mut watch::Receiver<bool>) -> Option<Epoch> {
    loop {
        let begun = parts.store.begin_epoch(0).await;
        parts.metrics.store_request("epoch", begun.is_ok());
        match begun {
            Ok(epoch) => return Some(epoch),
            Err(error) => tracing::error!(%error, "cannot begin to write, trying again"),
        }
        tokio::select! {
            () = tokio::time::sleep(STORE_RETRY) => {}
            _ = shutdown.wait_for(|ended| *ended) => return None,
        }
    }
}

/// Keeps a source running: a panic is contained, told, and ends only that source for a second.
async fn keep_running(source: Arc<dyn Source>, context: Context, panics: Counter) {
    loop {
        let run = tokio::spawn(Arc::clone(&source).run(context.clone()));
        let mut shutdown = context.shutdown.clone();
        match run.await {
            Ok(()) if *shutdown.borrow() => return,
            Ok(()) => tracing::error!(source = %source.id(), "a source ended by itself"),
            Err(error) => {
                panics.inc();
                tracing::error!(source = %source.id(), %error, "a source ended badly, starting it again");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(SOURCE_RESTART) => {}
            _ = shutdown.wait_for(|ended| *ended) => return,
        }
    }
}
