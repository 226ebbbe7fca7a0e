//! Promises about whole processes: what was acknowledged survives `kill -9`, and many processes
//! may migrate one file. The test program starts itself again as those processes.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking; helpers are no test functions"
)]

use kurs_core::{Epoch, Pair, Price, Seq, SourceId, UpdateId, Wall};
use kurs_store::sqlite::{SqliteOptions, SqliteStore};
use kurs_store::{HistoryQuery, HistoryRow, Store};
use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// What a started process is to do: `write` or `migrate`.
const TASK: &str = "KURS_STORE_TEST_TASK";
/// The database file.
const FILE: &str = "KURS_STORE_TEST_FILE";
/// `EPOCH-SEQ` of the first row that the process before this one may not have heard about.
const REPEAT: &str = "KURS_STORE_TEST_REPEAT";
/// Changes which moments the processes are killed at.
const SEED: &str = "KURS_STORE_TEST_SEED";

const KILLS: u32 = 20;
const ROWS_PER_BATCH: u64 = 10;
const BATCH_EVERY: Duration = Duration::from_millis(10);

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, SqliteOptions::default()).unwrap()
}

/// The same row for the same id, in whichever process.
fn row(epoch: u64, seq: u64) -> HistoryRow {
    let (pair, source) = match seq % 3 {
        0 => ("BTC-USDT", "binance"),
        1 => ("ETH-USDT", "binance"),
        _ => ("BTC-USDT", "kraken"),
    };
    let price = |cents: u64| {
        Price::parse(&format!(
            "{}.{:02}000000",
            50_000 + cents / 100,
            cents % 100
        ))
        .unwrap()
    };
    let received_at =
        Wall(1_700_000_000_000_000 + i64::try_from(epoch * 1_000_000_000 + seq * 1_000).unwrap());
    HistoryRow {
        pair: Pair::parse(pair).unwrap(),
        source: SourceId::parse(source).unwrap(),
        id: UpdateId {
            shard: 0,
            epoch: Epoch(epoch),
            seq: Seq(seq),
        },
        value: price(seq + 1),
        bid: Some(price(seq)),
        ask: Some(price(seq + 2)),
        observed_at: Some(Wall(received_at.0 - 1_500)),
        received_at,
    }
}

/// Not a promise: the body of the processes that the other tests start.
#[test]
fn started_process() {
    let Ok(task) = std::env::var(TASK) else {
        return;
    };
    let path = PathBuf::from(std::env::var(FILE).unwrap());
    runtime().block_on(async move {
        match task.as_str() {
            "migrate" => say(&format!(
                "found {}",
                open(&path).migrate().await.unwrap().found
            )),
            _ => write_for_ever(&path).await,
        }
    });
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// 1,000 rows a second, each batch acknowledged on stdout.
async fn write_for_ever(path: &Path) {
    let store = Arc::new(open(path));
    store.migrate().await.unwrap();
    if let Ok(repeat) = std::env::var(REPEAT) {
        // As a recorder does that does not know whether its last batch arrived.
        let (epoch, seq) = repeat.split_once('-').unwrap();
        let (epoch, seq): (u64, u64) = (epoch.parse().unwrap(), seq.parse().unwrap());
        let first = seq.saturating_sub(30);
        store
            .append((first..seq + 30).map(|seq| row(epoch, seq)).collect())
            .await
            .unwrap();
        say(&format!("ack {epoch} {first} {}", seq + 30));
    }
    let epoch = store.begin_epoch(0).await.unwrap().0;
    say(&format!("epoch {epoch}"));
    let mut tick = tokio::time::interval(BATCH_EVERY);
    let mut seq = 0;
    loop {
        tick.tick().await;
        let (store, first) = (Arc::clone(&store), seq);
        seq += ROWS_PER_BATCH;
        tokio::spawn(async move {
            let rows = (first..first + ROWS_PER_BATCH)
                .map(|seq| row(epoch, seq))
                .collect();
            store.append(rows).await.unwrap();
            say(&format!("ack {epoch} {first} {}", first + ROWS_PER_BATCH));
        });
    }
}

fn start(task: &str, path: &Path, repeat: Option<(u64, u64)>) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "--exact",
        "started_process",
        "--nocapture",
        "--test-threads=1",
    ]);
    command
        .env(TASK, task)
        .env(FILE, path)
        .stdout(Stdio::piped())
        .stdin(Stdio::null());
    if let Some((epoch, seq)) = repeat {
        command.env(REPEAT, format!("{epoch}-{seq}"));
    }
    command.spawn().unwrap()
}

