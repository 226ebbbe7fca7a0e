//! Starts all parts of the Writer, and ends them in order. Whether it leads or stands by is
//! decided by the leases, see [`crate::lease`].

use crate::candles::CandlesConfig;
use crate::config::WriterConfig;
use crate::desk::{Desk, Gate};
use crate::follow::{self, Ears, Hearing};
use crate::inbox::Inbox;
use crate::lease::Keeper;
use crate::office::Office;
use crate::recorder::{Extras, Recorder, RecorderConfig, RecorderHandle};
use crate::scope::{Part, Scope};
use crate::settings::Judge;
use crate::shards::{LEAD, Shards};
use crate::sinks::{SinkMetrics, SinksConfig};
use crate::snapshots::Snapshots;
use crate::status;
use crate::terms::Terms;
use crate::tracking::{self, Tracking};
use kurs_bus::Bus;
use kurs_core::{Clock, Mono, Pair, SourceState};
use kurs_pricing::{Engine, EngineConfig};
use kurs_sources::{Context, EventSink, Source, Tap};
use kurs_store::{Retention, Store};
use kurs_telemetry::health::{Health, Status};
use kurs_telemetry::metrics::{Counter, WriterMetrics};
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

/// Wait before a source that ended by a panic is started again.
const SOURCE_RESTART: Duration = Duration::from_secs(1);
/// How long a take-over waits for a spool that is being drained.
const LEFTOVER_END: Duration = Duration::from_millis(200);
/// How long the sources may take to close their connections.
const SOURCES_END: Duration = Duration::from_secs(2);
/// Changes of tracked symbols that wait for the one at hand; more are refused.
const CHANGES_MAX: usize = 64;
/// Notices about leases that may wait.
const NOTICES_MAX: usize = 256;
/// How long after its start a Writer without any live source counts as ready all the same.
const READY_AFTER: Duration = Duration::from_secs(15);

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
    /// How Writers share the work.
    pub sharing: WriterConfig,
    /// Name of this Writer among all others.
    pub name: Arc<str>,
    /// No other Writer can exist: the bus does not leave this process.
    pub is_alone: bool,
    /// Turns true when former rates that nobody stands behind any more are withdrawn.
    pub begun: watch::Sender<bool>,
}

/// The Writer role.
pub struct Writer {
    parts: Parts,
    judge: Option<Arc<dyn Judge>>,
}

/// What all parts of a running Writer use.
pub(crate) struct Shared {
    pub(crate) parts: Parts,
    pub(crate) judge: Option<Arc<dyn Judge>>,
    pub(crate) shards: Shards,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) hearing: Arc<Hearing>,
    /// The pairs that the sources follow.
    pub(crate) follow: watch::Receiver<Arc<[Pair]>>,
    pub(crate) tracking: mpsc::Sender<tracking::Order>,
    /// Tracked pairs that only other Writers follow.
    pub(crate) elsewhere: watch::Sender<Arc<[Pair]>>,
    /// The shards whose pairs the sources follow.
    pub(crate) part: watch::Sender<Part>,
    /// Whether polled sources are asked by this Writer.
    pub(crate) polls: watch::Sender<bool>,
    /// Recorders of the shards that are led.
    pub(crate) recorders: Mutex<BTreeMap<u16, RecorderHandle>>,
    /// Until when may be published, by shard.
    gates: Mutex<BTreeMap<u16, Arc<Gate>>>,
    /// Shards whose epoch has begun.
    begun: Mutex<BTreeSet<u16>>,
    /// Spools of an earlier time that are being drained.
    leftovers: tokio::sync::Mutex<BTreeMap<u16, RecorderHandle>>,
    started: Instant,
}

impl Shared {
    /// The spool of a shard.
    pub(crate) fn spool(&self, shard: u16) -> Option<PathBuf> {
        let folder = self.parts.spool.as_ref()?;
        Some(if shard == LEAD {
            folder.clone()
        } else {
            folder.join(format!("shard-{shard}"))
        })
    }

    /// The epoch of a shard has begun: former rates that nobody stands behind are withdrawn.
    pub(crate) fn has_begun(&self, shard: u16) {
        let mut begun = self.begun.lock();
        begun.insert(shard);
        self.parts.health.set("writer", Status::Ok, "");
        if begun.len() == usize::from(self.shards.count()) {
            self.parts.begun.send_replace(true);
        }
    }

    /// The epoch of a shard has ended.
    pub(crate) fn has_ended(&self, shard: u16) {
        self.begun.lock().remove(&shard);
        self.recorders.lock().remove(&shard);
        self.hearing.leads(shard, None);
        // Its standby knows nothing yet.
        self.hearing.again.notify_one();
    }

    /// True when all of so many epochs have begun.
    pub(crate) fn all_begun(&self, count: usize) -> bool {
        self.begun.lock().len() >= count
    }

