//! What an update costs for each client, beside bare writes of the same bytes; and how late the
//! last client is.

use super::crowd::{Crowd, Way};
use super::raw::Writers;
use super::scene::Scene;
use crate::console;
use crate::options::{Options, own_binary};
use crate::plot::number;
use crate::process::{self, Server};
use crate::section::{Bar, Chart, Goal, Section, Table};
use crate::statistics::{Latencies, Spread};
use anyhow::{Result, ensure};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// Clients, and updates a second: about a third of a core.
const SIZES: [(usize, u32); 2] = [(1_000, 40), (5_000, 8)];
/// Before anything is counted.
const WARM_UP: Duration = Duration::from_secs(1);
/// The same after many connections were opened: for some seconds the kernel acknowledges each
/// packet of a young one at once, which costs the server half as much again.
const SETTLING: u64 = 4;
/// Part of what was written that must have been heard.
const HEARD: f64 = 0.98;
/// Updates that are on their way when it begins or ends.
const ON_THE_WAY: f64 = 2.0;
const SSE_GOAL: f64 = 1.3;
const WEB_SOCKET_GOAL: f64 = 1.25;

/// Who tells the clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Sse,
    WebSocket,
    Raw(Writers),
}

const LANES: [Lane; 4] = [
    Lane::Sse,
    Lane::WebSocket,
    Lane::Raw(Writers::One),
    Lane::Raw(Writers::Each),
];

impl Lane {
    const fn label(self) -> &'static str {
        match self {
            Self::Sse => "kurs, SSE",
            Self::WebSocket => "kurs, WebSocket",
            Self::Raw(Writers::One) => "bare writes, one task",
            Self::Raw(Writers::Each) => "bare writes, a task per client",
        }
    }

    const fn way(self) -> Way {
        match self {
            Self::Sse => Way::Sse,
            Self::WebSocket => Way::WebSocket,
            Self::Raw(_) => Way::Raw,
        }
    }
}

/// What one round of one lane found.
#[derive(Debug, Clone)]
struct Round {
    lane: Lane,
    /// Of the server, microseconds for each delivery; without what it uses with no client.
    cpu_us: f64,
    /// The part of the kernel, and all of it with what the server uses anyway.
    kernel_us: f64,
    whole_us: f64,
    bytes: f64,
    /// From the writing of a frame to the last client, nanoseconds.
    last: Vec<u64>,
    /// The same to every client, microseconds: half of them, and 99 of 100.
    late_us: (f64, f64),
}

