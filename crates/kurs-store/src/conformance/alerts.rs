//! What must hold of alerts, of what is to be told, and of chats.

use super::builders::claim;
use crate::model::alert::{ALERT_TARGET_MAX, DELIVERY_BODY_MAX};
use crate::{
    ALERT_SHARD, AlertAdded, AlertStep, AuditEntry, AuditQuery, Delivery, DeliveryStanding, Fence,
    NewAlert, Store, StoreError, StoredAlert, StoredChat,
};
use kurs_core::{Clock, Epoch, SystemClock, Wall};
use std::time::Duration;

const FENCE: Fence = Fence {
    shard: ALERT_SHARD,
    epoch: Epoch(1),
};
const LATE: Fence = Fence {
    shard: ALERT_SHARD,
    epoch: Epoch(0),
};

fn alert(id: &str, target: &str, at: i64) -> StoredAlert {
    StoredAlert {
        id: id.into(),
        name: (at % 2 == 0).then(|| "\u{43a}\u{443}\u{440}\u{441}".into()),
        owner: "key:3kTMd92x".into(),
        target: target.into(),
        condition: "{\"x\":\"\\u0000\"}".into(),
        is_paused: at % 2 == 0,
        created_at: Wall(at),
        revision: 1,
        state: "{}".into(),
        fired: 0,
        fired_at: None,
    }
}

fn new(alert: StoredAlert) -> NewAlert {
    NewAlert {
        alert,
        secret: Some("secret".into()),
        request: None,
        alerts_max: 10,
        target_max: 5,
    }
}

fn entry(action: &str) -> AuditEntry {
    AuditEntry {
        at: Wall(1_000),
        who: "loopback".into(),
        address: None,
        action: action.into(),
        subject: "alerts".into(),
        before: None,
        after: None,
        why: None,
    }
}

fn delivery(id: &str, alert: &str, at: i64) -> Delivery {
    Delivery {
        id: id.into(),
        alert: alert.into(),
        target: "webhook:https://x.example/".into(),
        body: "{\"x\":\"\\u0000\"}".into(),
        created_at: Wall(at),
        standing: DeliveryStanding::due(Wall(at)),
    }
}

fn step(id: &str, revision: u64, fired: Option<Delivery>) -> AlertStep {
    AlertStep {
        id: id.into(),
        revision,
        state: "{\"armed\":false}".into(),
        number: u64::from(fired.is_some()),
        fired,
    }
}

async fn lead(store: &dyn Store) {
    let epoch = store.claim(claim(ALERT_SHARD, "a")).await.unwrap();
    assert_eq!(epoch, Some(FENCE.epoch));
}

async fn actions(store: &dyn Store) -> Vec<String> {
    let query = AuditQuery {
        limit: 100,
        ..AuditQuery::default()
    };
    let log = store.audit(query).await.unwrap();
    let actions = log.iter().rev();
    actions
        .map(|record| record.entry.action.to_string())
        .collect()
}

async fn add(store: &dyn Store, alert: StoredAlert) {
    let added = store.talk().add_alert(new(alert), None).await.unwrap();
    assert_eq!(added, AlertAdded::New);
}

pub(super) async fn alerts_are_kept_as_they_were(store: &dyn Store) {
    let talk = store.talk();
    assert_eq!(talk.alerts().await.unwrap().version, 0);
    let (one, two) = (alert("one", "t", 2_001), alert("two", "t", 1_002));
    for made in [&one, &two] {
        let added = talk.add_alert(new(made.clone()), Some(entry("add"))).await;
        assert_eq!(added.unwrap(), AlertAdded::New);
    }
    let stored = talk.alerts().await.unwrap();
    assert_eq!(stored.alerts, [two.clone(), one.clone()], "oldest first");
    assert_eq!(stored.version, 2);
    assert_eq!(talk.alert_version().await.unwrap(), 2);
    assert_eq!(talk.alert("one").await.unwrap(), Some(one.clone()));
    assert_eq!(talk.alert("three").await.unwrap(), None);
    assert_eq!(talk.alerts_of("t").await.unwrap().len(), 2);
    assert!(talk.alerts_of("u").await.unwrap().is_empty());
    let secret = talk.alert_secret("one").await.unwrap();
    assert_eq!(secret.as_deref(), Some("secret"));

    let changed = StoredAlert {
        name: None,
        target: "u".into(),
        is_paused: true,
        state: "[]".into(),
        ..one.clone()
    };
    let change = async |alert: &StoredAlert| {
        let entry = Some(entry("change"));
        talk.change_alert(alert.clone(), entry).await.unwrap()
    };
    assert!(change(&changed).await);
    assert!(!change(&changed).await, "another change came first");
    assert!(!change(&alert("three", "t", 1)).await, "there is none");
    let now = talk.alert("one").await.unwrap().unwrap();
    assert_eq!(
        now,
        StoredAlert {
            revision: 2,
            ..changed
        }
    );
    assert_eq!(talk.alert_version().await.unwrap(), 3);
    let secret = talk.alert_secret("one").await.unwrap();
    assert_eq!(secret.as_deref(), Some("secret"), "it stays");

    assert!(
        talk.remove_alert("one", Some(entry("remove")))
            .await
            .unwrap()
    );
    assert!(
        !talk
            .remove_alert("one", Some(entry("remove")))
            .await
            .unwrap()
    );
    assert_eq!(talk.alerts().await.unwrap().alerts, [two]);
    assert_eq!(talk.alert_version().await.unwrap(), 4);
    assert_eq!(actions(store).await, ["add", "add", "change", "remove"]);
}

