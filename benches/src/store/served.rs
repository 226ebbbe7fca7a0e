//! A server on a store with ten million rows: how soon it is ready, and how it answers about the
//! past.

use super::archive::Archive;
use super::ticks::Dice;
use crate::client::{self, Connection};
use crate::console;
use crate::options::Options;
use crate::plot::number;
use crate::process::{self, Server};
use crate::section::{Goal, Section, Table};
use crate::statistics::{Latencies, Spread};
use crate::steady::said;
use crate::world::EXCHANGES;
use anyhow::{Context as _, Result, ensure};
use kurs_core::Wall;
use kurs_sim::{Sim, SimConfig, SimHandle};
use serde_json::Value;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

/// What the server follows, of what the store has a history of.
const PAIRS: [&str; 4] = ["BTC-USDT", "ETH-USDT", "SOL-USDT", "BNB-USDT"];
/// Start to ready at most, milliseconds.
const START_GOAL_MS: f64 = 2_000.0;
/// A start that takes longer has failed.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long it runs before it is ended, so that there is something to recover.
const RUNS_FOR: Duration = Duration::from_secs(3);
/// Moments this close to the ends are not asked for.
const MARGIN_US: i64 = 20_000_000;

pub(super) fn measure(section: &mut Section, options: &Options, archive: &Archive) -> Result<()> {
    // The runtime goes after the server: its venues must outlive it.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let sim = Sim::start(SimConfig::seeded(1), ([127, 0, 0, 1], 0).into());
    let sim = runtime.block_on(sim)?;
    // The first one meets a store that it did not write; it does not count.
    let (first, _) = start(options, archive, &sim)?;
    std::thread::sleep(RUNS_FOR);
    first.stop()?;
    let (mut stopped_ms, mut killed_ms) = (Vec::new(), Vec::new());
    for round in 1..=options.pick(7, 2) {
        for (is_killed, times_ms) in [(false, &mut stopped_ms), (true, &mut killed_ms)] {
            let (server, taken) = start(options, archive, &sim)?;
            std::thread::sleep(RUNS_FOR);
            // What is measured is the start after this end.
            if is_killed {
                server.stop()?;
            } else {
                drop(server);
            }
            times_ms.push(taken.as_secs_f64() * 1e3);
        }
        console::line(&format!("starts: round {round}"));
    }
    section.method(format!(
        "Start: `kurs serve` on that file with simulated exchanges in another process, {} pairs followed; from before \
         the process is created until `/readyz` says 200, asked every millisecond. It runs for {} s and is then ended \
         by SIGTERM or killed by SIGKILL in the midst of writing, in turns.",
        PAIRS.len(),
        RUNS_FOR.as_secs()
    ));
    let goal = Some(Goal::AtMost(START_GOAL_MS));
    let rows = number(archive.rows as f64);
    let stopped = Spread::of(&stopped_ms);
    section.figure(
        format!("start to ready on {rows} rows"),
        "ms",
        stopped,
        goal,
    );
    let killed = Spread::of(&killed_ms);
    section.figure(
        format!("start to ready on {rows} rows, after SIGKILL"),
        "ms",
        killed,
        goal,
    );
    let (server, _) = start(options, archive, &sim)?;
    let answers = ask_all(options, archive, &server);
    let folder = folder_of(archive)?;
    let answers = answers.with_context(|| said(folder))?;
    section.method(
        "Answers: one connection asks one after the other, over HTTP, on that file, random moments and places; the \
         server goes on recording.",
    );
    section.tables.push(Table {
        caption: "Answers about the past over HTTP, ms".to_owned(),
        header: ["asked", "answers", "p50", "p90", "p99", "greatest", "bytes"]
            .map(str::to_owned)
            .to_vec(),
        rows: answers,
    });
    section.number(
        format!("resident memory of the server on {rows} rows, greatest"),
        "MB",
        server.kilobytes("VmHWM")? / 1_024.0,
        None,
    );
    drop(server);
    drop(sim);
    Ok(())
}

fn folder_of(archive: &Archive) -> Result<&Path> {
    archive.file.parent().context("a folder")
}

