//! Promises about the spool of a process that is killed: what it accepted is there at the next
//! start. The test program starts itself again as that process.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking; helpers are no test functions"
)]

use kurs_core::{Epoch, Pair, Price, Seq, SourceId, UpdateId, Wall};
use kurs_store::spool::{Spool, SpoolError, SpoolOptions};
use kurs_store::{Batch, HistoryRow, Published, PublishedEvent};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Folder of the spool; set in started processes only.
const FOLDER: &str = "KURS_SPOOL_TEST_FOLDER";
/// First number of that process.
const FIRST: &str = "KURS_SPOOL_TEST_FIRST";
/// Changes which moments the processes are killed at.
const SEED: &str = "KURS_SPOOL_TEST_SEED";

const KILLS: u32 = 20;
const ROWS_PER_BATCH: u64 = 20;

fn id(seq: u64) -> UpdateId {
    UpdateId {
        shard: 0,
        epoch: Epoch(1),
        seq: Seq(seq),
    }
}

/// Twenty rows and one event.
fn batch(first: u64) -> Batch {
    let pair = Pair::parse("BTC-USDT").unwrap();
    let rows = first..first + ROWS_PER_BATCH;
    Batch {
        rows: rows
            .map(|seq| HistoryRow {
                pair,
                source: SourceId::parse("binance").unwrap(),
                id: id(seq),
                value: Price::parse("54000.01").unwrap(),
                bid: None,
                ask: None,
                observed_at: None,
                received_at: Wall(i64::try_from(seq).unwrap()),
            })
            .collect(),
        published: vec![Published {
            id: id(first),
            pair,
            published_at: Wall(0),
            event: PublishedEvent::Withdrawn,
        }],
        ..Batch::default()
    }
}

/// The folder, when the process that was killed has let go of it.
fn open(folder: &Path) -> Spool {
    let begun = Instant::now();
    loop {
        match Spool::open(folder, SpoolOptions::of_bytes(64 << 20)) {
            Err(SpoolError::Taken) if begun.elapsed() < Duration::from_secs(20) => {
                std::thread::sleep(Duration::from_millis(5));
            }
            opened => return opened.unwrap(),
        }
    }
}

/// Not a promise: the body of the processes that the other test starts.
#[test]
fn started_process() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let mut spool = open(Path::new(&folder));
    let mut next: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    loop {
        spool.append(batch(next)).unwrap();
        next += ROWS_PER_BATCH;
        let mut out = std::io::stdout().lock();
        out.write_all(format!("\nack {next}\n").as_bytes()).unwrap();
        out.flush().unwrap();
        // A store that is there from time to time.
        if next.is_multiple_of(7)
            && let Some(waiting) = spool.next(50).unwrap()
        {
            for row in &waiting.batch.rows {
                out.write_all(format!("row {}\n", row.id.seq.0).as_bytes())
                    .unwrap();
            }
            for event in &waiting.batch.published {
                out.write_all(format!("event {}\n", event.id.seq.0).as_bytes())
                    .unwrap();
            }
            out.flush().unwrap();
            spool.done(waiting.through);
        }
    }
}

#[test]
fn nothing_that_a_killed_process_accepted_is_lost() {
    let seed = std::env::var(SEED).map_or(1, |seed| seed.parse().unwrap());
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().unwrap();
    let (mut rows, mut events) = (BTreeSet::new(), BTreeSet::new());
    let (mut first, mut accepted) = (0, BTreeSet::new());
    for _ in 0..KILLS {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "started_process", "--nocapture"])
            .env(FOLDER, folder.path())
            .env(FIRST, first.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut left = random.u32(1..40);
        let pause = Duration::from_micros(random.u64(..3_000));
        for line in lines {
            let line = line.unwrap();
            let Some((word, number)) = line.split_once(' ') else {
                continue;
            };
            let Ok(number) = number.parse::<u64>() else {
                continue;
            };
            match word {
                "row" => {
                    rows.insert(number);
                }
                "event" => {
                    events.insert(number);
                }
                "ack" => {
                    accepted.extend(first..number);
                    first = number;
                    left = left.saturating_sub(1);
                    if left == 0 {
                        std::thread::sleep(pause);
                        process.kill().unwrap();
                    }
                }
                _ => {}
            }
        }
        process.wait().unwrap();
        // The last batch may be there or not: its numbers are not used again.
        first += 2 * ROWS_PER_BATCH;
    }
    let mut spool = open(folder.path());
    assert_eq!(spool.stats().damaged, 0);
    while let Some(waiting) = spool.next(1_000).unwrap() {
        rows.extend(waiting.batch.rows.iter().map(|row| row.id.seq.0));
        events.extend(waiting.batch.published.iter().map(|one| one.id.seq.0));
        spool.done(waiting.through);
    }
    let lost: Vec<&u64> = accepted.difference(&rows).collect();
    assert!(lost.is_empty(), "rows {lost:?}");
    let begins: BTreeSet<u64> = accepted
        .iter()
        .copied()
        .filter(|number| number % ROWS_PER_BATCH == 0)
        .collect();
    let lost: Vec<&u64> = begins.difference(&events).collect();
    assert!(lost.is_empty(), "events {lost:?}");
    assert!(accepted.len() > 1_000);
}
