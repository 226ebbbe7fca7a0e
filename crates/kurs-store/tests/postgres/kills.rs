//! Whoever is killed, the writer or the server: what was acknowledged is there, once.

use super::open;
use crate::crash::{self, Begin, Said, Tally};
use kurs_store::Store;
use kurs_testkit::postgres::Database;
use kurs_testkit::{Postgres, PostgresOptions};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Kills of a usual run; the environment variable `KURS_KILLS` asks for more.
const WRITER_KILLS: u32 = 6;
const SERVER_KILLS: u32 = 4;
/// Every other writer lives until it has stored so many rows, the others less or more.
const ROWS: u64 = 1_000;
/// All that is stored is read after every so many kills, and at the end; else the latest of it.
const READ_ALL_EVERY: u32 = 10;
/// The latest of it.
const LATEST_ROWS: u64 = 5_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that waits for the disk at each commit. At its recovery it syncs the whole file system
/// at once, and not file by file.
fn durable_server() -> Postgres {
    let sync = ("recovery_init_sync_method", "syncfs".to_owned());
    Postgres::start_with(&PostgresOptions {
        fsync: true,
        settings: vec![sync],
        ..PostgresOptions::default()
    })
}

/// Not a promise: the body of the processes that a test below kills.
#[test]
fn started_process() {
    crash::be_a_process(|url| Arc::new(open(url)));
}

fn states_are_there_once(server: &Postgres, database: &Database) {
    let doubled = server.sql(
        database.name(),
        "SELECT count(*) FROM (SELECT FROM price_states
         GROUP BY pair, source, shard, epoch, seq HAVING count(*) > 1) doubled",
    );
    assert_eq!(doubled, "0", "states are there twice");
}

#[expect(clippy::print_stdout, reason = "a test says what it did")]
fn tell(what: &str, kills: u32, started: Instant, tally: &Tally) {
    println!(
        "{kills} kills of the {what} in {:?}: {} rows acknowledged, 0 lost, 0 doubled; \
         {} packed, {} deleted; {} refusals; a writer began within {} ms",
        started.elapsed(),
        tally.rows(),
        tally.packed,
        tally.deleted,
        tally.refusals,
        tally.slowest_begin_ms
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled_when_the_writer_is_killed() {
    let kills = crash::kills(WRITER_KILLS);
    let mut random = crash::random();
    let server = durable_server();
    let database = server.database();
    let mut tally = Tally::default();
    let started = Instant::now();
    for kill in 1..=kills {
        let begin = tally.next(&mut random);
        let after_rows = if kill % 2 == 0 { ROWS } else { 0 };
        let writing = crash::start("kills::started_process", &database.url(), &begin);
        let said = tokio::task::block_in_place(|| writing.kill(after_rows, &mut random));
        for said in said {
            tally.hear(said);
        }
        // The server may still be at what the killed one asked for.
        let store = open(&database.url());
        store.migrate().await.unwrap();
        let reads_all = kill % READ_ALL_EVERY == 0 || kill == kills;
        let first = tally.end.saturating_sub(LATEST_ROWS);
        tally.check(&store, if reads_all { 0 } else { first }).await;
    }
    tell("writer", kills, started, &tally);
    states_are_there_once(&server, &database);
    assert!(
        tally.processes >= kills / 2,
        "the processes hardly wrote anything"
    );
    // A writer that is killed soon may come to none of it.
    assert!(kills < 20 || tally.packed > 0 && tally.deleted > 0);
}

/// A writer in this process, and what it said so far.
struct Load {
    said: Arc<Mutex<Tally>>,
    ends: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Load {
    fn start(store: Arc<dyn Store>) -> Self {
        let said = Arc::new(Mutex::new(Tally::default()));
        let ends = Arc::new(AtomicBool::new(false));
        let heard = Arc::clone(&said);
        let say = move |said: Said| heard.lock().hear(said);
        let task = crash::write(store, Begin::default(), Arc::clone(&ends), say);
        Self {
            said,
            ends,
            task: tokio::spawn(task),
        }
    }

    fn tally(&self) -> Tally {
        assert!(!self.task.is_finished(), "the writer ended");
        self.said.lock().clone()
    }

    /// Until this many more rows are acknowledged.
    async fn wait_for(&self, rows: usize) {
        let wanted = self.tally().rows() + rows;
        kurs_testkit::until("more rows are stored", PATIENCE, || {
            (self.tally().rows() >= wanted).then_some(())
        })
        .await;
    }

    async fn end(self) -> Tally {
        self.ends.store(true, Ordering::Relaxed);
        self.task.await.unwrap();
        self.said.lock().clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled_when_the_server_is_killed() {
    let kills = crash::kills(SERVER_KILLS);
    let mut random = crash::random();
    let server = durable_server();
    let database = server.database();
    let load = Load::start(Arc::new(open(&database.url())));
    load.wait_for(1).await;
    let started = Instant::now();
    for kill in 1..=kills {
        tokio::time::sleep(Duration::from_millis(random.u64(10..600))).await;
        tokio::task::block_in_place(|| {
            // Alone, so that its sessions find out by themselves, or with all of them.
            if kill % 2 == 0 {
                server.kill();
            } else {
                server.kill_all();
            }
            server.restart();
        });
        // Writing goes on while what was said before is looked for.
        let tally = load.tally();
        let reads_all = kill % READ_ALL_EVERY == 0;
        let first = tally.end.saturating_sub(LATEST_ROWS);
        let store = open(&database.url());
        tally.check(&store, if reads_all { 0 } else { first }).await;
        if kill % 3 != 0 {
            // Else it is killed again while the writer comes back.
            load.wait_for(100).await;
        }
    }
    load.wait_for(100).await;
    let tally = load.end().await;
    tally.check(&open(&database.url()), 0).await;
    tell("server", kills, started, &tally);
    states_are_there_once(&server, &database);
    assert!(tally.refusals > 0 && tally.rows() > 1_000);
}
