//! A SQLite store with ten million rows, packed while they came as a server does.

use super::ticks::Market;
use super::year::{Year, fold};
use super::{SQLITE_BYTES_GOAL, ago, contest, now, sqlite};
use crate::console;
use crate::options::Options;
use crate::plot::number;
use crate::section::{Goal, Section};
use anyhow::{Context as _, Result, ensure};
use kurs_core::{Choice, Epoch, Rate, RateState, Seq, UpdateId, Wall};
use kurs_store::sqlite::SqliteStore;
use kurs_store::{Batch, Claim, HistoryRow, Published, Recorded, Store as _};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// How old rows are packed, and how often, as by default.
const PACK_AFTER: Duration = Duration::from_secs(600);
/// One event is published for so many rows.
const ROWS_PER_EVENT: u64 = 20;
/// How long a published rate is valid.
const VALID_FOR: Duration = Duration::from_secs(5);
/// Rows between two lines about the progress.
const TELL_EVERY: u64 = 1_000_000;

/// The store and what is in it.
#[derive(Debug)]
pub(super) struct Archive {
    pub(super) file: PathBuf,
    /// When its first row came.
    pub(super) begin: Wall,
    /// When its last row came.
    pub(super) end: Wall,
    pub(super) rows: u64,
    /// Hours of its first pair.
    pub(super) year: Year,
}

pub(super) fn build(
    section: &mut Section,
    options: &Options,
    runtime: &Arc<Runtime>,
    folder: &Path,
) -> Result<Archive> {
    let rows: u64 = options.pick(10_000_000, 200_000);
    let file = folder.join("archive.db");
    let begin = ago(Market::span(rows));
    let year = Year::before(now(), 365, "BTC-USDT", 841_234_500)?;
    let started = Instant::now();
    // Rows alone, so that their size can be told from the file's.
    let (end, epoch) = {
        let store = sqlite::open(runtime, &file)?;
        let epoch = runtime.block_on(begin_epoch(&store))?;
        let end = runtime.block_on(fill(&store, begin, epoch, rows))?;
        runtime.block_on(store.pack(now()))?;
        (end, epoch)
    };
    let taken = started.elapsed();
    let size = bytes_of(&file)?;
    let blocks = Blocks::of(&file)?;
    let store = sqlite::open(runtime, &file)?;
    let events = runtime.block_on(publish(&store, begin, epoch, rows))?;
    runtime.block_on(hours(&store, year))?;
    drop(store);
    let grown = bytes_of(&file)? - size;
    section.method(format!(
        "Many rows: {} of the same invented rows are written into a SQLite file, {} seconds of market, and \
         packed every ten minutes of it as a server does. The size is that of the file, checkpointed and closed, \
         with its indexes, its free pages and the rows that fill no block yet, divided by the rows.",
        number(rows as f64),
        Market::span(rows).as_secs()
    ));
    section.number(
        "SQLite: bytes per tick, packed",
        "bytes",
        size / rows as f64,
        Some(Goal::AtMost(SQLITE_BYTES_GOAL)),
    );
    section.number(
        "SQLite: bytes per tick in a block",
        "bytes",
        blocks.bytes as f64 / blocks.rows as f64,
        None,
    );
    section.number(
        "SQLite: rows written and packed",
        "ticks/s",
        rows as f64 / taken.as_secs_f64(),
        None,
    );
    section.number(
        "SQLite: bytes per published event, packed, with a year of hours",
        "bytes",
        grown / events as f64,
        None,
    );
    section.note(format!(
        "SQLite: {} of {} rows lie in {} blocks, {:.1} MB of them; the file has {:.1} MB, {:.1} MB of it free \
         pages for the next rows.",
        number(blocks.rows as f64),
        number(rows as f64),
        number(blocks.count as f64),
        blocks.bytes as f64 / 1e6,
        size / 1e6,
        blocks.free_bytes as f64 / 1e6
    ));
    Ok(Archive {
        file,
        begin,
        end,
        rows,
        year,
    })
}

/// Size of a file, and of the log beside it if there is one.
pub(super) fn bytes_of(file: &Path) -> Result<f64> {
    let metadata =
        std::fs::metadata(file).with_context(|| format!("cannot find {}", file.display()))?;
    let log = file.with_extension("db-wal");
    let log = std::fs::metadata(log).map_or(0, |metadata| metadata.len());
    Ok((metadata.len() + log) as f64)
}

