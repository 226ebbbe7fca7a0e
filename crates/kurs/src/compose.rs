//! Puts the parts together. Writer and Reader meet only in bus and store; each has its function
//! here, and both run in one process unless roles say otherwise.

mod bot;
mod bus;
mod capture;
mod doors;
pub(crate) mod past;
mod plan;
mod readings;
mod settings;
mod take_over;
mod terms;

pub(crate) use bus::Who;
#[cfg(test)]
pub(crate) use take_over::TAKEN_OVER;
pub use take_over::take_over;

use crate::config::{Config, Role};
use crate::exit::{Exit, Failure};
use crate::reload::Reload;
use crate::supervise::supervise;
pub(crate) use capture::{Prepared, ReplaySetup, head as capture_head, replay};
use kurs_api::{ApiParts, ApiState};
use kurs_auth::Doors;
use kurs_bus::Bus;
use kurs_core::{Clock, SystemClock};
use kurs_reader::{RateView, ViewConfig};
use kurs_sources::Tap;
use kurs_store::{Store, StoreError};
use kurs_stream::Hub;
use kurs_telemetry::metrics::Build;
use kurs_telemetry::{Health, Metrics, Status};
use kurs_writer::Terms;
use kurs_writer::capture::Capture;
pub use plan::Plan;
pub(crate) use plan::sources;
use plan::{depth, engine, info, means};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

/// Wait before a store that is away is asked again.
const STORE_RETRY: Duration = Duration::from_millis(500);
/// How often it is looked whether the first picture of all rates is there.
pub(crate) const START_CHECK: Duration = Duration::from_millis(10);

/// Everything that is built before anything runs.
pub struct Built {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Between Writer and Reader.
    pub bus: Arc<dyn Bus>,
    /// What outlives the process.
    pub store: Arc<dyn Store>,
    /// The Reader's picture of all rates.
    pub view: Arc<RateView>,
    /// Who is told what changes in it.
    pub streams: Arc<Hub>,
    /// Who is let in.
    pub doors: Arc<Doors>,
    /// What the Writer runs on; a new plan takes the place of the old one while running.
    pub plan: watch::Sender<Arc<Plan>>,
    /// True when all sources are pointed at simulated venues.
    simulated: bool,
    /// Records what the sources receive, if that is wanted.
    capture: Option<Arc<Capture>>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// How each part is.
    pub health: Arc<Health>,
    /// Seed of all jitter.
    pub seed: u64,
    /// True once a Writer in this process has withdrawn what nobody stands behind.
    begun: watch::Sender<bool>,
    /// Name of the Writer in this process among all others.
    writer_name: Arc<str>,
    /// The configuration in force, where it can change.
    configuration: OnceLock<Reload>,
    /// The store is to be asked at once whether something was set.
    look_at_settings: Notify,
}

impl Built {
    /// Lets the configuration change while running.
    pub fn follow_configuration(&self, reload: Reload) {
        // Nobody does it twice; the first one would stay.
        let _ = self.configuration.set(reload);
    }

    /// Reads the configuration again.
    pub fn reload(self: &Arc<Self>) {
        if let Some(reload) = self.configuration.get() {
            reload.reload(&|old, new| take_over(self, old, new));
            settings::tell(self, reload);
        }
    }

    /// Reads the configuration again if its file was written.
    pub fn reload_if_file_changed(self: &Arc<Self>) {
        if let Some(reload) = self.configuration.get()
            && reload.reload_if_file_changed(&|old, new| take_over(self, old, new))
        {
            settings::tell(self, reload);
        }
    }
}

/// Builds all parts; nothing runs yet and nothing outside is asked.
///
/// # Errors
/// When the store cannot be opened, with what to do about it.
pub fn build(config: &Config, simulated: bool) -> Result<Built, Failure> {
    build_at(config, simulated, clock())
}

/// The machine's clocks.
pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::new())
}

