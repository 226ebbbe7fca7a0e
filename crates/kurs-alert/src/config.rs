//! Settings of alerts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The section `alerts` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AlertConfig {
    /// Alerts that there may be.
    pub max: u32,
    /// Alerts that one target may have: one URL, one chat.
    pub max_per_target: u32,
    /// What is sent at one time.
    pub concurrency: u32,
    /// After so many attempts a delivery is given up; after a day it is in any case.
    pub attempts: u32,
    /// How many days what was told is kept.
    pub keep_days: u32,
    /// Also webhooks over http, and to addresses of this machine and of private networks. For
    /// development only: whoever may make alerts can then reach what this machine can reach.
    pub insecure_webhooks: bool,
}

impl Default for AlertConfig {
    fn default() -> Self {
        Self {
            max: 1_000,
            max_per_target: 100,
            concurrency: 8,
            attempts: 30,
            keep_days: 30,
            insecure_webhooks: false,
        }
    }
}

/// After this time a delivery is given up.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(86_400);

impl AlertConfig {
    /// Adds a sentence for every mistake, with the key it is in.
    pub fn validate(&self, mistakes: &mut Vec<String>) {
        let mut check = |name: &str, value: u32, most: u32| {
            if value < 1 || value > most {
                mistakes.push(format!("alerts.{name}: {value} is not within 1..{most}"));
            }
        };
        check("max", self.max, 10_000);
        check("max_per_target", self.max_per_target, 10_000);
        check("concurrency", self.concurrency, 256);
        check("attempts", self.attempts, 1_000);
        check("keep_days", self.keep_days, 3_650);
    }
}
