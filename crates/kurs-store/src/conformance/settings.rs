//! What must hold of settings and of the audit log.

use super::builders::{claim, symbol};
use crate::{
    AuditEntry, AuditQuery, AuditRecord, Fence, Outdated, SettingsChange, Store, StoreError,
    StoredKey, StoredSetting,
};
use kurs_core::{Epoch, Wall};

fn setting(key: &str, value: &str, at: i64) -> StoredSetting {
    StoredSetting {
        key: key.into(),
        value: value.into(),
        set_at: Wall(at),
        who: "key:3kTMd92x".into(),
        why: (at % 2 == 0).then(|| "\u{43f}\u{440}\u{438}\u{447}\u{438}\u{43d}\u{430}".into()),
    }
}

fn entry(subject: &str, at: i64) -> AuditEntry {
    AuditEntry {
        at: Wall(at),
        who: if at % 2 == 0 { "loopback" } else { "cli:ops" }.into(),
        address: (at % 2 == 0).then(|| "127.0.0.1".into()),
        action: "set_setting".into(),
        subject: subject.into(),
        before: None,
        after: Some("\"\\u0000\"".into()),
        why: None,
    }
}

fn change(expected: u64, set: Vec<StoredSetting>, unset: &[&str]) -> SettingsChange {
    let entries = set.iter().map(|set| entry(&set.key, set.set_at.0));
    SettingsChange {
        expected,
        entries: entries.collect(),
        set,
        unset: unset.iter().map(|key| (*key).into()).collect(),
    }
}

async fn settings(store: &dyn Store) -> (u64, Vec<StoredSetting>) {
    let stored = store.settings().await.unwrap();
    assert_eq!(stored.version, store.settings_version().await.unwrap());
    (stored.version, stored.settings)
}

async fn log(store: &dyn Store) -> Vec<AuditRecord> {
    let query = AuditQuery {
        limit: 1_000,
        ..AuditQuery::default()
    };
    store.audit(query).await.unwrap()
}

fn subjects(records: &[AuditRecord]) -> Vec<&str> {
    records
        .iter()
        .map(|record| &*record.entry.subject)
        .collect()
}

pub(super) async fn settings_are_kept_as_they_were(store: &dyn Store) {
    assert_eq!(settings(store).await, (0, Vec::new()));
    let both = vec![
        setting("b", "{\"x\":[1,\"\\u0000\"]}", 2_001),
        setting("a", "false", 1_002),
    ];
    let version = store.change_settings(change(0, both.clone(), &[]), None);
    assert_eq!(version.await.unwrap(), Some(1));
    let sorted = vec![both[1].clone(), both[0].clone()];
    assert_eq!(settings(store).await, (1, sorted), "by key");
    let other = setting("a", "true", 3_002);
    let next = change(1, vec![other.clone()], &["b", "never"]);
    assert_eq!(store.change_settings(next, None).await.unwrap(), Some(2));
    assert_eq!(settings(store).await, (2, vec![other]));
}

pub(super) async fn every_change_has_its_version_and_of_two_one_comes_first(store: &dyn Store) {
    let first = change(0, vec![setting("a", "1", 1)], &[]);
    assert_eq!(store.change_settings(first, None).await.unwrap(), Some(1));
    let late = change(0, vec![setting("a", "2", 2)], &["a"]);
    assert_eq!(store.change_settings(late, None).await.unwrap(), None);
    assert_eq!(settings(store).await, (1, vec![setting("a", "1", 1)]));
    assert_eq!(
        subjects(&log(store).await),
        ["a"],
        "what was not made is not noted"
    );
    let early = change(7, vec![setting("a", "2", 2)], &[]);
    assert_eq!(store.change_settings(early, None).await.unwrap(), None);
    let racing =
        |value: &str| store.change_settings(change(1, vec![setting("a", value, 3)], &[]), None);
    let (one, other) = tokio::join!(racing("3"), racing("4"));
    let made = [one.unwrap(), other.unwrap()];
    assert_eq!(made.iter().flatten().count(), 1, "{made:?}");
    assert_eq!(settings(store).await.0, 2);
    assert_eq!(log(store).await.len(), 2);
}

pub(super) async fn a_change_is_made_wholly_or_not_at_all(store: &dyn Store) {
    let long = "k".repeat(crate::model::setting::SETTING_KEY_MAX + 1);
    let wrong = change(0, vec![setting("a", "1", 1), setting(&long, "1", 1)], &[]);
    let refused = store.change_settings(wrong, None).await.unwrap_err();
    assert!(matches!(refused, StoreError::Corrupt(_)), "{refused}");
    assert_eq!(settings(store).await, (0, Vec::new()));
    assert!(log(store).await.is_empty());
}