/// The same on another clock than the machine's.
pub(crate) fn build_at(
    config: &Config,
    simulated: bool,
    clock: Arc<dyn Clock>,
) -> Result<Built, Failure> {
    let build = Build {
        version: env!("CARGO_PKG_VERSION"),
        commit: crate::COMMIT,
    };
    let metrics = Arc::new(Metrics::new(&config.metrics, build));
    metrics
        .process
        .start_time
        .set(clock.now().wall.unix_ms().div_euclid(1_000));
    let store = kurs_store::config::open(&config.store).map_err(|error| {
        let url = crate::config::redact::redact_url(&config.store.url);
        let hint = match error {
            StoreError::Corrupt(_) => "move that file away, or name another",
            _ => "does its folder exist, and may kurs write there?",
        };
        let message = format!("{error}; store.url is {url}: {hint}");
        Failure::new(Exit::Failure, message)
    })?;
    let plan = Plan::new(config, simulated, &clock)?;
    let health = Arc::new(Health::new());
    let seed = fastrand::u64(..);
    let writer_name = config.writer.name(&machine_name(), seed);
    let view = RateView::new(
        Arc::clone(&clock),
        ViewConfig {
            directions: config.directions.clone(),
        },
    );
    let view = Arc::new(view);
    let streams = Hub::new(
        Arc::clone(&view),
        config.streams.clone(),
        metrics.streams.clone(),
        seed,
    );
    Ok(Built {
        streams,
        doors: Arc::new(Doors::new(&config.auth, &config.limits)),
        capture: capture::recorder(
            config,
            &plan.sources,
            simulated,
            &clock,
            (&health, &metrics.writer),
        ),
        bus: bus::open(config, &writer_name, seed, &health)?,
        store,
        view,
        plan: watch::Sender::new(Arc::new(plan)),
        simulated,
        metrics,
        health,
        seed,
        writer_name,
        begun: watch::Sender::new(false),
        configuration: OnceLock::new(),
        look_at_settings: Notify::new(),
        clock,
    })
}

/// What this machine calls itself; empty where it does not say.
fn machine_name() -> String {
    let name = rustix::system::uname();
    name.nodename().to_string_lossy().into_owned()
}

/// Brings the store to its version and starts the roles of this process. A store that is away is
/// waited for by the Writer, visible in `/readyz`; a Reader behind a broker begins without it.
pub async fn start_roles(built: Arc<Built>, config: Config, stopped: watch::Receiver<bool>) {
    let (has_reader, has_writer) = (config.runs(Role::Reader), config.runs(Role::Writer));
    let has_bot = config.runs(Role::Bot);
    // Who watches rates needs the picture of them as well.
    let has_view = has_reader || has_bot;
    let trouble = if has_writer {
        Status::Failed
    } else {
        Status::Degraded
    };
    built.health.set("store", trouble, "not opened yet");
    let mut roles = JoinSet::new();
    let waits = config.bus.is_memory();
    let follow_doors = || doors::follow(Arc::clone(&built), config.auth.clone(), stopped.clone());
    if has_reader {
        // Whoever comes with a key right after the start must find it known.
        let not_yet = "the keys were not read yet";
        built.health.set(doors::CHECK, Status::Failed, not_yet);
    }
    let follow_settings = || settings::follow(Arc::clone(&built), stopped.clone());
    let bot = || bot::bot(Arc::clone(&built), config.clone(), stopped.clone());
    if has_view && !waits {
        roles.spawn(follow_settings());
        roles.spawn(reader(Arc::clone(&built), stopped.clone()));
    }
    if has_reader && !waits {
        roles.spawn(follow_doors());
    }
    if has_bot && !waits {
        roles.spawn(bot());
    }
    let mut ended = stopped.clone();
    let prepared = async {
        prepare_store(&built, &config, trouble).await;
        // What was set holds from the first rate on.
        settings::look(&built).await;
    };
    tokio::select! {
        () = prepared => {
            if waits || !has_view {
                roles.spawn(follow_settings());
            }
            if has_reader && waits {
                roles.spawn(follow_doors());
            }
            if has_view && waits {
                roles.spawn(reader(Arc::clone(&built), stopped.clone()));
            }
            if has_bot && waits {
                roles.spawn(bot());
            }
            if has_writer {
                if !has_view {
                    roles.spawn(watch_writer(Arc::clone(&built)));
                }
                roles.spawn(writer(Arc::clone(&built), stopped.clone()));
            }
        }
        _ = ended.wait_for(|ended| *ended) => {}
    }
    let watched = built
        .capture
        .clone()
        .map(|capture| tokio::spawn(capture::watch(Arc::clone(&built), capture)));
    while roles.join_next().await.is_some() {}
    if let Some(watched) = watched {
        watched.abort();
    }
    if let Some(capture) = built.capture.clone() {
        // An error is a panic of its thread, which has told it.
        let _ = tokio::task::spawn_blocking(move || capture.finish()).await;
    }
}

