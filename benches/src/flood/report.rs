//! What the floods did, as figures and tables.

use super::{Found, Memory};
use crate::beacon::Seen;
use crate::options::Options;
use crate::relay::FLOOD_NICENESS;
use crate::section::{Bar, Chart, Goal, Section, Table};
use crate::statistics::{Latencies, Spread};
use crate::world::SIM_NICENESS;
use std::time::Duration;

impl Found {
    fn p99(seen: &Seen) -> f64 {
        Latencies::new(seen.latencies.clone()).microseconds(990)
    }

    fn times(&self) -> f64 {
        Self::p99(&self.flooded) / Self::p99(&self.idle).max(1.0)
    }
}

pub(super) fn describe(section: &mut Section, options: &Options, found: &[Found]) {
    let Some(garbage) = found.first() else { return };
    section.method(format!(
        "The five exchanges and 200 symbols of the section before, kurs on core {}, all else on core {}. OKX, here the first \
         in order of preference, then writes into kurs' connection as fast as the loopback interface takes it, its real \
         frames in between, and into every further connection from its first byte on; its REST interface stays as it \
         is. The main flood, {:.0} s, is of five kinds in turn: random text, JSON of a wrong shape, random binary frames, \
         text frames of 15 MiB, brackets nested up to 100,000 deep. Since kurs ends such a connection after some frames, four \
         further floods of {:.0} s are of what can be read: frames in the venue's own words that say nothing, and pings.",
        options.server_core,
        options.load_core,
        garbage.flood_took.as_secs_f64(),
        found.get(1).map_or(0.0, |found| found.flood_took.as_secs_f64()),
    ));
    section.method(format!(
        "The others' latency is measured through Binance as in the section before: from before the write of a price into its \
         socket to the end of the HTTP answer with it; idle just before each flood, for as long. Judged: the rate of ETH-USDT \
         is no longer that of OKX, asked for without pause from the first byte on. Memory is what `/proc/PID/status` says, the \
         greatest since the flood began. The flooding threads have niceness {FLOOD_NICENESS} and the simulated exchanges \
         {SIM_NICENESS}, so that they disturb the measurement on its own core less."
    ));
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
            "of it waits of the measuring thread, p99",
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
