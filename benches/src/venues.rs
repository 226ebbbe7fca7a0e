//! (g) All five exchanges at once, 200 order books and their best prices and trades: what kurs
//! costs, whether anything is lost, and how soon a price can be read.

use crate::beacon::{Beacon, Seen};
use crate::client::Connection;
use crate::console;
use crate::exposition::{Exposition, Histogram};
use crate::options::Options;
use crate::process::Cpu;
use crate::relay::Passed;
use crate::section::{Bar, Chart, Goal, Section, Table};
use crate::statistics::{Latencies, Spread};
use crate::world::{EXCHANGES, SYMBOLS, World};
use anyhow::Result;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Liveliness of the simulated markets, percent: at the first the simulated BTCUSDT sends as
/// many frames a second as the real one did in the capture of 8 August 2024, which were 119.
const ACTIVITY_PERCENT: [u32; 2] = [250, 1_000];
/// Before anything is measured: the first snapshots are through, and the store is warm.
const WARM_UP: Duration = Duration::from_secs(3);

/// What one run found.
struct Found {
    in_step_after: Duration,
    took: Duration,
    cpu: Cpu,
    resident_start: f64,
    resident_end: f64,
    resident_peak: f64,
    passed: Vec<Passed>,
    symbols: Vec<usize>,
    sources: Vec<Value>,
    gaps: u64,
    resyncs: u64,
    reconnects: u64,
    published: f64,
    superseded: f64,
    to_publish: Histogram,
    to_reader: Histogram,
    seen: Seen,
}

/// Runs the benchmark.
pub(crate) fn run(options: &Options) -> Result<Section> {
    let duration = options.seconds(60, 5);
    let mut section = Section::new("venues", "All five exchanges, 200 symbols", options.quick);
    let mut found = Vec::new();
    for activity in ACTIVITY_PERCENT {
        console::line(&format!("markets at {activity} %"));
        found.push(measure(options, activity, duration)?);
    }
    describe(&mut section, options, duration, &found);
    Ok(section)
}

fn measure(options: &Options, activity_percent: u32, duration: Duration) -> Result<Found> {
    let world = World::start(options, activity_percent, &[])?;
    let mut connection = Connection::open(world.address())?;
    let mut beacon = Beacon::open(world.address())?;
    let relay = world.relay("binance")?;
    beacon.measure(relay, WARM_UP, || Ok(()))?;
    let symbols = EXCHANGES
        .iter()
        .map(|(_, venue, _)| world.symbols(*venue))
        .collect();
    let before = world.sources(&mut connection)?;
    let metrics = Exposition::ask(&mut connection)?;
    let passed = world.passed();
    let resident_start = world.server.kilobytes("VmRSS")? / 1_024.0;
    let (cpu, begin) = (world.server.cpu()?, Instant::now());
    let seen = beacon.measure(relay, duration, || Ok(()))?;
    let (cpu, took) = (world.server.cpu()?.since(cpu), begin.elapsed());
    let passed = passed
        .iter()
        .zip(world.passed())
        .map(|(before, after)| after.since(before))
        .collect();
    let since = Exposition::ask(&mut connection)?;
    // Counters of sources are told once a second.
    std::thread::sleep(Duration::from_millis(1_100));
    let sources = world.sources(&mut connection)?;
    let grown = |keys: [&str; 2]| sum(&sources, keys) - sum(&before, keys);
    let growth = |series| since.value(series) - metrics.value(series);
    Ok(Found {
        in_step_after: world.in_step_after,
        took,
        cpu,
        resident_start,
        resident_end: world.server.kilobytes("VmRSS")? / 1_024.0,
        resident_peak: world.server.kilobytes("VmHWM")? / 1_024.0,
        passed,
        symbols,
        gaps: grown(["books", "gaps"]) + grown(["books", "checksum_failures"]),
        resyncs: grown(["books", "resyncs"]),
        reconnects: grown(["reconnects", ""]),
        sources,
        published: growth("kurs_updates_published_total"),
        superseded: growth("kurs_engine_events_superseded_total"),
        to_publish: since.histogram_since(&metrics, "kurs_ingest_to_publish_seconds"),
        to_reader: since.histogram_since(&metrics, "kurs_publish_to_reader_seconds"),
        seen,
    })
}

/// A counter of all exchanges together.
fn sum(sources: &[Value], [first, second]: [&str; 2]) -> u64 {
    let of = |source: &Value| {
        let value = if second.is_empty() {
            &source[first]
        } else {
            &source[first][second]
        };
        value.as_u64().unwrap_or(0)
    };
    let is_exchange = |source: &&Value| {
        EXCHANGES
            .iter()
            .any(|(name, _, _)| source["source"] == *name)
    };
    sources.iter().filter(is_exchange).map(of).sum()
}

