//! Follows what is set in the store: the store is asked for a number twice a second, and what has
//! changed goes the way of a changed configuration file. While the store is away the last settings
//! hold, which the probes tell.

use super::{Built, take_over};
use crate::config::Standing;
use crate::reload::Reload;
use kurs_api::{SettingStanding, SettingsInForce};
use kurs_bus::ChangeMistake;
use kurs_store::{StoreError, StoredSettings};
use kurs_telemetry::Status;
use kurs_writer::{Judge, Judged};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// How often the store is asked whether something was set.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// How long the store may take for that before it counts as away.
const ASK_PATIENCE: Duration = Duration::from_secs(5);
/// Settings that the probes name, at most.
const NAMED_MAX: usize = 5;
/// The check that the probes show.
const CHECK: &str = "settings";

/// Follows until `stopped` turns true.
pub(super) async fn follow(built: Arc<Built>, mut stopped: watch::Receiver<bool>) {
    if built.configuration.get().is_none() {
        return;
    }
    loop {
        look(&built).await;
        tokio::select! {
            () = tokio::time::sleep(ASK_EVERY) => {}
            () = built.look_at_settings.notified() => {}
            _ = stopped.wait_for(|ended| *ended) => return,
        }
    }
}

/// Looks once, and takes over what is new.
pub(super) async fn look(built: &Arc<Built>) {
    let Some(reload) = built.configuration.get() else {
        return;
    };
    let read = timeout(ASK_PATIENCE, read_if_changed(built, reload)).await;
    let read = read.unwrap_or_else(|_| {
        let what = "no answer about the settings in time";
        Err(StoreError::Unavailable(what.to_owned()))
    });
    match read {
        Ok(None) => tell(built, reload),
        Ok(Some(stored)) => {
            let (version, count) = (stored.version, stored.settings.len());
            if count > 0 {
                tracing::info!(version, settings = count, "the settings were read");
            }
            let taking = Arc::clone(built);
            // It reads the configuration file.
            let taken = tokio::task::spawn_blocking(move || {
                if let Some(reload) = taking.configuration.get() {
                    reload.take_settings(stored, &|old, new| take_over(&taking, old, new));
                }
            });
            if let Err(error) = taken.await {
                tracing::error!(%error, "the settings could not be taken over");
            }
            tell(built, reload);
        }
        Err(error) => {
            let what = match reload.in_force().version {
                Some(_) => "the settings are as they were before the store went away",
                None => "the settings were not read yet: the configuration alone is in force",
            };
            let detail = format!("{what}: {error}");
            built.health.set(CHECK, Status::Degraded, &detail);
        }
    }
}

async fn read_if_changed(
    built: &Built,
    reload: &Reload,
) -> Result<Option<StoredSettings>, StoreError> {
    let version = built.store.settings_version().await?;
    if reload.version() == Some(version) {
        return Ok(None);
    }
    built.store.settings().await.map(Some)
}

/// Tells the probes which settings are not in force.
pub(super) fn tell(built: &Built, reload: &Reload) {
    if reload.version().is_none() {
        return;
    }
    let left_out = reload.left_out();
    if left_out.is_empty() {
        built.health.set(CHECK, Status::Ok, "");
        return;
    }
    if reload.ignores_settings() {
        let count = left_out.len();
        let detail = format!("{count} not in force: started with --ignore-settings");
        built.health.set(CHECK, Status::Degraded, &detail);
        return;
    }
    let named = left_out.iter().take(NAMED_MAX);
    let named: Vec<String> = named.map(|(key, why)| format!("{key}: {why}")).collect();
    let count = left_out.len();
    let detail = format!("{count} not in force: {}", named.join("; "));
    built.health.set(CHECK, Status::Degraded, &detail);
}

/// Who judges what is to be set.
pub(super) fn judge(built: &Arc<Built>) -> Option<Arc<dyn Judge>> {
    built.configuration.get()?;
    Some(Arc::new(Judging(Arc::clone(built))))
}

struct Judging(Arc<Built>);

impl Judge for Judging {
    fn judge(
        &self,
        stored: &StoredSettings,
        changes: &BTreeMap<String, Option<Value>>,
    ) -> Result<Judged, Vec<ChangeMistake>> {
        match self.0.configuration.get() {
            Some(reload) => reload.judge(stored, changes),
            None => Ok(Judged::new()),
        }
    }
}

/// What the API shows of the settings beyond the store.
pub(super) fn shown(built: &Arc<Built>) -> Arc<dyn SettingsInForce> {
    Arc::new(Shown(Arc::clone(built)))
}

struct Shown(Arc<Built>);

impl SettingsInForce for Shown {
    fn version(&self) -> Option<u64> {
        self.0.configuration.get()?.version()
    }

    fn standings(&self) -> BTreeMap<Arc<str>, SettingStanding> {
        let in_force = self.0.configuration.get().map(Reload::in_force);
        let standings = in_force.unwrap_or_default().standings.into_iter();
        standings
            .map(|(key, standing)| {
                let Standing {
                    why_not,
                    configured,
                    ..
                } = standing;
                let shown = SettingStanding {
                    why_not,
                    configured,
                };
                (key, shown)
            })
            .collect()
    }

    fn may_be_set(&self) -> &'static [&'static str] {
        crate::config::stored::may_be_set()
    }

    fn look(&self) {
        self.0.look_at_settings.notify_one();
    }
}