pub(super) async fn a_request_for_an_alert_makes_one(store: &dyn Store) {
    let now = SystemClock::new().now().wall;
    let asked = |id: &str, at: Wall, request: &str| NewAlert {
        request: Some(request.into()),
        ..new(StoredAlert {
            created_at: at,
            ..alert(id, "t", 1)
        })
    };
    let talk = store.talk();
    let first = asked("one", now, "key 1");
    let added = talk.add_alert(first.clone(), None).await.unwrap();
    assert_eq!(added, AlertAdded::New);
    let again = talk.add_alert(asked("two", now, "key 1"), Some(entry("add")));
    assert_eq!(again.await.unwrap(), AlertAdded::Before(first.alert));
    assert!(actions(store).await.is_empty());
    let other = talk.add_alert(asked("two", now, "key 2"), None);
    assert_eq!(other.await.unwrap(), AlertAdded::New);
    // After more than a day it is another request.
    let old = Wall(now.0 - 25 * 3_600 * 1_000_000);
    for (id, at) in [("three", old), ("four", now)] {
        let added = talk.add_alert(asked(id, at, "key 3"), None).await.unwrap();
        assert_eq!(added, AlertAdded::New);
    }
}

pub(super) async fn alerts_have_bounds(store: &dyn Store) {
    let talk = store.talk();
    let limited = |id: &str, target: &str| NewAlert {
        alerts_max: 3,
        target_max: 2,
        ..new(alert(id, target, 1))
    };
    for (id, target, expected) in [
        ("1", "t", AlertAdded::New),
        ("2", "t", AlertAdded::New),
        ("3", "t", AlertAdded::TooMany),
        ("3", "u", AlertAdded::New),
        ("4", "v", AlertAdded::TooMany),
    ] {
        let added = talk.add_alert(limited(id, target), None).await.unwrap();
        assert_eq!(added, expected, "{id} {target}");
    }
    let version = talk.alert_version().await.unwrap();
    assert_eq!(version, 3, "what was not added changes nothing");
    let long = "t".repeat(ALERT_TARGET_MAX + 1);
    let refused = talk.add_alert(new(alert("5", &long, 1)), None).await;
    assert!(
        matches!(refused, Err(StoreError::Corrupt(_))),
        "{refused:?}"
    );
    assert_eq!(talk.alerts().await.unwrap().alerts.len(), 3);
    let racing = |id: &str| {
        let wanted = NewAlert {
            alerts_max: 4,
            ..new(alert(id, "w", 1))
        };
        talk.add_alert(wanted, None)
    };
    let (one, other) = tokio::join!(racing("5"), racing("6"));
    let made = [one.unwrap(), other.unwrap()];
    let added = made.iter().filter(|made| **made == AlertAdded::New);
    assert_eq!(added.count(), 1, "{made:?}");
}

