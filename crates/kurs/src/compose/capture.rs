//! Puts recorders and replays together.

use super::{Built, engine, means};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use kurs_core::{Clock, ManualClock, Now, Pair, SourceId, Wall};
use kurs_pricing::SourceInfo;
use kurs_sources::config::SourcesConfig;
use kurs_sources::registry::Built as BuiltSource;
use kurs_sources::{EventSink, registry};
use kurs_telemetry::metrics::WriterMetrics;
use kurs_telemetry::{Health, Status};
use kurs_writer::capture::replay::{Collector, Parts};
use kurs_writer::capture::{Capture, Head, Replay};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// What a capture says of itself.
pub(crate) fn head(config: &Config, sources: &[BuiltSource], simulated: bool) -> Head {
    let names = |pairs: &[Pair]| pairs.iter().map(Pair::to_string).collect();
    Head {
        version: env!("CARGO_PKG_VERSION"),
        sources: sources
            .iter()
            .map(|source| source.info.id.plain().to_owned())
            .collect(),
        pairs: names(&config.pairs),
        directions: names(&config.directions),
        simulated,
    }
}

/// Name of the check that tells whether what is received is recorded.
const CHECK: &str = "capture";

/// The recorder of a serving Writer, if it is to record. One that cannot be started is told;
/// rates matter more than their recording.
pub(super) fn recorder(
    config: &Config,
    sources: &[BuiltSource],
    simulated: bool,
    clock: &Arc<dyn Clock>,
    (health, metrics): (&Health, &WriterMetrics),
) -> Option<Arc<Capture>> {
    if !config.capture.enabled || sources.is_empty() {
        return None;
    }
    let head = head(config, sources, simulated);
    match Capture::start(config.capture.clone(), head, Arc::clone(clock)) {
        Ok(capture) => {
            let file = capture.written().path;
            tracing::info!(file, "records what the sources receive");
            health.set(CHECK, Status::Ok, "");
            Some(Arc::new(capture))
        }
        Err(error) => {
            tracing::error!(%error, "nothing is recorded; everything else goes on");
            is_not_recorded(health, metrics, &error.to_string());
            None
        }
    }
}

fn is_not_recorded(health: &Health, metrics: &WriterMetrics, why: &str) {
    health.set(
        CHECK,
        Status::Degraded,
        &format!("nothing is recorded: {why}"),
    );
    metrics.capture_failed.set(1);
}

/// Tells the probes when a recorder fails; until it ends in order. It has logged why by itself.
pub(super) async fn watch(built: Arc<Built>, capture: Arc<Capture>) {
    let mut failure = capture.failure();
    let ended = match failure.wait_for(Option::is_some).await {
        Ok(error) => error.as_ref().map(ToString::to_string),
        // Its thread is gone without a word: it was ended, or it panicked.
        Err(_) if built.health.is_draining() => None,
        Err(_) => Some("its thread ended".to_owned()),
    };
    if let Some(why) = ended {
        is_not_recorded(&built.health, &built.metrics.writer, &why);
    }
}

/// How a replay is put together.
pub(crate) struct ReplaySetup {
    /// Whether the venues were simulated.
    pub(crate) simulated: bool,
    /// Whether the sources are published under names that say that they are replayed.
    pub(crate) marked: bool,
    /// Wall time of the first line.
    pub(crate) began_at: Wall,
    /// Sources of the capture; empty where it does not say.
    pub(crate) sources: Vec<String>,
    /// Whose lines those are that do not say it.
    pub(crate) default_source: Option<SourceId>,
    /// What is followed instead of what was followed.
    pub(crate) pairs: Option<Arc<[Pair]>>,
    /// Pairs that were always priced; empty where the capture does not say.
    pub(crate) directions: Vec<Pair>,
}

/// A replay that is ready to be fed.
pub(crate) struct Prepared {
    /// The replay.
    pub(crate) replay: Replay,
    /// Pairs that are always priced.
    pub(crate) directions: Vec<Pair>,
    /// Names under which the sources are published.
    pub(crate) sources: Vec<SourceId>,
}

/// The machines of all sources that the capture may hold, the engine as it is configured.
pub(crate) fn replay(config: &Config, setup: ReplaySetup) -> Result<Prepared, Failure> {
    let failed = |error: String| Failure::new(Exit::Failure, error);
    let sources = switched_on(&config.sources, &setup.sources);
    let events = Arc::new(Collector::default());
    let sink = Arc::clone(&events) as Arc<dyn EventSink>;
    // Recorded time is told with every input; this only dates what was never told anything.
    let clock = ManualClock::new(Now {
        wall: setup.began_at,
        ..Now::default()
    });
    let means = means(&(Arc::new(clock) as Arc<dyn Clock>))?;
    let depth = super::depth(config);
    let built = registry::machines(&sources, setup.simulated, &means, &sink, &depth)
        .map_err(|error| failed(error.to_string()))?;
    let infos: Vec<SourceInfo> = built.iter().map(|built| super::info(&built.info)).collect();
    let name = |id: SourceId| if setup.marked { id.replayed() } else { id };
    let published: HashMap<SourceId, SourceId> = match setup.marked {
        true => infos.iter().map(|info| (info.id, name(info.id))).collect(),
        false => HashMap::new(),
    };
    let priced = infos.iter().map(|info| SourceInfo {
        id: name(info.id),
        ..*info
    });
    let mut config = config.clone();
    if !setup.directions.is_empty() {
        config.directions = setup.directions;
    }
    let engine = engine(&config, priced.collect());
    let default_source = setup.default_source.map(|source| match setup.simulated {
        true => source.simulated(),
        false => source,
    });
    if let Some(source) = default_source
        && !infos.iter().any(|info| info.id == source)
    {
        let known: Vec<&str> = infos.iter().map(|info| info.id.plain()).collect();
        let known = known.join(", ");
        return Err(Failure::new(
            Exit::Usage,
            format!("there is no source {source}; there are {known}"),
        ));
    }
    let sources = infos.iter().map(|info| name(info.id)).collect();
    let parts = Parts {
        machines: built.into_iter().map(|built| built.machine).collect(),
        infos,
        events,
        engine,
        published,
        default_source,
        pairs: setup.pairs,
    };
    Ok(Prepared {
        replay: Replay::new(parts),
        directions: config.directions,
        sources,
    })
}

/// The settings with every source switched on that the capture may hold: those it names, or all
/// where it names none. A replay asks nobody, so it needs no keys.
fn switched_on(config: &SourcesConfig, named: &[String]) -> SourcesConfig {
    let Ok(mut settings) = serde_json::to_value(config) else {
        return config.clone();
    };
    let Some(all) = settings.as_object_mut() else {
        return config.clone();
    };
    for (name, source) in all.iter_mut() {
        let Some(source) = source.as_object_mut() else {
            continue;
        };
        if named.is_empty() || named.contains(name) {
            source.insert("enabled".to_owned(), json!(true));
        }
        if let Some(key @ Value::Null) = source.get_mut("key") {
            *key = json!("replayed");
        }
    }
    serde_json::from_value(settings).unwrap_or_else(|_| config.clone())
}
