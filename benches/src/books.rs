//! (f) Order book messages per second on one core: the text of a depth frame through the codec
//! into the synced book, beside the Python library cryptofeed on the same frames.

use crate::console;
use crate::options::Options;
use crate::process::{Pinned, thread_cpu};
use crate::section::{Bar, Chart, Goal, Section, Table};
use crate::statistics::Spread;
use anyhow::{Context as _, Result, bail, ensure};
use flate2::read::GzDecoder;
use kurs_book::{BookUpdate, SyncedBook, Verdict};
use kurs_core::Mono;
use kurs_sources::binance::Binance;
use kurs_sources::venue::codec::{Codec, Heap, Said, Symbols};
use serde::Deserialize;
use serde_json::value::RawValue;
use std::fs::File;
use std::hint::black_box;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Captures with one chain of depth frames, and a snapshot near its beginning.
const CAPTURE_FILES: [&str; 2] = [
    "binance/spot_btcusdt_20240808.jsonl.gz",
    "binance/spot_btcusdt_20240809.jsonl.gz",
];
/// The rival and its version.
const RIVAL: &str = "cryptofeed==2.4.1";
/// What runs it.
const RIVAL_SCRIPT: &str = include_str!("../compare/cryptofeed_books.py");

/// The frames of the captures.
struct Frames {
    snapshot: String,
    diffs: Vec<String>,
    levels: usize,
    bytes: usize,
}

struct OnlyBitcoin;

impl Symbols for OnlyBitcoin {
    fn find(&self, name: &str) -> Option<u32> {
        (name == "BTCUSDT").then_some(0)
    }
}

/// Runs the benchmark.
pub(crate) fn run(options: &Options) -> Result<Section> {
    let mut section = Section::new("books", "Order book messages per second", options.quick);
    let frames = captured()?;
    let rounds = options.pick(21, 3);
    let rival = match Rival::prepare(options, &frames) {
        Ok(rival) => Some(rival),
        Err(error) => {
            section.note(format!("{RIVAL} could not be run: {error:#}"));
            None
        }
    };
    let pinned = Pinned::to(options.server_core)?;
    let (mut own, mut decode, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        console::line(&format!("round {} of {rounds}", round + 1));
        own.push(per_second(frames.diffs.len(), through_the_book(&frames)?));
        decode.push(per_second(frames.diffs.len(), through_the_codec(&frames)?));
        if let Some(rival) = &rival
            && round % 7 == 0
        {
            theirs.extend(rival.round()?);
        }
    }
    drop(pinned);
    describe(
        &mut section,
        options,
        &frames,
        rounds,
        [&own, &decode, &theirs],
    );
    Ok(section)
}

fn per_second(frames: usize, taken: Duration) -> f64 {
    frames as f64 / taken.as_secs_f64()
}

/// Decodes and applies every frame, and reads the best prices after each, as serving does.
fn through_the_book(frames: &Frames) -> Result<Duration> {
    let codec = Binance::new();
    let mut book = SyncedBook::new(codec.facts().scheme, codec.facts().book_depth);
    let mut heap = Heap::default();
    let ids = codec.read_book(200, frames.snapshot.as_bytes(), &mut heap.changes)?;
    let snapshot = BookUpdate {
        kind: kurs_book::Kind::Snapshot,
        ids,
        checksum: None,
        changes: &heap.changes,
    };
    book.take(Mono(0), snapshot);
    let mut applied = 0;
    let begin = thread_cpu()?;
    for text in &frames.diffs {
        heap.clear();
        codec.read(text, &OnlyBitcoin, &mut heap);
        let [
            Said::Book {
                kind,
                ids,
                checksum,
                changes,
                ..
            },
        ] = heap.said.as_slice()
        else {
            bail!("not a book message: {text:.80}");
        };
        let update = BookUpdate {
            kind: *kind,
            ids: *ids,
            checksum: *checksum,
            changes: heap.changes.get(changes.clone()).unwrap_or_default(),
        };
        let verdict = book.take(Mono(0), update);
        applied += usize::from(matches!(verdict, Verdict::Applied | Verdict::Synced));
        black_box(book.book().map(|book| (book.best_bid(), book.best_ask())));
    }
    let taken = thread_cpu()? - begin;
    ensure!(
        applied == frames.diffs.len() && book.is_synced(),
        "only {applied} of {} frames were applied",
        frames.diffs.len()
    );
    Ok(taken)
}

fn through_the_codec(frames: &Frames) -> Result<Duration> {
    let codec = Binance::new();
    let mut heap = Heap::default();
    let begin = thread_cpu()?;
    for text in &frames.diffs {
        heap.clear();
        codec.read(text, &OnlyBitcoin, &mut heap);
        black_box(&heap);
    }
    Ok(thread_cpu()? - begin)
}

