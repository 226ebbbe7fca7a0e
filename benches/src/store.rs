//! (i) The store: how fast rows get into it, how small they are there, how fast candles come out,
//! and what ten million rows do to an export, to a start, and to answers about the past.
//!
//! | module | what it holds |
//! |---|---|
//! | `ticks` | invented ticks |
//! | `contest`, `sqlite`, `postgres` | the same rows stored in turns by kurs and by bare clients |
//! | `year`, `candles` | a year of minutes read as hours |
//! | `archive` | a file with ten million rows |
//! | `export`, `served` | what is done with it |

mod archive;
mod candles;
mod contest;
mod export;
mod postgres;
mod served;
mod sqlite;
mod ticks;
mod year;

use crate::options::Options;
use crate::plot::number;
use crate::section::{Bar, Chart, Goal, Section, Table};
use anyhow::{Context as _, Result};
use clap::ValueEnum;
use contest::{Contestant, Pace};
use kurs_core::{Clock as _, Epoch, SystemClock, Wall};
use kurs_store::Store as _;
use kurs_testkit::{Postgres, PostgresOptions};
use postgres::Way;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use ticks::Market;
use tokio::runtime::Runtime;

/// So many times a bare client is what a store that does more should reach.
const PACE_GOAL: f64 = 0.8;
/// Bytes of a tick that is at rest.
const SQLITE_BYTES_GOAL: f64 = 16.0;
const POSTGRES_BYTES_GOAL: f64 = 40.0;
/// Old enough for everything to be packed, young enough to be kept.
const AGE: Duration = Duration::from_secs(3 * 86_400);
/// Connections of those who store side by side.
const CONNECTIONS: [usize; 2] = [1, 4];

/// Part of this benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Ticks into SQLite
    Sqlite,
    /// Ticks into PostgreSQL
    Postgres,
    /// A year of minutes as hours
    Candles,
    /// Ten million rows: size, export, start, answers
    Archive,
}

/// Runs the benchmark.
pub(crate) fn run(options: &Options) -> Result<Section> {
    measure(options, Part::value_variants())
}

/// Runs parts of it.
pub(crate) fn measure(options: &Options, parts: &[Part]) -> Result<Section> {
    let mut section = Section::new("store", "The store", options.quick);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let runtime = Arc::new(runtime);
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let mut paces = Vec::new();
    if parts.contains(&Part::Sqlite) {
        let found = into_sqlite(&mut section, options, &runtime, folder.path())?;
        paces.extend(found.into_iter().map(|pace| ("SQLite", pace)));
    }
    if parts.contains(&Part::Postgres) {
        let found = into_postgres(&mut section, options, &runtime)?;
        paces.extend(found.into_iter().map(|pace| ("PostgreSQL", pace)));
    }
    if !paces.is_empty() {
        show_paces(&mut section, &paces);
    }
    if parts.contains(&Part::Candles) {
        candles::measure(&mut section, options, &runtime, folder.path())?;
    }
    if parts.contains(&Part::Archive) {
        let archive = archive::build(&mut section, options, &runtime, folder.path())?;
        export::measure(&mut section, options, &archive)?;
        served::measure(&mut section, options, &archive)?;
    }
    section.figures.sort_by_key(|figure| figure.goal.is_none());
    Ok(section)
}

fn now() -> Wall {
    SystemClock::new().now().wall
}

/// So long before now.
fn ago(age: Duration) -> Wall {
    Wall(now().0 - i64::try_from(age.as_micros()).unwrap_or_default())
}

fn into_sqlite(
    section: &mut Section,
    options: &Options,
    runtime: &Arc<Runtime>,
    folder: &Path,
) -> Result<Vec<Pace>> {
    let (one, two) = (sqlite::Bare::ONE_KEY, sqlite::Bare::TWO_KEYS);
    let mut market = Market::new(ago(AGE), Epoch(1))?;
    let files = ["kurs.db", "one.db", "two.db"].map(|name| folder.join(name));
    let mut contestants: Vec<Box<dyn Contestant>> = vec![
        Box::new(sqlite::Kurs::new(runtime, &files[0])?),
        Box::new(sqlite::Bare::new(one, &files[1])?),
        Box::new(sqlite::Bare::new(two, &files[2])?),
    ];
    let (rounds, batches) = (options.pick(11, 2), options.pick(50, 5));
    let paces = contest::run(&mut contestants, &mut market, rounds, batches)?;
    // The last one to close a file leaves nothing beside it.
    drop(contestants);
    section.method(format!(
        "Storing: batches of {} rows, the size of the recorder's, are stored one after the other; a call returns when \
         they are durable. The rows are invented: 40 markets (8 pairs by 5 sources), {} ticks a second, walks of best \
         prices in cents with milliseconds from the source. {rounds} rounds of {batches} batches; in each round \
         everybody stores the same rows, in turns, and every round begins with another one. Quotients are taken within \
         a round. SQLite: the bare client inserts into one plain table `WITHOUT ROWID` with a column for each field \
         and the key of kurs' table, by one prepared statement, one transaction per batch, `WAL` and `synchronous = \
         FULL` as kurs has them.",
        contest::BATCH_ROWS,
        ticks::TICKS_PER_SECOND
    ));
    let goal = Some(Goal::AtLeast(PACE_GOAL));
    let kurs = sqlite::Kurs::NAME;
    section.figure(
        "SQLite: ticks stored, kurs / bare rusqlite",
        "x",
        contest::ratio(&paces, kurs, one)?,
        goal,
    );
    section.figure(
        "SQLite: the same, the bare table with the index by id as well",
        "x",
        contest::ratio(&paces, kurs, two)?,
        None,
    );
    let rows = ((rounds + 1) * batches * contest::BATCH_ROWS) as f64;
    let size = |file: &Path| -> Result<f64> { Ok(archive::bytes_of(file)? / rows) };
    section.number(
        "SQLite: bytes per tick before packing",
        "bytes",
        size(&files[0])?,
        None,
    );
    section.number(
        "SQLite: the same in the bare table",
        "bytes",
        size(&files[1])?,
        None,
    );
    for file in &files {
        std::fs::remove_file(file).with_context(|| format!("cannot remove {}", file.display()))?;
    }
    Ok(paces)
}

