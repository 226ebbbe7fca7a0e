//! Reading the configuration again on SIGHUP, when its file changes, or when something is set in
//! the store. What is wrong changes nothing; what can change while running does; the rest is named
//! as waiting for a restart.

use crate::config::file::FILE_NAME;
use crate::config::tree::show_path;
use crate::config::{Config, Inputs, Layered, Loaded, Standing};
use kurs_bus::ChangeMistake;
use kurs_store::{StoredSetting, StoredSettings};
use kurs_telemetry::LogHandle;
use kurs_telemetry::metrics::ProcessMetrics;
use kurs_writer::{Judge, Judged};
use parking_lot::Mutex;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Takes over what it can of a new configuration. Given the old and the new one, it returns the
/// beginnings of the keys it took over, such as `sources.binance.priority`.
pub type Hook<'a> = &'a (dyn Fn(&Config, &Config) -> Vec<String> + Sync);

/// The configuration in force, and how to read it again. Shared by whoever sees that a layer of
/// it has changed.
pub struct Reload {
    inputs: Inputs,
    log: LogHandle,
    metrics: ProcessMetrics,
    /// Locked for as long as a configuration is read and taken over.
    state: Mutex<State>,
    /// Locked for moments only: whoever answers requests looks into it.
    settings: Mutex<InForce>,
}

struct State {
    current: Loaded,
    file: Option<FileStamp>,
}

/// What is set in the store, and how that stands in this process.
#[derive(Debug, Clone, Default)]
pub struct InForce {
    /// The version of the settings; `None` before they were read.
    pub version: Option<u64>,
    /// How each of them stands, by its key.
    pub standings: BTreeMap<Arc<str>, Standing>,
    stored: Vec<StoredSetting>,
}

impl InForce {
    /// Those that are not in force, with the reason; without those that a flag overrules.
    #[must_use]
    pub fn left_out(&self) -> Vec<(Arc<str>, String)> {
        let why = |(key, standing): (&Arc<str>, &Standing)| {
            let why = standing
                .why_not
                .clone()
                .filter(|_| !standing.is_overruled)?;
            Some((Arc::clone(key), why))
        };
        self.standings.iter().filter_map(why).collect()
    }
}

/// What tells one state of a file from another: when it was written, and its length.
type FileStamp = (std::time::SystemTime, u64);

impl Reload {
    /// Reloads from the same inputs as at start.
    #[must_use]
    pub fn new(inputs: Inputs, current: Loaded, log: LogHandle, metrics: ProcessMetrics) -> Self {
        let state = Mutex::new(State {
            current,
            file: stamp(&inputs),
        });
        Self {
            inputs,
            log,
            metrics,
            state,
            settings: Mutex::default(),
        }
    }

    /// Reads the configuration again if its file was written since it was last looked at. True
    /// when it was taken over.
    pub fn reload_if_file_changed(&self, hook: Hook<'_>) -> bool {
        let file = stamp(&self.inputs);
        let mut state = self.state.lock();
        if file == state.file {
            return false;
        }
        state.file = file;
        self.read_again(&mut state, None, hook)
    }

    /// Reads the configuration again. True when it was taken over.
    pub fn reload(&self, hook: Hook<'_>) -> bool {
        self.read_again(&mut self.state.lock(), None, hook)
    }

    /// Takes over what is set in the store, unless that is what was taken over before. True when
    /// it was taken over now.
    pub fn take_settings(&self, stored: StoredSettings, hook: Hook<'_>) -> bool {
        let mut state = self.state.lock();
        let before = self.version();
        if before == Some(stored.version) {
            return false;
        }
        let next = InForce {
            version: Some(stored.version),
            standings: BTreeMap::new(),
            stored: stored.settings,
        };
        // Nothing is set: the configuration is as it was read at the start.
        if before.is_none() && next.stored.is_empty() {
            *self.settings.lock() = next;
            return true;
        }
        self.read_again(&mut state, Some(next), hook)
    }

    /// The version of the settings that were read; `None` before.
    #[must_use]
    pub fn version(&self) -> Option<u64> {
        self.settings.lock().version
    }

    /// Settings that are not in force, with the reason.
    #[must_use]
    pub fn left_out(&self) -> Vec<(Arc<str>, String)> {
        self.settings.lock().left_out()
    }

    /// What is set in the store, and how that stands.
    #[must_use]
    pub fn in_force(&self) -> InForce {
        self.settings.lock().clone()
    }

    /// True when this process was told to run without what is set in the store.
    #[must_use]
    pub const fn ignores_settings(&self) -> bool {
        self.inputs.ignores_settings
    }

    /// `next` is what is set from now on; without it that is as it was.
    fn read_again(&self, state: &mut State, next: Option<InForce>, hook: Hook<'_>) -> bool {
        self.metrics.config_reloads.inc();
        let former = self.in_force();
        let mut settings = next.unwrap_or_else(|| former.clone());
        let stored: &[StoredSetting] = if self.inputs.ignores_settings {
            &[]
        } else {
            &settings.stored
        };
        let Layered {
            loaded: new,
            standings,
        } = match self.inputs.read().with_settings(stored) {
            Ok(layered) => layered,
            Err(mistakes) => {
                self.metrics.config_reload_failures.inc();
                let all: Vec<String> = mistakes.0.iter().map(ToString::to_string).collect();
                tracing::error!(
                    mistakes = all.join("; "),
                    "the new configuration is wrong, the old one stays"
                );
                settings.standings = former.standings_of_unchanged(&settings.stored);
                settings
                    .mark_others("the configuration is wrong at present, and the old one stays");
                *self.settings.lock() = settings;
                return false;
            }
        };
        settings.standings = standings;
        if self.inputs.ignores_settings {
            settings.mark_others("this process was started with --ignore-settings");
        }
        for (key, why) in settings.left_out() {
            if !self.inputs.ignores_settings {
                tracing::error!(key = &*key, why, "a setting is not in force");
            }
        }
        self.log.set_level(new.config.log.level);
        let mut taken = hook(&state.current.config, &new.config);
        taken.push("log.level".to_owned());
        let waiting: Vec<String> = changed(&state.current, &new)
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
        state.current = new;
        *self.settings.lock() = settings;
        true
    }
}

