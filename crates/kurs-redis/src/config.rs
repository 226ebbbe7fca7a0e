//! Settings.

use crate::{Address, AddressError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;

/// Settings of the bus over Redis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RedisConfig {
    /// What names on the server begin with. Several kurs share a server by different prefixes.
    pub prefix: String,
    /// PEM file of the authority that signed the server's certificate, if the system does not
    /// know it.
    pub ca_file: Option<PathBuf>,
    /// About so many updates stay in the flow, for Readers that were away.
    pub flow_length_max: u64,
    /// How long an update stays in the flow at most.
    pub flow_age_ms: u64,
    /// Updates a subscriber may lie behind before they wait on the server, where they are kept
    /// as long as the flow is.
    pub buffer: usize,
    /// Longest wait for a connection, log-in included.
    pub connect_timeout_ms: u64,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            prefix: "kurs".to_owned(),
            ca_file: None,
            flow_length_max: 200_000,
            flow_age_ms: 600_000,
            buffer: 1_024,
            connect_timeout_ms: 2_000,
        }
    }
}

impl RedisConfig {
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
        if !(1_000..=100_000_000).contains(&self.flow_length_max) {
            wrong("flow_length_max", "must be from 1000 to 100000000");
        }
        if !(10_000..=86_400_000).contains(&self.flow_age_ms) {
            wrong("flow_age_ms", "must be from 10000 to 86400000");
        }
        if !(1..=1 << 20).contains(&self.buffer) {
            wrong("buffer", "must be from 1 to 1048576");
        }
        if !(100..=60_000).contains(&self.connect_timeout_ms) {
            wrong("connect_timeout_ms", "must be from 100 to 60000");
        }
    }
}

/// What a [`crate::RedisBus`] is made of.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// Where the server is.
    pub address: Address,
    /// Settings.
    pub config: RedisConfig,
    /// What the server shows as the name of these connections.
    pub name: String,
    /// Seed of the pauses between attempts to connect.
    pub seed: u64,
}

impl RedisOptions {
    /// Options with default settings.
    ///
    /// # Errors
    /// [`AddressError`] when the URL is none of Redis.
    pub fn new(url: &str) -> Result<Self, AddressError> {
        Ok(Self {
            address: Address::parse(url)?,
            config: RedisConfig::default(),
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
        RedisConfig::default().validate("redis", &mut mistakes);
        assert_eq!(mistakes, Vec::<String>::new());
        let wrong = RedisConfig {
            prefix: "a}b".to_owned(),
            ca_file: None,
            flow_length_max: 3,
            flow_age_ms: 1,
            buffer: 0,
            connect_timeout_ms: 0,
        };
        wrong.validate("redis", &mut mistakes);
        let keys: Vec<_> = mistakes
            .iter()
            .map(|mistake| mistake.split(':').next().unwrap())
            .collect();
        assert_eq!(
            keys,
            [
                "redis.prefix",
                "redis.flow_length_max",
                "redis.flow_age_ms",
                "redis.buffer",
                "redis.connect_timeout_ms"
            ]
        );
    }
}
