//! (h) One exchange floods kurs as fast as the loopback interface gives: what the others notice,
//! how soon it is judged, and what it costs. The other four run as ever.

mod garbage;

use crate::beacon::{Beacon, Seen};
use crate::client::{self, Connection};
use crate::console;
use crate::options::Options;
use crate::relay::Passed;
use crate::section::{Bar, Chart, Goal, Section, Table};
use crate::statistics::{Latencies, Spread};
use crate::world::World;
use anyhow::{Context as _, Result, ensure};
use garbage::Kind;
use serde_json::Value;
use std::time::{Duration, Instant};

/// The exchange that floods.
const FLOODER: &str = "okx";
/// A pair that it serves while it is well, being made the first in order of preference.
const SERVED: &str = "/api/v1/rates/ETH/USDT";
/// Order of preference: the flooder is first, so that its loss is seen at once.
const PREFERENCE: [(&str, &str); 2] = [
    ("KURS_SOURCES__OKX__PRIORITY", "1"),
    ("KURS_SOURCES__BINANCE__PRIORITY", "5"),
];
/// Liveliness of the markets, percent: as in (g).
const ACTIVITY_PERCENT: u32 = 250;
/// A flooder that is not judged after this long is not judged.
const JUDGED_LIMIT: Duration = Duration::from_secs(5);
/// Until the flooder serves again: the longest wait between two attempts is 30 s, and a source
/// that was lost several times has to be well for a minute.
const RECOVERY_LIMIT: Duration = Duration::from_secs(100);
/// Until the flooder serves at the start.
const START_LIMIT: Duration = Duration::from_secs(60);

/// What one flood did.
struct Found {
    kind: Kind,
    idle: Seen,
    flooded: Seen,
    flood_took: Duration,
    /// Until no rate of the flooder is served any more; `None`: not within [`JUDGED_LIMIT`].
    judged: Option<Duration>,
    /// Until `/api/v1/sources` says that its socket is not live.
    told: Option<Duration>,
    recovered: Duration,
    passed: Passed,
    /// Connections of the flooder that were lost, as kurs counts them.
    reconnects: u64,
    decode_errors: u64,
    /// Of the others during the flood.
    harmed: u64,
    memory: Memory,
    idle_percent: f64,
    flooded_percent: f64,
}

/// Resident memory, MB.
struct Memory {
    before: f64,
    greatest: f64,
    after: f64,
}

/// Runs the benchmark.
pub(crate) fn run(options: &Options) -> Result<Section> {
    let mut section = Section::new("flood", "A flood from one exchange", options.quick);
    let world = World::start(options, ACTIVITY_PERCENT, &PREFERENCE)?;
    let mut flood = Flood {
        connection: Connection::open(world.address())?,
        beacon: Beacon::open(world.address())?,
        world,
    };
    flood.recovery(START_LIMIT)?;
    let mut found = Vec::new();
    for kind in [Kind::Garbage; 12] {
        // DEBUG
        console::line(kind.name());
        let (idle, flooded) = match kind {
            Kind::Garbage => (options.seconds(60, 5), options.seconds(60, 5)),
            _ => (options.seconds(20, 5), options.seconds(20, 5)),
        };
        found.push(flood.measure(kind, idle, flooded)?);
    }
    describe(&mut section, options, &found);
    Ok(section)
}

struct Flood {
    connection: Connection,
    beacon: Beacon,
    world: World,
}

impl Flood {
    fn measure(&mut self, kind: Kind, idle: Duration, flooded: Duration) -> Result<Found> {
        let server = &self.world.server;
        let probe = self.world.relay("binance")?;
        let flooder = self.world.relay(FLOODER)?;
        let (cpu, begin) = (server.cpu()?, Instant::now());
        let idle = self.beacon.measure(probe, idle, || Ok(()))?;
        let idle_percent = percent(server.cpu()?.since(cpu).total_us(), begin.elapsed());
        let before = self.world.sources(&mut self.connection)?;
        let passed_before = flooder.passed();
        let memory_before = server.kilobytes("VmRSS")? / 1_024.0;
        server.forget_peak()?;

        let (cpu, begin) = (server.cpu()?, Instant::now());
        flooder.flood(kind.chunks());
        let judged = self.judged(|| flooder.flood_begun())?;
        let mut told = None;
        let mut look_at = Instant::now();
        let (world, connection) = (&self.world, &mut self.connection);
        let flood_begun = flooder.flood_begun().context("the flood never began")?;
        let seen = self.beacon.measure(probe, flooded, || {
            if told.is_none() && Instant::now() >= look_at {
                look_at = Instant::now() + Duration::from_millis(100);
                let source = world.source(connection, FLOODER)?;
                if !is_streaming(&source) {
                    told = Some(flood_begun.elapsed());
                }
            }
            Ok(())
        })?;
        let flood_took = begin.elapsed();
        let flooded_percent = percent(server.cpu()?.since(cpu).total_us(), flood_took);
        let greatest = server.kilobytes("VmHWM")? / 1_024.0;
        let passed = flooder.passed().since(&passed_before);
        flooder.calm();

        let recovered = self.recovery(RECOVERY_LIMIT)?;
        let after = self.world.sources(&mut self.connection)?;
        let memory_after = self.world.server.kilobytes("VmRSS")? / 1_024.0;
        let grown =
            |name: &str, keys: &[&str]| counter(&after, name, keys) - counter(&before, name, keys);
        let others = ["binance", "coinbase", "kraken", "bybit"];
        let harmed = others.map(|name| {
            grown(name, &["reconnects"])
                + grown(name, &["books", "gaps"])
                + grown(name, &["decode_errors"])
        });
        Ok(Found {
            kind,
            idle,
            flooded: seen,
            flood_took,
            judged,
            told,
            recovered,
            passed,
            reconnects: grown(FLOODER, &["reconnects"]),
            decode_errors: grown(FLOODER, &["decode_errors"]),
            harmed: harmed.iter().sum(),
            memory: Memory {
                before: memory_before,
                greatest,
                after: memory_after,
            },
            idle_percent,
            flooded_percent,
        })
    }

