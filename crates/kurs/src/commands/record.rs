//! `kurs record`: everything that the sources receive goes into files.

use super::demo::point_at;
use super::progress::Progress;
use super::settings::SettingsArgs;
use super::sim::{VenueArgs, source_urls};
use crate::cli::Global;
use crate::config::{FlagValue, Inputs, Loaded};
use crate::exit::{Exit, Failure};
use crate::output::{Form, Output, clean, color_wanted};
use crate::server::Signals;
use clap::Args;
use kurs_core::{Pair, SourceEvent};
use kurs_sim::{Sim, SimHandle};
use kurs_sources::registry::Built as BuiltSource;
use kurs_sources::{Context, EventSink, Period, Tap};
use kurs_telemetry::logs::{self, Output as LogOutput};
use kurs_writer::capture::{Capture, CaptureConfig, Written};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

const EXAMPLES: &str = "\
Examples:
  kurs record                                   all sources of the configuration, until Ctrl-C
  kurs record --source binance --pairs BTC-USDT --for 10m --out captures
  kurs record --sim --for 10s                   simulated venues, without internet
";

/// How often progress is shown on a terminal.
const SHOW_EVERY: Duration = Duration::from_millis(200);
/// How often it is said where there is none.
const SAY_EVERY: Duration = Duration::from_secs(10);
/// How long the sources may take to close their connections.
const SOURCES_END: Duration = Duration::from_secs(2);

/// Arguments of `record`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct RecordArgs {
    /// Folder of the files [default: capture.dir of the configuration, `captures`]
    #[arg(long, short, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Only these sources; repeatable
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    source: Vec<String>,
    /// Follow these pairs instead of those of the configuration
    #[arg(long, value_name = "PAIRS")]
    pairs: Option<String>,
    /// End after this time, such as 10m
    #[arg(long = "for", value_name = "TIME")]
    duration: Option<Period>,
    /// Begin the next file after so many megabytes
    #[arg(long, value_name = "MB")]
    rotate_mb: Option<u32>,
    /// Begin the next file after this time, such as 1h
    #[arg(long, value_name = "TIME")]
    rotate: Option<Period>,
    /// Keep so many files and delete the oldest beyond; 0 keeps all [default: 0]
    #[arg(
        long,
        value_name = "FILES",
        default_value_t = 0,
        hide_default_value = true
    )]
    keep: usize,
    /// Record simulated venues in this process
    #[arg(long)]
    sim: bool,
    #[command(flatten)]
    venues: VenueArgs,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Prices are not looked at while recording.
struct Nowhere;

impl EventSink for Nowhere {
    fn deliver(&self, _: SourceEvent) {}
}

pub(super) async fn run(arguments: RecordArgs, global: &Global) -> Result<Exit, Failure> {
    let output = global.output();
    let sim = match arguments.sim {
        true => Some(start_sim(&arguments.venues).await?),
        false => None,
    };
    let loaded = load(&arguments, global, sim.as_ref())?;
    let mut log = loaded.config.log.clone();
    if !global.verbose {
        // Progress and summary say what there is to say.
        log.level = log.level.min(kurs_telemetry::Level::Warning);
    }
    logs::install(&log, LogOutput::stderr(color_wanted()));
    let ended = record(&arguments, &loaded, sim.is_some(), output).await;
    if let Some(sim) = sim {
        sim.stop().await;
    }
    ended
}

async fn start_sim(venues: &VenueArgs) -> Result<SimHandle, Failure> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Sim::start(venues.config(), address)
        .await
        .map_err(|error| Failure::new(Exit::Failure, error.to_string()))
}

fn load(
    arguments: &RecordArgs,
    global: &Global,
    sim: Option<&SimHandle>,
) -> Result<Loaded, Failure> {
    let mut inputs = arguments.settings.inputs(Some(global))?;
    let flags = [
        (
            "--out",
            "capture.dir",
            arguments
                .out
                .as_ref()
                .map(|path| path.display().to_string()),
        ),
        ("--pairs", "pairs", arguments.pairs.clone()),
        (
            "--rotate-mb",
            "capture.rotate_mb",
            arguments.rotate_mb.map(|mb| mb.to_string()),
        ),
        (
            "--rotate",
            "capture.rotate",
            arguments.rotate.map(|time| time.to_string()),
        ),
    ];
    for (flag, key, value) in flags {
        if let Some(value) = value {
            put(&mut inputs, flag, key, value);
        }
    }
    if let Some(sim) = sim {
        point_at(&mut inputs, &source_urls(sim));
    }
    Ok(inputs.load()?)
}

fn put(inputs: &mut Inputs, flag: &str, key: &str, value: String) {
    inputs.flags.push(FlagValue {
        flag: flag.to_owned(),
        key: key.to_owned(),
        value,
    });
}

/// The sources that were asked for; all that are on when none was.
fn chosen(sources: Vec<BuiltSource>, names: &[String]) -> Result<Vec<BuiltSource>, Failure> {
    if names.is_empty() {
        return Ok(sources);
    }
    let is = |source: &BuiltSource, name: &String| source.info.id.plain() == name.as_str();
    for name in names {
        if !sources.iter().any(|source| is(source, name)) {
            let known: Vec<&str> = sources
                .iter()
                .map(|source| source.info.id.plain())
                .collect();
            let known = known.join(", ");
            return Err(Failure::new(
                Exit::Usage,
                format!("no source {name} is on; there are {known}"),
            ));
        }
    }
    let mut sources = sources;
    sources.retain(|source| names.iter().any(|name| is(source, name)));
    Ok(sources)
}

