//! (j) Many machines: what a bus carries and how fast, beside the client library it is made of;
//! two Readers against one; how soon a Reader has ten thousand pairs.
//!
//! | module | what it holds |
//! |---|---|
//! | `flow` | invented updates |
//! | `contest`, `ours`, `bare` | the same updates by kurs and by bare clients, in turns |
//! | `cluster` | a store, a broker, and Readers of the real kurs |
//! | `readers` | two Readers against one |
//! | `start` | the start of a Reader |

mod bare;
mod cluster;
mod contest;
mod flow;
mod ours;
mod readers;
mod start;

use crate::options::Options;
use crate::plot::number;
use crate::section::{Bar, Chart, Goal, Section, Table};
use crate::statistics::Spread;
use anyhow::{Context as _, Result};
use clap::ValueEnum;
use contest::{Lane, PER_SECOND, Pace, Rounds};
use flow::{Market, Texts};
use kurs_bus::Bus;
use kurs_bus::memory::MemoryBus;
use kurs_nats::{NatsBus, NatsOptions};
use kurs_rabbitmq::{RabbitBus, RabbitOptions};
use kurs_redis::{RedisBus, RedisOptions};
use kurs_testkit::{NatsServer, RabbitServer, RedisServer};
use ours::Ours;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// So many times a bare client is what a bus that does more should carry.
const PACE_GOAL: f64 = 0.8;
/// An update may take so much longer than by a bare client, microseconds.
const DELAY_GOAL_US: f64 = 100.0;
/// Pairs of the contest.
const PAIRS: usize = 500;
/// RabbitMQ keeps no last values, so snapshots are written. Five times as often as by default, so
/// that every round has its share of them.
const SNAPSHOT_EVERY_MS: u64 = 1_000;
const SNAPSHOT_EVERY: Duration = Duration::from_millis(SNAPSHOT_EVERY_MS);

/// Part of this benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// In one process
    Memory,
    /// NATS JetStream
    Nats,
    /// Redis streams
    Redis,
    /// RabbitMQ streams
    Rabbitmq,
    /// Two Readers against one
    Readers,
    /// Start of a Reader with 10,000 pairs
    Start,
}

/// Runs the benchmark.
pub(crate) fn run(options: &Options) -> Result<Section> {
    measure(options, Part::value_variants())
}

/// Runs parts of it.
pub(crate) fn measure(options: &Options, parts: &[Part]) -> Result<Section> {
    let mut section = Section::new("brokers", "Many machines", options.quick);
    let market = Arc::new(Market::new(PAIRS)?);
    let mut all = Vec::new();
    for part in parts {
        let (name, open): (_, Open) = match part {
            Part::Memory => ("in process", memory),
            Part::Nats => ("NATS", nats),
            Part::Redis => ("Redis", redis),
            Part::Rabbitmq => ("RabbitMQ", rabbitmq),
            Part::Readers | Part::Start => continue,
        };
        all.push((name, contest(name, options, &market, open)?));
    }
    if !all.is_empty() {
        describe(&mut section, options, &market, &all);
    }
    if parts.contains(&Part::Readers) {
        readers::measure(&mut section, options)?;
    }
    if parts.contains(&Part::Start) {
        start::measure(&mut section, options)?;
    }
    section.figures.sort_by_key(|figure| figure.goal.is_none());
    Ok(section)
}

/// Opens everybody who takes part: kurs, the bare client, and the same with texts.
type Open = fn(&Runtime, &Arc<Market>) -> Result<(Vec<Lane>, Held)>;
/// A server that runs as long as this is there.
type Held = Box<dyn std::any::Any>;

const KURS: &str = "kurs";
const BARE: &str = "bare client, ready texts";
const BARE_WITH_TEXTS: &str = "bare client, from update to update";
const ORDER: [&str; 3] = [KURS, BARE, BARE_WITH_TEXTS];

/// kurs first, then the bare client, then the same with texts if that is told apart.
fn contest(name: &str, options: &Options, market: &Arc<Market>, open: Open) -> Result<Vec<Pace>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let (lanes, held) = open(&runtime, market)?;
    let rounds = rounds(options);
    let mut paces = contest::run(name, lanes, rounds)?;
    let place = |pace: &Pace| ORDER.iter().position(|name| *name == pace.name);
    paces.sort_by_key(place);
    // The tasks first, then the server.
    drop(runtime);
    drop(held);
    Ok(paces)
}

fn rounds(options: &Options) -> Rounds {
    Rounds {
        count: options.pick(7, 2),
        flood: Duration::from_millis(options.pick(1_500, 500)),
        timed: Duration::from_millis(options.pick(1_500, 500)),
    }
}

