//! What clients that read notice of those that do not.

use super::crowd::{Crowd, Sleepers, Way};
use super::scene::Scene;
use crate::client;
use crate::console;
use crate::options::Options;
use crate::plot::number;
use crate::section::{Goal, Section, Table};
use crate::statistics::Spread;
use anyhow::{Context as _, Result, ensure};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Clients that read, half of them by each way.
const READERS: usize = 1_000;
const SLEEPERS: usize = 1_000;
const PER_SECOND: u32 = 40;
/// So many times as late as without them.
const GOAL_TIMES: f64 = 1.2;
/// What they may take of the server's memory, megabytes.
const GOAL_MB: f64 = 64.0;
/// Until all sleepers have been cut.
const CUT_LIMIT: Duration = Duration::from_secs(180);
const WARM_UP: Duration = Duration::from_secs(1);

/// Measures all of it.
pub(super) fn measure(section: &mut Section, options: &Options, runtime: &Runtime) -> Result<()> {
    let rounds = options.pick(7, 1);
    let window = options.seconds(8, 2);
    // They stay as they are while it is measured: full, and told only the newest.
    let scene = Scene::start(options, &[("KURS_STREAMS__WRITE_MS", "600000")])?;
    let feed = scene.feed(PER_SECOND);
    let open = |way| Crowd::open(runtime, way, scene.address(), READERS / 2, &scene.written);
    let readers = [open(Way::Sse)?, open(Way::WebSocket)?];
    let p99 = || {
        std::thread::sleep(WARM_UP);
        for crowd in &readers {
            crowd.seen.forget();
        }
        std::thread::sleep(window);
        let late = readers.iter().map(|crowd| crowd.seen.late_us(990));
        late.fold(0.0, f64::max)
    };
    let (mut without, mut with, mut times) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        let alone = p99();
        let sleepers = Sleepers::open(runtime, scene.address(), SLEEPERS)?;
        wait_until_full(&scene)?;
        let beside = p99();
        drop(sleepers);
        // Their places are free again before the next round.
        until_open(&scene, READERS)?;
        console::line(&format!(
            "round {} of {rounds}: p99 {:.2} ms without, {:.2} ms with",
            round + 1,
            alone / 1e3,
            beside / 1e3
        ));
        without.push(alone);
        with.push(beside);
        times.push(beside / alone);
    }
    for crowd in &readers {
        ensure!(
            crowd.listening() == READERS / 2,
            "clients that read were lost"
        );
    }
    drop(readers);
    feed.end()?;
    drop(scene);
    let cut = cut(options, runtime)?;
    section.figure(
        format!(
            "p99 of {} clients, {} that never read beside them / without",
            number(READERS as f64),
            number(SLEEPERS as f64)
        ),
        "times",
        Spread::of(&times),
        Some(Goal::AtMost(GOAL_TIMES)),
    );
    section.number(
        format!(
            "memory that {} clients take that never read",
            number(SLEEPERS as f64)
        ),
        "MB",
        cut.megabytes,
        Some(Goal::AtMost(GOAL_MB)),
    );
    section.number(
        "until the last of them was cut, from the connect",
        "s",
        cut.all_after.as_secs_f64(),
        None,
    );
    section.method(format!(
        "Clients that never read: {} clients, half SSE, half WebSocket, hear {PER_SECOND} prices a second; {} more, \
         with small windows, subscribe the same and never read. When all of these are full, so that each waits with \
         the newest of each topic, p99 from the exchange's write to the client's read is measured for {} s, and \
         without them, {rounds} times in turns. `streams.write_ms` is raised for it, so that they stay. Then the same \
         clients at the default of 10 s, with the windows of the system: memory is the growth of `VmRSS` to its peak, \
         until all were cut.",
        number(READERS as f64),
        number(SLEEPERS as f64),
        window.as_secs()
    ));
    let row = |label: &str, spread: Spread| {
        let cell = |value: f64| format!("{:.2}", value / 1e3);
        vec![
            label.to_owned(),
            cell(spread.median),
            cell(spread.low),
            cell(spread.high),
        ]
    };
    section.tables.push(Table {
        caption: "p99 of the clients that read, milliseconds".to_owned(),
        header: ["beside them", "median", "least", "greatest"]
            .map(str::to_owned)
            .to_vec(),
        rows: vec![
            row("nobody", Spread::of(&without)),
            row("those that never read", Spread::of(&with)),
        ],
    });
    Ok(())
}

/// What became of clients that never read.
struct Cut {
    megabytes: f64,
    all_after: Duration,
}

fn cut(options: &Options, runtime: &Runtime) -> Result<Cut> {
    let scene = Scene::start(options, &[])?;
    let feed = scene.feed(PER_SECOND);
    std::thread::sleep(2 * WARM_UP);
    scene.server.forget_peak()?;
    let before = scene.server.kilobytes("VmRSS")?;
    let begin = Instant::now();
    let sleepers = Sleepers::open(runtime, scene.address(), SLEEPERS)?;
    let slow = || counter(&scene, "kurs_stream_slow_clients_total");
    while slow()? < SLEEPERS as f64 {
        ensure!(
            begin.elapsed() < CUT_LIMIT,
            "only {} of {SLEEPERS} were cut after {CUT_LIMIT:?}",
            slow()?
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    let all_after = begin.elapsed();
    let peak = scene.server.kilobytes("VmHWM")?;
    drop(sleepers);
    feed.end()?;
    Ok(Cut {
        megabytes: (peak - before) / 1_024.0,
        all_after,
    })
}

/// Waits until hardly anything is handed to sockets but for those that read.
fn wait_until_full(scene: &Scene) -> Result<()> {
    let deadline = Instant::now() + CUT_LIMIT;
    let window = Duration::from_secs(1);
    let most = f64::from(PER_SECOND) * (READERS as f64) * 1.03;
    loop {
        let (before, begin) = (counter(scene, "kurs_stream_events_total")?, Instant::now());
        std::thread::sleep(window);
        let told = counter(scene, "kurs_stream_events_total")? - before;
        if told / begin.elapsed().as_secs_f64() < most {
            // What waits for them is full as well soon after.
            std::thread::sleep(Duration::from_secs(7));
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "they never were full");
    }
}

fn until_open(scene: &Scene, wanted: usize) -> Result<()> {
    let deadline = Instant::now() + CUT_LIMIT;
    while counter(scene, "kurs_streams_open")? > wanted as f64 {
        ensure!(Instant::now() < deadline, "streams stay open");
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// A counter of the server.
fn counter(scene: &Scene, name: &str) -> Result<f64> {
    let answer = client::get(scene.address(), "/metrics", "")?;
    let text = String::from_utf8(answer.body).context("metrics are no text")?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let value = line.and_then(|line| line.split(' ').next()?.parse().ok());
    value.with_context(|| format!("no metric {name}"))
}
