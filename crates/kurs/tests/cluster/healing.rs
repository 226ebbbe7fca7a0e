//! How Readers find their way back when what was broken is healed, and what must be kept of it.

use crate::client::{Client, Id, Told};
use crate::consumer::Consumer;
use crate::support::PATIENCE;
use crate::world::{Node, World};
use kurs_testkit::wait::until_async;
use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

/// Newer rates that show that somebody stands in: one a second comes from the store, so that these
/// last longer than the last rate of the bus is valid.
const RENEWALS: u32 = 5;

/// A Reader, and a client that asks it all the time.
pub(crate) struct Served {
    pub(crate) reader: Node,
    pub(crate) client: Client,
}

impl Served {
    /// Asks from now on.
    pub(crate) async fn new(reader: Node) -> Self {
        for pair in ["BTC-USDT", "ETH-USDT"] {
            reader.until_fresh(pair).await;
        }
        let client = Client::start(&reader);
        Self { reader, client }
    }

    /// Waits until it says that it asks the store, which keeps it ready.
    pub(crate) async fn until_silent(&self) {
        until_async("a Reader finds the bus silent", PATIENCE, || async {
            let (status, checks) = self.reader.get("/readyz?verbose").await;
            (status == 200 && checks.to_string().contains("silent")).then_some(())
        })
        .await;
    }

    /// Waits until it has served a few newer rates, each of them fresh.
    pub(crate) async fn until_renewed(&self) {
        let before = self.client.told().renewals;
        until_async("a Reader serves newer rates", PATIENCE, || async {
            (self.client.told().renewals >= before + RENEWALS).then_some(())
        })
        .await;
    }

    /// Waits until it says that all is well.
    async fn until_heard(&self) {
        until_async("a Reader finds the bus alive", PATIENCE, || async {
            let (status, checks) = self.reader.get("/readyz?verbose").await;
            (status == 200 && !checks.to_string().contains("silent")).then_some(())
        })
        .await;
    }

    /// How many rates came over the bus so far.
    async fn heard(&self) -> u64 {
        let name = "kurs_publish_to_reader_seconds_count";
        self.reader.door.metric(name).await.unwrap_or_default()
    }
}

/// The newest of each pair that anybody is served, or that is stored.
fn newest(world: &World, all: &[Served]) -> BTreeMap<&'static str, Id> {
    let sql = "SELECT DISTINCT ON (name) name, epoch, seq FROM published
               JOIN pairs ON pairs.id = pair ORDER BY name, epoch DESC, seq DESC";
    let stored = world.postgres.try_sql(world.database(), sql);
    let stored = stored.unwrap_or_default();
    let stored: BTreeMap<&str, Id> = stored
        .lines()
        .filter_map(|line| {
            let mut columns = line.split('|');
            let name = columns.next()?;
            let mut number = || columns.next()?.trim().parse().ok();
            Some((name, (number()?, number()?)))
        })
        .collect();
    let mut newest: BTreeMap<&'static str, Id> = BTreeMap::new();
    for served in all {
        for (pair, id) in served.client.told().last {
            let known = newest.entry(pair).or_insert(id);
            *known = id.max(*known).max(stored.get(pair).copied().unwrap_or(id));
        }
    }
    newest
}

/// How far every Reader was when the bus was still broken.
pub(crate) struct Healing {
    heard_before: Vec<u64>,
}

impl Healing {
    /// Looks just before everything is well again.
    pub(crate) async fn begins(all: &[Served]) -> Self {
        let mut heard_before = Vec::new();
        for served in all {
            heard_before.push(served.heard().await);
        }
        Self { heard_before }
    }

    /// Waits until every Reader hears the bus again, and serves what was the newest when it was
    /// healed or something newer; tells how long each took.
    pub(crate) async fn ends(self, what: &str, world: &World, all: &[Served]) {
        let healed_at = Instant::now();
        let newest = newest(world, all);
        let before: Vec<_> = all.iter().map(|served| served.client.told()).collect();
        let mut took: Vec<[Option<Duration>; 2]> = vec![[None; 2]; all.len()];
        while took.iter().flatten().any(Option::is_none) {
            let waited = healed_at.elapsed();
            assert!(waited < PATIENCE, "{what}: not converged: {took:?}");
            for (number, served) in all.iter().enumerate() {
                let [hears, serves] = &mut took[number];
                if hears.is_none() && served.heard().await > self.heard_before[number] {
                    *hears = Some(healed_at.elapsed());
                }
                if serves.is_none() && served.client.has(&newest) {
                    *serves = Some(healed_at.elapsed());
                }
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for served in all {
            served.until_heard().await;
        }
        for ((served, before), [hears, serves]) in all.iter().zip(before).zip(took) {
            let told = served.client.told();
            let (looks, stale) = (told.looks - before.looks, told.stale - before.stale);
            println!(
                "{what}, healed: {} hears news after {:?}, has caught up after {:?}; {} of {} \
                 looks not fresh",
                served.reader.name,
                hears.unwrap_or_default(),
                serves.unwrap_or_default(),
                stale,
                looks,
            );
            assert!(
                stale * 4 <= looks.max(100),
                "{what}, healed: {stale} of {looks}"
            );
        }
    }
}

/// Looks of a Reader that were not fresh since it was told this. Rates are valid for 5 s: had
/// nobody stood in for 8 s, it were more than a third. A machine that is busy with other tests may
/// be late now and then.
pub(crate) fn assert_fresh(what: &str, served: &Served, before: &Told) {
    let told = served.client.told();
    let (looks, stale) = (told.looks - before.looks, told.stale - before.stale);
    let name = &served.reader.name;
    println!("{what}, {name}: {stale} of {looks} looks not fresh");
    assert!(looks > 20, "{what}, {name}: {looks} looks");
    assert!(stale * 4 <= looks, "{what}, {name}: {stale} of {looks}");
}

/// In the end: nobody was refused, nothing went back, and whatever anybody was told is stored.
pub(crate) async fn is_sound(world: &World, consumer: &Consumer, all: Vec<Served>) {
    let mut told: HashSet<String> = consumer.rates().iter().map(ToString::to_string).collect();
    let mut readers = Vec::new();
    for Served { reader, client } in all {
        let end = client.end().await;
        assert_eq!(end.complaints, Vec::<String>::new(), "{}", reader.name);
        assert_eq!(end.failed, 0, "{}: of {} looks", reader.name, end.looks);
        told.extend(
            end.ids
                .iter()
                .map(|(epoch, seq)| format!("0.{epoch}-{seq}")),
        );
        readers.push(reader);
    }
    until_async("everything that was told is stored", PATIENCE, || async {
        let sql = "SELECT shard || '.' || epoch || '-' || seq FROM published";
        let stored = world.postgres.try_sql(world.database(), sql).ok()?;
        let stored: HashSet<&str> = stored.lines().map(str::trim).collect();
        let all = told.iter().all(|id| stored.contains(&**id));
        all.then_some(())
    })
    .await;
}
