//! What must hold of API keys.

use crate::{Store, StoredKey};
use kurs_core::Wall;

fn key(id: &str, created_at: i64) -> StoredKey {
    StoredKey {
        id: id.into(),
        environment: "live".into(),
        name: "shop, \u{43a}\u{43b}\u{44e}\u{447}".into(),
        scopes: "read stream".into(),
        hash: [u8::try_from(created_at % 200).unwrap(); 32],
        created_at: Wall(created_at),
        expires_at: None,
        revoked_at: None,
        replaced_by: None,
        used_at: None,
    }
}

async fn keys(store: &dyn Store) -> Vec<StoredKey> {
    let stored = store.keys().await.unwrap();
    assert_eq!(stored.version, store.key_version().await.unwrap());
    stored.keys
}

pub(super) async fn keys_are_kept_as_they_were(store: &dyn Store) {
    assert!(keys(store).await.is_empty());
    let first = StoredKey {
        expires_at: Some(Wall(7_001)),
        ..key("bbbbbbbb", 2_001)
    };
    let second = key("aaaaaaaa", 1_001);
    assert!(store.add_key(first.clone()).await.unwrap());
    assert!(store.add_key(second.clone()).await.unwrap());
    assert_eq!(
        keys(store).await,
        [second.clone(), first.clone()],
        "oldest first"
    );
    let other = StoredKey {
        hash: [9; 32],
        ..first.clone()
    };
    assert!(!store.add_key(other).await.unwrap(), "its id is taken");
    assert_eq!(keys(store).await, [second, first]);
}

pub(super) async fn every_change_of_keys_has_a_version_and_a_use_has_none(store: &dyn Store) {
    let mut version = store.key_version().await.unwrap();
    let mut grown = async |name: &str, grows: bool| {
        let now = store.key_version().await.unwrap();
        assert_eq!(now > version, grows, "{name}");
        version = now;
    };
    store.add_key(key("a", 1)).await.unwrap();
    grown("added", true).await;
    store.add_key(key("a", 2)).await.unwrap();
    grown("not added", false).await;
    store
        .note_key_use(vec![("a".into(), Wall(5))])
        .await
        .unwrap();
    grown("used", false).await;
    assert!(store.replace_key("a", key("b", 3), Wall(9)).await.unwrap());
    grown("replaced", true).await;
    assert!(store.revoke_key("b", Wall(4)).await.unwrap());
    grown("revoked", true).await;
    assert!(store.revoke_key("b", Wall(5)).await.unwrap());
    grown("revoked again", false).await;
    assert!(!store.revoke_key("c", Wall(5)).await.unwrap());
    grown("nothing to revoke", false).await;
}

pub(super) async fn a_key_is_replaced_once_and_good_for_a_while_still(store: &dyn Store) {
    let ends = StoredKey {
        expires_at: Some(Wall(50)),
        ..key("ends", 2)
    };
    store.add_key(key("old", 1)).await.unwrap();
    store.add_key(ends.clone()).await.unwrap();
    assert!(
        !store
            .replace_key("none", key("new", 3), Wall(90))
            .await
            .unwrap()
    );
    assert!(
        !store
            .replace_key("old", key("ends", 3), Wall(90))
            .await
            .unwrap()
    );
    assert_eq!(
        keys(store).await,
        [key("old", 1), ends.clone()],
        "nothing was changed"
    );
    let new = StoredKey {
        expires_at: Some(Wall(500)),
        ..key("new", 3)
    };
    assert!(
        store
            .replace_key("old", new.clone(), Wall(90))
            .await
            .unwrap()
    );
    assert!(
        !store
            .replace_key("old", key("newer", 4), Wall(90))
            .await
            .unwrap()
    );
    assert!(
        store
            .replace_key("ends", key("last", 4), Wall(90))
            .await
            .unwrap()
    );
    let kept = keys(store).await;
    assert_eq!(kept.len(), 4);
    let [old, ended] = [&kept[0], &kept[1]];
    assert_eq!(
        (old.expires_at, old.replaced_by.as_deref()),
        (Some(Wall(90)), Some("new"))
    );
    assert_eq!(
        ended.expires_at,
        Some(Wall(50)),
        "it would have ended anyway"
    );
    assert_eq!(kept[2], new);
    store.revoke_key("new", Wall(5)).await.unwrap();
    assert!(
        !store
            .replace_key("new", key("x", 6), Wall(90))
            .await
            .unwrap()
    );
}

pub(super) async fn a_key_is_revoked_once_and_its_last_use_goes_forward(store: &dyn Store) {
    store.add_key(key("a", 1)).await.unwrap();
    assert!(store.revoke_key("a", Wall(5)).await.unwrap());
    assert!(store.revoke_key("a", Wall(6)).await.unwrap());
    for moment in [30, 20, 40, 10] {
        let uses = vec![("a".into(), Wall(moment)), ("gone".into(), Wall(moment))];
        store.note_key_use(uses).await.unwrap();
    }
    store.note_key_use(Vec::new()).await.unwrap();
    let kept = keys(store).await;
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].revoked_at, Some(Wall(5)), "the first time stays");
    assert_eq!(kept[0].used_at, Some(Wall(40)));
    let shown = format!("{kept:?}");
    assert!(!shown.contains("hash"), "{shown}");
}