/// A process without a Reader has started when its Writer leads or stands by.
async fn watch_writer(built: Arc<Built>) {
    let is_ok = |built: &Built| {
        let checks = built.health.checks();
        checks
            .iter()
            .any(|check| &*check.name == "writer" && check.status == Status::Ok)
    };
    while !is_ok(&built) {
        tokio::time::sleep(START_CHECK).await;
    }
    // It serves no rates, so none are waited for.
    built.view.set_loaded();
    built.health.mark_started();
}

async fn prepare_store(built: &Built, config: &Config, trouble: Status) {
    // A Reader changes nothing in a store that others write.
    let mut store_config = config.store.clone();
    if !config.runs(Role::Writer) && !config.bus.is_memory() {
        store_config.auto_migrate = Some(false);
    }
    loop {
        match kurs_store::config::prepare(&*built.store, &store_config).await {
            Ok(state) => {
                built.health.set("store", Status::Ok, "");
                if state.found != state.needed {
                    let (from, to) = (state.found, state.needed);
                    tracing::info!(from, to, "brought the store to this version");
                }
                return;
            }
            Err(error) => {
                built.health.set("store", trouble, &error.to_string());
                match error {
                    StoreError::Unavailable(_) => tracing::error!(%error, "waits for the store"),
                    // A person has to migrate or to mend it; kurs goes on when that is done.
                    _ => kurs_telemetry::critical!(%error, "cannot use the store"),
                }
            }
        }
        tokio::time::sleep(STORE_RETRY).await;
    }
}

/// The Writer role: sources to pricing to bus and store. A new plan ends the running Writer in
/// order and starts the next one under a new epoch; Readers serve on meanwhile.
async fn writer(built: Arc<Built>, mut stopped: watch::Receiver<bool>) {
    let mut plans = built.plan.subscribe();
    loop {
        let plan = Arc::clone(&plans.borrow_and_update());
        let (end, ended) = watch::channel(false);
        let mut running = tokio::spawn(run_writer(Arc::clone(&built), plan, ended));
        tokio::select! {
            _ = &mut running => return,
            _ = plans.changed() => {}
            _ = stopped.wait_for(|ended| *ended) => {}
        }
        end.send_replace(true);
        if let Err(error) = running.await {
            tracing::error!(%error, "the Writer ended badly");
        }
        if *stopped.borrow() {
            return;
        }
    }
}

