//! Two Readers against one: what a core spent on a Reader answers, when there is one of them and
//! when there are two.

use super::cluster::{Cluster, Place, Stream};
use crate::client;
use crate::console;
use crate::http::wrk::Load;
use crate::options::Options;
use crate::process::{self, Server};
use crate::section::{Bar, Chart, Goal, Section, Table};
use crate::statistics::Spread;
use anyhow::{Context as _, Result, ensure};
use std::time::{Duration, Instant};

/// So many times what one Reader answers.
const GOAL: f64 = 1.8;
const PAIRS: usize = 200;
/// Updates a second that every Reader takes in meanwhile.
const PER_SECOND: u32 = 1_000;

/// A Reader on a core of its own, with the other core for its load.
struct Pinned {
    server: Server,
    load: Load,
    load_core: usize,
    /// Share of the core that it uses when nobody asks.
    idle: f64,
}

/// What one Reader did in one round.
#[derive(Debug, Clone, Copy)]
struct Work {
    per_second: f64,
    /// Share of its core that it used.
    share: f64,
    /// Requests per second of CPU time, whatever it was used for.
    per_cpu_second: f64,
    /// Requests per second that a whole core would answer, its part of the updates taken off.
    capacity: f64,
}

/// One round: the Readers that were asked, and who else used the cores.
struct Round {
    works: Vec<Work>,
    /// Shares of both cores together.
    load: f64,
    others: f64,
}

pub(super) fn measure(section: &mut Section, options: &Options) -> Result<()> {
    ensure!(
        options.server_core != options.load_core,
        "two Readers need a core each"
    );
    process::need("wrk", "wrk")?;
    let cluster = Cluster::start(PAIRS)?;
    let place = Place {
        store_url: cluster.store(true)?,
        prefix: "kurs".to_owned(),
    };
    let bus = cluster.bus(&place.prefix)?;
    let last = cluster.publish_all(&*bus)?;
    let _stream = Stream::begin(&cluster.market, bus, last, PER_SECOND);
    let cores = [options.server_core, options.load_core];
    let mut readers = Vec::new();
    for (core, load_core) in [(cores[0], cores[1]), (cores[1], cores[0])] {
        readers.push(reader(options, &cluster, &place, core, load_core)?);
    }
    let idle = options.seconds(5, 1);
    let shares = shares_of(&readers, || {
        std::thread::sleep(idle);
        Ok(())
    })?;
    for (reader, share) in readers.iter_mut().zip(&shares) {
        reader.idle = *share;
    }
    let duration = options.seconds(2, 1);
    for reader in &readers {
        reader.load.run(reader.load_core, Duration::from_secs(1))?;
    }
    let (rounds, [first, second]) = (options.pick(7, 2), [0, 1]);
    let mut results: [Vec<Round>; 3] = Default::default();
    let asked: [&[usize]; 3] = [&[first], &[second], &[first, second]];
    for round in 0..rounds {
        for turn in 0..asked.len() {
            let at = (turn + round) % asked.len();
            results[at].push(ask(&readers, asked[at], duration)?);
        }
        console::line(&format!("readers: round {} of {rounds}", round + 1));
    }
    describe(section, &readers, &results, (rounds, duration));
    Ok(())
}