/// Measures all of it.
pub(super) fn measure(section: &mut Section, options: &Options, runtime: &Runtime) -> Result<()> {
    let rounds = options.pick(5, 1);
    let window = options.seconds(6, 2);
    let mut rows = Vec::new();
    let mut late_rows = Vec::new();
    let mut bars = Vec::new();
    for (clients, per_second) in SIZES {
        let all = size(options, runtime, clients, per_second, rounds, window)?;
        let of = |lane: Lane, value: fn(&Round) -> f64| {
            let rounds = all.iter().filter(|round| round.lane == lane);
            Spread::of(&rounds.map(value).collect::<Vec<_>>())
        };
        let against = |lane: Lane, other: Lane| {
            let cpu = |lane: Lane| all.iter().filter(move |round| round.lane == lane);
            let quotients = cpu(lane).zip(cpu(other));
            let quotients = quotients.map(|(own, other)| own.cpu_us / other.cpu_us);
            Spread::of(&quotients.collect::<Vec<_>>())
        };
        let bare = Lane::Raw(Writers::One);
        for (lane, goal) in [(Lane::Sse, SSE_GOAL), (Lane::WebSocket, WEB_SOCKET_GOAL)] {
            section.figure(
                format!(
                    "{} clients: CPU per delivery, {} / bare writes",
                    number(clients as f64),
                    lane.label()
                ),
                "x",
                against(lane, bare),
                Some(Goal::AtMost(goal)),
            );
        }
        for lane in LANES {
            let cpu = of(lane, |round| round.cpu_us);
            rows.push(vec![
                format!("{}, {}", number(clients as f64), lane.label()),
                format!("{:.2} ({:.2} to {:.2})", cpu.median, cpu.low, cpu.high),
                format!("{:.2}", of(lane, |round| round.kernel_us).median),
                format!("{:.2}", of(lane, |round| round.whole_us).median),
                format!("{:.0}", of(lane, |round| round.bytes).median),
                format!("{:.2}", against(lane, bare).median),
            ]);
            let label = format!("{} {}", number(clients as f64), lane.label());
            bars.push(Bar::new(label, cpu, !matches!(lane, Lane::Raw(_)), None));
            if matches!(lane, Lane::Raw(_)) {
                continue;
            }
            let last: Vec<u64> = all
                .iter()
                .filter(|round| round.lane == lane)
                .flat_map(|round| round.last.iter().copied())
                .collect();
            let last = Latencies::new(last);
            for (name, per_mille) in [("p50", 500), ("p99", 990)] {
                section.number(
                    format!(
                        "{}: frame to the last of {} clients, {name}",
                        lane.label(),
                        number(clients as f64)
                    ),
                    "ms",
                    last.microseconds(per_mille) / 1e3,
                    None,
                );
            }
            late_rows.push(vec![
                format!("{}, {}", number(clients as f64), lane.label()),
                format!("{:.2}", of(lane, |round| round.late_us.0).median / 1e3),
                format!("{:.2}", of(lane, |round| round.late_us.1).median / 1e3),
                format!("{:.2}", last.microseconds(500) / 1e3),
                format!("{:.2}", last.microseconds(990) / 1e3),
                last.len().to_string(),
            ]);
        }
    }
    describe(section, options, rounds, window);
    section.tables.push(Table {
        caption: "CPU of the server for each update and client, microseconds".to_owned(),
        header: [
            "clients, by",
            "CPU",
            "kernel's part",
            "with what it uses anyway",
            "bytes",
            "times bare writes",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows,
    });
    section.tables.push(Table {
        caption: "From the writing of a frame at the exchange, milliseconds".to_owned(),
        header: [
            "clients, by",
            "any client, p50",
            "p99",
            "the last client, p50",
            "p99",
            "frames",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows: late_rows,
    });
    section.charts.push(Chart {
        file: "bench-streams-cpu.svg".to_owned(),
        title: "CPU of the server for each update and client (less is better)".to_owned(),
        unit: "us".to_owned(),
        grey: Some("bare writes".to_owned()),
        bars,
    });
    Ok(())
}

fn describe(section: &mut Section, options: &Options, rounds: usize, window: Duration) {
    let sizes = SIZES.map(|(clients, per_second)| {
        format!(
            "{} clients at {per_second} updates a second",
            number(clients as f64)
        )
    });
    section.method(format!(
        "Deliveries: the real `kurs serve` on core {}, with one pair. The frames of its exchange are written one by \
         one into its connection from core {}, where all clients are as well, in one thread; each listens to all \
         rates. {}, {rounds} rounds of {} s each, {SETTLING} s after the last client came, in turns: SSE, WebSocket, and two bare tokio programs that write \
         the bytes of one such event, HTTP's chunk head included, to as many sockets as often: from one task, and \
         from a task for each client. CPU is user and system time of the server process, divided by what the clients \
         received; without what the same server uses at the same frames with no client at all, which is between \
         `CPU` and `with what it uses anyway`. Quotients are taken within a round.",
        options.server_core,
        options.load_core,
        sizes.join(", "),
        window.as_secs()
    ));
    section.method(
        "Times count from before the write of a frame at the exchange to the moment when the client's thread has read \
         the event: decoding, pricing, the bus, the stream and the work of the thread that reads for all clients are \
         in it.",
    );
}

fn size(
    options: &Options,
    runtime: &Runtime,
    clients: usize,
    per_second: u32,
    rounds: usize,
    window: Duration,
) -> Result<Vec<Round>> {
    let scene = Scene::start(options, &[])?;
    let file = scene.folder.path().join("event");
    std::fs::write(&file, event_of(&scene, runtime)?)?;
    let mut all = Vec::new();
    for round in 0..rounds {
        console::line(&format!(
            "{clients} clients, round {} of {rounds}",
            round + 1
        ));
        for turn in 0..LANES.len() {
            let lane = LANES[(round + turn) % LANES.len()];
            let bare;
            let server = match lane {
                Lane::Raw(writers) => {
                    bare = start_bare(options, &file, per_second, writers)?;
                    &bare
                }
                Lane::Sse | Lane::WebSocket => &scene.server,
            };
            let settling = options.seconds(SETTLING, 1);
            let load = (clients, per_second);
            let measured = one(&scene, runtime, server, lane, load, (settling, window))?;
            console::line(&format!(
                "  {:<32} {:.2} us, {:.2} of the kernel, {:.2} in all; p99 {:.1} ms",
                lane.label(),
                measured.cpu_us,
                measured.kernel_us,
                measured.whole_us,
                measured.late_us.1 / 1e3
            ));
            all.push(measured);
        }
    }
    Ok(all)
}

fn start_bare(options: &Options, file: &Path, per_second: u32, writers: Writers) -> Result<Server> {
    let address = process::free_address()?;
    let mut command = process::command(Some(options.server_core), own_binary()?);
    let writers = match writers {
        Writers::One => "one",
        Writers::Each => "each",
    };
    command
        .arg("serve-bytes")
        .arg(address.to_string())
        .arg::<PathBuf>(file.into())
        .args([&per_second.to_string(), writers]);
    let server = Server::spawn(&mut command, address)?;
    let deadline = Instant::now() + Duration::from_secs(10);
    while std::net::TcpStream::connect(address).is_err() {
        ensure!(Instant::now() < deadline, "the bare server did not come up");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(server)
}

fn one(
    scene: &Scene,
    runtime: &Runtime,
    server: &Server,
    lane: Lane,
    (clients, per_second): (usize, u32),
    (settling, window): (Duration, Duration),
) -> Result<Round> {
    let feed = scene.feed(per_second);
    let is_bare = matches!(lane, Lane::Raw(_));
    // What it uses with nobody there.
    let anyway_per_second = if is_bare {
        0.0
    } else {
        std::thread::sleep(WARM_UP);
        let (before, begin) = (server.cpu()?, Instant::now());
        std::thread::sleep(window / 2);
        server.cpu()?.since(before).total_us() / begin.elapsed().as_secs_f64()
    };
    let address = server.address;
    let crowd = Crowd::open(runtime, lane.way(), address, clients, &scene.written)?;
    std::thread::sleep(settling);
    crowd.begin();
    crowd.seen.forget();
    let first = scene.written.next();
    let (before, begin) = (server.cpu()?, Instant::now());
    std::thread::sleep(window);
    let used = server.cpu()?.since(before);
    let seconds = begin.elapsed().as_secs_f64();
    let frames = scene.written.next() - first;
    let bytes_each = crowd.bytes_each()?;
    let deliveries = crowd.bytes() / bytes_each;
    let expected = if is_bare {
        f64::from(per_second) * seconds
    } else {
        frames as f64
    };
    ensure!(
        deliveries >= (HEARD * expected - ON_THE_WAY) * clients as f64,
        "{}: {deliveries:.0} deliveries of {expected:.0} updates to {clients} clients",
        lane.label()
    );
    ensure!(
        crowd.listening() == clients,
        "{}: clients were lost",
        lane.label()
    );
    // What was written at last is on its way still.
    std::thread::sleep(Duration::from_millis(500));
    let last = crowd.seen.last_of(first..first + frames, clients);
    feed.end()?;
    let whole_us = used.total_us() / deliveries;
    Ok(Round {
        lane,
        cpu_us: whole_us - anyway_per_second * seconds / deliveries,
        kernel_us: used.kernel_us / deliveries,
        whole_us,
        bytes: bytes_each,
        last: if is_bare { Vec::new() } else { last },
        late_us: (crowd.seen.late_us(500), crowd.seen.late_us(990)),
    })
}

/// The bytes of one event as they come over SSE, with the head of the chunk and its end.
fn event_of(scene: &Scene, runtime: &Runtime) -> Result<Vec<u8>> {
    let _feed = scene.feed(10);
    let crowd = Crowd::open(runtime, Way::Sse, scene.address(), 1, &scene.written)?;
    std::thread::sleep(WARM_UP);
    let text = crowd.sample();
    ensure!(
        text.ends_with(b"\n\n\r\n")
            && text
                .windows(12)
                .filter(|part| part == b"event: rate\n")
                .count()
                == 1,
        "no single event: {}",
        String::from_utf8_lossy(&text)
    );
    Ok(text)
}