async fn run_writer(built: Arc<Built>, plan: Arc<Plan>, ended: watch::Receiver<bool>) {
    let panics = built.metrics.process.panics("writer");
    supervise("writer", panics, ended.clone(), || {
        let infos = plan.sources.iter().map(|source| info(&source.info));
        let config = &plan.config;
        for warning in config.warnings(built.clock.now().wall) {
            tracing::warn!("{warning}");
        }
        let engine = engine(config, infos.collect());
        let sources = plan.sources.iter().map(|source| Arc::clone(&source.source));
        let (depth, named) = (depth(config), engine.named_pairs());
        let ids = plan.sources.iter().map(|source| source.info.id);
        let terms = Terms::of(&engine, &terms::origins(&config.sources, ids));
        let parts = kurs_writer::Parts {
            bus: Arc::clone(&built.bus),
            store: Arc::clone(&built.store),
            clock: Arc::clone(&built.clock),
            sources: sources.collect(),
            engine,
            pairs: config.pairs.clone(),
            seed: built.seed,
            metrics: built.metrics.writer.clone(),
            source_panics: built.metrics.process.panics("source"),
            health: Arc::clone(&built.health),
            recorder: config.recorder.clone(),
            tap: built.capture.clone().map(|capture| capture as Arc<dyn Tap>),
            depth,
            named,
            retention: config.store.retention(),
            pack_after: config.store.pack_after(),
            spool: config.recorder.spool_folder(config.store.is_server()),
            candles: config.candles.clone(),
            snapshots: config.recorder.snapshots(),
            sinks: config.sinks.clone(),
            sink_metrics: built.metrics.sinks.sink("influxdb"),
            begun: built.begun.clone(),
            terms,
            sharing: config.writer.clone(),
            name: Arc::clone(&built.writer_name),
            is_alone: config.bus.is_memory(),
        };
        let judge = settings::judge(&built);
        kurs_writer::Writer::new(parts)
            .with_judge(judge)
            .run(ended.clone())
    })
    .await;
}

/// How long the Reader waits for a Writer in the same process; one that has to wait for the store or
/// for its turn does not keep rates from being served.
const WRITER_BEGINS: Duration = Duration::from_secs(2);

/// The Reader role: store and bus to the picture of all rates.
async fn reader(built: Arc<Built>, stopped: watch::Receiver<bool>) {
    built
        .health
        .set("reader", Status::Failed, "no picture of the rates yet");
    let mut started = tokio::spawn(watch_start(Arc::clone(&built)));
    let has_writer = built.plan.borrow().config.runs(Role::Writer);
    if has_writer {
        // Its first answers come from the store, and what the Writer is about to withdraw must not
        // be among them.
        let mut begun = built.begun.subscribe();
        let begun = begun.wait_for(|begun| *begun);
        let _ = tokio::time::timeout(WRITER_BEGINS, begun).await;
    }
    let telling = Arc::clone(&built.streams).run(stopped.clone());
    let telling = tokio::spawn(telling);
    let panics = built.metrics.process.panics("reader");
    supervise("reader", panics, stopped.clone(), || {
        let means = kurs_reader::follow::Means {
            view: Arc::clone(&built.view),
            store: Arc::clone(&built.store),
            bus: Arc::clone(&built.bus),
            metrics: built.metrics.reader.clone(),
            health: Arc::clone(&built.health),
            told: Arc::clone(&built.streams) as _,
        };
        kurs_reader::follow::run(means, stopped.clone())
    })
    .await;
    started.abort();
    let _ = (&mut started).await;
    let _ = telling.await;
}

/// Tells the probes when the first picture is there.
async fn watch_start(built: Arc<Built>) {
    while !built.view.is_loaded() {
        tokio::time::sleep(START_CHECK).await;
    }
    built.health.set("reader", Status::Ok, "");
    built.health.mark_started();
}

/// The API over the view.
///
/// # Errors
/// When the program's own table of routes contradicts itself.
pub fn api(built: &Arc<Built>, config: &Config) -> Result<ApiState, Failure> {
    let measured = Arc::clone(built);
    let parts = ApiParts {
        view: Arc::clone(&built.view),
        bus: Arc::clone(&built.bus),
        store: Arc::clone(&built.store),
        health: Arc::clone(&built.health),
        metrics: Arc::clone(&built.metrics),
        metrics_text: Arc::new(move || measured.metrics_text()),
        streams: Arc::clone(&built.streams),
        doors: Arc::clone(&built.doors),
        version: env!("CARGO_PKG_VERSION"),
        seed: built.seed,
    };
    let state = ApiState::new(config.http.clone(), parts)
        .map_err(|error| Failure::new(Exit::Failure, error.to_string()))?;
    Ok(state
        .with_settings(settings::shown(built))
        .with_alerts(config.alerts.clone()))
}
