//! Broker and store die and come back: rates stay fresh, every Reader finds its way back, and the
//! history is whole.

use crate::broker::Kind;
use crate::healing::{Healing, Served, assert_fresh, is_sound};
use crate::support::PATIENCE;
use crate::world::World;
use kurs_testkit::wait::until_async;
use std::time::{Duration, Instant};

/// How long a server stays away in an ordinary run; `CLUSTER_OUTAGE_SECONDS=300` for five minutes.
fn outage() -> Duration {
    let told = std::env::var("CLUSTER_OUTAGE_SECONDS").ok();
    Duration::from_secs(told.and_then(|text| text.parse().ok()).unwrap_or(8))
}

/// Lets an outage last; rates must be fresh all the time.
async fn stays_fresh(what: &str, all: &[Served]) {
    let before: Vec<_> = all.iter().map(|served| served.client.told()).collect();
    tokio::time::sleep(outage()).await;
    for (served, before) in all.iter().zip(&before) {
        served.until_renewed().await;
        assert_fresh(&format!("{what} away"), served, before);
    }
}

/// Kills the broker and starts it again.
async fn broker_dies(kind: Kind, seed: u64) {
    let world = World::start_on(kind, seed).await;
    let _writer = world.writer("writer-0").await;
    let mut all = Vec::new();
    for name in ["reader-1", "reader-2"] {
        all.push(Served::new(world.reader(name).await).await);
    }
    let consumer = world.consumer().await;
    world.broker.kill();
    for served in &all {
        served.until_silent().await;
    }
    stays_fresh(&format!("{kind:?}"), &all).await;
    let heard = consumer.look(|heard| heard.updates.len());
    let healing = Healing::begins(&all).await;
    world.broker.restart();
    let what = format!("{kind:?} away");
    healing.ends(&what, &world, &all).await;
    until_async("the flow goes on", PATIENCE, || async {
        consumer.look(|now| (now.updates.len() > heard).then_some(()))
    })
    .await;
    for served in &all {
        served.reader.until_fresh("BTC-USDT").await;
    }
    is_sound(&world, &consumer, all).await;
    // What waited while the broker was away is bounded, and a consumer is told what is missing.
    let complaints = consumer.complaints();
    println!("{what}: {complaints:?}");
    let mut went_back = complaints.iter().filter(|told| !told.contains("missing"));
    assert_eq!(went_back.next(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nats_is_away_rates_come_from_the_store_and_every_reader_finds_back() {
    broker_dies(Kind::Nats, 521).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_away_rates_come_from_the_store_and_every_reader_finds_back() {
    broker_dies(Kind::Redis, 523).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_rabbitmq_is_away_rates_come_from_the_store_and_every_reader_finds_back() {
    broker_dies(Kind::RabbitMq, 524).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_store_is_away_rates_stay_fresh_and_the_history_is_whole_afterwards() {
    let world = World::start(522).await;
    let _writer = world.writer("writer-0").await;
    let standby = world.writer("writer-1").await;
    let mut all = Vec::new();
    for name in ["reader-1", "reader-2"] {
        all.push(Served::new(world.reader(name).await).await);
    }
    let consumer = world.consumer().await;
    world.stands_by(&standby).await;
    let (holder, epoch) = world.holder();
    world.postgres.kill_all();
    stays_fresh("store", &all).await;
    let healing = Healing::begins(&all).await;
    world.postgres.restart();
    let healed_at = Instant::now();
    for served in &all {
        until_async("a Reader reads the store again", PATIENCE, || async {
            let (status, _) = served.reader.get("/api/v1/history/BTC/USDT?limit=1").await;
            (status == 200).then_some(())
        })
        .await;
        let name = &served.reader.name;
        println!(
            "store away, healed: {name} reads it after {:?}",
            healed_at.elapsed()
        );
    }
    healing.ends("store away", &world, &all).await;
    // The holder, who could not renew, comes first: it has a whole lease time. A machine may be
    // too busy for that; then the other one goes on, and nobody notices but by the epoch.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let (now_holder, now_epoch) = world.holder();
    println!("store away: {now_holder} writes under epoch {now_epoch}");
    let stayed = (&now_holder, now_epoch) == (&holder, epoch);
    assert!(stayed || (now_holder != holder && now_epoch == epoch + 1));
    is_sound(&world, &consumer, all).await;
    assert_eq!(consumer.complaints(), Vec::<String>::new());
}
