//! Sections that belong to the binary itself.

use kurs_sources::Period;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Section `shutdown`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ShutdownConfig {
    /// How long the server goes on accepting after it said that it is not ready any more, such
    /// as `0s`. `5s` behind a balancer, so that the balancer notices first. At most 60s.
    pub delay: Period,
    /// How long open requests may take to end, such as `25s`. At most 10m.
    pub grace: Period,
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        Self {
            delay: Period::seconds(0),
            grace: Period::seconds(25),
        }
    }
}

impl ShutdownConfig {
    /// Adds a sentence with the key path for every value that cannot be used.
    pub fn validate(&self, mistakes: &mut Vec<String>) {
        if self.delay > Period::minutes(1) {
            mistakes.push(format!("shutdown.delay: {} is more than 60s", self.delay));
        }
        if self.grace > Period::minutes(10) {
            mistakes.push(format!("shutdown.grace: {} is more than 10m", self.grace));
        }
    }
}

/// What a process does.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Listens to sources, prices, publishes, stores.
    Writer,
    /// Answers over HTTP.
    Reader,
    /// Watches alerts and tells people: webhooks, chats.
    Bot,
}

impl Role {
    /// The word used in the setting.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Writer => "writer",
            Self::Reader => "reader",
            Self::Bot => "bot",
        }
    }
}
