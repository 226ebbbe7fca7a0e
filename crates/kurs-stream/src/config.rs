//! Settings of streams.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The section `streams` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StreamConfig {
    /// Streams open at one time.
    pub max: usize,
    /// Streams open at one time from one IPv4 address or one IPv6 /64 network.
    pub per_address: usize,
    /// Topics of one stream.
    pub topics: usize,
    /// For how long what was told is kept for those who come back, milliseconds.
    pub ring_ms: u64,
    /// Events that are kept for them at most, however short the time.
    pub ring_events: usize,
    /// Events that wait for a slow client; with one more only the newest of each topic waits.
    pub mailbox_events: usize,
    /// The same in bytes.
    pub mailbox_bytes: usize,
    /// How often a stream says that it lives, milliseconds.
    pub heartbeat_ms: u64,
    /// How long a client may take nothing of what is to be sent, milliseconds.
    pub write_ms: u64,
    /// Time over which the reconnects of clients are spread when this Reader ends, milliseconds.
    pub spread_ms: u64,
}

impl Default for StreamConfig {
    fn default() -> Self {
        Self {
            max: 10_000,
            per_address: 500,
            topics: 500,
            ring_ms: 60_000,
            ring_events: 200_000,
            mailbox_events: 256,
            mailbox_bytes: 1_048_576,
            heartbeat_ms: 15_000,
            write_ms: 10_000,
            spread_ms: 5_000,
        }
    }
}

impl StreamConfig {
    /// Adds a sentence for every mistake, with the key it is in.
    pub fn validate(&self, mistakes: &mut Vec<String>) {
        let mut check = |name: &str, value: u64, least: u64, most: u64| {
            if value < least || value > most {
                mistakes.push(format!(
                    "streams.{name}: {value} is not within {least}..{most}"
                ));
            }
        };
        let size = |size: usize| u64::try_from(size).unwrap_or(u64::MAX);
        check("max", size(self.max), 1, 1_000_000);
        check("per_address", size(self.per_address), 1, 1_000_000);
        check("topics", size(self.topics), 1, 10_000);
        check("ring_ms", self.ring_ms, 1_000, 3_600_000);
        check("ring_events", size(self.ring_events), 1_000, 10_000_000);
        check("mailbox_events", size(self.mailbox_events), 8, 100_000);
        check(
            "mailbox_bytes",
            size(self.mailbox_bytes),
            16_384,
            268_435_456,
        );
        // A stock nginx cuts a stream that is quiet for 60 s.
        check("heartbeat_ms", self.heartbeat_ms, 100, 55_000);
        check("write_ms", self.write_ms, 100, 600_000);
        check("spread_ms", self.spread_ms, 0, 60_000);
    }

    /// [`StreamConfig::ring_ms`] as a duration.
    #[must_use]
    pub const fn ring(&self) -> Duration {
        Duration::from_millis(self.ring_ms)
    }
}
