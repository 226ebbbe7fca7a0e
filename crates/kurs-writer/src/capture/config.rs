//! Section `capture` of the configuration.

use kurs_sources::Period;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Whether and where a serving Writer records what its sources receive, for `kurs replay`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CaptureConfig {
    /// Record everything that the sources receive. Takes some 5 GB a day for five venues with a
    /// few pairs.
    pub enabled: bool,
    /// Folder of the files. It is made if it is not there.
    pub dir: PathBuf,
    /// A file of this many megabytes is closed and the next one begun.
    pub rotate_mb: u32,
    /// A file of this age is closed and the next one begun, such as `1h`.
    pub rotate: Period,
    /// Files kept; the oldest beyond them are deleted. 0 keeps all.
    pub keep: usize,
}

impl Default for CaptureConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            dir: PathBuf::from("captures"),
            rotate_mb: 256,
            rotate: Period::hours(1),
            keep: 24,
        }
    }
}

impl CaptureConfig {
    /// Adds a sentence with the key path for every value that cannot be used.
    pub fn validate(&self, mistakes: &mut Vec<String>) {
        if self.dir.as_os_str().is_empty() {
            mistakes.push("capture.dir: names no folder".to_owned());
        }
        if !(1..=1_048_576).contains(&self.rotate_mb) {
            mistakes.push("capture.rotate_mb: must be from 1 to 1048576".to_owned());
        }
        if self.rotate < Period::seconds(1) || self.rotate > Period::hours(24 * 366) {
            mistakes.push(format!(
                "capture.rotate: is between 1s and a year, not {}",
                self.rotate
            ));
        }
    }

    /// Bytes of a file after which the next one is begun.
    #[must_use]
    pub fn rotate_bytes(&self) -> u64 {
        u64::from(self.rotate_mb) * 1_000_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_have_no_mistakes_and_record_nothing() {
        let config = CaptureConfig::default();
        let mut mistakes = Vec::new();
        config.validate(&mut mistakes);
        assert_eq!((mistakes.len(), config.enabled), (0, false));
    }

    #[test]
    fn all_mistakes_are_told() {
        let config: CaptureConfig =
            serde_json::from_str(r#"{"dir":"","rotate_mb":0,"rotate":"0s"}"#).unwrap();
        let mut mistakes = Vec::new();
        config.validate(&mut mistakes);
        assert_eq!(mistakes.len(), 3, "{mistakes:?}");
    }
}
