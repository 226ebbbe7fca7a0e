//! Settings.

use crate::Address;
use kurs_bus::settings::Mistakes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Settings of the bus over RabbitMQ. The flow is made with them when it is missing; an existing
/// one is taken as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RabbitConfig {
    /// What the names of exchange and queues begin with: letters, digits, `-` and `_`. Several
    /// kurs share a server by different prefixes.
    pub prefix: String,
    /// How long an update stays in the flow, for Readers that were away.
    pub flow_age_ms: u64,
    /// At most so many bytes of updates stay in the flow.
    pub flow_bytes_max: u64,
    /// Time between two snapshots of the last values while something changes.
    pub snapshot_every_ms: u64,
    /// Numbers that nobody has to set.
    #[serde(skip)]
    pub tuning: Tuning,
}

/// Numbers that suit every server; tests have others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tuning {
    /// Bytes of a file of the flow; only whole files are ever dropped.
    pub segment_bytes: u64,
    /// Updates on their way to the server, unconfirmed, at most.
    pub window: usize,
    /// Messages that the server sends ahead to a subscriber, at most.
    pub prefetch: u16,
    /// Silence after which the server and kurs send a sign of life, seconds; twice as much ends
    /// a connection.
    pub heartbeat_seconds: u16,
}

impl Default for RabbitConfig {
    fn default() -> Self {
        Self {
            prefix: "kurs".to_owned(),
            flow_age_ms: 600_000,
            flow_bytes_max: 1 << 30,
            snapshot_every_ms: 5_000,
            tuning: Tuning::default(),
        }
    }
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            segment_bytes: 16 << 20,
            window: 512,
            prefetch: 1_024,
            heartbeat_seconds: 2,
        }
    }
}

impl RabbitConfig {
    pub(crate) const fn snapshot_every(&self) -> Duration {
        Duration::from_millis(self.snapshot_every_ms)
    }

    /// Adds a sentence per mistake, each beginning with `key` and the name of the setting.
    pub fn validate(&self, key: &str, mistakes: &mut Vec<String>) {
        let mut mistakes = Mistakes::new(key, mistakes);
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if !(1..=64).contains(&self.prefix.len()) || !self.prefix.chars().all(is_word) {
            mistakes.wrong("prefix", "must be 1 to 64 letters, digits, - or _");
        }
        mistakes.flow_age_ms(self.flow_age_ms);
        // At least two files, or none could be dropped.
        mistakes.within("flow_bytes_max", self.flow_bytes_max, 32 << 20..=1 << 40);
        mistakes.within("snapshot_every_ms", self.snapshot_every_ms, 100..=60_000);
    }
}

/// What a [`crate::RabbitBus`] is made of.
pub type RabbitOptions = kurs_bus::Options<Address, RabbitConfig>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_every_mistake_is_told_with_its_key() {
        let mut mistakes = Vec::new();
        RabbitConfig::default().validate("rabbitmq", &mut mistakes);
        assert_eq!(mistakes, Vec::<String>::new());
        let wrong = RabbitConfig {
            prefix: "a.b".to_owned(),
            flow_age_ms: 0,
            flow_bytes_max: 3,
            snapshot_every_ms: 0,
            tuning: Tuning::default(),
        };
        wrong.validate("rabbitmq", &mut mistakes);
        let keys: Vec<_> = mistakes
            .iter()
            .map(|mistake| mistake.split(':').next().unwrap())
            .collect();
        assert_eq!(
            keys,
            [
                "rabbitmq.prefix",
                "rabbitmq.flow_age_ms",
                "rabbitmq.flow_bytes_max",
                "rabbitmq.snapshot_every_ms"
            ]
        );
    }
}