/// A private server that waits for the disk, with the memory of a small one.
fn postgres_server() -> Postgres {
    Postgres::start_with(&PostgresOptions {
        fsync: true,
        tls: false,
        settings: vec![
            ("shared_buffers", "512MB".to_owned()),
            ("max_wal_size", "2GB".to_owned()),
        ],
    })
}

fn into_postgres(
    section: &mut Section,
    options: &Options,
    runtime: &Arc<Runtime>,
) -> Result<Vec<Pace>> {
    let server = postgres_server();
    let mut market = Market::new(ago(AGE), Epoch(1))?;
    let mut contestants: Vec<Box<dyn Contestant>> = Vec::new();
    // One for each: the same rows again would be passed over.
    let own = CONNECTIONS.map(|_| server.database());
    let bare = server.database();
    for (connections, database) in CONNECTIONS.into_iter().zip(&own) {
        let kurs = postgres::Kurs::new(runtime, &database.url(), connections)?;
        contestants.push(Box::new(kurs));
        for way in [Way::Copy, Way::Unnest] {
            let client = postgres::Bare::new(runtime, &bare.url(), way, connections)?;
            contestants.push(Box::new(client));
        }
    }
    let (rounds, batches) = (options.pick(11, 2), options.pick(48, 8));
    let paces = contest::run(&mut contestants, &mut market, rounds, batches)?;
    drop(contestants);
    section.method(format!(
        "PostgreSQL ({}, `fsync` on, over TCP on the loopback interface): the same with {rounds} rounds of {batches} \
         batches; the bare clients write into a plain table with the columns and the primary key of kurs' history, not \
         partitioned, by `COPY BINARY` and by `INSERT` of `unnest`, one statement and one commit per batch. With 4 \
         connections everybody stores 4 batches at a time.",
        server.sql("postgres", "SHOW server_version")
    ));
    for connections in CONNECTIONS {
        let kurs = postgres::name("kurs", connections);
        for way in [Way::Copy, Way::Unnest] {
            let other = postgres::name(way.as_str(), connections);
            section.figure(
                format!("PostgreSQL: ticks stored, kurs / {other}"),
                "x",
                contest::ratio(&paces, &kurs, &other)?,
                Some(Goal::AtLeast(PACE_GOAL)),
            );
        }
    }
    let rows = ((rounds + 1) * batches * contest::BATCH_ROWS) as f64;
    let [first, _] = &own;
    let bytes = |database: &str, sql: &str| -> Result<f64> {
        let text = server.sql(database, sql);
        text.parse()
            .with_context(|| format!("not a number: {text:?}"))
    };
    let hot = bytes(first.name(), postgres::HISTORY_BYTES)?;
    let plain = bytes(bare.name(), "SELECT pg_total_relation_size('ticks_copy_1')")?;
    let store = postgres::open(runtime, &first.url())?;
    let packing = runtime.block_on(store.pack(now()))?;
    let packed = bytes(first.name(), postgres::HISTORY_BYTES)?;
    drop(store);
    section.number(
        "PostgreSQL: bytes per tick, packed",
        "bytes",
        packed / rows,
        Some(Goal::AtMost(POSTGRES_BYTES_GOAL)),
    );
    section.number(
        "PostgreSQL: bytes per tick before packing",
        "bytes",
        hot / rows,
        None,
    );
    section.number(
        "PostgreSQL: the same in the bare table",
        "bytes",
        plain / rows,
        None,
    );
    section.note(format!(
        "PostgreSQL: {} of {} rows were packed. Sizes are `pg_total_relation_size` of all partitions of the \
         history and its blocks, with their indexes and TOAST tables; the rows are of days that are over, so their \
         emptied partitions were dropped.",
        number(packing.rows as f64),
        number(rows)
    ));
    Ok(paces)
}

fn show_paces(section: &mut Section, paces: &[(&str, Pace)]) {
    let (mut rows, mut bars) = (Vec::new(), Vec::new());
    for (store, pace) in paces {
        let (label, spread) = (format!("{store}: {}", pace.name), pace.spread());
        let mut row = vec![label.clone()];
        row.extend([spread.median, spread.low, spread.high].map(number));
        rows.push(row);
        let own = pace.name.starts_with("kurs");
        bars.push(Bar::new(label, spread, own, None));
    }
    section.tables.push(Table {
        caption: "Ticks stored durably per second".to_owned(),
        header: ["", "median", "least", "greatest"]
            .map(str::to_owned)
            .to_vec(),
        rows,
    });
    section.charts.push(Chart {
        file: "bench-store-ticks.svg".to_owned(),
        title: "Ticks stored durably (more is better)".to_owned(),
        unit: "ticks/s".to_owned(),
        grey: Some("bare clients".to_owned()),
        bars,
    });
}
