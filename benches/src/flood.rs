//! (h) One exchange floods kurs as fast as the loopback interface gives: what the others notice,
//! how soon it is judged, and what it costs. The other four run as ever.

mod garbage;
mod report;

use crate::beacon::{Beacon, Seen};
use crate::client::{self, Connection};
use crate::console;
use crate::options::Options;
use crate::relay::Passed;
use crate::section::Section;
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
const RECOVERY_LIMIT: Duration = Duration::from_secs(240);
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
    for kind in Kind::ALL {
        // DEBUG
        console::line(kind.name());
        let (idle, flooded) = match kind {
            Kind::Garbage => (options.seconds(60, 5), options.seconds(60, 5)),
            _ => (options.seconds(20, 5), options.seconds(20, 5)),
        };
        found.push(flood.measure(kind, idle, flooded)?);
    }
    report::describe(&mut section, options, &found);
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