pub(super) async fn what_fired_is_stored_with_what_is_to_be_told(store: &dyn Store) {
    lead(store).await;
    let talk = store.talk();
    for (id, at) in [("one", 1), ("two", 2)] {
        add(store, alert(id, "t", at)).await;
    }
    let version = talk.alert_version().await.unwrap();
    let steps = vec![
        step("one", 1, Some(delivery("one-1", "one", 5_000))),
        step("two", 1, None),
        step("two", 7, Some(delivery("two-1", "two", 5_000))),
        step("three", 1, Some(delivery("three-1", "three", 5_000))),
    ];
    for _ in 0..2 {
        // The second time nothing is new: its fate was unknown.
        assert_eq!(talk.step_alerts(steps.clone(), FENCE).await.unwrap(), 2);
    }
    let one = talk.alert("one").await.unwrap().unwrap();
    assert_eq!((one.fired, one.fired_at), (1, Some(Wall(5_000))));
    assert_eq!(&*one.state, "{\"armed\":false}");
    let two = talk.alert("two").await.unwrap().unwrap();
    assert_eq!((two.fired, two.fired_at), (0, None));
    assert_eq!(&*two.state, "{\"armed\":false}");
    assert_eq!(talk.alert_version().await.unwrap(), version);
    let due = talk
        .due_deliveries(Wall(5_000), Vec::new(), 10)
        .await
        .unwrap();
    assert_eq!(due.len(), 1, "{due:?}");
    assert_eq!(due[0].delivery, delivery("one-1", "one", 5_000));
    assert_eq!(due[0].secret.as_deref(), Some("secret"));
    assert_eq!(talk.pending_deliveries().await.unwrap(), 1);

    let long = Delivery {
        body: "b".repeat(DELIVERY_BODY_MAX + 1).into(),
        ..delivery("two-1", "two", 6_000)
    };
    let wrong = vec![
        step("one", 1, Some(delivery("one-2", "one", 6_000))),
        step("two", 1, Some(long)),
    ];
    let refused = talk.step_alerts(wrong, FENCE).await;
    assert!(
        matches!(refused, Err(StoreError::Corrupt(_))),
        "{refused:?}"
    );
    assert_eq!(talk.pending_deliveries().await.unwrap(), 1, "or nothing");
    assert_eq!(talk.alert("one").await.unwrap().unwrap().fired, 1);

    assert!(talk.remove_alert("one", None).await.unwrap());
    let pending = talk.pending_deliveries().await.unwrap();
    assert_eq!(pending, 0, "they go with it");
}

pub(super) async fn a_delivery_is_settled_once(store: &dyn Store) {
    lead(store).await;
    let talk = store.talk();
    add(store, alert("one", "t", 1)).await;
    for (id, at) in [("b", 5_000), ("a", 6_000), ("c", 7_000)] {
        let added = talk.add_delivery(delivery(id, "one", at)).await;
        assert!(added.unwrap());
    }
    let unknown = talk.add_delivery(delivery("d", "none", 5_000)).await;
    assert!(!unknown.unwrap());
    let due = async |at: i64, limit: u32| {
        let due = talk
            .due_deliveries(Wall(at), Vec::new(), limit)
            .await
            .unwrap();
        let ids = due.iter().map(|due| due.delivery.id.to_string());
        ids.collect::<Vec<_>>()
    };
    assert!(due(4_999, 10).await.is_empty());
    assert_eq!(due(9_000, 10).await, ["b", "a", "c"], "the longest due");
    assert_eq!(due(9_000, 2).await, ["b", "a"]);
    // However much waits for one target, another one gets its turn.
    add(store, alert("two", "t", 2)).await;
    let other = Delivery {
        target: "telegram:1".into(),
        ..delivery("other", "two", 8_000)
    };
    assert!(talk.add_delivery(other).await.unwrap());
    let busy = vec![delivery("b", "one", 0).target];
    let free = talk.due_deliveries(Wall(9_000), busy, 1).await.unwrap();
    assert_eq!(free.len(), 1);
    assert_eq!(&*free[0].delivery.id, "other");
    let told = DeliveryStanding {
        done_at: Some(Wall(20_000)),
        outcome: Some("delivered".into()),
        ..DeliveryStanding::due(Wall(8_000))
    };
    let settled = talk.settle_delivery("other", told, FENCE).await;
    assert!(settled.unwrap());
    let again = DeliveryStanding {
        due_at: Wall(8_000),
        attempts: 1,
        error: Some("no answer".into()),
        ..DeliveryStanding::due(Wall(0))
    };
    assert!(
        talk.settle_delivery("b", again.clone(), FENCE)
            .await
            .unwrap()
    );
    assert_eq!(due(7_999, 10).await, ["a", "c"]);
    let done = DeliveryStanding {
        done_at: Some(Wall(9_000)),
        attempts: 2,
        outcome: Some("done".into()),
        ..again
    };
    assert!(
        talk.settle_delivery("b", done.clone(), FENCE)
            .await
            .unwrap()
    );
    assert!(
        !talk
            .settle_delivery("b", DeliveryStanding::due(Wall(1)), FENCE)
            .await
            .unwrap()
    );
    assert!(
        !talk
            .settle_delivery("none", done.clone(), FENCE)
            .await
            .unwrap()
    );
    assert_eq!(due(9_000, 10).await, ["a", "c"]);
    assert_eq!(talk.pending_deliveries().await.unwrap(), 2);
    let listed = talk.deliveries("one", 2).await.unwrap();
    let ids: Vec<&str> = listed.iter().map(|one| &*one.id).collect();
    assert_eq!(ids, ["c", "a"], "newest first");
    let all = talk.deliveries("one", 10).await.unwrap();
    assert_eq!(all[2].standing, done);
    assert_eq!(talk.prune_deliveries(Wall(9_000), FENCE).await.unwrap(), 0);
    assert_eq!(talk.prune_deliveries(Wall(9_001), FENCE).await.unwrap(), 1);
    assert_eq!(talk.deliveries("one", 10).await.unwrap().len(), 2);
}

