//! Tracked symbols, and what outlives the process.

#![expect(clippy::unwrap_used, reason = "this file is only tests")]

mod support;

use kurs_sim::{Fault, FaultKind, SimConfig, Venue};
use serde_json::json;
use support::{Kurs, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_symbol_added_while_running_is_priced_on_the_connection_that_is_there() {
    let world = World::start(SimConfig::seeded(21), &[]).await;
    world.served_by("BTC-USDT", "binance").await;
    let before = world.sim.state().venues[&Venue::Binance].ws_connections_total;

    let added = world
        .kurs
        .send(
            "POST",
            "/api/v1/currency",
            Some(json!({"symbol": "SOLUSDT"})),
        )
        .await;
    assert_eq!(added.status, 201, "{}", added.json);
    world.served_by("SOL-USDT", "binance").await;
    let after = world.sim.state().venues[&Venue::Binance].ws_connections_total;
    assert_eq!(after, before, "the others were reconnected");

    let again = world
        .kurs
        .send(
            "POST",
            "/api/v1/currency",
            Some(json!({"symbol": "SOLUSDT"})),
        )
        .await;
    assert_eq!(again.status, 200);
    let current = world.kurs.get("/api/v1/currency/SOLUSDT").await;
    assert_eq!(current.status, 200, "{}", current.json);

    let gone = world
        .kurs
        .send("DELETE", "/api/v1/currency/SOLUSDT", None)
        .await;
    assert_eq!(gone.status, 204);
    kurs_testkit::wait::until_async(
        "the pair is not served any more",
        support::PATIENCE,
        || async { (world.kurs.rate("SOL-USDT").await.json["source"] != "binance").then_some(()) },
    )
    .await;
    assert_eq!(
        world
            .kurs
            .send("DELETE", "/api/v1/currency/SOLUSDT", None)
            .await
            .status,
        404
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_symbol_that_the_venue_does_not_list_is_refused() {
    let world = World::start(SimConfig::seeded(22), &[]).await;
    world.served_by("BTC-USDT", "binance").await;
    let refused = world
        .kurs
        .send(
            "POST",
            "/api/v1/currency",
            Some(json!({"symbol": "NOPE-USDT"})),
        )
        .await;
    assert_eq!(refused.status, 422, "{}", refused.json);
    assert_eq!(refused.headers["content-type"], "application/problem+json");
    let list = world.kurs.get("/api/v1/currencies").await.json;
    assert!(!list.to_string().contains("NOPE"), "{list}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kill_and_restart_symbols_are_there_and_the_first_answer_comes_from_the_store() {
    let settings = [("KURS_SOURCES__BINANCE__MAX_AGE_MS", "60000")];
    let world = World::start(SimConfig::seeded(23), &settings).await;
    world.served_by("BTC-USDT", "binance").await;
    let added = world
        .kurs
        .send(
            "POST",
            "/api/v1/currency",
            Some(json!({"symbol": "TRXUSDT"})),
        )
        .await;
    assert_eq!(added.status, 201, "{}", added.json);
    world
        .sim
        .fault(Venue::Binance, Fault::new(FaultKind::Reset));
    world
        .kurs
        .source_until("binance", |source| source["state"] == "down")
        .await;
    // Current rates are stored within a second; the last ones are now.
    let history = kurs_testkit::wait::until_async("stored history", support::PATIENCE, || async {
        let page = world
            .kurs
            .get("/api/v1/history/BTC/USDT?limit=1")
            .await
            .json;
        page["points"]
            .as_array()
            .is_some_and(|rows| !rows.is_empty())
            .then_some(page)
    })
    .await;
    assert_eq!(history["points"][0]["source"], "binance");
    // A new reason why a source is passed over is a new update: one that stood longer than the
    // store waits is the one that is stored.
    let before =
        kurs_testkit::wait::until_async("a rate that stands", support::PATIENCE, || async {
            let before = world.kurs.rate("BTC-USDT").await;
            tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
            let after = world.kurs.rate("BTC-USDT").await;
            (after.status == 200 && after.json["seq"] == before.json["seq"]).then_some(after)
        })
        .await;

    for venue in [
        Venue::Coingecko,
        Venue::OpenExchangeRates,
        Venue::Ecb,
        Venue::Cbr,
    ] {
        world.sim.fault(venue, Fault::new(FaultKind::Reset));
    }
    let folder = world.kurs.process.kill();
    let again = Kurs::start(&world.sim, &settings, Some(folder)).await;
    let first = again.until("BTC-USDT", |_| true).await;
    for member in [
        "value",
        "bid",
        "ask",
        "source",
        "state",
        "observed_at",
        "published_at",
        "epoch",
        "seq",
    ] {
        assert_eq!(first[member], before.json[member], "{member}");
    }
    let explained = again.get("/api/v1/rates/BTC/USDT?explain=true").await.json;
    assert!(
        explained["age_ms"].as_u64() >= Some(1_500),
        "its true age: {explained}"
    );
    let list = again.get("/api/v1/currencies").await.json;
    assert!(list.to_string().contains("TRXUSDT"), "{list}");

    world.sim.heal_all();
    let live = again.until("BTC-USDT", |rate| rate["epoch"] == 2).await;
    assert_eq!(live["state"], "fresh");
}
