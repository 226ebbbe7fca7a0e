//! Starts all parts of the Writer under a new epoch, and ends them in order.

use crate::commands;
use crate::desk::Desk;
use crate::housekeeping;
use crate::inbox::Inbox;
use crate::recorder::{Recorder, RecorderConfig};
use crate::status;
use crate::terms::Terms;
use crate::tracking::Tracking;
use kurs_bus::{Body, Bus};
use kurs_core::{Clock, Epoch, Pair, Rate};
use kurs_pricing::{Engine, EngineConfig};
use kurs_sources::{Context, EventSink, Source, Tap};
use kurs_store::Store;
use kurs_telemetry::health::{Health, Status};
use kurs_telemetry::metrics::{Counter, WriterMetrics};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

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
    /// How long history is kept.
    pub keep_history: Duration,
    /// Under which terms rates are made.
    pub terms: Terms,
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
        let withdrawn = withdrawn(&parts).await;

        let inbox = Arc::new(Inbox::new());
        let recorder = Recorder::start(
            Arc::clone(&parts.store),
            parts.recorder.clone(),
            Arc::clone(&parts.clock),
            parts.metrics.clone(),
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
            withdrawn: withdrawn
                .into_iter()
                .map(|pair| (pair, parts.terms.has_policy(pair)))
                .collect(),
        };
        let (begun, has_begun) = oneshot::channel();
        let pricing = tokio::task::spawn_blocking(move || desk.run(begun));
        // Only then: a Writer that dies before withdraws them again.
        if has_begun.await.is_ok()
            && let Err(error) = parts.store.save_terms(parts.terms.to_text()).await
        {
            tracing::warn!(%error, "cannot write down the terms, every rate is looked at again at the next start");
        }

        let (followed, follow) = watch::channel::<Arc<[Pair]>>(Arc::new([]));
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
        helpers.spawn(housekeeping::prune(
            Arc::clone(&parts.store),
            Arc::clone(&parts.clock),
            parts.keep_history,
            parts.metrics.clone(),
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
        // What is left is logged by the recorder.
        let _ = recorder.finish().await;
    }
}

/// Which pairs an earlier Writer published under terms that do not hold any more. They are out of
/// the store when this returns.
async fn withdrawn(parts: &Parts) -> Vec<Pair> {
    let former = match parts.store.terms().await {
        Ok(former) => former.as_deref().and_then(Terms::parse),
        Err(error) => {
            tracing::warn!(%error, "cannot read the former terms");
            None
        }
    };
    let mut rates: BTreeMap<Pair, Rate> = BTreeMap::new();
    match parts.store.load_current().await {
        Ok(stored) => rates.extend(stored.into_iter().map(|one| (one.rate.pair, one.rate))),
        Err(error) => tracing::warn!(%error, "cannot read the former rates"),
    }
    for update in parts.bus.last_values().await.unwrap_or_default() {
        if let Body::Rate(rate) = &update.body {
            rates.insert(rate.pair, rate.clone());
        }
    }
    let mut withdrawn: BTreeSet<Pair> = former
        .as_ref()
        .map(|former| parts.terms.changed_pairs(former))
        .unwrap_or_default();
    for (pair, rate) in &rates {
        if let Some(why) = parts.terms.objection(former.as_ref(), rate) {
            tracing::info!(%pair, why, "does not stand behind the former rate");
            withdrawn.insert(*pair);
        }
    }
    let withdrawn: Vec<Pair> = withdrawn.into_iter().collect();
    if let Err(error) = parts.store.drop_current(withdrawn.clone()).await {
        tracing::warn!(%error, "cannot take former rates out of the store");
    }
    withdrawn
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
