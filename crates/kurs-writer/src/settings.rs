//! Changes of settings: the Writer that leads judges them, and stores them with what the audit log
//! says of them, in one step that ends at its fence. Which of them are in force is told by
//! whoever reads the store, this Writer's own process among them.

use crate::audit;
use kurs_bus::{Actor, ChangeMistake, Command, Reply, Request};
use kurs_core::{Clock, Wall};
use kurs_store::{
    AuditEntry, Fence, SettingsChange, Store, StoreError, StoredSetting, StoredSettings,
};
use serde_json::Value;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Changes that may wait for the one at hand.
pub const CHANGES_MAX: usize = 16;
/// Most settings at a time.
pub const SETTINGS_MAX: usize = 1_000;
/// Longest JSON text of all values of one change, in bytes: less than a message of any broker.
pub const CHANGE_BYTES_MAX: usize = 512 * 1024;

/// Most mistakes that are told of one change.
const MISTAKES_MAX: usize = 100;
/// How long the store may take for each of its answers.
const STORE_PATIENCE: Duration = Duration::from_secs(2);
/// How often a change is tried that others come before.
const ATTEMPTS: usize = 3;

/// A change as it is to be stored: keys in their one spelling, with their values, or without one
/// where the key is not set any more.
pub type Judged = BTreeMap<Arc<str>, Option<Value>>;

/// Knows what may be set. It may ask the disk: it is asked where waiting harms nobody.
pub trait Judge: Send + Sync {
    /// Judges a change, together with everything else that is set.
    ///
    /// # Errors
    /// Everything that is wrong with it, never an empty list.
    fn judge(
        &self,
        stored: &StoredSettings,
        changes: &BTreeMap<String, Option<Value>>,
    ) -> Result<Judged, Vec<ChangeMistake>>;
}

/// Changes the settings while its epoch lasts.
pub(crate) struct Keeper {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    /// `None`: nothing can be set.
    pub(crate) judge: Option<Arc<dyn Judge>>,
    pub(crate) fence: Fence,
}

impl Keeper {
    /// Makes changes one after the other, until nobody can want any more.
    pub(crate) async fn serve(self, mut changes: mpsc::Receiver<Request>) {
        while let Some(request) = changes.recv().await {
            if let Command::Change {
                changes,
                expected,
                by,
            } = request.command
            {
                let reply = self.change(changes, expected, &by).await;
                // Nobody may be waiting any more; the change stands all the same.
                let _ = request.reply.send(reply);
            }
        }
    }

    async fn change(
        &self,
        changes: BTreeMap<String, Option<Value>>,
        expected: Option<u64>,
        by: &Actor,
    ) -> Reply {
        let Some(judge) = &self.judge else {
            return unavailable("this Writer takes no settings");
        };
        if let Some(mistake) = too_much(&changes) {
            return Reply::Refused {
                mistakes: vec![mistake],
            };
        }
        let changes = Arc::new(changes);
        for _ in 0..ATTEMPTS {
            let stored = match in_time(self.store.settings()).await {
                Ok(stored) => stored,
                Err(error) => return unavailable(format!("nothing was changed: {error}")),
            };
            let version = stored.version;
            if expected.is_some_and(|expected| expected != version) {
                return Reply::Outdated { version };
            }
            let judged = judge_elsewhere(judge, &stored, &changes).await;
            let judged = match judged {
                Ok(Ok(judged)) => judged,
                Ok(Err(mut mistakes)) => {
                    mistakes.truncate(MISTAKES_MAX);
                    return Reply::Refused { mistakes };
                }
                Err(why) => return unavailable(why),
            };
            let change = change_of(&stored, judged, by, self.clock.now().wall);
            if change.set.is_empty() && change.unset.is_empty() {
                return Reply::Changed {
                    version,
                    changed: false,
                };
            }
            if count_after(&stored, &change) > SETTINGS_MAX {
                let what = format!("more than {SETTINGS_MAX} settings");
                return Reply::Refused {
                    mistakes: vec![mistake("", what)],
                };
            }
            let keys = keys_of(&change);
            match in_time(self.store.change_settings(change, Some(self.fence))).await {
                Ok(Some(version)) => {
                    let who = &*by.who;
                    tracing::info!(version, who, keys, "settings were changed");
                    return Reply::Changed {
                        version,
                        changed: true,
                    };
                }
                // Another one came first, which another Writer made; its own end is near.
                Ok(None) => {}
                Err(StoreError::Fenced(_)) => {
                    return unavailable(
                        "nothing was changed: another Writer has just taken over, ask again",
                    );
                }
                Err(error) => {
                    let why = format!(
                        "the store did not say that it is done; look before another attempt: {error}"
                    );
                    return unavailable(why);
                }
            }
        }
        unavailable("nothing was changed: other changes came first, ask again")
    }
}

