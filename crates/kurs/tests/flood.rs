//! A flood of garbage from one exchange: it is judged, the others go on, memory stays bounded,
//! and when the flood is over the exchange serves again.

#![expect(clippy::unwrap_used, reason = "this file is only tests")]

mod support;

use kurs_sim::{Channel, Fault, FaultKind, SimConfig, Venue};
use kurs_testkit::wait::until_async;
use serde_json::Value;
use support::{ALL_EXCHANGES, PATIENCE, World};

/// The exchanges that are not flooded.
const OTHERS: [&str; 4] = ["binance", "coinbase", "kraken", "bybit"];
/// Frames of each that must come while the flood lasts.
const FRAMES: u64 = 50;
/// Connections that the flood is written into.
const CONNECTIONS: u64 = 3;
/// What the flood may add to the memory of kurs, kilobytes: a multiple of what one message may
/// have, and far less than the flood brings.
const MEMORY_KB: u64 = 128 << 10;

/// A line of `/proc/PID/status`, kilobytes.
fn kilobytes(world: &World, name: &str) -> u64 {
    let path = format!("/proc/{}/status", world.kurs.process.id());
    let text = std::fs::read_to_string(path).unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn streams(source: &Value) -> bool {
    source["state"] == "live" && source["mode"] == "websocket"
}

async fn messages(world: &World, name: &str) -> u64 {
    world.kurs.source(name).await["messages"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_garbage_is_judged_harms_no_other_stays_small_and_is_recovered_from() {
    let pairs = ("KURS_PAIRS", "BTC-USDT,ETH-USDT,BTC-USD,ETH-USD");
    // First in order of preference: whoever asks for a rate sees at once that it is lost.
    let preference = [
        ("KURS_SOURCES__OKX__PRIORITY", "1"),
        ("KURS_SOURCES__BINANCE__PRIORITY", "5"),
        // Preferred again as soon as it is well.
        ("KURS_SOURCES__OKX__HOLD_MS", "100"),
    ];
    let settings = [&ALL_EXCHANGES[..], &[pairs], &preference].concat();
    let world = World::start(SimConfig::seeded(41), &settings).await;
    for name in OTHERS.iter().chain(&["okx"]) {
        let is_well =
            |source: &Value| streams(source) && source["books"]["synced"].as_u64() >= Some(2);
        world.kurs.source_until(name, is_well).await;
    }
    world.served_by("ETH-USDT", "okx").await;
    let before = kilobytes(&world, "VmRSS");
    let connections = || world.sim.state().venues[&Venue::Okx].ws_connections_total;
    let connected = connections();

    // Without its REST interface nothing stands in for the flooded socket.
    let shut = Fault::status(503, None).on(Channel::Rest);
    assert!(world.sim.fault(Venue::Okx, shut));
    let garbage = Fault::new(FaultKind::Garbage);
    assert!(world.sim.fault(Venue::Okx, garbage));

    world
        .kurs
        .until("ETH-USDT", |rate| {
            rate["state"] == "fresh" && rate["source"] != "okx"
        })
        .await;
    let judged = world
        .kurs
        .source_until("okx", |source| source["state"] != "live")
        .await;
    assert!(judged["decode_errors"].as_u64() >= Some(10), "{judged}");
    for name in OTHERS {
        let so_far = messages(&world, name).await;
        until_async("the others' frames", PATIENCE, || async {
            (messages(&world, name).await >= so_far + FRAMES).then_some(())
        })
        .await;
    }
    // Every further connection is flooded, too, and given up.
    until_async("further connections", PATIENCE, || async {
        (connections() >= connected + CONNECTIONS).then_some(())
    })
    .await;
    assert_ne!(world.kurs.source("okx").await["state"], "live");
    for name in OTHERS {
        let other = world.kurs.source(name).await;
        assert!(streams(&other), "{other}");
        let harm = [
            &other["decode_errors"],
            &other["reconnects"],
            &other["books"]["gaps"],
        ];
        assert_eq!(harm, [&Value::from(0); 3], "{other}");
    }
    let greatest = kilobytes(&world, "VmHWM");
    println!("resident: {before} kB before, {greatest} kB at most");
    assert!(
        greatest < before + MEMORY_KB,
        "{before} kB before, {greatest} kB"
    );

    world.sim.heal(Venue::Okx);
    let is_well = |source: &Value| streams(source) && source["books"]["synced"].as_u64() >= Some(2);
    world.kurs.source_until("okx", is_well).await;
    world.served_by("ETH-USDT", "okx").await;
}
