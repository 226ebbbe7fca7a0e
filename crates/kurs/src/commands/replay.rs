//! `kurs replay`: recorded captures through the same code, to standard output or to the API.

mod files;
mod print;
mod serve;

use super::settings::SettingsArgs;
use crate::cli::Global;
use crate::config::FlagValue;
use crate::exit::{Exit, Failure};
use crate::output::color_wanted;
use clap::{Args, ValueEnum};
use files::Files;
use kurs_core::{Pair, PairParser, SourceId};
use kurs_telemetry::logs::{self, Output as LogOutput};
use kurs_writer::capture::replay::{Outcomes, Replay};
use print::Printer;
use std::path::PathBuf;
use std::str::FromStr;

const EXAMPLES: &str = "\
Examples:
  kurs replay captures                          a folder of `kurs record`: last rates and hash
  kurs replay capture.jsonl.zst --print changes --pair BTC-USDT
  kurs replay other.jsonl.gz --source binance --output ndjson
  kurs replay captures --serve --speed 10x      the API as it was, ten times faster
";

/// Arguments of `replay`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct ReplayArgs {
    /// Captures (.jsonl, .jsonl.gz, .jsonl.zst), in order; a folder stands for all in it
    #[arg(required = true, value_name = "FILE|DIR")]
    paths: Vec<PathBuf>,
    /// Whose lines those are that do not say it
    #[arg(long, value_name = "NAME")]
    source: Option<SourceId>,
    /// Follow these pairs instead of those of the capture
    #[arg(long, value_name = "PAIRS", value_delimiter = ',')]
    pairs: Vec<String>,
    /// Print the rates of these pairs only; repeatable
    #[arg(long, value_name = "PAIR", value_delimiter = ',')]
    pair: Vec<String>,
    /// Which rates are printed
    #[arg(long, value_enum, default_value_t = Print::Last)]
    print: Print,
    /// How they are printed [default: table; json with --json]
    #[arg(long, value_enum)]
    output: Option<Shape>,
    /// Serve the rates over the API at their recorded speed, marked as replayed
    #[arg(long)]
    serve: bool,
    /// How fast they are served: 1x, 10x, max
    #[arg(long, default_value = "1x", value_name = "SPEED", requires = "serve")]
    speed: Speed,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Which rates are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Print {
    /// Every change of a published rate
    Changes,
    /// The rates at the end
    Last,
    /// None, only the summary
    None,
}

/// How rates are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// One document
    Json,
    /// One document per line
    Ndjson,
    /// Columns for people
    Table,
}

/// How fast a replay is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speed {
    /// So many times the recorded speed.
    Times(u32),
    /// As fast as it is read.
    Max,
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self::Max);
        }
        text.strip_suffix('x')
            .and_then(|times| times.parse().ok())
            .filter(|times| (1..=1_000_000).contains(times))
            .map(Self::Times)
            .ok_or_else(|| "a speed is 1x, 10x or max".to_owned())
    }
}

pub(super) async fn run(arguments: ReplayArgs, global: &Global) -> Result<Exit, Failure> {
    let files = Files::find(&arguments.paths)?;
    let head = files.head()?;
    let mut inputs = arguments.settings.inputs(Some(global))?;
    if arguments.settings.store_url.is_none() {
        // What is replayed is not kept, least of all beside what is live.
        inputs.flags.push(FlagValue {
            flag: "kurs replay".to_owned(),
            key: "store.url".to_owned(),
            value: "sqlite::memory:".to_owned(),
        });
    }
    let loaded = inputs.load()?;
    let mut log = loaded.config.log.clone();
    if !global.verbose && !arguments.serve {
        // A replay tells the same story again, in its summary.
        log.level = log.level.min(kurs_telemetry::Level::Critical);
    }
    let log = logs::install(&log, LogOutput::stderr(color_wanted()));
    let setup = crate::compose::ReplaySetup {
        simulated: head.simulated,
        // Old prices on the network are never to be taken for live ones.
        marked: arguments.serve,
        began_at: head.began_at,
        default_source: arguments.source,
        pairs: match arguments.pairs.is_empty() {
            true => None,
            false => Some(pairs(&arguments.pairs)?.into()),
        },
        sources: head.sources,
        directions: head.directions,
    };
    let config = loaded.config;
    let replay = crate::compose::replay(&config, setup)?;
    let output = global.output();
    if arguments.serve {
        let ended = serve::run(replay, files, arguments.speed, &config, output).await;
        log.flush();
        return ended;
    }
    let shape = arguments.output.unwrap_or(match output.form {
        crate::output::Form::Json => Shape::Json,
        _ => Shape::Table,
    });
    let only = pairs(&arguments.pair)?;
    let directions = replay.directions.clone();
    let printer = Printer::new(arguments.print, shape, only, directions, output)?;
    let outcome = tokio::task::spawn_blocking(move || play(replay.replay, files, printer, output));
    let outcome = tokio::select! {
        outcome = outcome => outcome.map_err(|error| Failure::new(Exit::Failure, error.to_string()))?,
        // The thread that reads ends with the process.
        _ = tokio::signal::ctrl_c() => return Err(Failure::silent(Exit::Interrupted)),
    };
    let exit = outcome?;
    log.flush();
    Ok(exit)
}

/// Reads everything, prints everything.
fn play(
    mut replay: Replay,
    mut files: Files,
    mut printer: Printer,
    output: crate::output::Output,
) -> Result<Exit, Failure> {
    let whole = files.feed(&mut replay, &mut printer, output.quiet)?;
    if let Some(failure) = printer.failure() {
        return Err(failure);
    }
    let outcomes: Outcomes = replay.finish(&mut printer);
    files.complain(&outcomes.tally, output);
    let missing = printer.end(&outcomes)?;
    for pair in &missing {
        crate::output::complain(&format!("kurs: {pair}: the replay gave no rate of it"));
    }
    Ok(match (whole, missing.is_empty()) {
        (false, _) => Exit::Failure,
        (true, false) => Exit::NotFound,
        (true, true) => Exit::Ok,
    })
}

fn pairs(texts: &[String]) -> Result<Vec<Pair>, Failure> {
    let parser = PairParser::default();
    texts
        .iter()
        .map(|text| {
            parser
                .parse(text)
                .map_err(|error| Failure::new(Exit::Usage, format!("{text:?}: {error}")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_read_as_they_are_written() {
        assert_eq!("10x".parse(), Ok(Speed::Times(10)));
        assert_eq!("max".parse(), Ok(Speed::Max));
        for text in ["", "x", "0x", "-1x", "fast", "1"] {
            assert!(text.parse::<Speed>().is_err(), "{text:?}");
        }
    }
}