    /// From the first byte of the flood until another source serves.
    fn judged(&self, begun: impl Fn() -> Option<Instant>) -> Result<Option<Duration>> {
        let mut connection = Connection::open(self.world.address())?;
        let limit = Instant::now() + JUDGED_LIMIT;
        loop {
            let serves = serves(&mut connection)?;
            if let Some(begun) = begun()
                && !serves
            {
                return Ok(Some(begun.elapsed()));
            }
            if Instant::now() > limit {
                return Ok(None);
            }
        }
    }

    /// Until the flooder streams and serves.
    fn recovery(&mut self, limit: Duration) -> Result<Duration> {
        let begin = Instant::now();
        loop {
            let source = self.world.source(&mut self.connection, FLOODER)?;
            if is_streaming(&source) && serves(&mut self.connection)? {
                return Ok(begin.elapsed());
            }
            ensure!(
                begin.elapsed() < limit,
                "{FLOODER} did not come back within {limit:?}: {source}; {}",
                self.world.said()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn percent(cpu_us: f64, took: Duration) -> f64 {
    cpu_us / took.as_secs_f64() / 1e4
}

fn is_streaming(source: &Value) -> bool {
    source["state"] == "live" && source["mode"] == "websocket"
}

/// Whether the flooder's rate is the one that is served.
fn serves(connection: &mut Connection) -> Result<bool> {
    let answer = connection.ask(&client::request(SERVED, ""))?;
    let rate: Value = serde_json::from_slice(&answer.body)?;
    Ok(answer.status == 200 && rate["source"] == FLOODER && rate["state"] == "fresh")
}

fn counter(sources: &[Value], name: &str, keys: &[&str]) -> u64 {
    let source = sources.iter().find(|source| source["source"] == name);
    let value = source.map(|source| keys.iter().fold(source, |value, key| &value[*key]));
    value.and_then(Value::as_u64).unwrap_or(0)
}

impl Found {
    fn p99(seen: &Seen) -> f64 {
        Latencies::new(seen.latencies.clone()).microseconds(990)
    }

    fn times(&self) -> f64 {
        Self::p99(&self.flooded) / Self::p99(&self.idle).max(1.0)
    }
}

fn describe(section: &mut Section, options: &Options, found: &[Found]) {
    let Some(garbage) = found.first() else { return };
    section.method(format!(
        "The five exchanges and 200 symbols of the section before, kurs on core {}, all else on core {}. OKX, here the first \
         in order of preference, then writes into kurs' connection as fast as the loopback interface takes it, its real \
         frames in between, and into every further connection from its first byte on; its REST interface stays as it \
         is. The main flood, {:.0} s, is of five kinds in turn: random text, JSON of a wrong shape, random binary frames, \
         text frames of 15 MiB, brackets nested up to 100,000 deep. Since kurs ends such a connection after some frames, four \
         further floods of {:.0} s are of what it has to let in: frames in the venue's own words that say nothing, and pings.",
        options.server_core,
        options.load_core,
        garbage.flood_took.as_secs_f64(),
        found.get(1).map_or(0.0, |found| found.flood_took.as_secs_f64()),
    ));
    section.method(
        "The others' latency is measured through Binance as in the section before: from before the write of a price into its \
         socket to the end of the HTTP answer with it; idle just before each flood, for as long. Judged: the rate of ETH-USDT \
         is no longer that of OKX, asked for without pause from the first byte on. Memory is what `/proc/PID/status` says, the \
         greatest since the flood began. The flooding threads have niceness 10, so that the measurement is not disturbed by \
         them on its own core."
            .to_owned(),
    );
    section.number(
        "garbage: others' p99 in the flood / idle",
        "times",
        garbage.times(),
        Some(Goal::AtMost(2.0)),
    );
    let judged = garbage
        .judged
        .map_or(f64::INFINITY, |judged| judged.as_secs_f64() * 1e3);
    section.number(
        "garbage: first byte until no rate is the flooder's",
        "ms",
        judged,
        Some(Goal::AtMost(1_000.0)),
    );
    let worst = found.iter().map(Found::times).fold(0.0, f64::max);
    section.number(
        "any flood: others' p99 in the flood / idle, worst",
        "times",
        worst,
        Some(Goal::AtMost(2.0)),
    );
    let greatest = found
        .iter()
        .map(|found| found.memory.greatest)
        .fold(0.0, f64::max);
    section.number("any flood: greatest resident memory", "MB", greatest, None);
    let harmed: u64 = found.iter().map(|found| found.harmed).sum();
    section.number(
        "any flood: reconnections, gaps and unreadable frames of the others",
        "",
        harmed as f64,
        Some(Goal::AtMost(0.0)),
    );
    section.tables.push(latencies(found));
    section.tables.push(flooding(found));
    section.tables.push(memory(found));
    section.note(
        "Written is what the socket took, which is more than what kurs read: what waits in the buffers when kurs ends a \
         connection is thrown away by the kernel. `/api/v1/sources` is renewed once a second, so it tells the state up to a \
         second after the rates have changed."
            .to_owned(),
    );
    let bars = found
        .iter()
        .flat_map(|found| {
            let name = found.kind.name().split(':').next().unwrap_or_default();
            let bar = |label: String, seen: &Seen, own| {
                Bar::new(label, Spread::of(&[Found::p99(seen)]), own, None)
            };
            [
                bar(format!("{name}: idle"), &found.idle, false),
                bar(format!("{name}: flood"), &found.flooded, true),
            ]
        })
        .take(2)
        .collect();
    section.charts.push(Chart {
        file: "bench-flood.svg".to_owned(),
        title: "p99 of the others' update to view (less is better)".to_owned(),
        unit: "us".to_owned(),
        grey: Some("before the flood".to_owned()),
        bars,
    });
}

fn table(caption: &str, header: &[&str], rows: Vec<Vec<String>>) -> Table {
    Table {
        caption: caption.to_owned(),
        header: header.iter().map(|&cell| cell.to_owned()).collect(),
        rows,
    }
}

fn latencies(found: &[Found]) -> Table {
    let row = |found: &Found| {
        let (idle, flooded) = (
            Latencies::new(found.idle.latencies.clone()),
            Latencies::new(found.flooded.latencies.clone()),
        );
        let cell =
            |latencies: &Latencies, per_mille| format!("{:.0}", latencies.microseconds(per_mille));
        vec![
            found.kind.name().to_owned(),
            cell(&idle, 500),
            cell(&flooded, 500),
            cell(&idle, 990),
            cell(&flooded, 990),
            format!("{:.2}", found.times()),
            cell(&flooded, 1_000),
            format!(
                "{} of {}",
                found.flooded.lost,
                flooded.len() as u64 + found.flooded.lost
            ),
            found.harmed.to_string(),
        ]
    };
    table(
        "The others (microseconds)",
        &[
            "flood",
            "p50 idle",
            "p50 in the flood",
            "p99 idle",
            "p99 in the flood",
            "times",
            "greatest",
            "prices that never came",
            "reconnections, gaps, unreadable frames",
        ],
        found.iter().map(row).collect(),
    )
}

fn flooding(found: &[Found]) -> Table {
    let milliseconds = |taken: Option<Duration>| {
        taken.map_or_else(
            || "not".to_owned(),
            |taken| format!("{:.1}", taken.as_secs_f64() * 1e3),
        )
    };
    let row = |found: &Found| {
        vec![
            found.kind.name().to_owned(),
            milliseconds(found.judged),
            milliseconds(found.told),
            found.passed.flooded.to_string(),
            found.passed.flood_frames.to_string(),
            format!("{:.1}", found.passed.flood_bytes as f64 / 1_048_576.0),
            found.reconnects.to_string(),
            found.decode_errors.to_string(),
            format!("{:.1}", found.recovered.as_secs_f64()),
        ]
    };
    table(
        "The flooder",
        &[
            "flood",
            "judged after, ms",
            "told by `/sources` after, ms",
            "connections flooded",
            "frames written",
            "MiB written",
            "connections lost, attempts failed",
            "unreadable frames",
            "serves again after, s",
        ],
        found.iter().map(row).collect(),
    )
}

fn memory(found: &[Found]) -> Table {
    let row = |found: &Found| {
        let Memory {
            before,
            greatest,
            after,
        } = found.memory;
        let mut row = vec![found.kind.name().to_owned()];
        row.extend([before, greatest, after].map(|megabytes| format!("{megabytes:.1}")));
        row.extend([found.idle_percent, found.flooded_percent].map(|cpu| format!("{cpu:.1}")));
        row
    };
    table(
        "What it costs (MB resident, CPU in % of a core)",
        &[
            "flood",
            "before",
            "greatest",
            "after",
            "CPU idle",
            "CPU in the flood",
        ],
        found.iter().map(row).collect(),
    )
}