/// Starts it and tells how long that took.
fn start(options: &Options, archive: &Archive, sim: &SimHandle) -> Result<(Server, Duration)> {
    let folder = folder_of(archive)?;
    let address = process::free_address()?;
    let urls = sim.urls();
    let mut command = process::command(None, options.kurs_binary()?);
    command
        .arg("serve")
        .current_dir(folder)
        .env("KURS_HTTP__ADDR", address.to_string())
        .env(
            "KURS_STORE__URL",
            format!("sqlite:{}", archive.file.display()),
        )
        .env("KURS_PAIRS", PAIRS.join(","))
        .env("KURS_SOURCES__COINGECKO__REST_URL", &urls.coingecko_rest)
        .env("KURS_SOURCES__OPENEXCHANGERATES__ENABLED", "false")
        .env("KURS_SOURCES__ECB__REST_URL", &urls.ecb_rest)
        .env("KURS_SOURCES__CBR__REST_URL", &urls.cbr_rest)
        .stderr(File::create(folder.join("kurs.log")).context("cannot write the log")?);
    for (name, venue, _) in EXCHANGES {
        let key = name.to_uppercase();
        command
            .env(
                format!("KURS_SOURCES__{key}__WS_URL"),
                urls.ws(venue).unwrap_or_default(),
            )
            .env(format!("KURS_SOURCES__{key}__REST_URL"), urls.rest(venue));
    }
    let begin = Instant::now();
    let server = Server::spawn(&mut command, address)?;
    loop {
        if client::get(address, "/readyz", "").is_ok_and(|answer| answer.status == 200) {
            return Ok((server, begin.elapsed()));
        }
        ensure!(begin.elapsed() < START_LIMIT, "{}", said(folder));
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn ask_all(options: &Options, archive: &Archive, server: &Server) -> Result<Vec<Vec<String>>> {
    let count = options.pick(1_000, 50);
    let mut dice = Dice(11);
    let span = u64::try_from(archive.end.0 - archive.begin.0 - 2 * MARGIN_US)?;
    let mut moment = || {
        let offset = i64::try_from(dice.roll(span)).unwrap_or_default();
        Wall(archive.begin.0 + MARGIN_US + offset)
    };
    let mut turn = PAIRS.iter().cycle();
    let mut pair = move || turn.next().unwrap_or(&PAIRS[0]).replace('-', "/");
    let mut rows = Vec::new();
    let mut tell = |asked: &str, paths: Vec<String>| -> Result<()> {
        rows.push(ask(server, asked, &paths)?);
        Ok(())
    };
    let at = |_| format!("/api/v1/rates/{}?at={}", pair(), moment());
    let paths: Vec<String> = (0..count).map(at).collect();
    let explained = |path: &String| format!("{path}&explain=true");
    let with_reasons: Vec<String> = paths.iter().map(explained).collect();
    tell("`?at=`", paths.clone())?;
    tell("`?at=` with `explain=true`", with_reasons)?;
    for (what, parameters) in [
        ("100 rows", "limit=100"),
        ("1,000 rows", "limit=1000"),
        ("100 rows of one source", "limit=100&source=binance"),
    ] {
        let page = |path: &String| {
            let (rate, at) = path.split_once("?at=").unwrap_or_default();
            let history = rate.replace("/rates/", "/history/");
            format!("{history}?start={at}&{parameters}")
        };
        let pages = paths.iter().map(page).collect();
        tell(&format!("a page of `/history`, {what}"), pages)?;
    }
    rows.push(year(options, archive, server)?);
    Ok(rows)
}

/// Each path once.
fn ask(server: &Server, asked: &str, paths: &[String]) -> Result<Vec<String>> {
    let mut connection = Connection::open(server.address)?;
    let (mut times, mut bytes) = (Vec::new(), 0);
    for path in paths {
        let request = client::request(path, "");
        let begin = Instant::now();
        let answer = connection.ask(&request)?;
        times.push(u64::try_from(begin.elapsed().as_nanos())?);
        ensure!(
            answer.status == 200,
            "{path}: {} {}",
            answer.status,
            String::from_utf8_lossy(&answer.body)
        );
        bytes += answer.body.len();
    }
    Ok(row(asked, times, bytes))
}

/// The hours of a year, page by page.
fn year(options: &Options, archive: &Archive, server: &Server) -> Result<Vec<String>> {
    let mut connection = Connection::open(server.address)?;
    let year = archive.year;
    let (mut times, mut bytes) = (Vec::new(), 0);
    for _ in 0..options.pick(30, 3) {
        let mut cursor = String::new();
        let (mut hours, mut nanoseconds) = (0, 0);
        loop {
            let path = format!(
                "/api/v1/candles/BTC/USDT?interval=1h&limit=1000&start={}&end={}{cursor}",
                year.begin,
                year.end()
            );
            let request = client::request(&path, "");
            let begin = Instant::now();
            let answer = connection.ask(&request)?;
            nanoseconds += u64::try_from(begin.elapsed().as_nanos())?;
            ensure!(answer.status == 200, "{path}: {}", answer.status);
            bytes += answer.body.len();
            let document: Value = serde_json::from_slice(&answer.body)?;
            hours += document["candles"].as_array().map_or(0, Vec::len);
            match document["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        ensure!(
            hours == usize::try_from(year.hours())?,
            "{hours} hours of a year"
        );
        times.push(nanoseconds);
    }
    Ok(row(
        "a year of `/candles?interval=1h`, 9 pages",
        times,
        bytes,
    ))
}

fn row(asked: &str, times: Vec<u64>, bytes: usize) -> Vec<String> {
    let latencies = Latencies::new(times);
    let mut row = vec![asked.to_owned(), latencies.len().to_string()];
    for per_mille in [500, 900, 990, 1_000] {
        row.push(format!("{:.2}", latencies.microseconds(per_mille) / 1e3));
    }
    row.push((bytes / latencies.len().max(1)).to_string());
    row
}
