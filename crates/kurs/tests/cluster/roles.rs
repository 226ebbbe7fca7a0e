//! Each role as a process of its own.

use crate::support::PATIENCE;
use crate::world::World;
use kurs_testkit::wait::until_async;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_symbol_tracked_on_one_reader_is_tracked_and_priced_on_every_other() {
    let world = World::start(511).await;
    let _writer = world.writer("writer-0").await;
    let _standby = world.writer("writer-1").await;
    let one = world.reader("reader-1").await;
    let other = world.reader("reader-2").await;
    one.until_fresh("BTC-USDT").await;
    let body = json!({"symbol": "SOLUSDT"});
    let (status, answer) = one.send("POST", "/api/v1/currency", Some(body)).await;
    assert_eq!(status, 201, "{answer}");
    until_async("the other Reader knows it", PATIENCE, || async {
        let (status, _) = other.get("/api/v1/currency/SOLUSDT").await;
        (status == 200).then_some(())
    })
    .await;
    other.until_fresh("SOL-USDT").await;
    let (status, _) = other.send("DELETE", "/api/v1/currency/SOLUSDT", None).await;
    assert_eq!(status, 204);
    until_async("the first Reader forgets it", PATIENCE, || async {
        let (_, list) = one.get("/api/v1/currencies").await;
        (!list.to_string().contains("SOLUSDT")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_role_has_probes_and_metrics_of_its_own_and_only_readers_serve_rates() {
    let world = World::start(512).await;
    let writer = world.writer("writer-0").await;
    let reader = world.reader("reader-1").await;
    reader.until_fresh("BTC-USDT").await;
    for node in [&writer, &reader] {
        assert_eq!(node.get("/livez").await.0, 200, "{}", node.name);
        let (status, checks) = node.get("/readyz?verbose").await;
        assert_eq!(status, 200, "{}: {checks}", node.name);
        assert_eq!(node.get("/metrics").await.0, 200, "{}", node.name);
    }
    assert_eq!(writer.get("/api/v1/rates/BTC/USDT").await.0, 404);
    // What went over the broker, at either end of it.
    for (node, name) in [
        (&writer, "kurs_bus_connected"),
        (&reader, "kurs_bus_connected"),
        (&writer, "kurs_bus_published_total"),
        (&writer, "kurs_bus_acknowledged_total"),
        (&reader, "kurs_bus_received_total"),
    ] {
        let series = format!("{name}{{broker=\"nats\"}}");
        let value = node.door.metric(&series).await;
        assert!(value.is_some_and(|value| value > 0), "{series}: {value:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn several_shards_are_shared_by_the_writers_that_are_there() {
    let world = World::start(513).await;
    let shards = [("KURS_WRITER__SHARDS", "4")];
    let mut first = world.node("writer", "writer-0", &shards).await;
    let consumer = world.consumer().await;
    let reader = world.reader("reader-1").await;
    reader.until_fresh("BTC-USDT").await;
    let second = world.node("writer", "writer-1", &shards).await;
    let held = |name: &str| {
        let sql = format!("SELECT count(*) FROM lease WHERE writer = '{name}'");
        world.sql(&sql).trim().parse::<u32>().unwrap()
    };
    until_async("each holds two", PATIENCE, || async {
        (held(&first.name) == 2 && held(&second.name) == 2).then_some(())
    })
    .await;
    for pair in ["BTC-USDT", "ETH-USDT", "USD-RUB", "BTC-RUB"] {
        reader.until_fresh(pair).await;
    }
    first.signal("TERM");
    assert!(first.process.end(PATIENCE).await.success());
    until_async("the other one holds all", PATIENCE, || async {
        (held(&second.name) == 4).then_some(())
    })
    .await;
    for pair in ["BTC-USDT", "ETH-USDT"] {
        reader.until_fresh(pair).await;
    }
    let gaps = consumer.look(|heard| {
        let gaps = heard.complaints.iter();
        gaps.filter(|told| told.contains("missing")).count()
    });
    assert_eq!(gaps, 0);
}