    /// Whether the lease of a shard is good, as far as this machine knows.
    pub(crate) fn may_store(&self, shard: u16, may_store: bool) {
        if let Some(recorder) = self.recorders.lock().get(&shard) {
            recorder.set_may_store(may_store);
        }
    }

    /// Until when may be published of a shard.
    pub(crate) fn gate(&self, shard: u16) -> Arc<Gate> {
        let mut gates = self.gates.lock();
        let closed = || Arc::new(Gate::until(Mono(0)));
        Arc::clone(gates.entry(shard).or_insert_with(closed))
    }

    /// The sources follow the pairs of these shards.
    pub(crate) fn follow_only(&self, part: Part) {
        self.part.send_if_modified(|present| {
            let is_new = *present != part;
            if is_new {
                tracing::info!(shards = ?part, "follows the pairs of these shards");
                *present = part;
            }
            is_new
        });
    }

    /// It could take a shard at once.
    pub(crate) fn is_ready(&self) -> bool {
        let is_live =
            |source: &Arc<dyn Source>| source.stats().condition().state == SourceState::Live;
        let is_fed =
            || self.started.elapsed() >= READY_AFTER || self.parts.sources.iter().any(is_live);
        // Whoever has not heard the active Writer speak does not know where it ended.
        self.parts.is_alone || (self.parts.bus.is_reached() && self.hearing.is_hot() && is_fed())
    }

    /// Stores what an earlier time left in the spools, whoever leads now.
    async fn drain_leftovers(&self) {
        let mut leftovers = self.leftovers.lock().await;
        for shard in 0..self.shards.count() {
            let Some(folder) = self.spool(shard).filter(|folder| folder.exists()) else {
                continue;
            };
            let extras = Extras {
                spool: Some(self.parts.recorder.spool_in(&folder)),
                ..Extras::default()
            };
            let recorder = Recorder::start_with(
                Arc::clone(&self.parts.store),
                self.parts.recorder.clone(),
                Arc::clone(&self.parts.clock),
                self.parts.metrics.clone(),
                extras,
            );
            leftovers.insert(shard, recorder);
        }
    }

    /// The spool of a shard is wanted by the recorder of a new epoch.
    pub(crate) async fn end_leftover(&self, shard: u16) {
        let leftover = self.leftovers.lock().await.remove(&shard);
        if let Some(recorder) = leftover {
            // It only drains: what is not through by then, the next one drains again.
            recorder.finish_within(LEFTOVER_END).await;
        }
    }
}

impl Writer {
    /// A Writer that has not started.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self { parts, judge: None }
    }

    /// Lets settings be changed while it runs, as this judge allows.
    #[must_use]
    pub fn with_judge(mut self, judge: Option<Arc<dyn Judge>>) -> Self {
        self.judge = judge;
        self
    }

    /// Runs until `shutdown` turns true. Everything accepted before is published and stored.
    pub async fn run(self, shutdown: watch::Receiver<bool>) {
        let Self { parts, judge } = self;
        parts
            .health
            .set("writer", Status::Failed, "waiting for the store");
        let is_polled = |source: &&Arc<dyn Source>| !source.follows_pairs();
        let polled = parts.sources.iter().filter(is_polled);
        let polled: BTreeSet<_> = polled.map(|source| source.id()).collect();
        let shards = Shards::new(parts.sharing.shards, polled);
        let inbox = Arc::new(Inbox::new());
        let (followed, follow) = watch::channel::<Arc<[Pair]>>(Arc::new([]));
        let (to_tracking, tracking_orders) = mpsc::channel(CHANGES_MAX);
        let desk = Desk {
            engine: Engine::new(parts.engine.clone()),
            inbox: Arc::clone(&inbox),
            bus: Arc::clone(&parts.bus),
            clock: Arc::clone(&parts.clock),
            metrics: parts.metrics.clone(),
            shards: shards.clone(),
            writer: Arc::clone(&parts.name),
            keeps_standby: !parts.is_alone,
        };
        let pricing = tokio::task::spawn_blocking(move || desk.run());
        let shared = Arc::new(Shared {
            shards,
            inbox: Arc::clone(&inbox),
            hearing: Arc::new(Hearing::default()),
            follow,
            tracking: to_tracking,
            elsewhere: watch::Sender::new(Arc::new([])),
            part: watch::Sender::new(None),
            polls: watch::Sender::new(false),
            recorders: Mutex::default(),
            gates: Mutex::default(),
            begun: Mutex::default(),
            leftovers: tokio::sync::Mutex::default(),
            started: Instant::now(),
            judge,
            parts,
        });
        let (notify, notices) = mpsc::channel(NOTICES_MAX);
        let mut helpers = JoinSet::new();
        if !shared.parts.is_alone {
            shared.drain_leftovers().await;
            helpers.spawn(follow::run(Ears {
                bus: Arc::clone(&shared.parts.bus),
                inbox: Arc::clone(&inbox),
                hearing: Arc::clone(&shared.hearing),
                notices: notify,
                tracking: shared.tracking.clone(),
            }));
        }
        let keeper = Keeper::new(
            Arc::clone(&shared.parts.name),
            shared.shards.count(),
            shared.parts.sharing.times(),
            shared.parts.is_alone,
        );
        let (end_office, office_ends) = watch::channel(false);
        let office = Office::new(Arc::clone(&shared), keeper).run(notices, office_ends);
        let office = tokio::spawn(office);
        let running = Running {
            shared: Arc::clone(&shared),
            office,
            end_office,
        };
        let sources = running.start(followed, tracking_orders, helpers, shutdown.clone());
        running.until_ended(sources, shutdown).await;
        inbox.close();
        if let Err(error) = pricing.await {
            tracing::error!(%error, "the pricing thread ended badly");
        }
    }
}