async fn fill(store: &SqliteStore, begin: Wall, epoch: Epoch, rows: u64) -> Result<Wall> {
    let mut market = Market::new(begin, epoch)?;
    let mut packed_at = begin;
    let mut written = 0;
    let batch_rows = u64::try_from(contest::BATCH_ROWS)?;
    while written < rows {
        let batch = market.rows(contest::BATCH_ROWS)?;
        store.write(Batch::of_rows(batch)).await?;
        written += batch_rows;
        if market.now().since(packed_at) >= PACK_AFTER {
            packed_at = market.now();
            store.pack(before(packed_at)).await?;
        }
        if written % TELL_EVERY == 0 {
            console::line(&format!("archive: {written} of {rows} rows"));
        }
    }
    Ok(market.now())
}

fn before(moment: Wall) -> Wall {
    let age = i64::try_from(PACK_AFTER.as_micros()).unwrap_or_default();
    Wall(moment.0 - age)
}

/// The epoch of a Writer of the first shard.
async fn begin_epoch(store: &SqliteStore) -> Result<Epoch> {
    let claim = Claim {
        shard: 0,
        writer: "archive".into(),
        ttl: Duration::from_secs(3_600),
        heard: None,
        is_alone: true,
    };
    let claimed = store.claim(claim).await?;
    claimed.context("the lease is held")
}

/// What kurs would have published of the same market, thinned out.
async fn publish(store: &SqliteStore, begin: Wall, epoch: Epoch, rows: u64) -> Result<u64> {
    let mut market = Market::new(begin, epoch)?;
    let mut packed_at = begin;
    let mut events = Vec::new();
    let mut count = 0;
    for number in 0..rows {
        let row = market.tick()?;
        if number % ROWS_PER_EVENT == 0 {
            count += 1;
            events.push(event_of(&row, rows + count));
        }
        if events.len() == contest::BATCH_ROWS || number + 1 == rows {
            let batch = Batch {
                published: std::mem::take(&mut events),
                recorded_until: Some(Recorded {
                    shard: 0,
                    until: market.now(),
                }),
                ..Batch::default()
            };
            store.write(batch).await?;
        }
        if market.now().since(packed_at) >= PACK_AFTER {
            packed_at = market.now();
            store.pack(before(packed_at)).await?;
        }
    }
    store.pack(now()).await?;
    console::line(&format!("archive: {count} published events"));
    Ok(count)
}

fn event_of(row: &HistoryRow, seq: u64) -> Published {
    let id = UpdateId {
        seq: Seq(seq),
        ..row.id
    };
    Published::rate(
        id,
        Rate {
            pair: row.pair,
            value: row.value,
            bid: row.bid,
            ask: row.ask,
            confidence: None,
            source: row.source,
            state: RateState::Fresh,
            legs: None,
            observed_at: row.observed_at.unwrap_or(row.received_at),
            published_at: row.received_at,
            valid_for: VALID_FOR,
            evidence: None,
            depeg: None,
            choice: Arc::new(Choice {
                source: row.source,
                since: Wall(row.received_at.0 - row.received_at.0.rem_euclid(3_600_000_000)),
                reason: format!("{} is first and live", row.source).into(),
                skipped: Vec::new(),
            }),
        },
    )
}

/// The hours of a year of one pair, for the answers over HTTP.
async fn hours(store: &SqliteStore, year: Year) -> Result<()> {
    for minutes in year.by_day() {
        let mut candles = Vec::new();
        for minute in minutes? {
            fold(&mut candles, &minute);
        }
        let batch = Batch {
            candles,
            ..Batch::default()
        };
        store.write(batch).await?;
    }
    Ok(())
}

/// What the file is made of.
struct Blocks {
    count: i64,
    rows: i64,
    bytes: i64,
    free_bytes: i64,
}

impl Blocks {
    fn of(file: &Path) -> Result<Self> {
        let connection = Connection::open(file)?;
        let sql = "SELECT count(*), coalesce(sum(row_count), 0), coalesce(sum(length(block)), 0),
                       (SELECT freelist_count FROM pragma_freelist_count)
                       * (SELECT page_size FROM pragma_page_size)
                   FROM history_packed";
        let blocks = connection.query_row(sql, [], |row| {
            Ok(Self {
                count: row.get(0)?,
                rows: row.get(1)?,
                bytes: row.get(2)?,
                free_bytes: row.get(3)?,
            })
        })?;
        ensure!(blocks.rows > 0, "nothing was packed");
        Ok(blocks)
    }
}
