//! Promises about whole processes: what was acknowledged survives `kill -9`, and many processes
//! may migrate one file. The test program starts itself again as those processes.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking; helpers are no test functions"
)]

#[path = "crash/mod.rs"]
mod crash;

use crash::Tally;
use kurs_store::Store;
use kurs_store::sqlite::{SqliteOptions, SqliteStore};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

/// Kills of a usual run; the environment variable `KURS_KILLS` asks for more.
const KILLS: u32 = 25;
/// Every other writer lives until it has stored so many rows, the others less or more.
const ROWS: u64 = 500;
/// All that is stored is read after every so many kills, and at the end; else the latest of it.
const READ_ALL_EVERY: u32 = 10;
/// The latest of it.
const LATEST_ROWS: u64 = 5_000;
/// The file that a started process migrates.
const FILE: &str = "KURS_STORE_TEST_MIGRATE";

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, SqliteOptions::default()).unwrap()
}

/// Not a promise: the body of the processes that the next test kills.
#[test]
fn started_process() {
    crash::be_a_process(|path| Arc::new(open(Path::new(path))));
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_over_many_kills() {
    let kills = crash::kills(KILLS);
    let mut random = crash::random();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kurs.db");
    let mut tally = Tally::default();
    let started = Instant::now();
    for kill in 1..=kills {
        let begin = tally.next(&mut random);
        let after_rows = if kill % 2 == 0 { ROWS } else { 0 };
        let writing = crash::start("started_process", path.to_str().unwrap(), &begin);
        for said in writing.kill(after_rows, &mut random) {
            tally.hear(said);
        }
        let reads_all = kill % READ_ALL_EVERY == 0 || kill == kills;
        let first = tally.end.saturating_sub(LATEST_ROWS);
        check(&path, &tally, if reads_all { 0 } else { first });
    }
    println!(
        "{kills} kills in {:?}: {} rows acknowledged by {} processes, 0 lost, 0 doubled; \
         {} packed, {} deleted; a writer began within {} ms",
        started.elapsed(),
        tally.rows(),
        tally.processes,
        tally.packed,
        tally.deleted,
        tally.slowest_begin_ms
    );
    assert!(
        tally.processes >= kills / 2,
        "the processes hardly wrote anything"
    );
    assert!(tally.packed > 0 && tally.deleted > 0);
}

/// Opens the database as the next start would, and counts.
fn check(path: &Path, tally: &Tally, first: u64) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = open(path);
        store.migrate().await.unwrap();
        tally.check(&store, first).await;
    });
    let connection = rusqlite::Connection::open(path).unwrap();
    let integrity: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(integrity, "ok");
    let doubled: u32 = connection
        .query_row(
            "SELECT count(*) FROM (SELECT 1 FROM price_states
             GROUP BY pair, source, shard, epoch, seq HAVING count(*) > 1)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(doubled, 0, "states are there twice");
}

/// Not a promise: the body of the processes that the next test starts.
#[test]
fn started_migration() {
    let Ok(path) = std::env::var(FILE) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let state = runtime.block_on(open(Path::new(&path)).migrate()).unwrap();
    println!("\nfound {}", state.found);
}

fn start_migration(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "started_migration"])
        .args(["--nocapture", "--test-threads=1"])
        .env(FILE, path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn ten_processes_that_migrate_at_once_all_succeed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kurs.db");
    let children: Vec<Child> = (0..10).map(|_| start_migration(&path)).collect();
    let mut found = Vec::new();
    for child in children {
        let ended = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&ended.stdout).into_owned();
        assert!(ended.status.success(), "{text}");
        let line = text.lines().find(|line| line.starts_with("found "));
        found.push(line.unwrap().to_owned());
    }
    let first = found.iter().filter(|line| *line == "found 0").count();
    assert_eq!(first, 1, "exactly one found an empty file: {found:?}");
}