fn memory(runtime: &Runtime, market: &Arc<Market>) -> Result<(Vec<Lane>, Held)> {
    let bus: Arc<dyn Bus> = Arc::new(MemoryBus::new());
    let ours = Ours::new(runtime, market, (Arc::clone(&bus), bus), || {})?;
    let bare = bare::memory::Channel::new(runtime, market);
    let lanes = vec![Lane::new(KURS, ours), Lane::new(BARE, bare)];
    Ok((lanes, Box::new(())))
}

fn nats(runtime: &Runtime, market: &Arc<Market>) -> Result<(Vec<Lane>, Held)> {
    let server = NatsServer::start();
    let url = server.url();
    let open = || -> Result<Arc<dyn Bus>> {
        let _entered = runtime.enter();
        Ok(Arc::new(NatsBus::new(NatsOptions::new(&url)?)))
    };
    let mut lanes = vec![Lane::new(
        KURS,
        Ours::new(runtime, market, (open()?, open()?), || {})?,
    )];
    for (name, prefix, is_live) in bare_ones() {
        let texts = Texts::new(market, prefix, is_live);
        let bare = bare::nats::open(runtime, &url, prefix, texts);
        lanes.push(Lane::new(name, bare.context("bare async-nats")?));
    }
    Ok((lanes, Box::new(server)))
}

fn redis(runtime: &Runtime, market: &Arc<Market>) -> Result<(Vec<Lane>, Held)> {
    let server = RedisServer::start();
    let url = server.url();
    let open = || -> Result<Arc<dyn Bus>> {
        let _entered = runtime.enter();
        Ok(Arc::new(RedisBus::new(RedisOptions::new(&url)?)))
    };
    let mut lanes = vec![Lane::new(
        KURS,
        Ours::new(runtime, market, (open()?, open()?), || {})?,
    )];
    for (name, prefix, is_live) in bare_ones() {
        let texts = Texts::new(market, prefix, is_live);
        let bare = bare::redis::open(runtime, &url, prefix, texts);
        lanes.push(Lane::new(name, bare.context("bare redis")?));
    }
    Ok((lanes, Box::new(server)))
}

