//! Policies as configured, and what the engine must know at start.
//!
//! | module | what it holds |
//! |---|---|
//! | [`policy`] | [`Policy`]: how one pair gets its rate |
//! | [`units`] | percentages, spans of time, exact numbers, days |
//! | [`check`] | everything that is wrong with the policies, at once |

pub mod check;
pub mod policy;
pub mod units;

pub use check::{Knowledge, validate, warnings};
pub use kurs_core::rate::{FairMethod, PolicyKind};
pub use policy::{BelowMin, Policy, WrittenPolicy, written_policies};

use kurs_core::{Asset, Pair, SourceId, SourceKind};
use std::collections::BTreeMap;
use std::time::Duration;

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

    /// The markets whose books pricing looks into, in order: sources that follow one of them
    /// should send its depth. For a pair that may be derived these are its own market and
    /// those of its base against money.
    #[must_use]
    pub fn depth_pairs(&self) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for (pair, policy) in &self.policies {
            if !policy.needs_depth() {
                continue;
            }
            let pair = pair.canonical();
            pairs.push(pair);
            if policy.kind() == PolicyKind::Merged {
                continue;
            }
            let money = self.money.iter().copied();
            pairs.extend(money.filter_map(|quote| Pair::of(pair.base, quote).ok()));
        }
        pairs.sort_unstable();
        pairs.dedup();
        pairs
    }

    /// The markets that policies name, in order: they must be followed whatever is tracked.
    #[must_use]
    pub fn named_pairs(&self) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for (pair, policy) in &self.policies {
            match policy.kind() {
                PolicyKind::Median | PolicyKind::Merged => pairs.push(pair.canonical()),
                PolicyKind::Rule => {
                    let text = policy.rule.as_deref().unwrap_or_default();
                    let Ok(rule) = crate::rule::parser::parse(text, *pair) else {
                        continue;
                    };
                    pairs.extend(rule.pairs().into_iter().map(Pair::canonical));
                    let named = rule.sources();
                    pairs.extend(named.iter().map(|(_, pair)| pair.canonical()));
                }
                PolicyKind::Priority | PolicyKind::Fixed => {}
            }
        }
        pairs.sort_unstable();
        pairs.dedup();
        pairs
    }
}
