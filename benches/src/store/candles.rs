//! A year of candles of one minute read as candles of one hour: by kurs, by plain PostgreSQL, by
//! InfluxDB.

use super::postgres::{At, Numeric, Raw, connect};
use super::year::{Year, fold};
use super::{now, postgres, postgres_server, sqlite};
use crate::console;
use crate::options::Options;
use crate::plot::number;
use crate::section::{Bar, Chart, Goal, Section};
use crate::statistics::Spread;
use anyhow::{Context as _, Result, anyhow, ensure};
use kurs_core::{Pair, SystemClock};
use kurs_reader::candles::{CandlesQuestion, Way, candles};
use kurs_reader::{RateView, ViewConfig};
use kurs_store::{Batch, Candle, CandleQuery, Interval, Store};
use kurs_testkit::InfluxDb;
use std::fmt::Write as _;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Runtime;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Statement};

/// Milliseconds for a year as hours.
const GOAL_MS: f64 = 20.0;
/// Candles of one page of the API, at most.
const PAGE: u32 = 1_000;
/// Candles of one answer of the store, at most.
const ANSWER: u32 = 10_000;
/// A pair that is priced over two markets, and these.
const DERIVED: &str = "BTC-EUR";
const LEGS: [(&str, i64); 2] = [("BTC-USDT", 841_234_500), ("EUR-USDT", 10_921)];
/// Lines of one write to InfluxDB.
const LINES: usize = 10_000;

/// One way of reading the year.
struct Reading<'a> {
    name: String,
    goal: Option<f64>,
    own: bool,
    /// Reads it and tells how many hours came.
    read: Box<dyn FnMut() -> Result<usize> + 'a>,
    rounds: usize,
    times_ms: Vec<f64>,
}

pub(super) fn measure(
    section: &mut Section,
    options: &Options,
    runtime: &Arc<Runtime>,
    folder: &Path,
) -> Result<()> {
    let days = options.pick(365, 20);
    let years = LEGS
        .iter()
        .map(|(pair, first)| Year::before(now(), days, pair, *first))
        .collect::<Result<Vec<Year>>>()?;
    let year = *years.first().context("a year")?;
    let file = folder.join("candles.db");
    let embedded = sqlite::open(runtime, &file)?;
    let server = postgres_server();
    let (own, plain) = (server.database(), server.database());
    let remote = postgres::open(runtime, &own.url())?;
    for (name, store) in [("SQLite", &embedded as &dyn Store), ("PostgreSQL", &remote)] {
        let begin = Instant::now();
        for year in &years {
            runtime.block_on(fill(store, *year))?;
        }
        console::line(&format!(
            "candles: {name} holds them after {:?}",
            begin.elapsed()
        ));
    }
    let bare = runtime.block_on(fill_plain(&plain.url(), year))?;
    let influx = InfluxDb::start();
    let database = influx.database();
    fill_influx(&influx, &database, year)?;
    // The statistics that autovacuum would have gathered in a year.
    server.sql(own.name(), "VACUUM ANALYZE");
    server.sql(plain.name(), "VACUUM ANALYZE");

    let view = RateView::new(Arc::new(SystemClock::new()), ViewConfig::default());
    let statement = influx_statement(year);
    let rounds = options.pick(15, 2);
    let mut readings = Vec::new();
    for (name, store) in [("SQLite", &embedded as &dyn Store), ("PostgreSQL", &remote)] {
        let view = &view;
        let goal = (name == "SQLite").then_some(GOAL_MS);
        readings.push(Reading::new(
            format!("kurs on {name}, stored hours"),
            (goal, rounds),
            move || runtime.block_on(pages(view, store, year, year.pair, None)),
        ));
        readings.push(Reading::new(
            format!("kurs on {name}, its minutes folded"),
            (None, rounds),
            move || runtime.block_on(folded(store, year)),
        ));
        let asked = Pair::parse(DERIVED)?;
        let way = Way::over(asked, years.iter().map(|year| year.pair));
        let way = way.context("no way over the legs")?;
        readings.push(Reading::new(
            format!("kurs on {name}, joined from two legs' minutes"),
            (None, rounds.div_ceil(3)),
            move || {
                let way = Some(way.clone());
                runtime.block_on(pages(view, store, year, asked, way))
            },
        ));
    }
    readings.push(Reading::new(
        "plain PostgreSQL, date_bin and GROUP BY".to_owned(),
        (None, rounds),
        || runtime.block_on(grouped(&bare)),
    ));
    readings.push(Reading::new(
        "InfluxDB, GROUP BY time(1h)".to_owned(),
        (None, rounds),
        || {
            let answer = influx.try_query(&database, &statement);
            let answer = answer.map_err(|error| anyhow!("InfluxDB: {error}"))?;
            let rows = answer.pointer("/results/0/series/0/values");
            Ok(rows.and_then(|rows| rows.as_array()).map_or(0, Vec::len))
        },
    ));
    take_turns(&mut readings, usize::try_from(year.hours())?)?;
    let version = server.sql("postgres", "SHOW server_version");
    describe(section, &readings, year, &version);
    drop(readings);
    drop(embedded);
    std::fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))
}

