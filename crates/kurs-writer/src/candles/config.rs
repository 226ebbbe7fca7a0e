//! How candles are made, as configured.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How candles are made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CandlesConfig {
    /// Series (a source's prices of a pair, or a published pair) that are folded at one time. A
    /// series that has been silent longest makes room, and is taken up again from the store.
    pub series_max: usize,
    /// Milliseconds between two writes of the candles that are still open.
    pub open_every_ms: u64,
    /// Milliseconds after its end that a candle waits for late values before it is closed.
    pub settle_ms: u64,
    /// Candles that may wait to be computed again from the store; beyond them they are given up,
    /// and counted.
    pub repairs_max: usize,
}

impl Default for CandlesConfig {
    fn default() -> Self {
        Self {
            series_max: 10_000,
            open_every_ms: 5_000,
            settle_ms: 1_000,
            repairs_max: 100_000,
        }
    }
}

impl CandlesConfig {
    /// Adds a sentence per mistake, each beginning with the key below `candles`.
    pub fn validate(&self, mistakes: &mut Vec<String>) {
        let mut check = |key: &str, value: u64, least: u64, most: u64| {
            if !(least..=most).contains(&value) {
                mistakes.push(format!("candles.{key}: must be from {least} to {most}"));
            }
        };
        let number = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
        check("series_max", number(self.series_max), 10, 1_000_000);
        check("open_every_ms", self.open_every_ms, 500, 60_000);
        check("settle_ms", self.settle_ms, 0, 60_000);
        check("repairs_max", number(self.repairs_max), 100, 10_000_000);
    }
}
