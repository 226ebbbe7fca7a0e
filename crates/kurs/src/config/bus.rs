//! Section `bus`.

use kurs_nats::NatsConfig;
use kurs_rabbitmq::RabbitOptions;
use kurs_redis::RedisConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The bus inside one process.
const MEMORY: &str = "memory:";

/// Section `bus`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BusConfig {
    /// Where updates travel: `memory:` inside this process, `nats://` or `tls://` over NATS
    /// JetStream, `redis://` or `rediss://` over Redis, `amqp://` or `amqps://` over RabbitMQ.
    /// User and password may stand in it; `bus.url_file` keeps them out of the configuration.
    pub url: String,
    /// How NATS is used.
    pub nats: NatsConfig,
    /// How Redis is used.
    pub redis: RedisConfig,
    /// How RabbitMQ is used.
    pub rabbitmq: RabbitConfig,
}

impl Default for BusConfig {
    fn default() -> Self {
        Self {
            url: MEMORY.to_owned(),
            nats: NatsConfig::default(),
            redis: RedisConfig::default(),
            rabbitmq: RabbitConfig::default(),
        }
    }
}

/// How RabbitMQ is used. The flow is made with these settings when it is missing; an existing one
/// is taken as it is.
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
}

impl Default for RabbitConfig {
    fn default() -> Self {
        let options = RabbitOptions::new("");
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            flow_age_ms: milliseconds(options.flow_age_max),
            flow_bytes_max: options.flow_bytes_max,
            snapshot_every_ms: milliseconds(options.snapshot_every),
            prefix: options.prefix,
        }
    }
}

/// What the URL leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broker {
    /// Nothing: the bus does not leave this process.
    Memory,
    /// NATS JetStream.
    Nats,
    /// Redis.
    Redis,
    /// RabbitMQ.
    RabbitMq,
}

impl BusConfig {
    /// What the URL leads to; `None` when it leads nowhere.
    #[must_use]
    pub fn broker(&self) -> Option<Broker> {
        if self.url == MEMORY {
            return Some(Broker::Memory);
        }
        match self.url.split_once("://")?.0 {
            "nats" | "tls" => Some(Broker::Nats),
            "redis" | "rediss" => Some(Broker::Redis),
            "amqp" | "amqps" => Some(Broker::RabbitMq),
            _ => None,
        }
    }

    /// True when updates do not leave this process.
    #[must_use]
    pub fn is_memory(&self) -> bool {
        self.url == MEMORY
    }

    /// How RabbitMQ is reached and used.
    #[must_use]
    pub fn rabbitmq_options(&self, seed: u64) -> RabbitOptions {
        let config = &self.rabbitmq;
        RabbitOptions {
            prefix: config.prefix.clone(),
            flow_age_max: Duration::from_millis(config.flow_age_ms),
            flow_bytes_max: config.flow_bytes_max,
            snapshot_every: Duration::from_millis(config.snapshot_every_ms),
            seed,
            ..RabbitOptions::new(self.url.clone())
        }
    }

    /// Adds a sentence with the key path for every value that cannot be used.
    pub fn validate(&self, mistakes: &mut Vec<String>) {
        self.nats.validate("bus.nats", mistakes);
        self.redis.validate("bus.redis", mistakes);
        let wrong = match self.broker() {
            None => Some(
                "expected memory:, nats://, tls://, redis://, rediss://, amqp:// or amqps://"
                    .to_owned(),
            ),
            Some(Broker::Memory) => None,
            Some(Broker::Nats) => {
                let address = kurs_nats::Address::parse(&self.url);
                address.err().map(|error| error.to_string())
            }
            Some(Broker::Redis) => {
                let address = kurs_redis::Address::parse(&self.url);
                address.err().map(|error| error.to_string())
            }
            Some(Broker::RabbitMq) => {
                let wrong = self.rabbitmq_options(0).mistakes();
                mistakes.extend(wrong.iter().map(|mistake| format!("bus: {mistake}")));
                None
            }
        };
        mistakes.extend(wrong.map(|wrong| format!("bus.url: {wrong}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(url: &str) -> Vec<String> {
        let config = BusConfig {
            url: url.to_owned(),
            ..BusConfig::default()
        };
        let mut mistakes = Vec::new();
        config.validate(&mut mistakes);
        mistakes
    }

    #[test]
    fn every_broker_is_known_by_its_url_and_anything_else_is_a_mistake() {
        for url in [
            "memory:",
            "nats://127.0.0.1:4222",
            "tls://nats.example:4222",
            "redis://127.0.0.1:6379",
            "rediss://user:word@redis.example/3",
            "amqp://guest:guest@127.0.0.1:5672",
        ] {
            assert!(mistakes(url).is_empty(), "{url}: {:?}", mistakes(url));
        }
        for url in ["", "kafka://x", "nats:x", "nats://", "memory"] {
            let told = mistakes(url);
            assert!(
                told.len() == 1 && told[0].starts_with("bus"),
                "{url}: {told:?}"
            );
        }
    }

    #[test]
    fn a_mistake_in_a_url_never_shows_its_password() {
        for url in [
            "redis://u:geheim@",
            "amqp://u:geheim@h:99999",
            "nats://u:geheim@/",
        ] {
            assert!(!mistakes(url).join("\n").contains("geheim"), "{url}");
        }
    }
}