impl<'a> Reading<'a> {
    fn new(
        name: String,
        (goal, rounds): (Option<f64>, usize),
        read: impl FnMut() -> Result<usize> + 'a,
    ) -> Self {
        Self {
            own: name.starts_with("kurs"),
            name,
            goal,
            read: Box::new(read),
            rounds,
            times_ms: Vec::new(),
        }
    }
}

/// Everybody once per round, after one that does not count.
fn take_turns(readings: &mut [Reading<'_>], hours: usize) -> Result<()> {
    let most = readings.iter().map(|reading| reading.rounds).max();
    for round in 0..=most.unwrap_or_default() {
        for reading in readings.iter_mut().filter(|one| round <= one.rounds) {
            let begin = Instant::now();
            let found = (reading.read)().with_context(|| reading.name.clone())?;
            let taken = begin.elapsed();
            ensure!(
                found == hours,
                "{}: {found} hours instead of {hours}",
                reading.name
            );
            if round > 0 {
                reading.times_ms.push(taken.as_secs_f64() * 1e3);
            }
        }
        console::line(&format!("candles: round {round} of {}", most.unwrap_or(0)));
    }
    Ok(())
}

fn describe(section: &mut Section, readings: &[Reading<'_>], year: Year, version: &str) {
    section.method(format!(
        "Candles: {} candles of one minute of one pair, {} days, read as {} candles of one hour. kurs folds hours \
         while rates arrive and keeps them for good, so `/candles?interval=1h` reads hours; measured is the function \
         behind it, in pages of {PAGE} as over HTTP, without JSON. Below it what it would take to fold the minutes \
         instead, read through the store in answers of {ANSWER}; and the slowest answer there is, the hours of a pair \
         without a series of its own, joined from the minutes of two legs, since only minutes tell whether the legs' \
         highs met. Beside them plain PostgreSQL {version} (a table of the same minutes with the key pair and start, \
         `date_bin`, `max`, `min`, ordered `array_agg` for open and close) and InfluxDB 1 (`first`, `max`, `min`, \
         `last`, `sum`, over HTTP, its JSON parsed), on the same minutes, in turns, everything warm.",
        number(year.minutes() as f64),
        year.days,
        number(year.hours() as f64),
    ));
    let mut bars = Vec::new();
    for reading in readings {
        let spread = Spread::of(&reading.times_ms);
        let goal = reading.goal;
        section.figure(
            format!("a year as hours: {}", reading.name),
            "ms",
            spread,
            goal.map(Goal::AtMost),
        );
        bars.push(Bar::new(reading.name.clone(), spread, reading.own, goal));
    }
    section.charts.push(Chart {
        file: "bench-store-candles.svg".to_owned(),
        title: "A year of minutes read as hours (less is better)".to_owned(),
        unit: "ms".to_owned(),
        grey: Some("the minutes grouped by others".to_owned()),
        bars,
    });
}

/// A day's minutes and hours in each batch.
async fn fill(store: &dyn Store, year: Year) -> Result<()> {
    for minutes in year.by_day() {
        let minutes = minutes?;
        let mut hours = Vec::new();
        for minute in &minutes {
            fold(&mut hours, minute);
        }
        let mut candles = minutes;
        candles.extend(hours);
        let batch = Batch {
            candles,
            ..Batch::default()
        };
        store.write(batch).await?;
    }
    Ok(())
}

/// As who follows the links from page to page.
async fn pages(
    view: &RateView,
    store: &dyn Store,
    year: Year,
    asked: Pair,
    way: Option<Way>,
) -> Result<usize> {
    let mut question = CandlesQuestion {
        asked,
        source: None,
        interval: Interval::Hour,
        start: year.begin,
        end: year.end(),
        limit: PAGE,
        way,
    };
    let mut found = 0;
    loop {
        let page = candles(view, store, question.clone()).await;
        let page = page.map_err(|error| anyhow!("{error:?}"))?;
        found += page.candles.len();
        let Some(next) = page.next else {
            return Ok(found);
        };
        question.start = next;
        question.way = Some(page.way);
    }
}

async fn folded(store: &dyn Store, year: Year) -> Result<usize> {
    let mut query = CandleQuery {
        pair: year.pair,
        source: None,
        interval: Interval::Minute,
        start: year.begin,
        end: year.end(),
        limit: ANSWER,
    };
    let mut hours: Vec<Candle> = Vec::new();
    loop {
        let minutes = store.candles(query.clone()).await?;
        for minute in &minutes {
            fold(&mut hours, minute);
        }
        let is_full = minutes.len() == usize::try_from(ANSWER)?;
        let Some(last) = minutes.last().filter(|_| is_full) else {
            return Ok(hours.len());
        };
        query.start = last.start.plus(Interval::Minute.length());
    }
}

const TYPES: [Type; 7] = [
    Type::INT4,
    Type::TIMESTAMPTZ,
    Type::NUMERIC,
    Type::NUMERIC,
    Type::NUMERIC,
    Type::NUMERIC,
    Type::INT8,
];

async fn fill_plain(url: &str, year: Year) -> Result<(Client, Statement)> {
    let client = connect(url).await?;
    client
        .batch_execute(
            "CREATE TABLE minutes (
                pair integer NOT NULL, start timestamptz NOT NULL, open numeric NOT NULL,
                high numeric NOT NULL, low numeric NOT NULL, close numeric NOT NULL,
                tick_count bigint NOT NULL, PRIMARY KEY (pair, start))",
        )
        .await?;
    let sink = client.copy_in("COPY minutes FROM STDIN BINARY").await?;
    let mut writer = pin!(BinaryCopyInWriter::new(sink, &TYPES));
    for minutes in year.by_day() {
        for minute in minutes? {
            writer
                .as_mut()
                .write(&[
                    &1_i32,
                    &At(minute.start),
                    &Numeric(minute.open),
                    &Numeric(minute.high),
                    &Numeric(minute.low),
                    &Numeric(minute.close),
                    &i64::try_from(minute.count)?,
                ])
                .await?;
        }
    }
    writer.finish().await?;
    let statement = client
        .prepare(
            "SELECT date_bin('1 hour', start, '2000-01-01T00:00:00Z') AS hour,
                 (array_agg(open ORDER BY start))[1], max(high), min(low),
                 (array_agg(close ORDER BY start DESC))[1], sum(tick_count)
             FROM minutes WHERE pair = 1 GROUP BY hour ORDER BY hour",
        )
        .await?;
    Ok((client, statement))
}

async fn grouped((client, statement): &(Client, Statement)) -> Result<usize> {
    let rows = client.query(statement, &[]).await?;
    let mut bytes = 0;
    for row in &rows {
        for column in 0..row.len() {
            bytes += row.try_get::<_, Raw>(column)?.0;
        }
    }
    ensure!(bytes > rows.len(), "rows without anything in them");
    Ok(rows.len())
}

fn fill_influx(influx: &InfluxDb, database: &str, year: Year) -> Result<()> {
    let mut lines = String::new();
    let mut count = 0;
    let send = |lines: &mut String| {
        let sent = influx.write(database, lines);
        lines.clear();
        sent.map_err(|error| anyhow!("InfluxDB: {error}"))
    };
    for minutes in year.by_day() {
        for minute in minutes? {
            let Candle {
                open,
                high,
                low,
                close,
                ..
            } = &minute;
            // Writing to a String cannot fail.
            let _ = writeln!(
                lines,
                "minutes,pair={} open={open},high={high},low={low},close={close},ticks={}i {}",
                minute.pair, minute.count, minute.start.0
            );
            count += 1;
            if count % LINES == 0 {
                send(&mut lines)?;
            }
        }
    }
    if !lines.is_empty() {
        send(&mut lines)?;
    }
    Ok(())
}

fn influx_statement(year: Year) -> String {
    format!(
        "SELECT first(open), max(high), min(low), last(close), sum(ticks) FROM minutes \
         WHERE pair = '{}' AND time >= '{}' AND time < '{}' GROUP BY time(1h) fill(none)",
        year.pair,
        year.begin,
        year.end()
    )
}
