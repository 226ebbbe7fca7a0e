//! (e) From the start of the process to readiness, and memory with a thousand live pairs.

use crate::client::{self, Connection};
use crate::console;
use crate::options::Options;
use crate::process::{self, Server};
use crate::section::{Bar, Chart, Goal, Section};
use crate::statistics::Spread;
use crate::steady::{demo_command, said};
use anyhow::{Context as _, Result, ensure};
use kurs_sim::{Sim, SimConfig};
use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

/// Live pairs when memory is read.
const PAIRS: usize = 1_000;
/// A start that takes longer has failed.
const START_LIMIT: Duration = Duration::from_secs(20);
/// Until all pairs have a rate.
const PAIRS_LIMIT: Duration = Duration::from_secs(120);

/// Runs the benchmark.
pub(crate) fn run(options: &Options) -> Result<Section> {
    let mut section = Section::new("footprint", "Start and memory", options.quick);
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let starts = options.pick(20, 3);
    let (mut ready_ms, mut rate_ms) = (Vec::new(), Vec::new());
    for _ in 0..starts {
        let (ready, rate) = start_once(options, folder.path())?;
        ready_ms.push(ready.as_secs_f64() * 1e3);
        rate_ms.push(rate.as_secs_f64() * 1e3);
    }
    let (ready, rate) = (Spread::of(&ready_ms), Spread::of(&rate_ms));
    section.method(format!(
        "Start: `kurs demo` with a new store is started {starts} times; `/readyz` is asked every millisecond until it \
         says 200, then the rate of BTC-USD. The time counts from before the process is created and includes the \
         simulated venues."
    ));
    section.figure("start to ready", "ms", ready, Some(Goal::AtMost(500.0)));
    section.figure(
        "start to the first BTC-USD",
        "ms",
        rate,
        Some(Goal::AtMost(2_000.0)),
    );
    let memory = memory(options, folder.path())?;
    section.method(format!(
        "Memory: `kurs serve` with {PAIRS} tracked pairs on a simulated Binance that runs in another process, each of \
         them answered by 200; resident memory is read every second after that, from `/proc/PID/status`."
    ));
    section.figure(
        format!("resident memory, {PAIRS} pairs live"),
        "MB",
        memory.resident,
        Some(Goal::AtMost(60.0)),
    );
    section.number("greatest resident memory", "MB", memory.peak, None);
    section.number("of it not backed by files", "MB", memory.anonymous, None);
    section.number(
        format!("until {PAIRS} pairs were live"),
        "s",
        memory.all_live_after.as_secs_f64(),
        None,
    );
    section.charts.push(Chart {
        file: "bench-start.svg".to_owned(),
        title: "From the start of the process (less is better)".to_owned(),
        unit: "ms".to_owned(),
        grey: None,
        bars: vec![
            Bar::new("ready", ready, true, Some(500.0)),
            Bar::new("first BTC-USD", rate, true, Some(2_000.0)),
        ],
    });
    Ok(section)
}

/// From the start to `/readyz` and to the first rate.
fn start_once(options: &Options, folder: &Path) -> Result<(Duration, Duration)> {
    let address = process::free_address()?;
    let mut command = demo_command(options, folder, None, address)?;
    let begin = Instant::now();
    let _server = Server::spawn(&mut command, address)?;
    let until = |path: &str| loop {
        if client::get(address, path, "").is_ok_and(|answer| answer.status == 200) {
            return Ok(begin.elapsed());
        }
        ensure!(begin.elapsed() < START_LIMIT, "{path}: {}", said(folder));
        std::thread::sleep(Duration::from_millis(1));
    };
    Ok((until("/readyz")?, until("/api/v1/rates/BTC/USD")?))
}

struct Memory {
    resident: Spread,
    peak: f64,
    anonymous: f64,
    all_live_after: Duration,
}

fn memory(options: &Options, folder: &Path) -> Result<Memory> {
    // The runtime goes after the server: its venues must outlive it.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let config = SimConfig {
        extra_symbols: PAIRS,
        ..SimConfig::seeded(1)
    };
    let sim = runtime.block_on(Sim::start(config, ([127, 0, 0, 1], 0).into()))?;
    let urls = sim.urls();
    let names: Vec<String> = (1..=PAIRS).map(|number| format!("S{number:04}")).collect();
    let address = process::free_address()?;
    let store = folder.join("kurs-memory.db");
    let log = File::create(folder.join("kurs.log")).context("cannot write the log")?;
    let mut command = process::command(None, options.kurs_binary()?);
    command
        .arg("serve")
        .current_dir(folder)
        .env("KURS_HTTP__ADDR", address.to_string())
        .env("KURS_STORE__URL", format!("sqlite:{}", store.display()))
        .env("KURS_PAIRS", list_of(&names))
        .env("KURS_SOURCES__BINANCE__WS_URL", &urls.binance_ws)
        .env("KURS_SOURCES__BINANCE__REST_URL", &urls.binance_rest)
        .env("KURS_SOURCES__COINGECKO__REST_URL", &urls.coingecko_rest)
        .env("KURS_SOURCES__OPENEXCHANGERATES__ENABLED", "false")
        .env("KURS_SOURCES__ECB__REST_URL", &urls.ecb_rest)
        .env("KURS_SOURCES__CBR__REST_URL", &urls.cbr_rest)
        .stderr(log);
    let begin = Instant::now();
    let server = Server::start(command, address, "/livez").with_context(|| said(folder))?;
    wait_for_pairs(&server, &names, begin)?;
    let all_live_after = begin.elapsed();
    console::line(&format!("{PAIRS} pairs live after {all_live_after:?}"));
    let mut resident = Vec::new();
    for _ in 0..options.pick(20, 3) {
        std::thread::sleep(Duration::from_secs(1));
        resident.push(server.kilobytes("VmRSS")? / 1_024.0);
    }
    let peak = server.kilobytes("VmHWM")? / 1_024.0;
    let anonymous = server.kilobytes("RssAnon")? / 1_024.0;
    // Some may rest for a moment, but nearly all must be live at the end as well.
    let live = names.iter().filter(|name| is_live(&server, name)).count();
    ensure!(
        live * 100 >= PAIRS * 98,
        "only {live} of {PAIRS} pairs were live in the end"
    );
    drop(server);
    drop(sim);
    Ok(Memory {
        resident: Spread::of(&resident),
        peak,
        anonymous,
        all_live_after,
    })
}

fn list_of(names: &[String]) -> String {
    let mut list = String::new();
    for name in names {
        let comma = if list.is_empty() { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(list, "{comma}{name}-USDT");
    }
    list
}

fn is_live(server: &Server, name: &str) -> bool {
    let path = format!("/api/v1/rates/{name}/USDT");
    client::get(server.address, &path, "").is_ok_and(|answer| answer.status == 200)
}

fn wait_for_pairs(server: &Server, names: &[String], begin: Instant) -> Result<()> {
    let mut connection = Connection::open(server.address)?;
    for name in names {
        let request = client::request(&format!("/api/v1/rates/{name}/USDT"), "");
        loop {
            let answer = connection.ask(&request)?;
            if answer.status == 200 {
                break;
            }
            let late = begin.elapsed() > PAIRS_LIMIT;
            let body = String::from_utf8_lossy(&answer.body);
            ensure!(
                !late,
                "{name}-USDT had no rate after {PAIRS_LIMIT:?}: {} {body}",
                answer.status
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    Ok(())
}