impl InForce {
    /// How those stand that are as they were.
    fn standings_of_unchanged(&self, stored: &[StoredSetting]) -> BTreeMap<Arc<str>, Standing> {
        let unchanged = stored
            .iter()
            .filter(|setting| self.stored.contains(setting));
        unchanged
            .filter_map(|setting| {
                let standing = self.standings.get(&setting.key)?;
                Some((Arc::clone(&setting.key), standing.clone()))
            })
            .collect()
    }

    /// Settings of which nothing is known yet are not in force, for this reason.
    fn mark_others(&mut self, why: &str) {
        for setting in &self.stored {
            let standing = || Standing {
                why_not: Some(why.to_owned()),
                is_overruled: false,
                configured: None,
            };
            self.standings
                .entry(Arc::clone(&setting.key))
                .or_insert_with(standing);
        }
    }
}

impl Judge for Reload {
    fn judge(
        &self,
        stored: &StoredSettings,
        changes: &BTreeMap<String, Option<Value>>,
    ) -> Result<Judged, Vec<ChangeMistake>> {
        let judged = self.inputs.read().judge(&stored.settings, changes);
        judged.map_err(|mistakes| {
            let told = mistakes.into_iter().map(|(key, what)| ChangeMistake {
                key: key.into(),
                what: what.into(),
            });
            told.collect()
        })
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
    fn what_is_set_is_taken_over_once_and_waits_while_the_file_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let inputs = Inputs {
            folder: folder.path().to_owned(),
            ..Inputs::default()
        };
        let metrics = Metrics::for_tests();
        let log = quiet_log();
        let current = inputs.load().unwrap();
        let reload = Reload::new(inputs, current, log.clone(), metrics.process.clone());
        let taken = Mutex::new(Vec::new());
        let hook: Hook<'_> = &|old, new| {
            taken
                .lock()
                .push((old.sources.okx.priority, new.sources.okx.priority));
            vec!["sources".to_owned()]
        };
        let set = |version: u64, settings: &[(&str, &str)]| StoredSettings {
            version,
            settings: settings
                .iter()
                .map(|(key, value)| StoredSetting {
                    key: (*key).into(),
                    value: (*value).into(),
                    set_at: kurs_core::Wall(1),
                    who: "loopback".into(),
                    why: None,
                })
                .collect(),
        };
        let okx = ("sources.okx.priority", "9");
        assert!(reload.take_settings(set(0, &[]), hook));
        assert!(taken.lock().is_empty(), "nothing is set");
        assert!(reload.take_settings(set(3, &[okx]), hook));
        assert!(
            !reload.take_settings(set(3, &[okx]), hook),
            "once is enough"
        );
        assert_eq!(*taken.lock(), [(5, 9)]);
        assert!(reload.left_out().is_empty());

        std::fs::write(folder.path().join("kurs.toml"), "log.colour = true\n").unwrap();
        let level = ("log.level", "\"DEBUG\"");
        assert!(!reload.take_settings(set(4, &[level, okx]), hook));
        assert_eq!(log.level(), Level::Info);
        let left_out = reload.left_out();
        assert_eq!(
            left_out.len(),
            1,
            "what was in force is still: {left_out:?}"
        );
        assert_eq!(&*left_out[0].0, "log.level");

        std::fs::write(folder.path().join("kurs.toml"), "").unwrap();
        assert!(reload.reload(hook));
        assert_eq!(log.level(), Level::Debug);
        assert!(reload.left_out().is_empty());
        assert!(reload.take_settings(set(5, &[]), hook));
        assert_eq!(taken.lock().last(), Some(&(9, 5)));
        assert!(reload.in_force().standings.is_empty());
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
        let hook: Hook<'_> = &|_, _| Vec::new();
        let current = inputs.load().unwrap();
        let reload = Reload::new(inputs, current, log.clone(), metrics.process.clone());

        std::fs::write(&file, "log.level = \"DEBUG\"\nlog.colour = true\n").unwrap();
        assert!(!reload.reload_if_file_changed(hook));
        assert_eq!(log.level(), Level::Info);
        assert_eq!(metrics.process.config_reload_failures.get(), 1);

        std::fs::write(&file, "log.level = \"DEBUG\"\n[metrics]\nmax_pairs = 3\n").unwrap();
        let before = reload.state.lock().current.clone();
        assert!(reload.reload_if_file_changed(hook));
        assert!(!reload.reload_if_file_changed(hook), "once is enough");
        assert_eq!(log.level(), Level::Debug);
        assert_eq!(
            changed(&before, &reload.state.lock().current),
            ["log.level", "metrics.max_pairs"]
        );
    }
}
