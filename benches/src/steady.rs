//! (b) A constant rate of requests against the whole demo. Every request has a moment at which
//! it is due; its latency counts from there, so that a slow answer is charged with the requests
//! that had to wait behind it.

use crate::client::{self, Connection};
use crate::options::Options;
use crate::process::{self, Pinned, Server};
use crate::section::{Bar, Chart, Goal, Section};
use crate::statistics::{Latencies, Spread};
use anyhow::{Context as _, Result, anyhow, ensure};
use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// Requests per second.
const RATE: u64 = 1_500;
/// Kept connections, one thread each: a thread's timer is finer than that of an async runtime.
const CONNECTIONS: u64 = 32;
/// On a quiet machine the load is hardly ever later than this, microseconds.
const QUIET_US: f64 = 500.0;
/// From the start of the threads to the first request.
const LEAD: Duration = Duration::from_millis(200);
/// What is asked in turn: single rates, own and derived, and the list.
const PATHS: [&str; 10] = [
    "/api/v1/rates/BTC/USD",
    "/api/v1/rates/BTC/RUB",
    "/api/v1/rates/ETH/USD",
    "/api/v1/rates/ETH/RUB",
    "/api/v1/rates/USDTTRC/USD",
    "/api/v1/rates/USDTERC/RUB",
    "/api/v1/rates/BTC/USDT",
    "/api/v1/rates/ETH/USDT",
    "/api/v1/rates/ETH/BTC",
    "/api/v1/courses",
];

/// Starts `kurs demo` with a new store and waits until it has a rate.
pub(crate) fn start_demo(options: &Options, folder: &Path, core: Option<usize>) -> Result<Server> {
    let address = process::free_address()?;
    let command = demo_command(options, folder, core, address)?;
    let server = Server::start(command, address, PATHS[0]);
    server.with_context(|| said(folder))
}

/// What `kurs demo` is started by; its messages go into the folder.
pub(crate) fn demo_command(
    options: &Options,
    folder: &Path,
    core: Option<usize>,
    address: SocketAddr,
) -> Result<Command> {
    let mut command = process::command(core, options.kurs_binary()?);
    let log = File::create(folder.join("kurs.log")).context("cannot write the log")?;
    let store = folder.join(format!("kurs-{}.db", address.port()));
    command
        .arg("demo")
        .args(["--http-addr", &address.to_string()])
        // Without it a demo keeps nothing; a server does.
        .args(["--store-url", &format!("sqlite:{}", store.display())])
        .current_dir(folder)
        .stderr(log);
    Ok(command)
}

/// The last messages of a kurs that did not come up.
pub(crate) fn said(folder: &Path) -> String {
    let text = std::fs::read_to_string(folder.join("kurs.log")).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    format!(
        "kurs did not come up; it said at last: {}",
        lines.join(" | ")
    )
}

/// What one connection saw.
#[derive(Debug, Default)]
struct Seen {
    /// From the moment a request was due to the end of its answer, nanoseconds.
    latencies: Vec<u64>,
    /// From the moment a request was due to its sending, nanoseconds.
    lateness: Vec<u64>,
    errors: u64,
    first_error: Option<String>,
}

/// Runs the benchmark.
pub(crate) fn run(options: &Options) -> Result<Section> {
    let duration = options.seconds(60, 5);
    let mut section = Section::new("steady", "A constant rate of requests", options.quick);
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let server = start_demo(options, folder.path(), Some(options.server_core))?;
    let _pinned = Pinned::to(options.load_core)?;
    let used_before = server.cpu()?;
    wait_for_all(server.address)?;
    let begin = Instant::now() + LEAD;
    let threads: Vec<_> = (0..CONNECTIONS)
        .map(|number| {
            let address = server.address;
            std::thread::spawn(move || drive(address, number, begin, duration))
        })
        .collect();
    let mut total = Seen::default();
    for thread in threads {
        let seen = thread
            .join()
            .map_err(|_| anyhow!("a thread of the load ended badly"))??;
        total.latencies.extend(seen.latencies);
        total.lateness.extend(seen.lateness);
        total.errors += seen.errors;
        total.first_error = total.first_error.or(seen.first_error);
    }
    let took = begin.elapsed();
    let cpu_percent = server.cpu()?.since(used_before).total_us() / took.as_secs_f64() / 1e4;
    describe(&mut section, options, total, duration, cpu_percent);
    Ok(section)
}

