//! Section `writer` of the configuration.

use crate::lease::Times;
use crate::shards::SHARDS_MAX;
use kurs_store::model::lease::WRITER_NAME_MAX;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// How Writers share the work. Only with a broker can there be more than one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WriterConfig {
    /// Name of this Writer among all others, such as `writer-1`. Empty: the name of the machine
    /// and a number that is drawn at the start.
    pub name: String,
    /// Parts that the pairs are spread over; each is written by one Writer at a time. The same
    /// for all Writers: to change it, end all of them first. From 1 to 64.
    pub shards: u16,
    /// Milliseconds that a lease lasts without being renewed: about as long as it takes until a
    /// standby writes when a Writer dies.
    pub lease_ms: u64,
    /// Milliseconds between two renewals; at most a third of `lease_ms`.
    pub renew_ms: u64,
}

impl Default for WriterConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            shards: 1,
            lease_ms: 3_000,
            renew_ms: 1_000,
        }
    }
}

impl WriterConfig {
    /// Adds a sentence per mistake, each beginning with the key.
    pub fn validate(&self, mistakes: &mut Vec<String>) {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.name.len() > WRITER_NAME_MAX || !self.name.chars().all(is_plain) {
            mistakes.push(format!(
                "writer.name: at most {WRITER_NAME_MAX} letters, digits, - _ and ."
            ));
        }
        if !(1..=SHARDS_MAX).contains(&self.shards) {
            mistakes.push(format!("writer.shards: must be from 1 to {SHARDS_MAX}"));
        }
        if !(1_000..=60_000).contains(&self.lease_ms) {
            mistakes.push("writer.lease_ms: must be from 1000 to 60000".to_owned());
        }
        if self.renew_ms < 100 || self.renew_ms > self.lease_ms / 3 {
            mistakes
                .push("writer.renew_ms: must be from 100 to a third of writer.lease_ms".to_owned());
        }
    }

    /// The times of leases.
    #[must_use]
    pub fn times(&self) -> Times {
        let ttl = Duration::from_millis(self.lease_ms);
        Times {
            ttl,
            renew: Duration::from_millis(self.renew_ms),
            watch: (ttl / 15).max(Duration::from_millis(50)),
            margin: ttl / 6,
        }
    }

    /// The name, made from that of the machine where none is set.
    #[must_use]
    pub fn name(&self, machine: &str, drawn: u64) -> Arc<str> {
        if !self.name.is_empty() {
            return Arc::from(&*self.name);
        }
        let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let machine: String = machine.chars().filter(is_plain).take(40).collect();
        let machine = if machine.is_empty() {
            "writer"
        } else {
            &machine
        };
        format!("{machine}-{:06x}", drawn & 0xff_ffff).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_named_and_the_defaults_are_none() {
        let mut mistakes = Vec::new();
        WriterConfig::default().validate(&mut mistakes);
        assert!(mistakes.is_empty(), "{mistakes:?}");
        let config = WriterConfig {
            name: "a b".to_owned(),
            shards: 0,
            lease_ms: 10,
            renew_ms: 10,
        };
        config.validate(&mut mistakes);
        assert_eq!(mistakes.len(), 4, "{mistakes:?}");
    }

    #[test]
    fn a_writer_without_a_name_is_named_after_its_machine() {
        let config = WriterConfig::default();
        assert_eq!(&*config.name("db-1.example", 0xabc), "db-1.example-000abc");
        assert_eq!(&*config.name("", 1), "writer-000001");
        let named = WriterConfig {
            name: "writer-2".to_owned(),
            ..config
        };
        assert_eq!(&*named.name("db-1", 1), "writer-2");
    }
}
