//! Reading the configuration again on SIGHUP or when its file changes. What is wrong changes nothing; what can change
//! while running does; the rest is named as waiting for a restart.

use crate::config::file::FILE_NAME;
use crate::config::tree::show_path;
use crate::config::{Config, Inputs, Loaded};
use kurs_telemetry::LogHandle;
use kurs_telemetry::metrics::ProcessMetrics;

/// Takes over what it can of a new configuration. Given the old and the new one, it returns the
/// beginnings of the keys it took over, such as `sources.binance.priority`.
pub type Hook = Box<dyn Fn(&Config, &Config) -> Vec<String> + Send + Sync>;

/// The configuration in force, and how to read it again.
pub struct Reload {
    inputs: Inputs,
    current: Loaded,
    log: LogHandle,
    metrics: ProcessMetrics,
    hook: Hook,
    file: Option<FileStamp>,
}

/// What tells one state of a file from another: when it was written, and its length.
type FileStamp = (std::time::SystemTime, u64);

impl Reload {
    /// Reloads from the same inputs as at start.
    #[must_use]
    pub fn new(
        inputs: Inputs,
        current: Loaded,
        log: LogHandle,
        metrics: ProcessMetrics,
        hook: Hook,
    ) -> Self {
        let file = stamp(&inputs);
        Self {
            inputs,
            current,
            log,
            metrics,
            hook,
            file,
        }
    }

    /// Reads the configuration again if its file was written since it was last looked at. True
    /// when it was taken over.
    pub fn reload_if_file_changed(&mut self) -> bool {
        let file = stamp(&self.inputs);
        if file == self.file {
            return false;
        }
        self.file = file;
        self.reload()
    }

    /// Reads the configuration again. True when it was taken over.
    pub fn reload(&mut self) -> bool {
        self.metrics.config_reloads.inc();
        let new = match self.inputs.load() {
            Ok(new) => new,
            Err(mistakes) => {
                self.metrics.config_reload_failures.inc();
                let all: Vec<String> = mistakes.0.iter().map(ToString::to_string).collect();
                tracing::error!(
                    mistakes = all.join("; "),
                    "the new configuration is wrong, the old one stays"
                );
                return false;
            }
        };
        self.log.set_level(new.config.log.level);
        let mut taken = (self.hook)(&self.current.config, &new.config);
        taken.push("log.level".to_owned());
        let waiting: Vec<String> = changed(&self.current, &new)
            .into_iter()
            .filter(|key| !taken.iter().any(|begin| key.starts_with(begin.as_str())))
            .collect();
        if waiting.is_empty() {
            tracing::info!("read the configuration again");
        } else {
            tracing::warn!(
                keys = waiting.join(", "),
                "read the configuration again; some keys wait for a restart"
            );
        }
        self.current = new;
        true
    }
}

/// The present state of the configuration file; `None` when there is none.
fn stamp(inputs: &Inputs) -> Option<FileStamp> {
    let path = inputs
        .file
        .clone()
        .unwrap_or_else(|| inputs.folder.join(FILE_NAME));
    let facts = std::fs::metadata(path).ok()?;
    Some((facts.modified().ok()?, facts.len()))
}

/// Keys whose values differ.
fn changed(old: &Loaded, new: &Loaded) -> Vec<String> {
    let (old, new) = (old.tree.leaves(), new.tree.leaves());
    let differs = |leaf: &(Vec<String>, &serde_json::Value, _),
                   others: &[(Vec<String>, &serde_json::Value, _)]| {
        !others
            .iter()
            .any(|(path, value, _)| *path == leaf.0 && *value == leaf.1)
    };
    let mut keys: Vec<String> = new
        .iter()
        .filter(|leaf| differs(leaf, &old))
        .map(|leaf| show_path(&leaf.0))
        .collect();
    let gone = old
        .iter()
        .filter(|(path, _, _)| !new.iter().any(|(other, _, _)| other == path));
    keys.extend(gone.map(|(path, _, _)| show_path(path)));
    keys
}

#[cfg(test)]
mod tests {
    use super::*;
    use kurs_telemetry::{Level, LogConfig, Metrics, logs};

    fn quiet_log() -> LogHandle {
        let writer = Box::new(std::io::sink());
        logs::layer(
            &LogConfig::default(),
            logs::Output {
                writer,
                is_terminal: false,
                color: false,
            },
        )
        .1
    }

    #[test]
    fn a_wrong_configuration_changes_nothing_and_a_right_one_sets_the_level() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kurs.toml");
        let inputs = Inputs {
            folder: folder.path().to_owned(),
            ..Inputs::default()
        };
        let metrics = Metrics::for_tests();
        let log = quiet_log();
        let hook: Hook = Box::new(|_, _| Vec::new());
        let current = inputs.load().unwrap();
        let mut reload = Reload::new(inputs, current, log.clone(), metrics.process.clone(), hook);

        std::fs::write(&file, "log.level = \"DEBUG\"\nlog.colour = true\n").unwrap();
        assert!(!reload.reload_if_file_changed());
        assert_eq!(log.level(), Level::Info);
        assert_eq!(metrics.process.config_reload_failures.get(), 1);

        std::fs::write(&file, "log.level = \"DEBUG\"\n[metrics]\nmax_pairs = 3\n").unwrap();
        let before = reload.current.clone();
        assert!(reload.reload_if_file_changed());
        assert!(!reload.reload_if_file_changed(), "once is enough");
        assert_eq!(log.level(), Level::Debug);
        assert_eq!(
            changed(&before, &reload.current),
            ["log.level", "metrics.max_pairs"]
        );
    }
}