pub(super) async fn who_was_fenced_changes_nothing(store: &dyn Store) {
    assert_eq!(store.claim(claim(0, "a")).await.unwrap(), Some(Epoch(1)));
    let fence = |epoch| {
        Some(Fence {
            shard: 0,
            epoch: Epoch(epoch),
        })
    };
    for expected in [0, 5] {
        let late = change(expected, vec![setting("a", "1", 1)], &[]);
        let refused = store.change_settings(late, fence(0)).await;
        assert!(matches!(refused, Err(StoreError::Fenced(_))), "{refused:?}");
    }
    assert_eq!(settings(store).await, (0, Vec::new()));
    assert!(log(store).await.is_empty());
    let present = change(0, vec![setting("a", "1", 1)], &[]);
    assert_eq!(
        store.change_settings(present, fence(1)).await.unwrap(),
        Some(1)
    );
}

pub(super) async fn the_audit_log_is_read_newest_first_and_page_by_page(store: &dyn Store) {
    for at in 1..=7 {
        store
            .note_audit(entry(&format!("s{}", at % 3), at * 1_000))
            .await
            .unwrap();
        store
            .note_audit(entry("odd", at * 1_000 + 1))
            .await
            .unwrap();
    }
    let all = log(store).await;
    assert_eq!(all.len(), 14);
    assert!(
        all.windows(2).all(|two| two[0].id > two[1].id),
        "newest first"
    );
    assert_eq!(all[13].entry, entry("s1", 1_000));
    let mut paged = Vec::new();
    let mut before = None;
    loop {
        let query = AuditQuery {
            before,
            limit: 4,
            ..AuditQuery::default()
        };
        let page = store.audit(query).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        paged.extend(page);
    }
    assert_eq!(paged, all, "no page skips or repeats");
    let find = async |query: AuditQuery| {
        let found = store
            .audit(AuditQuery {
                limit: 100,
                ..query
            })
            .await
            .unwrap();
        found
            .into_iter()
            .map(|record| record.entry.at.0)
            .collect::<Vec<_>>()
    };
    let query = AuditQuery {
        start: Some(Wall(2_000)),
        end: Some(Wall(3_001)),
        ..AuditQuery::default()
    };
    assert_eq!(find(query).await, [3_000, 2_001, 2_000]);
    let query = AuditQuery {
        subject: Some("s1".into()),
        ..AuditQuery::default()
    };
    assert_eq!(find(query).await, [7_000, 4_000, 1_000]);
    let query = AuditQuery {
        who: Some("loopback".into()),
        start: Some(Wall(6_500)),
        ..AuditQuery::default()
    };
    assert_eq!(find(query).await, [7_000]);
    let query = AuditQuery {
        limit: 0,
        ..AuditQuery::default()
    };
    assert!(store.audit(query).await.unwrap().is_empty());
}

pub(super) async fn what_is_changed_elsewhere_is_noted_with_it_and_only_then(store: &dyn Store) {
    let note = |subject: &str| Some(entry(subject, 1));
    let bitcoin = symbol("BTCUSDT", "BTC-USDT", 1);
    for subject in ["tracked", "again"] {
        store
            .track_noted(bitcoin.clone(), note(subject), None)
            .await
            .unwrap();
    }
    for subject in ["untracked", "again"] {
        store
            .untrack_noted("BTCUSDT", note(subject), None)
            .await
            .unwrap();
    }
    let key = |id: &str| StoredKey {
        id: id.into(),
        environment: "live".into(),
        name: "shop".into(),
        scopes: "read".into(),
        hash: [7; 32],
        created_at: Wall(1),
        expires_at: None,
        revoked_at: None,
        replaced_by: None,
        used_at: None,
    };
    for subject in ["made", "again"] {
        store.add_key_noted(key("a"), note(subject)).await.unwrap();
    }
    for subject in ["rotated", "again"] {
        store
            .replace_key_noted("a", key("b"), Wall(9), note(subject))
            .await
            .unwrap();
    }
    for subject in ["revoked", "again"] {
        assert!(
            store
                .revoke_key_noted("b", Wall(9), note(subject))
                .await
                .unwrap()
        );
    }
    assert!(
        !store
            .revoke_key_noted("none", Wall(9), note("again"))
            .await
            .unwrap()
    );
    let noted = log(store).await;
    assert_eq!(
        subjects(&noted),
        ["revoked", "rotated", "made", "untracked", "tracked"]
    );
    assert_eq!(noted[0].entry, entry("revoked", 1));
}

pub(super) async fn the_audit_log_goes_when_it_is_older_than_its_time(store: &dyn Store) {
    for at in [1_000, 3_000, 2_000] {
        store.note_audit(entry(&at.to_string(), at)).await.unwrap();
    }
    store.prune(Outdated::default()).await.unwrap();
    assert_eq!(log(store).await.len(), 3);
    let outdated = Outdated {
        audit: Some(Wall(2_000)),
        ..Outdated::default()
    };
    assert_eq!(store.prune(outdated).await.unwrap(), 1);
    assert_eq!(subjects(&log(store).await), ["2000", "3000"]);
    store.note_audit(entry("new", 4_000)).await.unwrap();
    assert_eq!(subjects(&log(store).await), ["new", "2000", "3000"]);
}
