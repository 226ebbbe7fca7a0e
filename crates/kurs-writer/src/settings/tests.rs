use super::*;
use kurs_core::{Epoch, SystemClock};
use kurs_store::sqlite::{SqliteOptions, SqliteStore};
use kurs_store::{AuditQuery, Claim};
use serde_json::json;

/// Knows `a` and `b`, which may not be equal; `c` may hold anything.
struct Plain;

impl Judge for Plain {
    fn judge(
        &self,
        stored: &StoredSettings,
        changes: &BTreeMap<String, Option<Value>>,
    ) -> Result<Judged, Vec<ChangeMistake>> {
        let mut mistakes = Vec::new();
        let mut all: BTreeMap<String, Value> = stored
            .settings
            .iter()
            .map(|set| {
                (
                    set.key.to_string(),
                    serde_json::from_str(&set.value).unwrap(),
                )
            })
            .collect();
        for (key, value) in changes {
            match value {
                Some(value) => all.insert(key.clone(), value.clone()),
                None => all.remove(key),
            };
            if !["a", "b", "c"].contains(&&**key) {
                mistakes.push(mistake(key, "cannot be set"));
            }
        }
        if all.contains_key("a") && all.get("a") == all.get("b") {
            mistakes.push(mistake("b", "the same as a"));
        }
        if mistakes.is_empty() {
            let judged = changes.iter();
            Ok(judged
                .map(|(key, value)| (key.as_str().into(), value.clone()))
                .collect())
        } else {
            Err(mistakes)
        }
    }
}

async fn keeper() -> Keeper {
    let store = SqliteStore::open(":memory:", SqliteOptions::default()).unwrap();
    store.migrate().await.unwrap();
    let claim = Claim {
        shard: 0,
        writer: "w".into(),
        ttl: Duration::from_secs(60),
        heard: None,
        is_alone: true,
    };
    let epoch = store.claim(claim).await.unwrap().unwrap();
    Keeper {
        store: Arc::new(store),
        clock: Arc::new(SystemClock::new()),
        judge: Some(Arc::new(Plain)),
        fence: Fence { shard: 0, epoch },
    }
}

async fn change(keeper: &Keeper, changes: Value, expected: Option<u64>) -> Reply {
    let by = Actor {
        who: "key:3kTMd92x".into(),
        address: Some("10.0.0.1".into()),
        why: Some("a test".into()),
    };
    let changes = serde_json::from_value(changes).unwrap();
    keeper.change(changes, expected, &by).await
}

const fn changed(version: u64) -> Reply {
    Reply::Changed {
        version,
        changed: true,
    }
}

async fn log(keeper: &Keeper) -> Vec<String> {
    let query = AuditQuery {
        limit: 100,
        ..AuditQuery::default()
    };
    let records = keeper.store.audit(query).await.unwrap().into_iter();
    let line = |entry: AuditEntry| {
        let (before, after) = (
            entry.before.unwrap_or_default(),
            entry.after.unwrap_or_default(),
        );
        format!(
            "{} {} {} {before}>{after}",
            entry.who, entry.action, entry.subject
        )
    };
    records.map(|record| line(record.entry)).collect()
}

#[tokio::test]
async fn a_change_is_stored_with_its_entry_and_a_repeat_changes_nothing() {
    let keeper = keeper().await;
    assert_eq!(
        change(&keeper, json!({"a": 1, "c": [1]}), None).await,
        changed(1)
    );
    let same = Reply::Changed {
        version: 1,
        changed: false,
    };
    assert_eq!(
        change(&keeper, json!({"a": 1, "b": null}), None).await,
        same
    );
    assert_eq!(
        change(&keeper, json!({"a": null, "c": [1]}), Some(1)).await,
        changed(2)
    );
    assert_eq!(
        log(&keeper).await,
        [
            "key:3kTMd92x unset_setting a 1>",
            "key:3kTMd92x set_setting c >[1]",
            "key:3kTMd92x set_setting a >1",
        ]
    );
}

#[tokio::test]
async fn all_mistakes_are_told_and_nothing_is_changed() {
    let keeper = keeper().await;
    assert_eq!(change(&keeper, json!({"a": 1}), None).await, changed(1));
    let Reply::Refused { mistakes } = change(&keeper, json!({"b": 1, "d": 1, "c": 2}), None).await
    else {
        panic!("it was not refused");
    };
    let keys: Vec<&str> = mistakes.iter().map(|mistake| &*mistake.key).collect();
    assert_eq!(keys, ["d", "b"]);
    let long = "x".repeat(CHANGE_BYTES_MAX);
    let refused = change(&keeper, json!({"c": long}), None).await;
    assert!(matches!(refused, Reply::Refused { .. }), "{refused:?}");
    assert_eq!(keeper.store.settings_version().await.unwrap(), 1);
    assert_eq!(log(&keeper).await.len(), 1);
}

#[tokio::test]
async fn of_two_changes_of_one_version_the_second_is_told_so() {
    let keeper = keeper().await;
    assert_eq!(change(&keeper, json!({"a": 1}), Some(0)).await, changed(1));
    let late = change(&keeper, json!({"a": 2}), Some(0)).await;
    assert_eq!(late, Reply::Outdated { version: 1 });
    assert_eq!(log(&keeper).await.len(), 1);
}

#[tokio::test]
async fn a_writer_that_was_fenced_changes_nothing() {
    let mut keeper = keeper().await;
    keeper.fence.epoch = Epoch(keeper.fence.epoch.0 - 1);
    let refused = change(&keeper, json!({"a": 1}), None).await;
    assert!(matches!(refused, Reply::Unavailable { .. }), "{refused:?}");
    assert_eq!(keeper.store.settings_version().await.unwrap(), 0);
    assert!(log(&keeper).await.is_empty());
}

#[tokio::test]
async fn a_writer_without_a_judge_takes_no_settings() {
    let mut keeper = keeper().await;
    keeper.judge = None;
    let refused = change(&keeper, json!({"a": 1}), None).await;
    assert!(matches!(refused, Reply::Unavailable { .. }), "{refused:?}");
}

#[test]
fn what_is_replaced_counts_once() {
    let set = |key: &str| StoredSetting {
        key: key.into(),
        value: "1".into(),
        set_at: Wall(1),
        who: "w".into(),
        why: None,
    };
    let stored = StoredSettings {
        version: 1,
        settings: vec![set("a"), set("b"), set("c")],
    };
    let change = SettingsChange {
        set: vec![set("a"), set("d")],
        unset: vec!["c".into()],
        ..SettingsChange::default()
    };
    assert_eq!(count_after(&stored, &change), 3);
}