impl Found {
    fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.took.as_secs_f64()
    }

    fn total(&self, of: fn(&Passed) -> u64) -> u64 {
        self.passed.iter().map(of).sum()
    }

    fn core_percent(&self) -> f64 {
        self.cpu.total_us() / self.took.as_secs_f64() / 1e4
    }

    fn books(&self) -> u64 {
        sum(&self.sources, ["books", "synced"])
    }
}

fn describe(section: &mut Section, options: &Options, duration: Duration, found: &[Found]) {
    let Some(live) = found.first() else { return };
    section.method(format!(
        "`kurs serve` on core {} with its store, and on core {} in another process kurs-sim as Binance, Coinbase, Kraken, \
         Bybit and OKX. {SYMBOLS} symbols are followed on each exchange, 200 together: 40 pairs in USDT on Binance, Bybit \
         and OKX, 40 in USD on Coinbase and Kraken; of every symbol the order book, the best price and the trades. Binance \
         has one more, through which latency is measured. The markets are at {} % of the simulator's liveliness, at which \
         its BTCUSDT sends as many frames a second as the real one in the capture of 8 August 2024 (119); the liquid \
         symbols (8 of 40 in USDT, 5 of 40 in USD) change up to a hundred times a second, the invented ones two or three \
         times. Everything is measured over {} s after {} s of warm-up, without compression and TLS.",
        options.server_core,
        options.load_core,
        ACTIVITY_PERCENT[0],
        duration.as_secs(),
        WARM_UP.as_secs(),
    ));
    section.method(
        "Latency from outside: about every 10 ms a best price of Binance is written into its socket, between its other \
         frames, and the rate is asked for over HTTP again and again until its body has that price. It counts from \
         before the write to the end of that answer, so it is rounded up to whole requests. Latency from inside: \
         the histograms of `/metrics`. These know only in which bucket a quantile lies; what is named beside it is where it would \
         be if the values of the bucket were spread evenly."
            .to_owned(),
    );
    let latencies = Latencies::new(live.seen.latencies.clone());
    section.number("CPU of kurs", "% of a core", live.core_percent(), None);
    let books = live.books() as f64;
    section.number(
        "order books in step at the end",
        "books",
        books,
        Some(Goal::AtLeast(5.0 * SYMBOLS as f64)),
    );
    section.number(
        "start until all books were in step",
        "s",
        live.in_step_after.as_secs_f64(),
        None,
    );
    let lost = live.gaps + live.resyncs + live.reconnects;
    section.number(
        "gaps, wrong checksums, resyncs and reconnections",
        "",
        lost as f64,
        Some(Goal::AtMost(0.0)),
    );
    let frames = live.total(|passed| passed.frames);
    section.number("frames", "per second", live.per_second(frames), None);
    let books = live.total(|passed| passed.books);
    section.number(
        "of them messages of order books",
        "per second",
        live.per_second(books),
        None,
    );
    let published = live.published / live.took.as_secs_f64();
    section.number("updates published", "per second", published, None);
    let per_frame = live.cpu.total_us() / (frames as f64).max(1.0);
    section.number("CPU per frame, all included", "us", per_frame, None);
    section.number(
        "resident memory at the start",
        "MB",
        live.resident_start,
        None,
    );
    section.number("resident memory at the end", "MB", live.resident_end, None);
    section.number("greatest resident memory", "MB", live.resident_peak, None);
    for (name, per_mille) in [("p50", 500), ("p99", 990), ("p99.9", 999)] {
        section.number(
            format!("update to view from outside, {name}"),
            "us",
            latencies.microseconds(per_mille),
            None,
        );
    }
    let waits = Latencies::new(live.seen.waits.clone());
    section.number(
        "of it the measuring thread waited for its core, p99",
        "us",
        waits.microseconds(990),
        None,
    );
    section.tables.push(by_exchange(live));
    section.tables.push(inside(found));
    section.tables.push(by_activity(found));
    section.note(format!(
        "{} prices were written, {} never came, {} requests asked for them ({:.0} per second, which is part of the CPU \
         of kurs). In the inbox {} prices were replaced by newer ones of the same market.",
        latencies.len() as u64 + live.seen.lost,
        live.seen.lost,
        live.seen.requests,
        live.per_second(live.seen.requests),
        live.superseded,
    ));
    let bar = |(label, per_mille): (&str, usize)| {
        let value = Spread::of(&[latencies.microseconds(per_mille)]);
        Bar::new(label, value, true, None)
    };
    section.charts.push(Chart {
        file: "bench-venues.svg".to_owned(),
        title: "From the venue's write to the body read over HTTP, five exchanges on".to_owned(),
        unit: "us".to_owned(),
        grey: None,
        bars: [("p50", 500), ("p90", 900), ("p99", 990), ("p99.9", 999)]
            .map(bar)
            .to_vec(),
    });
}