async fn record(
    arguments: &RecordArgs,
    loaded: &Loaded,
    simulated: bool,
    output: Output,
) -> Result<Exit, Failure> {
    let config = &loaded.config;
    let mut signals = Signals::new()?;
    let clock = crate::compose::clock();
    let sources = crate::compose::sources(config, simulated, &clock)?;
    let sources = chosen(sources, &arguments.source)?;
    if sources.is_empty() {
        return Err(Failure::new(Exit::Usage, "no source is on"));
    }
    let settings = CaptureConfig {
        enabled: true,
        keep: arguments.keep,
        ..config.capture.clone()
    };
    let head = crate::compose::capture_head(config, &sources, simulated);
    let capture = Capture::start(settings, head, Arc::clone(&clock))
        .map_err(|error| Failure::new(Exit::Failure, error.to_string()))?;
    let capture = Arc::new(capture);

    let (stop, stopped) = watch::channel(false);
    let (_pairs, pairs) = watch::channel::<Arc<[Pair]>>(config.pairs.clone().into());
    let seed = fastrand::u64(..);
    let mut running = JoinSet::new();
    for (index, source) in (0_u64..).zip(&sources) {
        let context = Context {
            clock: Arc::clone(&clock),
            events: Arc::new(Nowhere),
            pairs: pairs.clone(),
            depth: Arc::from([]),
            tap: Some(Arc::clone(&capture) as Arc<dyn Tap>),
            seed: seed.wrapping_add(index),
            polls: tokio::sync::watch::channel(true).1,
            shutdown: stopped.clone(),
        };
        running.spawn(Arc::clone(&source.source).run(context));
    }
    let ended = watch_over(arguments, &capture, &mut signals, &mut running, output).await;
    stop.send_replace(true);
    let end = async { while running.join_next().await.is_some() {} };
    // What does not end in time is dropped with the set.
    let _ = tokio::time::timeout(SOURCES_END, end).await;
    drop(running);
    let written = tokio::task::spawn_blocking(move || capture.finish())
        .await
        .map_err(|error| Failure::new(Exit::Failure, error.to_string()))?;
    summary(&written, output)?;
    match written.failed {
        Some(error) => Err(Failure::new(Exit::Failure, error.to_string())),
        None => ended,
    }
}

/// Shows how far it is, until something ends it.
async fn watch_over(
    arguments: &RecordArgs,
    capture: &Capture,
    signals: &mut Signals,
    running: &mut JoinSet<()>,
    output: Output,
) -> Result<Exit, Failure> {
    let mut progress = Progress::open_ended(output.quiet);
    let every = if progress.is_wanted() {
        SHOW_EVERY
    } else {
        SAY_EVERY
    };
    let mut shows = tokio::time::interval(every);
    let mut checks = tokio::time::interval(SHOW_EVERY);
    shows.tick().await;
    let duration = arguments.duration.map(|time| time.0);
    let end = async {
        match duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(end);
    output.say("recording; Ctrl-C ends it");
    let ended = loop {
        tokio::select! {
            // Ctrl-C is how a recording ends: whichever signal it was, it ends in order.
            _ = signals.next() => break Ok(Exit::Ok),
            () = &mut end => break Ok(Exit::Ok),
            _ = shows.tick() => {
                let message = in_words(&capture.written());
                if progress.is_wanted() {
                    progress.set(0, message);
                } else {
                    output.say(&message);
                }
            }
            _ = checks.tick() => {
                if capture.written().failed.is_some() {
                    break Ok(Exit::Failure);
                }
            }
            Some(gone) = running.join_next() => {
                if let Err(error) = gone {
                    let message = format!("a source ended badly: {error}");
                    break Err(Failure::new(Exit::Failure, message));
                }
            }
        }
    };
    progress.end();
    ended
}

fn in_words(written: &Written) -> String {
    let sources: Vec<String> = written
        .by_source
        .iter()
        .map(|(source, frames)| format!("{source} {frames}"))
        .collect();
    let files = if written.files == 1 { "file" } else { "files" };
    let lost = match (written.lost, &written.failed) {
        (0, None) => String::new(),
        (lost, None) => format!(", {lost} LOST: the disk is too slow"),
        (0, Some(_)) => ", NOT WHOLE: it could not be written".to_owned(),
        (lost, Some(_)) => format!(", NOT WHOLE: it could not be written, {lost} came after"),
    };
    clean(&format!(
        "{} {files}, {} frames, {} kB ({} kB packed){lost}: {}",
        written.files,
        written.frames,
        written.bytes / 1_000,
        written.bytes_packed / 1_000,
        sources.join(", ")
    ))
}

fn summary(written: &Written, output: Output) -> Result<(), Failure> {
    if output.form != Form::Json {
        output.say(&format!(
            "{}\nlast file: {}",
            in_words(written),
            clean(&written.path)
        ));
        return Ok(());
    }
    let by_source: serde_json::Map<String, serde_json::Value> = written
        .by_source
        .iter()
        .map(|(source, frames)| (source.to_string(), (*frames).into()))
        .collect();
    let document = serde_json::json!({
        "files": written.files,
        "last_file": written.path,
        "frames": written.frames,
        "lines": written.lines,
        "bytes": written.bytes,
        "bytes_packed": written.bytes_packed,
        "lost": written.lost,
        "failed": written.failed.as_ref().map(ToString::to_string),
        "deleted": written.deleted,
        "sources": by_source,
    });
    output.data(&document.to_string())?;
    Ok(())
}