fn rabbitmq(runtime: &Runtime, market: &Arc<Market>) -> Result<(Vec<Lane>, Held)> {
    let server = RabbitServer::start();
    let url = server.url();
    let open = || -> Result<Arc<RabbitBus>> {
        let _entered = runtime.enter();
        let mut options = RabbitOptions::new(&url)?;
        options.config.snapshot_every_ms = SNAPSHOT_EVERY_MS;
        Ok(Arc::new(RabbitBus::new(options)))
    };
    let (writer, reader) = (open()?, open()?);
    let publisher = Arc::clone(&writer);
    // The bus reads the flow again for its snapshots: that must not fall into another's round.
    let settle = move || {
        let counters = publisher.monitor().counters();
        let snapshots = || counters.snapshots.load(Ordering::Relaxed);
        let (before, begin) = (snapshots(), Instant::now());
        while snapshots() == before && begin.elapsed() < 5 * SNAPSHOT_EVERY {
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let ours = Ours::new(runtime, market, (writer, reader), settle)?;
    let mut lanes = vec![Lane::new(KURS, ours)];
    for (name, prefix, is_live) in bare_ones() {
        let texts = Texts::new(market, prefix, is_live);
        let bare = bare::rabbitmq::open(runtime, &url, prefix, texts, SNAPSHOT_EVERY);
        lanes.push(Lane::new(name, bare.context("bare lapin")?));
    }
    Ok((lanes, Box::new(server)))
}

fn bare_ones() -> [(&'static str, &'static str, bool); 2] {
    [(BARE, "bare", false), (BARE_WITH_TEXTS, "texts", true)]
}

fn describe(
    section: &mut Section,
    options: &Options,
    market: &Arc<Market>,
    all: &[(&str, Vec<Pace>)],
) {
    let rounds = rounds(options);
    section.method(format!(
        "Buses: a thread hands updates over, a task of this program publishes them, another one hears them; the server \
         is a private one on the same two cores, so that updates per second tell of all work together: publisher, \
         server and subscriber. The updates are invented: {PAIRS} pairs, of each in turns its rate and a source's own \
         price, {} bytes of text on average. Carried: as many as go through in {} s, at most 8,192 of them on their \
         way, until the last one was heard. Time taken: {PER_SECOND} a second for {} s, each due at a fixed moment, \
         from just before it is handed over until the subscriber has it. {} rounds; in each everybody has a turn, and \
         every round begins with another one. Quotients and differences are taken within a round.",
        Texts::new(market, "kurs", false).bytes().round(),
        rounds.flood.as_secs_f64(),
        rounds.timed.as_secs_f64(),
        rounds.count
    ));
    section.method(
        "kurs: two buses with their default settings, as a Writer and a Reader have them. Each writes an update as text, \
         keeps it until the server has it, reads it again and looks at its number. The bare client from update to \
         update does the same with nothing in between: it writes the same text, does the same work on the server, reads \
         the text. The bare client with ready texts is the library alone: the texts lie there, and whoever hears them \
         does not look into them; what kurs adds to that includes what JSON costs.",
    );
    section.method(format!(
        "NATS, async-nats: two streams in files with the settings of kurs' own, the second one sourced from the first \
         with one message per subject; an id with every message; 512 acknowledgements outstanding; the library's \
         ordered push consumer. Redis, redis: pipelines of up to 256 updates, four of them on their way: an `XADD` for \
         each update, one `HSET` of the last values, `XTRIM` by length and by age; `XREAD` of up to 256 entries. kurs \
         sends the same as one call of a script, which also refuses what is of an ended epoch or was sent before. \
         RabbitMQ, lapin: `basic_publish` with the properties of kurs to a topic exchange, 512 confirms outstanding, a \
         consumer on the stream behind it. RabbitMQ keeps no last values: the bare client has them in a map and puts \
         all of them, packed, into a second stream every {} s, and kurs writes its snapshots as often, which it makes \
         of what it reads back from the flow. In process: kurs' own bus, and a broadcast channel of tokio with a map of \
         last values.",
        SNAPSHOT_EVERY.as_secs()
    ));
    let (mut rows, mut paces, mut delays) = (Vec::new(), Vec::new(), Vec::new());
    for (name, contestants) in all {
        let [kurs, bare, ..] = &contestants[..] else {
            continue;
        };
        // Nothing is carried anywhere there.
        let is_carried = *name != "in process";
        let goal = |goal: Goal| is_carried.then_some(goal);
        // In process there are no texts.
        let same = contestants.get(2).unwrap_or(bare);
        section.figure(
            format!("{name}: updates per second, kurs / {}", same.name),
            "x",
            kurs.pace_against(same),
            goal(Goal::AtLeast(PACE_GOAL)),
        );
        section.figure(
            format!("{name}: p50 of the time to the subscriber, kurs - {BARE}"),
            "us",
            kurs.delay_against(bare),
            goal(Goal::AtMost(DELAY_GOAL_US)),
        );
        if is_carried {
            section.figure(
                format!("{name}: updates per second, kurs / {BARE}"),
                "x",
                kurs.pace_against(bare),
                None,
            );
            for other in [same, bare] {
                section.figure(
                    format!(
                        "{name}: CPU per update, broker included, kurs / {}",
                        other.name
                    ),
                    "x",
                    kurs.cpu_against(other),
                    None,
                );
            }
        }
        for pace in contestants {
            let label = format!("{name}: {}", pace.name);
            let own = pace.name == KURS;
            rows.push(vec![
                label.clone(),
                cell(pace.per_second()),
                cell(pace.own_us()),
                cell(pace.broker_us()),
                cell(pace.p50()),
                cell(pace.p99()),
            ]);
            if is_carried {
                paces.push(Bar::new(label.clone(), pace.per_second(), own, None));
                delays.push(Bar::new(label, pace.p50(), own, None));
            }
        }
    }
    let header = [
        "",
        "updates/s",
        "CPU here, us",
        "the broker's, us",
        "p50, us",
        "p99, us",
    ];
    section.tables.push(Table {
        caption: "Updates carried, CPU time per update (publisher and subscriber; broker), and time to the subscriber"
            .to_owned(),
        header: header.map(str::to_owned).to_vec(),
        rows,
    });
    let chart = |file: &str, title: &str, unit: &str, bars| Chart {
        file: file.to_owned(),
        title: title.to_owned(),
        unit: unit.to_owned(),
        grey: Some("bare clients".to_owned()),
        bars,
    };
    section.charts.extend([
        chart(
            "bench-brokers-pace.svg",
            "Updates carried (more is better)",
            "1/s",
            paces,
        ),
        chart(
            "bench-brokers-delay.svg",
            "From publisher to subscriber, p50 (less is better)",
            "us",
            delays,
        ),
    ]);
}

fn cell(spread: Spread) -> String {
    let [median, low, high] = [spread.median, spread.low, spread.high].map(number);
    format!("{median} ({low} to {high})")
}
