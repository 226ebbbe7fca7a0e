//! Broker and store die and come back: rates stay fresh, and the history is whole.

use crate::support::PATIENCE;
use crate::world::{Node, World};
use kurs_testkit::wait::until_async;
use std::time::{Duration, Instant};

/// How long a server stays away in an ordinary run; `CLUSTER_OUTAGE_SECONDS=300` for five minutes.
fn outage() -> Duration {
    let told = std::env::var("CLUSTER_OUTAGE_SECONDS").ok();
    Duration::from_secs(told.and_then(|text| text.parse().ok()).unwrap_or(8))
}

/// Looks at a rate again and again; how many looks found it not fresh.
async fn watch(reader: &Node, lasts: Duration) -> (u32, u32) {
    let (mut looks, mut stale) = (0, 0);
    let end = Instant::now() + lasts;
    while Instant::now() < end {
        looks += 1;
        stale += u32::from(!reader.is_fresh("BTC-USDT").await);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    (looks, stale)
}

/// Rates are valid for 5 s: had nobody stood in, a third of the looks and more were too late. A
/// machine that is busy with other tests may be late now and then.
fn assert_fresh(what: &str, looks: u32, stale: u32) {
    println!("{what} away: {stale} of {looks} looks not fresh");
    assert!(looks > 20, "{looks} looks");
    assert!(stale * 10 <= looks, "{stale} of {looks} looks");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_broker_is_away_rates_come_from_the_store_and_stay_fresh() {
    let world = World::start(521).await;
    let _writer = world.writer("writer-0").await;
    let reader = world.reader("reader").await;
    let consumer = world.consumer().await;
    reader.until_fresh("BTC-USDT").await;
    world.nats.kill();
    let (looks, stale) = watch(&reader, outage()).await;
    assert_fresh("broker", looks, stale);
    let (status, checks) = reader.get("/readyz?verbose").await;
    assert_eq!(status, 200, "{checks}");
    assert!(checks.to_string().contains("silent"), "{checks}");
    let heard = consumer.look(|heard| heard.updates.len());
    world.nats.restart();
    until_async("the flow goes on", PATIENCE, || async {
        consumer.look(|now| (now.updates.len() > heard).then_some(()))
    })
    .await;
    let went_back = consumer.complaints();
    assert!(
        went_back.iter().all(|told| told.contains("missing")),
        "{went_back:?}"
    );
    reader.until_fresh("BTC-USDT").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_store_is_away_rates_stay_fresh_and_the_history_is_whole_afterwards() {
    let world = World::start(522).await;
    let _writer = world.writer("writer-0").await;
    let _standby = world.writer("writer-1").await;
    let reader = world.reader("reader").await;
    let consumer = world.consumer().await;
    reader.until_fresh("BTC-USDT").await;
    world.stands_by(&_standby).await;
    let (holder, epoch) = world.holder();
    world.postgres.kill();
    let (looks, stale) = watch(&reader, outage()).await;
    assert_fresh("store", looks, stale);
    world.postgres.restart();
    let database = world.store_url.rsplit('/').next().unwrap().to_owned();
    let database = database.split('?').next().unwrap().to_owned();
    // The holder, who could not renew, comes first.
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(world.holder(), (holder, epoch));
    let published = consumer.look(|heard| {
        let rates = heard
            .updates
            .iter()
            .filter(|(_, update)| matches!(update.body, kurs_bus::Body::Rate(_)));
        rates.map(|(_, update)| update.id).collect::<Vec<_>>()
    });
    until_async("everything published is stored", PATIENCE, || async {
        let sql = "SELECT shard || '.' || epoch || '-' || seq FROM published";
        let stored = world.postgres.try_sql(&database, sql).ok()?;
        let stored: std::collections::HashSet<&str> = stored.lines().map(str::trim).collect();
        let all = published.iter().all(|id| stored.contains(&*id.to_string()));
        all.then_some(())
    })
    .await;
    assert_eq!(consumer.complaints(), Vec::<String>::new());
}
