//! `kurs export`: what the store holds, as a file for other programs. Rows go from the store to
//! the file page by page, so that memory does not grow with them.
//!
//! | module | what it holds |
//! |---|---|
//! | `tables` | which columns there are, and the pages of the store as rows of them |
//! | `text` | CSV and NDJSON |
//! | `columnar` | Parquet |

mod columnar;
mod tables;
mod text;

use super::migrate::store_failure;
use super::progress::Progress;
use super::settings::SettingsArgs;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use clap::{Args, ValueEnum};
use kurs_core::{Clock, Pair, PairParser, SourceId, SystemClock, Wall};
use kurs_store::{Interval, Store};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tables::{Cell, Column, Reading};

const EXAMPLES: &str = "\
Examples:
  kurs export BTC-USDT --start 2026-11-01T00:00:00Z > btc.csv
  kurs export --what published --format ndjson --output published.ndjson
  kurs export BTC-USDT --what candles --interval 1h --format parquet --output btc.parquet
";

/// What is exported when no start is given.
const DEFAULT_SPAN: Duration = Duration::from_secs(24 * 3_600);

/// Arguments of `export`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct ExportArgs {
    /// Pairs such as BTC-USDT; without any: all that are tracked or published
    #[arg(value_name = "PAIR")]
    pairs: Vec<String>,
    /// What to export
    #[arg(long, value_enum, default_value_t = What::Received)]
    what: What,
    /// Form of the file
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// The file to make; without it standard output
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// From this time on (RFC 3339); 24 hours before the end unless given
    #[arg(long, value_name = "TIME")]
    start: Option<Wall>,
    /// Before this time (RFC 3339); now unless given
    #[arg(long, value_name = "TIME")]
    end: Option<Wall>,
    /// Only of this source
    #[arg(long, value_name = "NAME")]
    source: Option<SourceId>,
    /// Length of the candles: 1s, 1m, 5m, 1h or 1d
    #[arg(long, value_name = "LENGTH", default_value = "1m")]
    interval: Interval,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// What can be exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    /// Every rate as received from a source
    Received,
    /// Every rate as published
    Published,
    /// Candles: of what was published, or of `--source`
    Candles,
}

/// Form of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// RFC 4180, with a line of headings
    Csv,
    /// A JSON document per line
    Ndjson,
    /// Parquet, numbers as DECIMAL(38, 24), compressed
    Parquet,
}

/// Takes rows one by one.
trait Sheet {
    fn row(&mut self, cells: &[Cell]) -> Result<(), Failure>;
    fn finish(self: Box<Self>) -> Result<(), Failure>;
}

pub(super) async fn run(arguments: ExportArgs, output: Output) -> Result<Exit, Failure> {
    let config = arguments.settings.inputs(None)?.load()?.config;
    let now = SystemClock::new().now().wall;
    let end = arguments.end.unwrap_or(now);
    let span_us = i64::try_from(DEFAULT_SPAN.as_micros()).unwrap_or(i64::MAX);
    let start = arguments
        .start
        .unwrap_or(Wall(end.0.saturating_sub(span_us)));
    if start >= end {
        return Err(Failure::new(Exit::Usage, "--start must be before --end"));
    }
    if arguments.format == Format::Parquet && arguments.output.is_none() {
        let why = "a Parquet file needs a name: --output FILE";
        return Err(Failure::new(Exit::Usage, why));
    }
    if config.store.is_missing() {
        let why = format!("there is no database {}", config.store.url);
        return Err(Failure::new(Exit::Failure, why));
    }
    let store = kurs_store::config::open(&config.store).map_err(|error| store_failure(&error))?;
    let pairs = match arguments.pairs.as_slice() {
        [] => all_pairs(&*store).await?,
        named => named_pairs(named)?,
    };
    let mut reading = Reading::new(&arguments, pairs, start, end);
    let part = arguments.output.as_deref().map(part_of);
    let columns = reading.columns();
    let mut sheet = sheet_of(arguments.format, part.as_deref(), columns)?;
    let mut progress = Progress::open_ended(output.quiet || arguments.output.is_none());
    let mut rows: u64 = 0;
    let written = loop {
        let page = match reading.next(&*store).await {
            Ok(Some(page)) => page,
            Ok(None) => break sheet.finish(),
            Err(error) => break Err(store_failure(&error)),
        };
        rows += u64::try_from(page.len()).unwrap_or(0);
        if let Err(failure) = page.iter().try_for_each(|cells| sheet.row(cells)) {
            break Err(failure);
        }
        progress.set(rows, format!("{rows} rows"));
    };
    progress.end();
    let in_place = written.and_then(|()| match (&part, &arguments.output) {
        (Some(part), Some(to)) => put_in_place(part, to),
        _ => Ok(()),
    });
    if let (Err(_), Some(part)) = (&in_place, &part) {
        // Half a file would be taken for a whole one.
        let _ = std::fs::remove_file(part);
    }
    in_place?;
    if rows == 0 {
        let of = arguments
            .source
            .map_or_else(String::new, |source| format!(" of {source}"));
        output.say(&format!(
            "the store holds no such rows{of} from {start} to {end}"
        ));
    }
    if let Some(to) = &arguments.output {
        output.say(&format!("{} holds {rows} rows", to.display()));
    }
    Ok(Exit::Ok)
}

fn part_of(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

fn put_in_place(part: &Path, to: &Path) -> Result<(), Failure> {
    File::open(part).and_then(|file| file.sync_all())?;
    std::fs::rename(part, to)?;
    Ok(())
}

fn sheet_of(
    format: Format,
    part: Option<&Path>,
    columns: &'static [Column],
) -> Result<Box<dyn Sheet>, Failure> {
    let failed = |error: std::io::Error| {
        let name = part
            .map(|part| part.display().to_string())
            .unwrap_or_default();
        Failure::new(Exit::Failure, format!("cannot write {name}: {error}"))
    };
    let file = part.map(File::create).transpose().map_err(failed)?;
    Ok(match (format, file) {
        (Format::Parquet, Some(file)) => Box::new(columnar::Columnar::new(file, columns)?),
        (format, file) => {
            let to: Box<dyn Write> = match file {
                Some(file) => Box::new(file),
                None => Box::new(std::io::stdout()),
            };
            let to = BufWriter::with_capacity(1 << 16, to);
            match format {
                Format::Ndjson => Box::new(text::Ndjson::new(to, columns)),
                _ => Box::new(text::Csv::new(to, columns)?),
            }
        }
    })
}

fn named_pairs(named: &[String]) -> Result<Vec<Pair>, Failure> {
    let parser = PairParser::default();
    let parsed = named.iter().map(|text| {
        let pair = parser.parse(text);
        pair.map(|pair| pair.canonical())
            .map_err(|error| Failure::new(Exit::Usage, format!("{text:?}: {error}")))
    });
    parsed.collect()
}

async fn all_pairs(store: &dyn Store) -> Result<Vec<Pair>, Failure> {
    let tracked = store
        .tracked()
        .await
        .map_err(|error| store_failure(&error))?;
    let current = store.load_current().await;
    let current = current.map_err(|error| store_failure(&error))?;
    let tracked = tracked.into_iter().map(|symbol| symbol.pair);
    let published = current.into_iter().map(|current| current.stored.rate.pair);
    let all: BTreeSet<Pair> = tracked.chain(published).collect();
    Ok(all.into_iter().collect())
}
