//! What is set on one Reader holds for all, whoever writes.

use crate::support::PATIENCE;
use crate::world::{Node, World};
use kurs_testkit::wait::until_async;
use serde_json::{Value, json};

const SETTINGS: &str = "/api/v1/admin/settings";

/// Sets a value on a node that is ready: it knows then who may.
async fn set(node: &Node, key: &str, value: Value) -> (u16, Value) {
    until_async("it is ready", PATIENCE, || async {
        (node.get("/readyz").await.0 == 200).then_some(())
    })
    .await;
    let body = json!({ "value": value });
    node.send("PUT", &format!("{SETTINGS}/{key}"), Some(body))
        .await
}

async fn until_source(node: &Node, wanted: impl Fn(&Value) -> bool) {
    let what = format!("{} shows another source", node.name);
    until_async(&what, PATIENCE, || async {
        let (status, rate) = node.get("/api/v1/rates/BTC/USDT").await;
        (status == 200 && rate["state"] == "fresh" && wanted(&rate["source"])).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_switched_off_on_one_reader_gives_no_rate_on_any_whoever_writes() {
    let world = World::start(901).await;
    let kraken = [("KURS_SOURCES__KRAKEN__ENABLED", "true")];
    let first = world.node("writer", "w1", &kraken).await;
    let (one, other) = (world.reader("r1").await, world.reader("r2").await);
    until_source(&one, |source| source == "binance").await;
    let second = world.node("writer", "w2", &kraken).await;
    world.stands_by(&second).await;

    let (status, told) = set(&one, "sources.binance.enabled", json!(false)).await;
    assert_eq!((status, &told["changed"]), (200, &json!(true)), "{told}");
    for reader in [&one, &other] {
        until_source(reader, |source| source != "binance").await;
    }
    // The other Reader acts by it, and knows who wanted it.
    until_async("the other Reader has taken it over", PATIENCE, || async {
        let list = other.get(SETTINGS).await.1;
        (list["settings"][0]["is_in_force"] == true).then_some(())
    })
    .await;
    let log = other.get("/api/v1/admin/audit").await.1;
    assert_eq!(log["entries"][0]["who"], "loopback", "{log}");

    // Whoever writes next does so by it as well.
    let holder = world.holder().0;
    let (active, rest) = if holder == "w1" {
        (first, second)
    } else {
        (second, first)
    };
    drop(active.process.kill());
    until_async("the other Writer leads", PATIENCE, || async {
        (world.holder().0 == rest.name).then_some(())
    })
    .await;
    for reader in [&one, &other] {
        until_source(reader, |source| source != "binance").await;
        for _ in 0..20 {
            let rate = reader.get("/api/v1/rates/BTC/USDT").await.1;
            assert_ne!(rate["source"], "binance", "{rate}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nobody_writes_a_change_is_refused_and_nothing_is_half_done() {
    let world = World::start(902).await;
    let writer = world.writer("w1").await;
    let reader = world.reader("r1").await;
    reader.until_fresh("BTC-USDT").await;
    let (status, told) = set(&reader, "sources.kraken.priority", json!(7)).await;
    assert_eq!(status, 200, "{told}");
    drop(writer.process.kill());
    let (status, told) = set(&reader, "sources.kraken.priority", json!(8)).await;
    assert_eq!(status, 503, "{told}");
    assert_eq!(told["type"], "/docs/problems#writer-unavailable");
    assert_eq!(world.sql("SELECT value FROM settings").trim(), "7");
    assert_eq!(world.sql("SELECT count(*) FROM audit").trim(), "1");
    let list = reader.get(SETTINGS).await.1;
    assert_eq!(list["version"], 1, "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_all_writers_take_over_at_once_fails_no_read() {
    let world = World::start(903).await;
    // Rates that outlast a restart of the Writer on a busy machine: what fails then is no luck.
    let kraken = [
        ("KURS_SOURCES__KRAKEN__ENABLED", "true"),
        ("KURS_SOURCES__KRAKEN__MAX_AGE_MS", "60000"),
        ("KURS_SOURCES__BINANCE__MAX_AGE_MS", "60000"),
    ];
    let first = world.node("writer", "w1", &kraken).await;
    let reader = world.reader("r1").await;
    until_source(&reader, |source| source == "binance").await;
    let second = world.node("writer", "w2", &kraken).await;
    world.stands_by(&second).await;
    let epoch = world.holder().1;
    let (status, told) = set(&reader, "sources.kraken.priority", json!(0)).await;
    assert_eq!(status, 422, "{told}");
    let changes = json!({"set": {"sources.kraken.priority": 1, "sources.binance.priority": 9}});
    let (status, told) = reader.send("PATCH", SETTINGS, Some(changes)).await;
    assert_eq!(status, 200, "{told}");
    until_async("the new order is served", PATIENCE, || async {
        let (status, rate) = reader.get("/api/v1/rates/BTC/USDT").await;
        assert_eq!((status, &rate["state"]), (200, &json!("fresh")), "{rate}");
        (rate["source"] == "kraken").then_some(())
    })
    .await;
    // Once each, and not in turns for ever.
    until_async("a Writer that stands by again", PATIENCE, || async {
        let checks = |node: Value| node.to_string().contains("standby");
        let (one, other) = (first.get("/health").await.1, second.get("/health").await.1);
        (checks(one) || checks(other)).then_some(())
    })
    .await;
    assert!(world.holder().1 <= epoch + 3, "{:?}", world.holder());
}