fn captured() -> Result<Frames> {
    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(borrow)]
        frame: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct Ids {
        #[serde(rename = "lastUpdateId")]
        snapshot: Option<u64>,
        data: Option<Data>,
    }
    #[derive(Deserialize)]
    struct Data {
        #[serde(rename = "u")]
        last: u64,
        #[serde(rename = "b", default)]
        bids: serde_json::Value,
        #[serde(rename = "a", default)]
        asks: serde_json::Value,
    }
    let folder = std::env::var_os("KURS_FIXTURES")
        .context("set KURS_FIXTURES to the folder of the captures")?;
    let mut frames = Frames {
        snapshot: String::new(),
        diffs: Vec::new(),
        levels: 0,
        bytes: 0,
    };
    let (mut snapshot_id, mut all) = (0, Vec::new());
    for file in CAPTURE_FILES {
        let path = Path::new(&folder).join(file);
        let opened =
            File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
        for line in BufReader::new(GzDecoder::new(opened)).lines() {
            let line = line?;
            let parsed: Line<'_> = serde_json::from_str(&line).context("no line of a capture")?;
            let Some(text) = parsed.frame.map(RawValue::get) else {
                continue;
            };
            let is_snapshot = text.starts_with("{\"lastUpdateId\"");
            if !is_snapshot && !text.contains("\"depthUpdate\"") {
                continue;
            }
            let ids: Ids = serde_json::from_str(text).context("no depth frame")?;
            match (ids.snapshot, ids.data) {
                (Some(id), _) => {
                    snapshot_id = id;
                    text.clone_into(&mut frames.snapshot);
                }
                (None, Some(data)) => {
                    let count = |side: &serde_json::Value| side.as_array().map_or(0, Vec::len);
                    let levels = count(&data.bids) + count(&data.asks);
                    all.push((data.last, levels, text.to_owned()));
                }
                (None, None) => {}
            }
        }
    }
    for (last, levels, text) in all {
        if last > snapshot_id {
            frames.levels += levels;
            frames.bytes += text.len();
            frames.diffs.push(text);
        }
    }
    ensure!(
        frames.diffs.len() > 1_000,
        "the captures hold too few depth frames"
    );
    Ok(frames)
}

/// The rival in an environment of its own.
struct Rival {
    python: PathBuf,
    folder: tempfile::TempDir,
    core: usize,
}

impl Rival {
    /// Installs it beside the results, where it is kept for the next time.
    fn prepare(options: &Options, frames: &Frames) -> Result<Self> {
        let environment = options.results.join("cryptofeed");
        let python = environment.join("bin/python");
        if !python.is_file() {
            console::line(&format!("installing {RIVAL}"));
            succeed(
                Command::new("python3")
                    .args(["-m", "venv"])
                    .arg(&environment),
            )?;
            succeed(Command::new(&python).args([
                "-m",
                "pip",
                "install",
                "-q",
                "--disable-pip-version-check",
                RIVAL,
            ]))?;
        }
        let folder = tempfile::tempdir().context("no temporary folder")?;
        std::fs::write(folder.path().join("script.py"), RIVAL_SCRIPT)?;
        std::fs::write(folder.path().join("snapshot.json"), &frames.snapshot)?;
        let mut file = File::create(folder.path().join("frames.jsonl"))?;
        for text in &frames.diffs {
            writeln!(file, "{text}")?;
        }
        let core = options.server_core;
        Ok(Self {
            python,
            folder,
            core,
        })
    }

    /// One round: frames per CPU second.
    fn round(&self) -> Result<Vec<f64>> {
        let folder = self.folder.path();
        let output = Command::new("taskset")
            .args(["-c", &self.core.to_string()])
            .arg(&self.python)
            .arg(folder.join("script.py"))
            .arg(folder.join("snapshot.json"))
            .arg(folder.join("frames.jsonl"))
            .arg("1")
            .output()
            .context("cannot start python")?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines()
            .map(|line| {
                let (frames, seconds) = line.split_once(' ').context("an unknown line")?;
                Ok(frames.parse::<f64>()? / seconds.parse::<f64>()?)
            })
            .collect()
    }
}

fn succeed(command: &mut Command) -> Result<()> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

fn describe(
    section: &mut Section,
    options: &Options,
    frames: &Frames,
    rounds: usize,
    [own, decode, theirs]: [&[f64]; 3],
) {
    let count = frames.diffs.len();
    section.method(format!(
        "One thread on core {}: {count} depth frames of BTCUSDT as they were received in two captures, \
         {:.0} bytes and {:.1} levels each on average, go from their text through the codec into the synced book, whose \
         best prices are read after every frame. {rounds} rounds. Counted is the thread's own CPU time.",
        options.server_core,
        frames.bytes as f64 / count as f64,
        frames.levels as f64 / count as f64,
    ));
    let own = Spread::of(own);
    section.figure(
        "decode and apply",
        "frames/CPU s",
        own,
        Some(Goal::AtLeast(250_000.0)),
    );
    let decode = Spread::of(decode);
    section.figure("decode alone", "frames/CPU s", decode, None);
    let mut bars = vec![Bar::new("kurs", own, true, Some(250_000.0))];
    if !theirs.is_empty() {
        section.method(format!(
            "Beside it, on the same core in turns: {RIVAL} for Python, its own JSON parsing, message handler and book \
             on the same frames ({} rounds).",
            theirs.len()
        ));
        let theirs = Spread::of(theirs);
        section.figure(
            format!("{RIVAL}, the same frames"),
            "frames/CPU s",
            theirs,
            None,
        );
        section.number(
            "kurs against it",
            "times",
            own.median / theirs.median,
            Some(Goal::AtLeast(3.0)),
        );
        bars.push(Bar::new("cryptofeed", theirs, false, None));
    }
    section.tables.push(Table {
        caption: "The same per level".to_owned(),
        header: ["", "ns per frame", "ns per level"]
            .map(str::to_owned)
            .to_vec(),
        rows: [("decode and apply", own), ("decode alone", decode)]
            .map(|(name, spread)| {
                let per_frame = 1e9 / spread.median;
                let per_level = per_frame * count as f64 / frames.levels as f64;
                vec![
                    name.to_owned(),
                    format!("{per_frame:.0}"),
                    format!("{per_level:.1}"),
                ]
            })
            .to_vec(),
    });
    section.charts.push(Chart {
        file: "bench-books.svg".to_owned(),
        title: "Depth frames per CPU second (more is better)".to_owned(),
        unit: "frames/s".to_owned(),
        grey: Some("another program".to_owned()),
        bars,
    });
}
