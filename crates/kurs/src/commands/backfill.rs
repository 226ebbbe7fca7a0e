//! `kurs backfill`: candles and official rates of the past, from the archives of the sources.
//!
//! | module | what it holds |
//! |---|---|
//! | `need` | which candles are missing in the store |
//! | `plan` | what is fetched for that |
//! | `sink` | the way into the store, and the progress shown |
//! | `summary` | what is said at the end |

mod need;
mod plan;
mod sink;
mod summary;

use super::confirmed;
use super::settings::SettingsArgs;
use crate::cli::Global;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::output::{Output, color_wanted};
use clap::Args;
use kurs_core::{Clock, Pair, PairParser, SystemClock, Wall};
use kurs_net::http::HttpClient;
use kurs_sources::archive::catalog::NAMES;
use kurs_sources::archive::{Archive, Catalog, Runner};
use kurs_store::{Batch, Interval, Store, StoreError};
use kurs_telemetry::logs::{self, Output as LogOutput};
use plan::{Asked, Plan};
use sink::StoreSink;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

const EXAMPLES: &str = "\
Examples:
  kurs backfill                                   the last 30 days of all tracked pairs
  kurs backfill --gaps                            only what was missed while kurs was away or deaf
  kurs backfill --source binance --pair BTC-USDT --start 2025-11-01 --interval 1m,1h,1d
  kurs backfill --source ecb,cbr                  official rates of ten years
";

const DAY: Duration = Duration::from_secs(86_400);
/// How far back exchanges are asked unless a start is given, days.
const USUAL_DAYS: u32 = 30;
/// The same of banks, which give years in one answer, days.
const OFFICIAL_DAYS: u32 = 3_653;
/// Above so many requests it is asked whether that is meant.
const REQUESTS_UNASKED: u64 = 5_000;
/// The same where every request is paid from a quota.
const QUOTA_UNASKED: u64 = 100;

/// Arguments of `backfill`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct BackfillArgs {
    /// Only from these sources; repeatable [default: all that are enabled and have an archive]
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    source: Vec<String>,
    /// Only these pairs; repeatable [default: tracked pairs and directions; of banks all]
    #[arg(long, value_name = "PAIR", value_delimiter = ',')]
    pair: Vec<String>,
    /// From this time on, such as 2026-11-01 or 2026-11-01T10:00:00Z [default: 30 days ago; of
    /// banks ten years]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    start: Option<Wall>,
    /// Before this time [default: now]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    end: Option<Wall>,
    /// Lengths of candles: 1m, 5m, 1h, 1d; repeatable [default: all]
    #[arg(long, value_name = "INTERVAL", value_delimiter = ',', value_parser = interval)]
    interval: Vec<Interval>,
    /// Only the gaps that kurs has noted and not filled yet
    #[arg(long)]
    gaps: bool,
    /// Do not ask, however many requests it takes
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// A date, which is its midnight in UTC, or a time.
fn moment(text: &str) -> Result<Wall, String> {
    let full = if text.len() == 10 {
        format!("{text}T00:00:00Z")
    } else {
        text.to_owned()
    };
    full.parse()
        .map_err(|_| "is written 2026-11-01 or 2026-11-01T10:00:00Z".to_owned())
}

fn interval(text: &str) -> Result<Interval, String> {
    match text.parse() {
        Ok(Interval::Second) | Err(_) => Err("is one of 1m, 5m, 1h, 1d".to_owned()),
        Ok(interval) => Ok(interval),
    }
}

pub(super) async fn run(arguments: BackfillArgs, global: &Global) -> Result<Exit, Failure> {
    let output = global.output();
    let loaded = arguments.settings.inputs(Some(global))?.load()?;
    let mut log = loaded.config.log.clone();
    if !global.verbose {
        // Progress and summary say what there is to say.
        log.level = log.level.min(kurs_telemetry::Level::Warning);
    }
    logs::install(&log, LogOutput::stderr(color_wanted()));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let asked = asked(&arguments, clock.now().wall)?;
    let archives = archives(&arguments, &loaded.config)?;
    let store = open(&loaded.config).await?;
    let plan = Plan::make(&*store, &archives, &loaded.config, &asked)
        .await
        .map_err(|error| failure_of(&error))?;
    for note in &plan.notes {
        output.say(note);
    }
    if !arguments.yes {
        ask_first(&plan, global.no_input).await?;
    }
    fetch(plan, store, clock, &asked, output).await
}

fn failure_of(error: &StoreError) -> Failure {
    let exit = match error {
        StoreError::Unavailable(_) => Exit::Unavailable,
        _ => Exit::Failure,
    };
    Failure::new(exit, error.to_string())
}

async fn open(config: &Config) -> Result<Arc<dyn Store>, Failure> {
    let store = kurs_store::config::open(&config.store).map_err(|error| failure_of(&error))?;
    kurs_store::prepare(&*store, &config.store)
        .await
        .map_err(|error| failure_of(&error))?;
    Ok(store)
}

