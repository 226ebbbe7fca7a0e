//! Settings of logs and metrics.

use crate::level::Level;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Section `log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// Events of this level and graver are written: CRITICAL, ERROR, WARNING, INFO or DEBUG.
    pub level: Level,
    /// How a line looks: `text`, `json`, or `auto` for text on a terminal and json elsewhere.
    pub format: LogFormat,
    /// A warning or error that comes again within this many seconds is counted instead of
    /// written; 0 writes every one. At most 3600.
    #[schemars(range(min = 0, max = 3600))]
    pub repeat_seconds: u32,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: Level::Info,
            format: LogFormat::Auto,
            repeat_seconds: 10,
        }
    }
}

impl LogConfig {
    /// Adds a sentence with the key path for every value that cannot be used.
    pub fn validate(&self, mistakes: &mut Vec<String>) {
        if self.repeat_seconds > 3_600 {
            mistakes.push(format!(
                "log.repeat_seconds: {} is more than 3600",
                self.repeat_seconds
            ));
        }
    }
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, json elsewhere.
    #[default]
    Auto,
    /// One line for people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Section `metrics`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsConfig {
    /// At most this many pairs have gauges of their own; the rest is left out, so that the
    /// number of series stays bounded. At most 10000.
    #[schemars(range(min = 0, max = 10000))]
    pub max_pairs: u32,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self { max_pairs: 200 }
    }
}

impl MetricsConfig {
    /// Adds a sentence with the key path for every value that cannot be used.
    pub fn validate(&self, mistakes: &mut Vec<String>) {
        if self.max_pairs > 10_000 {
            mistakes.push(format!(
                "metrics.max_pairs: {} is more than 10000",
                self.max_pairs
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_values_out_of_range_are_all_named() {
        let mut mistakes = Vec::new();
        LogConfig::default().validate(&mut mistakes);
        MetricsConfig::default().validate(&mut mistakes);
        assert!(mistakes.is_empty(), "{mistakes:?}");
        LogConfig {
            repeat_seconds: 3_601,
            ..LogConfig::default()
        }
        .validate(&mut mistakes);
        MetricsConfig { max_pairs: 10_001 }.validate(&mut mistakes);
        assert_eq!(mistakes.len(), 2, "{mistakes:?}");
    }
}
