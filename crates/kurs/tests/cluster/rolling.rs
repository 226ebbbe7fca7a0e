//! Readers are replaced one by one behind a balancer, under load.

use crate::support::PATIENCE;
use crate::world::World;
use kurs_testkit::{Nginx, free_port};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Requests a second in an ordinary run; `CLUSTER_ROLLING_RATE=2000` for more.
fn rate() -> u64 {
    let told = std::env::var("CLUSTER_ROLLING_RATE").ok();
    told.and_then(|text| text.parse().ok()).unwrap_or(300)
}

/// Clients that ask side by side.
const CLIENTS: u64 = 20;

#[tokio::test(flavor = "multi_thread")]
async fn readers_are_restarted_one_by_one_behind_a_balancer_and_no_request_fails() {
    let world = World::start(531).await;
    let _writer = world.writer("writer-0").await;
    let addresses: Vec<SocketAddr> = (0..3)
        .map(|_| SocketAddr::from(([127, 0, 0, 1], free_port())))
        .collect();
    let start = async |number: usize| {
        let address = addresses[number].to_string();
        let settings = [
            ("KURS_HTTP__ADDR", &*address),
            ("KURS_SHUTDOWN__DELAY", "1s"),
        ];
        let name = format!("reader-{number}");
        let reader = world.node("reader", &name, &settings).await;
        reader.until_fresh("BTC-USDT").await;
        reader
    };
    let mut readers = Vec::new();
    for number in 0..3 {
        readers.push(start(number).await);
    }
    let balancer = {
        let addresses = addresses.clone();
        tokio::task::spawn_blocking(move || Nginx::start(&addresses))
            .await
            .unwrap()
    };
    let url = format!("{}/api/v1/rates/BTC/USDT?allow_stale=true", balancer.url());
    let ended = Arc::new(AtomicBool::new(false));
    let (asked, failed) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let client = reqwest::Client::new();
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..CLIENTS {
        let (url, client, ended) = (url.clone(), client.clone(), Arc::clone(&ended));
        let (asked, failed) = (Arc::clone(&asked), Arc::clone(&failed));
        clients.spawn(async move {
            let pause = Duration::from_micros(1_000_000 * CLIENTS / rate());
            let mut ticks = tokio::time::interval(pause);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
            while !ended.load(Ordering::Relaxed) {
                ticks.tick().await;
                let reply = client.get(&url).timeout(PATIENCE).send().await;
                asked.fetch_add(1, Ordering::Relaxed);
                if !reply.is_ok_and(|reply| reply.status().is_success()) {
                    failed.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }
    for number in 0..3 {
        let mut old = readers.remove(0);
        old.signal("TERM");
        assert!(old.process.end(PATIENCE).await.success());
        readers.push(start(number).await);
    }
    ended.store(true, Ordering::Relaxed);
    while clients.join_next().await.is_some() {}
    let (asked, failed) = (
        asked.load(Ordering::Relaxed),
        failed.load(Ordering::Relaxed),
    );
    println!("rolling restart: {asked} requests, {failed} failed");
    assert!(asked > 100, "{asked} requests are no load");
    assert_eq!(failed, 0, "of {asked} requests");
}
