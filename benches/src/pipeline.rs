//! (c) Frames per second on one core, from the text of a frame to the picture that requests
//! read: decoder, engine and view as they are, with no thread, socket or store between them.

mod chain;

use crate::console;
use crate::frames;
use crate::options::Options;
use crate::process::Pinned;
use crate::section::{Bar, Chart, Goal, Section, Table};
use crate::statistics::Spread;
use anyhow::{Result, ensure};
use chain::{Chain, Routes, Stages};
use kurs_core::Pair;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Invented frames of one pass. Every pass begins with new parts, so that all ids are new.
const FRAMES: u64 = 50_000;
/// Where captures are looked for.
const CAPTURES: &str = "KURS_FIXTURES";
/// Captures that are mostly best prices.
const CAPTURE_FILES: [&str; 2] = [
    "binance/spot_btcusdt_20240808.jsonl.gz",
    "binance/spot_btcusdt_20240809.jsonl.gz",
];

/// One kind of run with its nanoseconds per frame, a value for each round.
struct Run {
    label: String,
    frames: Vec<String>,
    pairs: Vec<Pair>,
    routes: Routes,
    nanoseconds: Vec<f64>,
}

impl Run {
    fn new(label: &str, frames: Vec<String>, pairs: Vec<Pair>, routes: Routes) -> Self {
        Self {
            label: label.to_owned(),
            frames,
            pairs,
            routes,
            nanoseconds: Vec::new(),
        }
    }

    fn round(&mut self, passes: usize) -> Result<()> {
        let mut taken = Duration::ZERO;
        let mut frames = 0;
        for _ in 0..passes {
            let mut chain = Chain::new(&self.pairs, self.routes)?;
            taken += chain.run(&self.frames)?;
            frames += self.frames.len();
        }
        self.nanoseconds
            .push(taken.as_nanos() as f64 / frames as f64);
        Ok(())
    }

    /// Frames per second.
    fn rate(&self) -> Spread {
        let rates: Vec<f64> = self.nanoseconds.iter().map(|each| 1e9 / each).collect();
        Spread::of(&rates)
    }
}

/// Frames of all markets in turn.
fn invented(pairs: &[Pair]) -> Vec<String> {
    let markets = pairs.iter().cycle();
    (0..FRAMES)
        .zip(markets)
        .map(|(number, pair)| frames::invent(*pair, number))
        .collect()
}

/// Runs the first kind alone: a profile of everything would mostly show the stages.
pub(crate) fn profile(options: &Options) -> Result<()> {
    let _pinned = Pinned::to(options.server_core)?;
    let pairs = frames::pairs()?;
    let mut run = Run::new("ten markets", invented(&pairs), pairs, Routes::Markets);
    for _ in 0..options.pick(10, 2) {
        run.round(20)?;
    }
    console::line(&format!("{:.0} frames per CPU second", run.rate().median));
    Ok(())
}

/// Runs the benchmark.
pub(crate) fn run(options: &Options) -> Result<Section> {
    let mut section = Section::new("pipeline", "Frames per second on one core", options.quick);
    let pinned = Pinned::to(options.server_core)?;
    let pairs = frames::pairs()?;
    let invented = invented(&pairs);
    let mut runs = vec![
        Run::new(
            "ten markets",
            invented.clone(),
            pairs.clone(),
            Routes::Markets,
        ),
        Run::new(
            "ten markets and the eight default directions",
            invented.clone(),
            pairs.clone(),
            Routes::Directions,
        ),
    ];
    for file in captures() {
        let (captured, pairs) = frames::captured(&file)?;
        ensure!(
            captured.len() > 1_000,
            "{} has only {} best prices",
            file.display(),
            captured.len()
        );
        let name = file
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        runs.push(Run::new(
            &format!("captured, {name}"),
            captured,
            pairs,
            Routes::Markets,
        ));
    }
    let mut stages = Stages::default();
    let rounds = options.pick(11, 3);
    let passes = options.pick(10, 2);
    for round in 0..rounds {
        console::line(&format!("round {} of {rounds}", round + 1));
        for run in &mut runs {
            let frames = run.frames.len();
            let same_work = usize::try_from(FRAMES)? * passes / frames.max(1);
            run.round(same_work.max(1))?;
        }
        stages.round(&invented, &pairs, passes)?;
    }
    drop(pinned);
    describe(&mut section, options, &runs, &stages, (rounds, passes));
    Ok(section)
}

fn captures() -> Vec<PathBuf> {
    let Some(folder) = std::env::var_os(CAPTURES) else {
        return Vec::new();
    };
    CAPTURE_FILES
        .iter()
        .map(|file| Path::new(&folder).join(file))
        .filter(|file| file.is_file())
        .collect()
}

fn describe(
    section: &mut Section,
    options: &Options,
    runs: &[Run],
    stages: &Stages,
    (rounds, passes): (usize, usize),
) {
    section.method(format!(
        "One thread on core {}: {FRAMES} wrapped bookTicker frames of ten markets, each with another price, go through \
         clock, decoder (JSON, exact decimals, duplicate check), engine (freshness, policy, rate), update and view; every \
         hundredth frame the body of its pair is read, so that it is rendered. {rounds} rounds of {passes} passes, all \
         kinds interleaved. Counted is the thread's own CPU time, so that what else the machine does tells little. The way over the inbox, the bus and the recorder is not in it; (d) has it all.",
        options.server_core
    ));
    for (number, run) in runs.iter().enumerate() {
        let goal = (number == 0).then_some(Goal::AtLeast(1_000_000.0));
        section.figure(run.label.clone(), "frames/CPU s", run.rate(), goal);
    }
    let whole = runs
        .first()
        .map(|run| Spread::of(&run.nanoseconds))
        .unwrap_or(Spread::of(&[]));
    let mut rows = Vec::new();
    let mut bars = Vec::new();
    let mut sum = 0.0;
    for (label, in_sum, spread) in stages.spreads() {
        if in_sum {
            sum += spread.median;
        }
        rows.push(vec![
            label.to_owned(),
            format!(
                "{:.0} ({:.0} to {:.0})",
                spread.median, spread.low, spread.high
            ),
            format!("{:.0} %", 100.0 * spread.median / whole.median),
        ]);
        bars.push(Bar::new(label, spread, in_sum, None));
    }
    rows.push(vec![
        "all together, as in the first figure".to_owned(),
        format!(
            "{:.0} ({:.0} to {:.0})",
            whole.median, whole.low, whole.high
        ),
        "100 %".to_owned(),
    ]);
    bars.push(Bar::new("all together", whole, true, Some(1_000.0)));
    section.tables.push(Table {
        caption: "Each stage alone on the same frames".to_owned(),
        header: ["stage", "ns per frame", "part of the whole"]
            .map(str::to_owned)
            .to_vec(),
        rows,
    });
    section.note(format!(
        "The stages alone add up to {sum:.0} ns, all together take {:.0} ns; they share caches and allocator, so the two \
         need not agree. Stages in grey are not part of the sum.",
        whole.median
    ));
    section.charts.push(Chart {
        file: "bench-pipeline.svg".to_owned(),
        title: "Time per frame, each stage alone (less is better)".to_owned(),
        unit: "ns".to_owned(),
        grey: Some("not part of the sum".to_owned()),
        bars,
    });
}