/// The complete lines a process said; one that was cut off by its death was never said.
fn heard(child: &mut Child) -> Vec<String> {
    let mut reader = BufReader::new(child.stdout.take().unwrap());
    let mut lines = Vec::new();
    let mut line = String::new();
    while reader.read_line(&mut line).unwrap() > 0 {
        if line.ends_with('\n') {
            lines.push(line.trim_end().to_owned());
        }
        line.clear();
    }
    lines
}

fn seed() -> u64 {
    let given = std::env::var(SEED).ok().and_then(|text| text.parse().ok());
    given.unwrap_or_else(|| fastrand::u64(..))
}

#[test]
fn nothing_acknowledged_is_lost_or_doubled_over_twenty_kills() {
    let seed = seed();
    println!("{SEED}={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kurs.db");
    let mut acknowledged: HashSet<(u64, u64)> = HashSet::new();
    let mut repeat = None;
    let mut epochs = 0;
    for _ in 0..KILLS {
        let mut child = start("write", &path, repeat);
        // Any moment, those of opening and migrating included.
        std::thread::sleep(Duration::from_millis(random.u64(10..600)));
        child.kill().unwrap();
        let lines = heard(&mut child);
        child.wait().unwrap();
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["epoch", _] => epochs += 1,
                ["ack", epoch, first, end] => {
                    let epoch: u64 = epoch.parse().unwrap();
                    let (first, end): (u64, u64) = (first.parse().unwrap(), end.parse().unwrap());
                    for seq in first..end {
                        acknowledged.insert((epoch, seq));
                    }
                    repeat = Some((epoch, end));
                }
                _ => {}
            }
        }
        check(&path, &acknowledged);
    }
    println!(
        "{} rows acknowledged by {epochs} processes",
        acknowledged.len()
    );
    assert!(
        epochs >= KILLS / 2 && acknowledged.len() > 500,
        "the processes hardly wrote anything"
    );
}

/// Opens the database as the next start would, and counts.
fn check(path: &Path, acknowledged: &HashSet<(u64, u64)>) {
    let stored = runtime().block_on(async {
        let store = open(path);
        store.migrate().await.unwrap();
        let mut stored = Vec::new();
        for pair in ["BTC-USDT", "ETH-USDT"] {
            let mut query = HistoryQuery {
                pair: Pair::parse(pair).unwrap(),
                source: None,
                start: Wall::MIN,
                end: Wall::MAX,
                limit: 1_000,
                after: None,
            };
            loop {
                let page = store.history(query.clone()).await.unwrap();
                stored.extend(page.rows);
                if page.next.is_none() {
                    break;
                }
                query.after = page.next;
            }
        }
        stored
    });
    let connection = rusqlite::Connection::open(path).unwrap();
    let integrity: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(integrity, "ok");
    let mut times: HashMap<(u64, u64), u32> = HashMap::new();
    for found in &stored {
        let id = (found.id.epoch.0, found.id.seq.0);
        assert_eq!(*found, row(id.0, id.1), "a row changed");
        *times.entry(id).or_default() += 1;
    }
    assert!(
        times.values().all(|count| *count == 1),
        "a row is there twice"
    );
    for id in acknowledged {
        assert!(
            times.contains_key(id),
            "row {id:?} was acknowledged and is lost"
        );
    }
}

#[test]
fn ten_processes_that_migrate_at_once_all_succeed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kurs.db");
    let children: Vec<Child> = (0..10).map(|_| start("migrate", &path, None)).collect();
    let mut first = 0;
    for mut child in children {
        let lines = heard(&mut child);
        assert!(child.wait().unwrap().success(), "{lines:?}");
        first += lines
            .iter()
            .filter(|line| line.ends_with("found 0"))
            .count();
    }
    assert_eq!(first, 1, "exactly one found an empty file");
}
