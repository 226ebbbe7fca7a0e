//! Section `bus`.

use kurs_nats::NatsConfig;
use kurs_rabbitmq::RabbitConfig;
use kurs_redis::RedisConfig;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::str::FromStr;

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

    /// Adds a sentence with the key path for every value that cannot be used.
    pub fn validate(&self, mistakes: &mut Vec<String>) {
        self.nats.validate("bus.nats", mistakes);
        self.redis.validate("bus.redis", mistakes);
        self.rabbitmq.validate("bus.rabbitmq", mistakes);
        let wrong = match self.broker() {
            None => Some(
                "expected memory:, nats://, tls://, redis://, rediss://, amqp:// or amqps://"
                    .to_owned(),
            ),
            Some(Broker::Memory) => None,
            Some(Broker::Nats) => wrong_address::<kurs_nats::Address>(&self.url),
            Some(Broker::Redis) => wrong_address::<kurs_redis::Address>(&self.url),
            Some(Broker::RabbitMq) => wrong_address::<kurs_rabbitmq::Address>(&self.url),
        };
        mistakes.extend(wrong.map(|wrong| format!("bus.url: {wrong}")));
    }
}

fn wrong_address<A: FromStr<Err: Display>>(url: &str) -> Option<String> {
    url.parse::<A>().err().map(|error| error.to_string())
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