/// All paths answer before the clock starts.
fn wait_for_all(address: SocketAddr) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    for path in PATHS {
        loop {
            let answer = client::get(address, path, "");
            if answer.as_ref().is_ok_and(|answer| answer.status == 200) {
                break;
            }
            ensure!(
                Instant::now() < deadline,
                "{path} never had a rate: {answer:?}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    Ok(())
}

/// Sends every request of one connection when it is due, or as soon as the one before it is
/// answered.
fn drive(address: SocketAddr, number: u64, begin: Instant, duration: Duration) -> Result<Seen> {
    let requests: Vec<Vec<u8>> = PATHS.iter().map(|path| client::request(path, "")).collect();
    let mut connection = Connection::open(address)?;
    let mut seen = Seen::default();
    let total = RATE * duration.as_secs();
    for index in (number..total).step_by(usize::try_from(CONNECTIONS)?) {
        let due = begin + Duration::from_nanos(index * 1_000_000_000 / RATE);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        seen.lateness.push(nanoseconds(due.elapsed()));
        let request = usize::try_from(index)? % requests.len();
        match connection.ask(&requests[request]) {
            Ok(answer) if answer.status == 200 => seen.latencies.push(nanoseconds(due.elapsed())),
            Ok(answer) => seen.fail(format!("{}: {}", PATHS[request], answer.status)),
            Err(error) => {
                seen.fail(format!("{}: {error:#}", PATHS[request]));
                connection = Connection::open(address)?;
            }
        }
    }
    Ok(seen)
}

impl Seen {
    fn fail(&mut self, why: String) {
        self.errors += 1;
        self.first_error.get_or_insert(why);
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn describe(
    section: &mut Section,
    options: &Options,
    seen: Seen,
    duration: Duration,
    cpu_percent: f64,
) {
    section.method(format!(
        "`kurs demo` (simulated venues, pricing, store and API in one process) on core {}; {RATE} requests per second \
         for {} s from core {} over {CONNECTIONS} kept connections: single rates, own and derived, and every tenth \
         `/api/v1/courses`. Every request is due at a fixed moment and its latency counts from that moment to the last \
         byte of its answer, whenever it could be sent.",
        options.server_core,
        duration.as_secs(),
        options.load_core
    ));
    let (errors, first_error) = (seen.errors, seen.first_error);
    let (latencies, lateness) = (
        Latencies::new(seen.latencies),
        Latencies::new(seen.lateness),
    );
    section.number("errors", "requests", errors as f64, Some(Goal::AtMost(0.0)));
    section.number(
        "latency, p99",
        "us",
        latencies.microseconds(990),
        Some(Goal::AtMost(2_000.0)),
    );
    section.number("latency, p50", "us", latencies.microseconds(500), None);
    section.number("latency, p99.9", "us", latencies.microseconds(999), None);
    section.number(
        "latency, greatest",
        "us",
        latencies.microseconds(1_000),
        None,
    );
    section.number("answered", "requests", latencies.len() as f64, None);
    section.number(
        "load sent late by, p99",
        "us",
        lateness.microseconds(990),
        None,
    );
    section.number("CPU of kurs", "% of a core", cpu_percent, None);
    section.note(
        "Latency includes how late the load itself was: a thread that sleeps wakes some 50 us after its moment, and \
         later when another thread of the load has the core.",
    );
    if lateness.microseconds(990) > QUIET_US {
        section.note(
            "The load could not keep its pace: other programs had its core, and the greater percentiles tell of them \
             rather than of kurs.",
        );
    }
    if let Some(error) = first_error {
        section.note(format!("First error: {error}."));
    }
    let bars = [
        ("p50", 500),
        ("p90", 900),
        ("p99", 990),
        ("p99.9", 999),
        ("greatest", 1_000),
    ];
    let bar = |(label, per_mille): (&str, usize)| {
        let goal = (label == "p99").then_some(2_000.0);
        Bar::new(
            label,
            Spread::of(&[latencies.microseconds(per_mille)]),
            true,
            goal,
        )
    };
    section.charts.push(Chart {
        file: "bench-steady.svg".to_owned(),
        title: format!("Latency at {RATE} requests per second (less is better)"),
        unit: "us".to_owned(),
        grey: None,
        bars: bars.map(bar).to_vec(),
    });
}