fn unavailable(why: impl Into<Arc<str>>) -> Reply {
    Reply::Unavailable { why: why.into() }
}

fn mistake(key: &str, what: impl Into<Arc<str>>) -> ChangeMistake {
    ChangeMistake {
        key: key.into(),
        what: what.into(),
    }
}

fn too_much(changes: &BTreeMap<String, Option<Value>>) -> Option<ChangeMistake> {
    if changes.len() > SETTINGS_MAX {
        return Some(mistake("", format!("more than {SETTINGS_MAX} keys")));
    }
    let length = |value: &Value| value.to_string().len();
    let bytes: usize = changes.values().flatten().map(length).sum();
    let what = format!("the values have {bytes} bytes, {CHANGE_BYTES_MAX} are the most");
    (bytes > CHANGE_BYTES_MAX).then(|| mistake("", what))
}

/// Reading files is waiting: not among tasks that must not wait.
async fn judge_elsewhere(
    judge: &Arc<dyn Judge>,
    stored: &StoredSettings,
    changes: &Arc<BTreeMap<String, Option<Value>>>,
) -> Result<Result<Judged, Vec<ChangeMistake>>, String> {
    let (judge, stored) = (Arc::clone(judge), stored.clone());
    let changes = Arc::clone(changes);
    tokio::task::spawn_blocking(move || judge.judge(&stored, &changes))
        .await
        .map_err(|error| format!("nothing was changed: it could not be judged: {error}"))
}

/// What of a judged change is new, and what the log says of it.
fn change_of(stored: &StoredSettings, judged: Judged, by: &Actor, at: Wall) -> SettingsChange {
    let mut change = SettingsChange {
        expected: stored.version,
        ..SettingsChange::default()
    };
    for (key, value) in judged {
        let before = stored.settings.iter().find(|known| known.key == key);
        let noted = before.map(|before| {
            let value = serde_json::from_str::<Value>(&before.value);
            value.map_or_else(|_| audit::json(&*before.value), |value| audit::json(&value))
        });
        match (value, before) {
            (None, None) => {}
            (None, Some(_)) => {
                change.entries.push(AuditEntry {
                    before: noted,
                    ..audit::entry(Some(by), at, "unset_setting", &key)
                });
                change.unset.push(key);
            }
            (Some(value), before) => {
                let is_same = |before: &StoredSetting| {
                    serde_json::from_str::<Value>(&before.value).is_ok_and(|old| old == value)
                };
                if before.is_some_and(is_same) {
                    continue;
                }
                let entry = AuditEntry {
                    before: noted,
                    after: Some(audit::json(&value)),
                    ..audit::entry(Some(by), at, "set_setting", &key)
                };
                change.set.push(StoredSetting {
                    key,
                    value: value.to_string().into(),
                    set_at: at,
                    who: Arc::clone(&entry.who),
                    why: entry.why.clone(),
                });
                change.entries.push(entry);
            }
        }
    }
    change
}

/// How many settings there are afterwards.
fn count_after(stored: &StoredSettings, change: &SettingsChange) -> usize {
    let stays = |known: &&StoredSetting| !change.unset.contains(&known.key);
    let is_replaced = |known: &StoredSetting| change.set.iter().any(|new| new.key == known.key);
    let others = stored.settings.iter().filter(stays);
    others.filter(|known| !is_replaced(known)).count() + change.set.len()
}

fn keys_of(change: &SettingsChange) -> String {
    let subjects = change.entries.iter().map(|entry| &*entry.subject);
    subjects.take(20).collect::<Vec<_>>().join(", ")
}

async fn in_time<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    tokio::time::timeout(STORE_PATIENCE, answer)
        .await
        .unwrap_or_else(|_| {
            let text = format!("it did not answer within {} s", STORE_PATIENCE.as_secs());
            Err(StoreError::Unavailable(text))
        })
}

#[cfg(test)]
mod tests;