/// What the arguments mean.
fn asked(arguments: &BackfillArgs, now: Wall) -> Result<Asked, Failure> {
    let usage = |message: String| Failure::new(Exit::Usage, message);
    let end = arguments.end.unwrap_or(now).min(now);
    let days_ago = |days: u32| {
        let back = DAY.saturating_mul(days);
        let micros = i64::try_from(back.as_micros()).unwrap_or(i64::MAX);
        Interval::Day.start_of(Wall(end.0.saturating_sub(micros)))
    };
    let span =
        |days: u32| -> Range<Wall> { arguments.start.unwrap_or_else(|| days_ago(days))..end };
    if arguments.start.is_some_and(|start| start >= end) {
        return Err(usage(
            "--start: lies not before --end, or not before now".to_owned(),
        ));
    }
    let parser = PairParser::default();
    let mut pairs: Vec<Pair> = Vec::new();
    for text in &arguments.pair {
        let pair = parser
            .parse(text)
            .map_err(|error| usage(format!("--pair {text:?}: {error}")))?
            .canonical();
        if !pairs.contains(&pair) {
            pairs.push(pair);
        }
    }
    let mut intervals = arguments.interval.clone();
    if intervals.is_empty() {
        intervals.extend(
            Interval::ALL
                .into_iter()
                .filter(|one| *one != Interval::Second),
        );
    }
    intervals.sort_unstable();
    intervals.dedup();
    Ok(Asked {
        pairs,
        intervals,
        span: span(USUAL_DAYS),
        official_span: span(OFFICIAL_DAYS),
        only_gaps: arguments.gaps,
        now,
    })
}

/// The archives of the sources that were named, or of all.
fn archives(arguments: &BackfillArgs, config: &Config) -> Result<Vec<Archive>, Failure> {
    let catalog = Catalog::new(&config.sources, false)
        .map_err(|error| Failure::new(Exit::Failure, error.to_string()))?;
    if arguments.source.is_empty() {
        return Ok(catalog.iter().cloned().collect());
    }
    let mut named = Vec::new();
    for name in &arguments.source {
        let archive = catalog.get(name).ok_or_else(|| {
            let known = NAMES.contains(&name.as_str());
            let why = if known {
                "is not enabled, or has no key".to_owned()
            } else {
                format!("has no archive; there are {}", NAMES.join(", "))
            };
            Failure::new(Exit::Usage, format!("--source {name}: {why}"))
        })?;
        if !named
            .iter()
            .any(|known: &Archive| known.source == archive.source)
        {
            named.push(archive.clone());
        }
    }
    Ok(named)
}

/// Asks a person before very many requests, or some that cost something, are sent.
async fn ask_first(plan: &Plan, no_input: bool) -> Result<(), Failure> {
    let all = plan.requests(|_| true);
    let paid = plan.requests(|limits| limits.has_quota);
    if all <= REQUESTS_UNASKED && paid <= QUOTA_UNASKED {
        return Ok(());
    }
    let paid = match paid {
        0 => String::new(),
        paid => format!(", {paid} of them from your quota"),
    };
    let minutes = plan.longest().as_secs().div_ceil(60);
    let question = format!("This takes about {all} requests{paid}, and {minutes} min. Go on?");
    if confirmed(&question, no_input).await? {
        return Ok(());
    }
    Err(Failure::new(Exit::Failure, "nothing was fetched"))
}

async fn fetch(
    plan: Plan,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    asked: &Asked,
    output: Output,
) -> Result<Exit, Failure> {
    let http = HttpClient::new(concat!("kurs/", env!("CARGO_PKG_VERSION")))
        .map_err(|error| Failure::new(Exit::Failure, error.to_string()))?;
    let (stop, stopped) = watch::channel(false);
    let runner = Runner {
        transport: Arc::new(http),
        clock,
        seed: fastrand::u64(..),
        stop: stopped,
    };
    let Plan {
        venues,
        needs,
        gaps,
        all_listed,
        ..
    } = plan;
    let sink = Arc::new(StoreSink::new(Arc::clone(&store), needs, output));
    let work = runner.run(venues, sink.clone());
    tokio::pin!(work);
    let ran = loop {
        tokio::select! {
            ran = &mut work => break ran,
            // A second one ends the program at once, as usual; what was written stays.
            _ = tokio::signal::ctrl_c(), if !*stop.borrow() => {
                stop.send_replace(true);
            }
        }
    };
    sink.end_of_progress();
    let (outcomes, _) = ran.map_err(|error| Failure::new(Exit::Unavailable, error.to_string()))?;
    let filled = gaps.filled(&outcomes);
    for some in filled.whole.chunks(1_000) {
        let batch = Batch {
            gaps: some.to_vec(),
            ..Batch::default()
        };
        store
            .write(batch)
            .await
            .map_err(|error| failure_of(&error))?;
    }
    summary::say(&outcomes, &filled, asked, all_listed, output)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_its_midnight_and_seconds_are_no_length() {
        assert_eq!(
            moment("2026-11-01").map(|at| at.to_string()),
            Ok("2026-11-01T00:00:00.000Z".to_owned())
        );
        assert!(moment("2026-11-01T10:00:00Z").is_ok());
        assert!(moment("yesterday").is_err() && moment("2026-13-01").is_err());
        assert_eq!(interval("1h"), Ok(Interval::Hour));
        assert!(interval("1s").is_err() && interval("2h").is_err());
    }
}
