//! What a Writer runs on: sources, pairs and policies, out of the configuration.

use crate::config::{Config, Role};
use crate::exit::{Exit, Failure};
use kurs_core::{Clock, Pair};
use kurs_net::Proxies;
use kurs_net::http::HttpClient;
use kurs_pricing::EngineConfig;
use kurs_sources::registry::{Built as BuiltSource, Means};
use std::sync::Arc;
use std::time::Duration;

/// What a Writer is made of that a new configuration may change.
pub struct Plan {
    pub(super) config: Config,
    pub(super) sources: Vec<BuiltSource>,
}

impl Plan {
    pub(super) fn new(
        config: &Config,
        simulated: bool,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, Failure> {
        let sources = sources(config, simulated, clock)?;
        Ok(Self {
            config: config.clone(),
            sources,
        })
    }
}

/// The sources that are switched on.
pub(crate) fn sources(
    config: &Config,
    simulated: bool,
    clock: &Arc<dyn Clock>,
) -> Result<Vec<BuiltSource>, Failure> {
    if !config.runs(Role::Writer) {
        return Ok(Vec::new());
    }
    let means = means(clock)?;
    kurs_sources::registry::build(&config.sources, simulated, &means)
        .map_err(|error| Failure::new(Exit::Failure, error.to_string()))
}

/// What sources reach the world with.
pub(super) fn means(clock: &Arc<dyn Clock>) -> Result<Means, Failure> {
    let user_agent = concat!("kurs/", env!("CARGO_PKG_VERSION"));
    let http = HttpClient::new(user_agent)
        .map_err(|error| Failure::new(Exit::Failure, error.to_string()))?;
    Ok(Means {
        http,
        proxies: Arc::new(Proxies::from_environment(|name| std::env::var(name).ok())),
        user_agent: user_agent.to_owned(),
        clock: Arc::clone(clock),
    })
}

/// What pricing needs to know of a source.
pub(super) fn info(info: &kurs_sources::SourceInfo) -> kurs_pricing::SourceInfo {
    kurs_pricing::SourceInfo {
        id: info.id,
        kind: info.kind,
        priority: info.priority,
        hold: Duration::from_millis(info.hold_ms),
    }
}

/// The pairs whose order books pricing looks into.
pub(super) fn depth(config: &Config) -> Arc<[Pair]> {
    engine(config, Vec::new()).depth_pairs().into()
}

/// How prices become rates, as it is configured.
pub(super) fn engine(config: &Config, sources: Vec<kurs_pricing::SourceInfo>) -> EngineConfig {
    let mut engine = EngineConfig::new(sources, config.directions.clone());
    engine.policies = config.policy.clone();
    engine
}
