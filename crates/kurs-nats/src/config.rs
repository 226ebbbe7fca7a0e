//! Settings.

use crate::Address;
use kurs_bus::settings::Mistakes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// Where a server keeps its streams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Storage {
    /// In files: a restart of the server loses nothing.
    #[default]
    File,
    /// In memory: a restart loses everything, and Writers put the last values there again.
    Memory,
}

/// Settings of the bus over NATS. Streams are made with them when they are missing; existing
/// streams are taken as they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NatsConfig {
    /// What subjects begin with; in capitals, what the names of the streams begin with. Several
    /// kurs share a server by different prefixes.
    pub prefix: String,
    /// Credentials file (JWT and seed) to log in with, instead of user and password.
    pub credentials_file: Option<PathBuf>,
    /// PEM file of the authority that signed the servers' certificates, if the system does not
    /// know it.
    pub ca_file: Option<PathBuf>,
    /// Servers that keep each stream: 1, 3 or 5.
    pub replicas: u8,
    /// Where the servers keep the streams.
    pub storage: Storage,
    /// How long an update stays in the flow, for Readers that were away.
    pub flow_age_ms: u64,
    /// At most so many bytes of updates stay in the flow.
    pub flow_bytes_max: u64,
    /// Updates that are sent before the server has confirmed the first of them.
    pub window: usize,
    /// Updates a subscriber may lie behind before it is told of a gap.
    pub buffer: usize,
    /// Longest wait for a connection, log-in included.
    pub connect_timeout_ms: u64,
}

impl Default for NatsConfig {
    fn default() -> Self {
        Self {
            prefix: "kurs".to_owned(),
            credentials_file: None,
            ca_file: None,
            replicas: 1,
            storage: Storage::File,
            flow_age_ms: 600_000,
            flow_bytes_max: 1 << 29,
            window: 512,
            buffer: 16_384,
            connect_timeout_ms: 2_000,
        }
    }
}

impl NatsConfig {
    pub(crate) const fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    /// Adds a sentence per mistake, each beginning with `key` and the name of the setting.
    pub fn validate(&self, key: &str, mistakes: &mut Vec<String>) {
        let mut mistakes = Mistakes::new(key, mistakes);
        mistakes.prefix(&self.prefix);
        if ![1, 3, 5].contains(&self.replicas) {
            mistakes.wrong("replicas", "must be 1, 3 or 5");
        }
        mistakes.flow_age_ms(self.flow_age_ms);
        mistakes.within("flow_bytes_max", self.flow_bytes_max, 1 << 20..=1 << 40);
        mistakes.within("window", self.window, 1..=16_384);
        mistakes.within("buffer", self.buffer, 1..=1 << 20);
        let timeout_ms = self.connect_timeout_ms;
        mistakes.within("connect_timeout_ms", timeout_ms, 100..=60_000);
    }
}

/// What a [`crate::NatsBus`] is made of.
pub type NatsOptions = kurs_bus::Options<Address, NatsConfig>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_every_mistake_is_told_with_its_key() {
        let mut mistakes = Vec::new();
        NatsConfig::default().validate("nats", &mut mistakes);
        assert_eq!(mistakes, Vec::<String>::new());
        let wrong = NatsConfig {
            prefix: "a.b".to_owned(),
            replicas: 2,
            flow_age_ms: 0,
            flow_bytes_max: 0,
            window: 0,
            buffer: 0,
            connect_timeout_ms: 0,
            ..NatsConfig::default()
        };
        wrong.validate("nats", &mut mistakes);
        assert_eq!(mistakes.len(), 7, "{mistakes:#?}");
        assert!(mistakes.iter().all(|mistake| mistake.starts_with("nats.")));
    }
}