fn by_exchange(found: &Found) -> Table {
    let mut rows = Vec::new();
    for (((name, _, _), passed), symbols) in EXCHANGES.iter().zip(&found.passed).zip(&found.symbols)
    {
        let source = found
            .sources
            .iter()
            .find(|source| source["source"] == *name);
        let books = source.map_or(&Value::Null, |source| &source["books"]);
        let of = |key: &str| books[key].as_u64().unwrap_or(0).to_string();
        rows.push(vec![
            (*name).to_owned(),
            symbols.to_string(),
            format!("{:.0}", found.per_second(passed.frames)),
            format!("{:.0}", found.per_second(passed.books)),
            format!("{:.0}", found.per_second(passed.bytes) / 1_024.0),
            of("synced"),
            of("gaps"),
            of("resyncs"),
        ]);
    }
    Table {
        caption: "Each exchange (gaps and resyncs since the start)".to_owned(),
        header: [
            "exchange",
            "symbols",
            "frames/s",
            "of books",
            "KiB/s",
            "books in step",
            "gaps",
            "resyncs",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows,
    }
}

fn inside(found: &[Found]) -> Table {
    let mut rows = Vec::new();
    for (found, activity) in found.iter().zip(ACTIVITY_PERCENT) {
        for (name, histogram) in [
            ("receipt of the frame to publishing", &found.to_publish),
            ("publishing to the view", &found.to_reader),
        ] {
            let mut row = vec![format!("{name}, at {activity} %")];
            row.extend([500.0, 990.0].map(|per_mille| in_words(histogram, per_mille)));
            row.push(format!("{:.0}", histogram.count()));
            rows.push(row);
        }
    }
    Table {
        caption: "From inside, by the histograms of `/metrics` (microseconds)".to_owned(),
        header: ["step", "p50", "p99", "counted"]
            .map(str::to_owned)
            .to_vec(),
        rows,
    }
}

fn in_words(histogram: &Histogram, per_mille: f64) -> String {
    histogram.quantile(per_mille).map_or_else(
        || "-".to_owned(),
        |at| format!("{:.0} ({:.0} to {:.0})", at.about, at.low, at.high),
    )
}

fn by_activity(found: &[Found]) -> Table {
    let row = |(found, activity): (&Found, u32)| {
        let latencies = Latencies::new(found.seen.latencies.clone());
        let frames = found.total(|passed| passed.frames);
        vec![
            format!("{activity} %"),
            format!("{:.0}", found.per_second(frames)),
            format!("{:.1}", found.core_percent()),
            format!("{:.1}", found.cpu.total_us() / (frames as f64).max(1.0)),
            format!("{:.1}", found.resident_peak),
            format!("{:.0}", latencies.microseconds(500)),
            format!("{:.0}", latencies.microseconds(990)),
            (found.gaps + found.resyncs + found.reconnects).to_string(),
        ]
    };
    Table {
        caption: "The same with livelier markets".to_owned(),
        header: [
            "liveliness",
            "frames/s",
            "CPU, % of a core",
            "us per frame",
            "greatest MB",
            "p50 from outside, us",
            "p99, us",
            "gaps, resyncs, reconnections",
        ]
        .map(str::to_owned)
        .to_vec(),
        rows: found.iter().zip(ACTIVITY_PERCENT).map(row).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kurs_sim::market::reference::Reference;
    use kurs_sim::market::{DepthPace, Market, MarketEventKind};

    /// Frames of bookTicker, trades and diffs a second in the capture of 8 August 2024.
    const CAPTURED: std::ops::RangeInclusive<u64> = 107..=131;

    #[test]
    fn the_simulated_bitcoin_is_as_lively_as_the_captured_one() {
        let mut market = Market::new(Reference::new(1, 0), ACTIVITY_PERCENT[0], 0);
        let mut events = Vec::new();
        market.advance_to(60_000, &mut events);
        let is_sent = |kind: &MarketEventKind| match kind {
            MarketEventKind::Top(_) | MarketEventKind::Trade(_) => true,
            MarketEventKind::Depth(diff) => diff.pace == DepthPace::Fast,
            MarketEventKind::Summary(_) => false,
        };
        let sent = events
            .iter()
            .filter(|event| &*event.symbol == "BTCUSDT" && is_sent(&event.kind))
            .count();
        let per_second = u64::try_from(sent).unwrap() / 60;
        assert!(
            CAPTURED.contains(&per_second),
            "{per_second} frames a second"
        );
    }
}
