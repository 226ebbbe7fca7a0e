//! Several processes with the role `bot`: one of them tells, and another one when it is gone.

#[path = "../support/receiver.rs"]
mod receiver;

use crate::support::PATIENCE;
use crate::world::{Node, World};
use kurs_testkit::wait::until_async;
use receiver::{Manner, Receiver};
use serde_json::{Value, json};

const INSECURE: (&str, &str) = ("KURS_ALERTS__INSECURE_WEBHOOKS", "true");

fn holder(world: &World) -> String {
    let sql = "SELECT writer FROM lease WHERE shard = 65535 AND expires_at > now()";
    world.sql(sql).trim().to_owned()
}

async fn add(reader: &Node, url: String) -> String {
    let body = json!({
        "target": {"kind": "webhook", "url": url},
        "condition": {"kind": "threshold", "pair": "BTC-USDT", "side": "above", "value": "1"},
    });
    let (status, alert) = reader.send("POST", "/api/v1/alerts", Some(body)).await;
    assert_eq!(status, 201, "{alert}");
    alert["id"].as_str().unwrap().to_owned()
}

async fn until_delivered(reader: &Node, id: &str) -> Value {
    let path = format!("/api/v1/alerts/{id}/deliveries");
    until_async("it is delivered", PATIENCE, || async {
        let (_, told) = reader.get(&path).await;
        let all = told["deliveries"].as_array()?;
        let is_done = all.iter().all(|told| told["state"] == "delivered");
        (is_done && !all.is_empty()).then_some(told.clone())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_tell_one_is_killed_and_every_message_comes_once() {
    let world = World::start(771).await;
    let receiver = Receiver::start(Manner::Busy).await;
    let _writer = world.writer("writer-0").await;
    let reader = world.node("reader", "reader-1", &[INSECURE]).await;
    reader.until_fresh("BTC-USDT").await;
    let one = world.node("bot", "bot-1", &[INSECURE]).await;
    let other = world.node("bot", "bot-2", &[INSECURE]).await;
    for node in [&one, &other] {
        let (status, checks) = node.get("/readyz?verbose").await;
        assert_eq!(status, 200, "{}: {checks}", node.name);
        assert_eq!(node.get("/api/v1/rates/BTC/USDT").await.0, 404);
    }
    until_async("one of them tells", PATIENCE, || async {
        holder(&world).starts_with("bot-").then_some(())
    })
    .await;
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(add(&reader, receiver.url(&format!("/{number}"))).await);
    }
    // All have fired, and nobody takes what they tell.
    let tried = |count: usize| {
        move |told: &[receiver::Told]| {
            let keys = told.iter().map(|told| told.key.clone());
            keys.collect::<std::collections::BTreeSet<_>>().len() == count
        }
    };
    receiver.until_told(tried(3)).await;
    let first = holder(&world);
    let (killed, left) = if first == one.name {
        (one, other)
    } else {
        (other, one)
    };
    drop(killed.process.kill());
    receiver.set(Manner::Takes);
    until_async("the other one tells", PATIENCE, || async {
        (holder(&world) == left.name).then_some(())
    })
    .await;
    // What has fired since, and what was left.
    ids.push(add(&reader, receiver.url("/3")).await);
    for id in &ids {
        let told = until_delivered(&reader, id).await;
        let count = told["deliveries"].as_array().map(Vec::len);
        assert_eq!(count, Some(1), "{told}");
    }
    let mut taken: Vec<String> = receiver.taken().into_iter().map(|told| told.key).collect();
    taken.sort_unstable();
    let mut expected: Vec<String> = ids.iter().map(|id| format!("{id}-1")).collect();
    expected.sort_unstable();
    assert_eq!(taken, expected, "each once, and nothing else");
    let epoch = left.door.metric("kurs_alert_lease_epoch").await;
    assert!(epoch >= Some(2), "{epoch:?}");
}