fn reader(
    options: &Options,
    cluster: &Cluster,
    place: &Place,
    core: usize,
    load_core: usize,
) -> Result<Pinned> {
    let server = cluster.reader(options, Some(core), place)?;
    cluster.until_ready(&server)?;
    let rate = cluster.market.rates().next().context("no rate")?;
    let path = format!("/api/v1/rates/{}/{}", rate.pair.base, rate.pair.quote);
    let begin = Instant::now();
    while client::get(server.address, &path, "")?.status != 200 {
        ensure!(
            begin.elapsed() < Duration::from_secs(10),
            "no rate is served"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    let load = Load {
        address: server.address,
        path,
        headers: Vec::new(),
    };
    Ok(Pinned {
        server,
        load,
        load_core,
        idle: 0.0,
    })
}

/// Share of a core that each Reader uses while something happens.
fn shares_of(readers: &[Pinned], happens: impl FnOnce() -> Result<()>) -> Result<Vec<f64>> {
    let used = || -> Result<Vec<f64>> {
        let used = readers
            .iter()
            .map(|reader| Ok(reader.server.cpu()?.total_us()));
        used.collect()
    };
    let (before, begin) = (used()?, Instant::now());
    happens()?;
    let elapsed_us = begin.elapsed().as_secs_f64() * 1e6;
    let after = used()?;
    let shares = before.iter().zip(&after);
    Ok(shares
        .map(|(before, after)| (after - before) / elapsed_us)
        .collect())
}

/// Asks some of the Readers, each by a load of its own, at the same time.
fn ask(readers: &[Pinned], asked: &[usize], duration: Duration) -> Result<Round> {
    let mut done = Vec::new();
    let (load, busy, begin) = (process::ended_cpu()?, process::busy()?, Instant::now());
    let shares = shares_of(readers, || {
        done = std::thread::scope(|scope| {
            let loads = asked.iter().map(|at| {
                let reader = &readers[*at];
                scope.spawn(|| reader.load.run(reader.load_core, duration))
            });
            let loads: Vec<_> = loads.collect();
            let ended = loads.into_iter().map(|load| load.join());
            let ended = ended.map(|done| done.ok().context("a load panicked")?);
            ended.collect::<Result<Vec<_>>>()
        })?;
        Ok(())
    })?;
    let seconds = begin.elapsed().as_secs_f64();
    let load = process::ended_cpu()?.since(load).total_us() / seconds / 1e6;
    let busy = (process::busy()? - busy).as_secs_f64() / seconds;
    let works = asked.iter().zip(&done).map(|(at, done)| {
        let (idle, share) = (readers[*at].idle, shares[*at]);
        let per_second = done.requests as f64 / seconds;
        Work {
            per_second,
            share,
            per_cpu_second: per_second / share,
            capacity: (1.0 - idle) * per_second / (share - idle),
        }
    });
    Ok(Round {
        works: works.collect(),
        load,
        others: busy - load - shares.iter().sum::<f64>(),
    })
}

/// The two of a round together against the mean of each alone in the same round.
fn ratio(results: &[Vec<Round>; 3], value: fn(&Work) -> f64) -> Spread {
    let sum = |round: &Round| round.works.iter().map(value).sum::<f64>();
    let [first, second, both] = results;
    let rounds = first.iter().zip(second).zip(both);
    let ratios =
        rounds.map(|((first, second), both)| sum(both) / f64::midpoint(sum(first), sum(second)));
    Spread::of(&ratios.collect::<Vec<_>>())
}

fn describe(
    section: &mut Section,
    readers: &[Pinned],
    results: &[Vec<Round>; 3],
    (rounds, duration): (usize, Duration),
) {
    section.method(format!(
        "Two Readers: processes `kurs serve --role reader`, each bound to a core (`taskset`), over NATS and PostgreSQL; \
         both take in {PER_SECOND} updates a second of {PAIRS} pairs all the time. `wrk -t1 -c64` asks for one rate, on \
         the core that is not its Reader's: the first Reader alone, the second alone, both at once, {rounds} rounds of \
         {} s each, in turns. Two cores cannot give two Readers a core each and the load others: with both asked, each \
         core is shared by a Reader and by the load of the other one, so requests per second say nothing of Readers. \
         Counted is therefore what a Reader's own CPU time answers: user and system time of its process \
         (`/proc/PID/stat`, as the load's and everybody else's, which are shown beside it). Taking in updates costs \
         the same share of a core however many requests come; it is measured first, when nobody asks ({} of a core), \
         and taken off: a Reader with a core of its own answers (1 - share) / CPU time per further request. The figure \
         is the sum of this for both Readers, asked at once, against the mean of each asked alone.",
        duration.as_secs(),
        percent(Spread::of(&readers.iter().map(|reader| reader.idle).collect::<Vec<_>>()))
    ));
    let capacity = ratio(results, |work| work.capacity);
    let name = "requests that their cores answer, two Readers / one";
    section.figure(name, "x", capacity, Some(Goal::AtLeast(GOAL)));
    let plain = ratio(results, |work| work.per_cpu_second);
    let name = "the same without taking off the updates";
    section.figure(name, "x", plain, None);
    let name = "requests per second on this machine, load included, two Readers / one";
    section.figure(name, "x", ratio(results, |work| work.per_second), None);
    let mut bars = Vec::new();
    let labels = ["the first alone", "the second alone", "both"];
    let rows = labels.iter().zip(results).map(|(label, rounds)| {
        let of =
            |value: fn(&Round) -> f64| Spread::of(&rounds.iter().map(value).collect::<Vec<_>>());
        let sum = |round: &Round, value: fn(&Work) -> f64| round.works.iter().map(value).sum();
        let capacity = rounds.iter().map(|round| sum(round, |work| work.capacity));
        let capacity = Spread::of(&capacity.collect::<Vec<f64>>());
        bars.push(Bar::new(*label, capacity, true, None));
        vec![
            (*label).to_owned(),
            plain_cell(of(|round| {
                round.works.iter().map(|work| work.per_second).sum()
            })),
            percent(of(|round| round.works.iter().map(|work| work.share).sum())),
            percent(of(|round| round.load)),
            percent(of(|round| round.others)),
            plain_cell(capacity),
        ]
    });
    let rows = rows.collect();
    section.tables.push(Table {
        caption: "Readers that are asked; shares are of one core, there are two".to_owned(),
        header: [
            "asked",
            "requests/s",
            "Readers' CPU",
            "load's CPU",
            "everybody else's",
            "requests/s, if each had its core",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows,
    });
    section.charts.push(Chart {
        file: "bench-brokers-readers.svg".to_owned(),
        title: "Requests per second that the Readers' cores answer (more is better)".to_owned(),
        unit: "1/s".to_owned(),
        grey: None,
        bars,
    });
    section.note(
        "What two cores cannot show: two Readers under full load at once, each with a core that nobody else uses, and \
         whatever more machines share, such as a network card or a balancer before them. Readers share nothing but bus \
         and store; each of them costs the broker one more copy of the flow.",
    );
}

fn percent(spread: Spread) -> String {
    let Spread {
        median, low, high, ..
    } = spread;
    format!(
        "{:.0} % ({:.0} to {:.0})",
        100.0 * median,
        100.0 * low,
        100.0 * high
    )
}

fn plain_cell(spread: Spread) -> String {
    let Spread {
        median, low, high, ..
    } = spread;
    format!("{median:.0} ({low:.0} to {high:.0})")
}