pub(super) async fn who_does_not_hold_the_lease_tells_nothing(store: &dyn Store) {
    lead(store).await;
    let talk = store.talk();
    add(store, alert("one", "t", 1)).await;
    assert!(
        talk.add_delivery(delivery("a", "one", 1_000))
            .await
            .unwrap()
    );
    let chat = StoredChat {
        chat: -5,
        language: "ru".into(),
        is_blocked: false,
        updated_at: Wall(1_000),
    };
    let fired = vec![step("one", 1, Some(delivery("b", "one", 1_000)))];
    let settled = DeliveryStanding {
        done_at: Some(Wall(1_000)),
        ..DeliveryStanding::due(Wall(1_000))
    };
    let refused = [
        talk.step_alerts(fired, LATE).await.map(drop),
        talk.settle_delivery("a", settled, LATE).await.map(drop),
        talk.settle_delivery("none", DeliveryStanding::due(Wall(1_000)), LATE)
            .await
            .map(drop),
        talk.prune_deliveries(Wall(2_000), LATE).await.map(drop),
        talk.save_chat(chat, LATE).await,
        talk.save_bot_offset("bot", 5, LATE).await,
    ];
    for refused in refused {
        assert!(matches!(refused, Err(StoreError::Fenced(_))), "{refused:?}");
    }
    assert_eq!(talk.alert("one").await.unwrap().unwrap().fired, 0);
    assert_eq!(talk.pending_deliveries().await.unwrap(), 1);
    assert_eq!(talk.chat(-5).await.unwrap(), None);
    assert_eq!(talk.bot_offset("bot").await.unwrap(), None);
}

pub(super) async fn chats_and_offsets_are_kept(store: &dyn Store) {
    lead(store).await;
    let talk = store.talk();
    let chat = |language: &str, is_blocked| StoredChat {
        chat: -1_001_234_567_890,
        language: language.into(),
        is_blocked,
        updated_at: Wall(1_001),
    };
    for one in [chat("ru", false), chat("en", true)] {
        talk.save_chat(one.clone(), FENCE).await.unwrap();
        assert_eq!(talk.chat(one.chat).await.unwrap(), Some(one));
    }
    assert_eq!(talk.chat(5).await.unwrap(), None);
    for (next, kept) in [(7, 7), (9, 9), (8, 9)] {
        talk.save_bot_offset("1", next, FENCE).await.unwrap();
        assert_eq!(talk.bot_offset("1").await.unwrap(), Some(kept));
    }
    assert_eq!(talk.bot_offset("2").await.unwrap(), None);
}

pub(super) async fn the_lease_of_who_tells_is_nobodys_shard(store: &dyn Store) {
    lead(store).await;
    let talk = store.talk();
    let ttl = Duration::from_millis(600);
    assert!(talk.extend(FENCE, ttl).await.unwrap());
    assert!(!talk.extend(LATE, ttl).await.unwrap());
    let taken = store.claim(claim(ALERT_SHARD, "b")).await.unwrap();
    assert_eq!(taken, None, "it lasts");
    let beat = crate::Beat {
        writer: "w".into(),
        ttl: Duration::from_secs(60),
        is_ready: true,
        held: Vec::new(),
    };
    let leases = store.renew(beat).await.unwrap();
    let living: Vec<&str> = leases.writers.iter().map(|writer| &*writer.name).collect();
    assert_eq!(living, ["w"], "its holder is no Writer");
    assert!(store.release(FENCE, None).await.unwrap());
    assert!(!talk.extend(FENCE, ttl).await.unwrap(), "it was given back");
    let taken = store.claim(claim(ALERT_SHARD, "b")).await.unwrap();
    assert_eq!(taken, Some(Epoch(2)));
}
