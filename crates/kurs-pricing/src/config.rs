//! Policies as configured.

use kurs_core::{Asset, Pair, SourceId, SourceKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// How one pair gets its rate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// The kind of policy.
    pub kind: PolicyKind,
    /// Sources in order of preference, best first; sources not named come after these in the
    /// order of their own priority. Empty: the sources' own priority.
    pub sources: Vec<SourceId>,
    /// How long a better source must be live again before it is used again, milliseconds.
    /// Absent: the hold time of that source.
    pub hold_ms: Option<u64>,
}

/// Kinds of policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PolicyKind {
    /// The first live source in order of preference.
    #[default]
    Priority,
}

/// What the engine must know of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceInfo {
    /// Its name.
    pub id: SourceId,
    /// What it is.
    pub kind: SourceKind,
    /// Its place in the order of preference; 1 is best.
    pub priority: u16,
    /// How long it must be live again before it is used again.
    pub hold: Duration,
}

/// What the engine must know at start.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// All sources that may speak.
    pub sources: Vec<SourceInfo>,
    /// Pairs that are always priced, derived over other markets where no source quotes them.
    pub directions: Vec<Pair>,
    /// Policies that differ from the default.
    pub policies: BTreeMap<Pair, Policy>,
    /// Assets a derived price may start from: a source that quotes BTC-USDT takes part in
    /// BTC-USD through the market USDT-USD.
    pub money: Vec<Asset>,
    /// A rate that has not changed is published again after this long, so that Readers see
    /// that it is still confirmed.
    pub refresh: Duration,
    /// A source's own price is published at most this often per pair.
    pub conflate: Duration,
}

impl EngineConfig {
    /// Defaults for these sources and directions.
    #[must_use]
    pub fn new(sources: Vec<SourceInfo>, directions: Vec<Pair>) -> Self {
        let money = ["USD", "USDT", "USDC", "FDUSD", "DAI"];
        Self {
            sources,
            directions,
            policies: BTreeMap::new(),
            money: money
                .iter()
                .filter_map(|name| Asset::parse(name).ok())
                .collect(),
            refresh: Duration::from_secs(1),
            conflate: Duration::from_millis(100),
        }
    }
}
