//! Settings.

use crate::Address;
use kurs_bus::settings::Mistakes;
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
    pub(crate) const fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    /// Adds a sentence per mistake, each beginning with `key` and the name of the setting.
    pub fn validate(&self, key: &str, mistakes: &mut Vec<String>) {
        let mut mistakes = Mistakes::new(key, mistakes);
        mistakes.prefix(&self.prefix);
        let length = self.flow_length_max;
        mistakes.within("flow_length_max", length, 1_000..=100_000_000);
        mistakes.flow_age_ms(self.flow_age_ms);
        mistakes.within("buffer", self.buffer, 1..=1 << 20);
        let timeout_ms = self.connect_timeout_ms;
        mistakes.within("connect_timeout_ms", timeout_ms, 100..=60_000);
    }
}

/// What a [`crate::RedisBus`] is made of.
pub type RedisOptions = kurs_bus::Options<Address, RedisConfig>;

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
