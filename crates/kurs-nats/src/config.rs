//! Settings.

use crate::{Address, AddressError};
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
    /// Adds a sentence per mistake, each beginning with `key` and the name of the setting.
    pub fn validate(&self, key: &str, mistakes: &mut Vec<String>) {
        let mut wrong = |name: &str, rule: &str| mistakes.push(format!("{key}.{name}: {rule}"));
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !(1..=32).contains(&self.prefix.len()) || !self.prefix.chars().all(is_word) {
            wrong(
                "prefix",
                "must be 1 to 32 lower-case letters, digits or underscores",
            );
        }
        if ![1, 3, 5].contains(&self.replicas) {
            wrong("replicas", "must be 1, 3 or 5");
        }
        if !(10_000..=86_400_000).contains(&self.flow_age_ms) {
            wrong("flow_age_ms", "must be from 10000 to 86400000");
        }
        if !(1 << 20..=1 << 40).contains(&self.flow_bytes_max) {
            wrong("flow_bytes_max", "must be from 1048576 to 1099511627776");
        }
        if !(1..=16_384).contains(&self.window) {
            wrong("window", "must be from 1 to 16384");
        }
        if !(1..=1 << 20).contains(&self.buffer) {
            wrong("buffer", "must be from 1 to 1048576");
        }
        if !(100..=60_000).contains(&self.connect_timeout_ms) {
            wrong("connect_timeout_ms", "must be from 100 to 60000");
        }
    }
}

/// What a [`crate::NatsBus`] is made of.
#[derive(Debug, Clone)]
pub struct NatsOptions {
    /// Where the servers are.
    pub address: Address,
    /// Settings.
    pub config: NatsConfig,
    /// What the servers show as the name of this connection.
    pub name: String,
    /// Seed of the pauses between attempts to connect.
    pub seed: u64,
}

impl NatsOptions {
    /// Options with default settings.
    ///
    /// # Errors
    /// [`AddressError`] when the URL is none of NATS.
    pub fn new(url: &str) -> Result<Self, AddressError> {
        Ok(Self {
            address: Address::parse(url)?,
            config: NatsConfig::default(),
            name: "kurs".to_owned(),
            seed: 0,
        })
    }

    pub(crate) const fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.config.connect_timeout_ms)
    }
}

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
