//! Writers that die, stop, or end: the standby goes on where they were.

use crate::broker::Kind;
use crate::client::Client;
use crate::consumer::Consumer;
use crate::support::PATIENCE;
use crate::world::World;
use kurs_testkit::wait::until_async;
use std::time::{Duration, Instant};

/// Take-overs of each kind in an ordinary run.
const TAKE_OVERS: usize = 2;

fn take_overs() -> usize {
    let told = std::env::var("CLUSTER_TAKE_OVERS").ok();
    told.and_then(|text| text.parse().ok())
        .unwrap_or(TAKE_OVERS)
}

/// Waits until a Writer of a later epoch publishes; how long it took.
async fn next_epoch(consumer: &Consumer, epoch: u64, since: Instant) -> Duration {
    let first = until_async("the standby publishes", PATIENCE, || async {
        consumer.first_after(epoch)
    });
    first.await.saturating_duration_since(since)
}

/// The figures that a note wants.
fn tell(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
    println!(
        "{what}: {} take-overs, p50 {:?}, p99 {:?}, longest {:?}",
        times.len(),
        at(50),
        at(99),
        times[times.len() - 1]
    );
}

/// Kills one active Writer after the other; a standby must go on where it was.
async fn is_followed(kind: Kind, seed: u64) {
    let world = World::start_on(kind, seed).await;
    let mut leader = world.writer("writer-0").await;
    let consumer = world.consumer().await;
    let reader = world.reader("reader").await;
    for pair in ["BTC-USDT", "ETH-USDT"] {
        reader.until_fresh(pair).await;
    }
    let client = Client::start(&reader);
    let mut times = Vec::new();
    for number in 1..=take_overs() {
        let standby = world.writer(&format!("writer-{number}")).await;
        world.stands_by(&standby).await;
        let (name, epoch) = world.holder();
        assert_eq!(name, leader.name);
        let killed_at = Instant::now();
        drop(leader.process.kill());
        times.push(next_epoch(&consumer, epoch, killed_at).await);
        leader = standby;
        reader.until_fresh("BTC-USDT").await;
    }
    tell(&format!("killed, {kind:?}"), times);
    let told = client.end().await;
    assert!(
        told.looks > 100 && told.failed == 0,
        "{} of {} reads failed",
        told.failed,
        told.looks
    );
    assert_eq!(told.complaints, Vec::<String>::new());
    assert_eq!(consumer.complaints(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_goes_on_where_a_killed_writer_was_and_readers_never_fail() {
    is_followed(Kind::Nats, 501).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_goes_on_where_a_killed_writer_was_on_redis() {
    is_followed(Kind::Redis, 504).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_goes_on_where_a_killed_writer_was_on_rabbitmq() {
    is_followed(Kind::RabbitMq, 505).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_ends_hands_its_lease_over_in_order() {
    let world = World::start(502).await;
    let mut leader = world.writer("writer-0").await;
    let consumer = world.consumer().await;
    let mut times = Vec::new();
    for number in 1..=take_overs() {
        let standby = world.writer(&format!("writer-{number}")).await;
        world.stands_by(&standby).await;
        let (name, epoch) = world.holder();
        assert_eq!(name, leader.name);
        leader.signal("TERM");
        let last_of_former = |consumer: &Consumer| {
            consumer.look(|heard| {
                let of_former = heard.updates.iter().rev();
                let mut of_former = of_former.filter(|(_, update)| update.id.epoch.0 == epoch);
                of_former.next().map(|(at, _)| *at)
            })
        };
        let first = until_async("the heir publishes", PATIENCE, || async {
            consumer.first_after(epoch)
        })
        .await;
        let last = last_of_former(&consumer).unwrap();
        times.push(first.saturating_duration_since(last));
        assert!(leader.process.end(PATIENCE).await.success());
        leader = standby;
    }
    tell("handed over, silence between", times);
    assert_eq!(consumer.complaints(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_writer_that_was_stopped_too_long_is_accepted_when_it_wakes() {
    let world = World::start(503).await;
    let mut leader = world.writer("writer-0").await;
    let mut standby = world.writer("writer-1").await;
    let consumer = world.consumer().await;
    let reader = world.reader("reader").await;
    reader.until_fresh("BTC-USDT").await;
    for _ in 0..take_overs() {
        world.stands_by(&standby).await;
        let (name, epoch) = world.holder();
        assert_eq!(name, leader.name);
        leader.signal("STOP");
        next_epoch(&consumer, epoch, Instant::now()).await;
        leader.signal("CONT");
        // It finds out, and is the next standby.
        world.stands_by(&leader).await;
        assert_eq!(world.holder(), (standby.name.clone(), epoch + 1));
        std::mem::swap(&mut leader, &mut standby);
        reader.until_fresh("BTC-USDT").await;
    }
    assert_eq!(consumer.complaints(), Vec::<String>::new());
    // Nothing that was made after the end of an epoch is stored of it.
    for (table, time) in [("published", "published_at"), ("history", "received_at")] {
        let sql = format!(
            "SELECT count(*) FROM {table} JOIN ended_epochs USING (shard, epoch)
             WHERE {time} > ended_at"
        );
        let late = world.sql(&sql);
        assert_eq!(late.trim(), "0", "late rows of {table}");
    }
    let ended = world.sql("SELECT count(*) FROM ended_epochs");
    assert_eq!(
        ended.trim(),
        take_overs().to_string(),
        "epochs that have ended"
    );
}
