//! The start of a Reader with ten thousand pairs.

use super::cluster::{Cluster, Place, Stream};
use crate::client::{self, Connection};
use crate::console;
use crate::options::Options;
use crate::process::Server;
use crate::section::{Bar, Chart, Goal, Section};
use crate::statistics::Spread;
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};

pub(super) const PAIRS: usize = 10_000;
/// Start to the last rate at most, milliseconds.
const GOAL_MS: f64 = 1_000.0;
/// Updates a second that a Writer of so many pairs publishes meanwhile, and one that has nothing
/// to say but that it lives.
const BUSY: u32 = 1_000;
const QUIET: u32 = 1;
/// Questions sent before the first of them is answered.
const AT_ONCE: usize = 200;
/// Between two questions for rates that are not there yet.
const PAUSE: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the Reader finds the rates.
struct Start {
    name: &'static str,
    place: Place,
    goal: Option<Goal>,
    ready_ms: Vec<f64>,
    served_ms: Vec<f64>,
}

pub(super) fn measure(section: &mut Section, options: &Options) -> Result<()> {
    let cluster = Cluster::start(PAIRS)?;
    let (full, empty) = (cluster.store(true)?, cluster.store(false)?);
    let start = |name, store_url: &str, prefix: &str, goal: Option<f64>| Start {
        name,
        place: Place {
            store_url: store_url.to_owned(),
            prefix: prefix.to_owned(),
        },
        goal: goal.map(Goal::AtMost),
        ready_ms: Vec::new(),
        served_ms: Vec::new(),
    };
    let mut starts = [
        start("store and bus have them", &full, "busy", Some(GOAL_MS)),
        start("only the bus has them", &empty, "busy", Some(GOAL_MS)),
        start("only the store has them", &full, "nothing", Some(GOAL_MS)),
        start("only the bus, whose Writer is quiet", &empty, "quiet", None),
    ];
    let mut streams = Vec::new();
    for (prefix, per_second) in [("busy", BUSY), ("quiet", QUIET), ("nothing", 0)] {
        let bus = cluster.bus(prefix)?;
        if per_second > 0 {
            let last = cluster.publish_all(&*bus)?;
            streams.push(Stream::begin(&cluster.market, bus, last, per_second));
        }
    }
    let requests = requests(&cluster);
    let rounds = options.pick(7, 2);
    for round in 0..=rounds {
        for turn in 0..starts.len() {
            let at = (turn + round) % starts.len();
            let (ready, served) = once(options, &cluster, &starts[at].place, &requests)?;
            // The first one finds nothing in the system's memory.
            if round > 0 {
                starts[at].ready_ms.push(ready.as_secs_f64() * 1e3);
                starts[at].served_ms.push(served.as_secs_f64() * 1e3);
            }
        }
        console::line(&format!("starts: round {round} of {rounds}"));
    }
    drop(streams);
    describe(section, &starts, rounds);
    Ok(())
}

/// A question for each pair.
fn requests(cluster: &Cluster) -> Vec<Vec<u8>> {
    let rates = cluster.market.rates();
    let paths = rates.map(|rate| format!("/api/v1/rates/{}/{}", rate.pair.base, rate.pair.quote));
    paths.map(|path| client::request(&path, "")).collect()
}

/// From the start to readiness, and to the last of all rates.
fn once(
    options: &Options,
    cluster: &Cluster,
    place: &Place,
    requests: &[Vec<u8>],
) -> Result<(Duration, Duration)> {
    let begin = Instant::now();
    let server = cluster.reader(options, None, place)?;
    cluster.until_ready(&server)?;
    let ready = begin.elapsed();
    all_served(&server, requests)?;
    Ok((ready, begin.elapsed()))
}

/// Asks for each rate until it is answered by 200, which only a fresh one is. Until there are
/// some, one is asked for: looking for ways to ten thousand unknown pairs would be most of the
/// work.
fn all_served(server: &Server, requests: &[Vec<u8>]) -> Result<()> {
    let begin = Instant::now();
    let mut connection = Connection::open(server.address)?;
    let first = requests.chunks(1).take(1);
    for some in first.chain(requests.chunks(AT_ONCE)) {
        while !connection
            .ask_all(some)?
            .iter()
            .all(|status| *status == 200)
        {
            ensure!(begin.elapsed() < PATIENCE, "not every rate is served");
            std::thread::sleep(PAUSE);
        }
    }
    Ok(())
}

fn describe(section: &mut Section, starts: &[Start], rounds: usize) {
    section.method(format!(
        "Start: a process `kurs serve --role reader` on both cores, with NATS as bus and PostgreSQL as store, each a \
         private server on this machine, which share the cores with it. There are {PAIRS} pairs, each with a rate and \
         a source's own price: {} last values on the bus, {PAIRS} current rates in the store, one of them, or both. A \
         Writer goes on publishing {BUSY} updates a second, or {QUIET} where it is called quiet. From before the \
         process is created until `/readyz` says 200, asked every millisecond; and until every one of the {PAIRS} \
         rates was answered by 200, which only a fresh rate is, asked one by one over one connection, {AT_ONCE} \
         questions on their way at once. {rounds} rounds, in turns, after one that does not count.",
        2 * PAIRS
    ));
    let mut bars = Vec::new();
    for start in starts {
        let (ready, served) = (Spread::of(&start.ready_ms), Spread::of(&start.served_ms));
        let name = start.name;
        let title = format!("start of a Reader to {PAIRS} rates served: {name}");
        section.figure(title, "ms", served, start.goal);
        let title = format!("start of a Reader to `/readyz`: {name}");
        section.figure(title, "ms", ready, None);
        let goal = start.goal.map(|_| GOAL_MS);
        bars.push(Bar::new(format!("{name}: served"), served, true, goal));
        bars.push(Bar::new(format!("{name}: ready"), ready, false, None));
    }
    section.charts.push(Chart {
        file: "bench-brokers-start.svg".to_owned(),
        title: format!("Start of a Reader with {PAIRS} pairs (less is better)"),
        unit: "ms".to_owned(),
        grey: Some("ready".to_owned()),
        bars,
    });
    section.note(
        "How old a last value of the bus is shows only beside something that is heard of its Writer; a Reader that \
         finds the rates nowhere else waits for that. A Writer says something at least once a second.",
    );
}