/// The tasks of a running Writer.
struct Running {
    shared: Arc<Shared>,
    office: JoinHandle<()>,
    end_office: watch::Sender<bool>,
}

/// What feeds the engine.
struct Feeding {
    sources: JoinSet<()>,
    stop_sources: watch::Sender<bool>,
    helpers: JoinSet<()>,
}

impl Running {
    /// Starts the sources; where no other Writer can exist, once there is an epoch: nobody would
    /// take over what comes before.
    fn start(
        &self,
        followed: watch::Sender<Arc<[Pair]>>,
        tracking_orders: mpsc::Receiver<tracking::Order>,
        mut helpers: JoinSet<()>,
        shutdown: watch::Receiver<bool>,
    ) -> JoinHandle<Feeding> {
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            let parts = &shared.parts;
            let (stop_sources, sources_stopped) = watch::channel(false);
            let mut sources = JoinSet::new();
            let mut stopped = shutdown.clone();
            if parts.is_alone {
                let mut begun = parts.begun.subscribe();
                tokio::select! {
                    _ = begun.wait_for(|begun| *begun) => {}
                    _ = stopped.wait_for(|ended| *ended) => {
                        return Feeding { sources, stop_sources, helpers };
                    }
                }
            }
            for (index, source) in (0_u64..).zip(&parts.sources) {
                let context = Context {
                    clock: Arc::clone(&parts.clock),
                    events: Arc::clone(&shared.inbox) as Arc<dyn EventSink>,
                    pairs: shared.follow.clone(),
                    depth: Arc::clone(&parts.depth),
                    tap: parts.tap.clone(),
                    seed: parts.seed.wrapping_add(index),
                    polls: shared.polls.subscribe(),
                    shutdown: sources_stopped.clone(),
                };
                sources.spawn(keep_running(
                    Arc::clone(source),
                    context,
                    parts.source_panics.clone(),
                ));
            }
            let scope = Scope::new(shared.shards.clone(), &parts.engine.money, &parts.named);
            let mut tracking = Tracking::new(
                Arc::clone(&parts.store),
                Arc::clone(&shared.inbox),
                parts.sources.clone(),
                followed,
                shared.elsewhere.clone(),
                Arc::clone(&parts.clock),
                scope,
            );
            if let Err(error) = tracking.load(&parts.pairs).await {
                tracing::error!(%error, "cannot read the tracked symbols, follows the configured ones");
                tracking.load_without_store(&parts.pairs);
            }
            let part = shared.part.subscribe();
            helpers.spawn(tracking.serve(tracking_orders, part, sources_stopped));
            helpers.spawn(status::run(
                parts.sources.clone(),
                Arc::clone(&shared.inbox),
            ));
            Feeding {
                sources,
                stop_sources,
                helpers,
            }
        })
    }

    /// Until the end is asked for; then leases are handed over first, and the sources end.
    async fn until_ended(self, feeding: JoinHandle<Feeding>, mut shutdown: watch::Receiver<bool>) {
        // An error means that the sender is gone, which is a shutdown as well.
        let _ = shutdown.wait_for(|ended| *ended).await;
        self.end_office.send_replace(true);
        if let Err(error) = self.office.await {
            tracing::error!(%error, "the office of leases ended badly");
        }
        if let Ok(mut feeding) = feeding.await {
            feeding.stop_sources.send_replace(true);
            let ended = async { while feeding.sources.join_next().await.is_some() {} };
            if tokio::time::timeout(SOURCES_END, ended).await.is_err() {
                tracing::warn!("some sources did not end in time");
            }
            feeding.helpers.shutdown().await;
        }
        for shard in 0..self.shared.shards.count() {
            self.shared.end_leftover(shard).await;
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
