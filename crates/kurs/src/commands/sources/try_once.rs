//! `kurs sources try`: one source of the configuration, asked once.

use crate::commands::settings::SettingsArgs;
use crate::config::redact::redact_url;
use crate::exit::{Exit, Failure};
use crate::output::{Form, Output, clean, complain};
use clap::Args;
use kurs_core::{Price, Quote, SystemClock};
use kurs_net::http::HttpClient;
use kurs_sources::probe::{self, Asked, Attempt, From, ProbeError, Shown};
use serde_json::{Value, json};
use std::io::Read;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  kurs sources try mybank                   asks once, shows every rate or its problem
  kurs sources try mybank --file rates.xml  reads a saved document instead: nothing is asked
  curl -s URL | kurs sources try mybank --file -
  kurs sources try cbr --json
";

/// A longer file is refused, bytes: what a source may send at most.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Arguments of `sources try`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub(super) struct TryArgs {
    /// The source: one of [sources.http.NAME], or cbr, coingecko, ecb, openexchangerates
    #[arg(value_name = "NAME")]
    name: String,
    /// Read this document instead of asking; - is standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsArgs,
}

pub(super) async fn run(arguments: TryArgs, output: Output) -> Result<Exit, Failure> {
    let loaded = arguments.settings.inputs(None)?.load()?;
    let document = arguments.file.as_deref().map(read_file).transpose()?;
    let client = HttpClient::new(concat!("kurs/", env!("CARGO_PKG_VERSION")))
        .map_err(|error| Failure::new(Exit::Failure, error.to_string()))?;
    let from = match document {
        Some(bytes) => From::File(bytes.into()),
        None => From::Source(&client),
    };
    let name = arguments.name.to_ascii_lowercase();
    let attempt = probe::once(&loaded.config.sources, &name, from, &SystemClock::new())
        .await
        .map_err(|error| {
            let exit = match error {
                ProbeError::Unknown { .. } => Exit::NotFound,
                _ => Exit::Usage,
            };
            Failure::new(exit, error.to_string())
        })?;
    if output.form == Form::Json {
        output.data(&format!("{:#}", as_json(&name, &attempt)))?;
    } else {
        tell(&name, &attempt, output);
        show(&attempt, output)?;
    }
    ended(&name, &attempt, arguments.file.is_some(), output)
}

fn read_file(path: &Path) -> Result<Vec<u8>, Failure> {
    let shown = path.display();
    let failed = |error: std::io::Error| {
        Failure::new(Exit::Usage, format!("{shown} cannot be read: {error}"))
    };
    let mut bytes = Vec::new();
    // One more than allowed, to know that there is more.
    let most = FILE_BYTES_MAX + 1;
    if path == Path::new("-") {
        let stdin = std::io::stdin().lock();
        stdin.take(most).read_to_end(&mut bytes).map_err(failed)?;
    } else {
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(most).read_to_end(&mut bytes).map_err(failed)?;
    }
    if u64::try_from(bytes.len()).is_ok_and(|length| length > FILE_BYTES_MAX) {
        let why = format!("{shown} is longer than {FILE_BYTES_MAX} bytes");
        return Err(Failure::new(Exit::Usage, why));
    }
    Ok(bytes)
}

/// What happened on the way, to standard error.
fn tell(name: &str, attempt: &Attempt, output: Output) {
    for asked in &attempt.asked {
        let url = clean(&redact_url(&asked.url));
        output.say(&format!("{name}: GET {url}"));
        let took = asked.took.as_millis();
        let what = match (asked.bytes, &asked.content_type) {
            (Some(bytes), Some(kind)) => format!("HTTP 200, {bytes} bytes, {}", clean(kind)),
            (Some(bytes), None) => format!("HTTP 200, {bytes} bytes, no content type"),
            (None, _) => "no usable answer".to_owned(),
        };
        output.say(&format!("{what}, {took} ms"));
        if !asked.said.is_empty() {
            complain(&format!("the server says: {}", clean(&asked.said)));
        }
    }
    if let Some(format) = attempt.format {
        output.say(&format!("read as {format}"));
    }
}

/// Every rate. Columns in which nothing stands are left out for people, not for scripts.
fn show(attempt: &Attempt, output: Output) -> Result<(), Failure> {
    if attempt.rates.is_empty() {
        return Ok(());
    }
    let headings = [
        "pair",
        "value",
        "bid",
        "ask",
        "observed at",
        "text",
        "problem",
    ];
    let rows: Vec<Vec<String>> = attempt.rates.iter().map(row).collect();
    let is_used = |column: usize| {
        column < 2
            || rows
                .iter()
                .any(|row| row.get(column).is_some_and(|cell| !cell.is_empty()))
    };
    let columns: Vec<usize> = (0..headings.len())
        .filter(|column| output.form == Form::Plain || is_used(*column))
        .collect();
    let headings: Vec<&str> = columns
        .iter()
        .filter_map(|at| headings.get(*at).copied())
        .collect();
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            columns
                .iter()
                .filter_map(|at| row.get(*at).cloned())
                .collect()
        })
        .collect();
    Ok(output.table(&headings, &rows)?)
}

fn row(rate: &Shown) -> Vec<String> {
    let (value, bid, ask) = numbers(rate);
    vec![
        rate.label.clone(),
        value.unwrap_or_default(),
        bid.unwrap_or_default(),
        ask.unwrap_or_default(),
        rate.observed_at
            .map(|at| at.to_string())
            .unwrap_or_default(),
        rate.text.clone(),
        rate.problem.clone(),
    ]
}

type Numbers = (Option<String>, Option<String>, Option<String>);

fn numbers(rate: &Shown) -> Numbers {
    let text = |price: Option<Price>| price.map(|price| price.to_string());
    let value = rate.quote.and_then(|quote| quote.value().ok());
    let bid = rate.quote.as_ref().and_then(Quote::bid);
    let ask = rate.quote.as_ref().and_then(Quote::ask);
    (text(value), text(bid), text(ask))
}

fn as_json(name: &str, attempt: &Attempt) -> Value {
    let request = |asked: &Asked| {
        json!({
            "url": redact_url(&asked.url),
            "took_ms": u64::try_from(asked.took.as_millis()).unwrap_or(u64::MAX),
            "bytes": asked.bytes,
            "content_type": asked.content_type,
            "said": non_empty(&asked.said),
        })
    };
    let rate = |rate: &Shown| {
        let (value, bid, ask) = numbers(rate);
        json!({
            "pair": rate.pair,
            "label": rate.label,
            "value": value,
            "bid": bid,
            "ask": ask,
            "observed_at": rate.observed_at,
            "text": non_empty(&rate.text),
            "problem": non_empty(&rate.problem),
        })
    };
    json!({
        "source": name,
        "kind": attempt.kind,
        "requests": attempt.asked.iter().map(request).collect::<Vec<_>>(),
        "format": attempt.format,
        "rates": attempt.rates.iter().map(rate).collect::<Vec<_>>(),
        "problem": non_empty(&attempt.problem),
    })
}

fn non_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn ended(name: &str, attempt: &Attempt, is_file: bool, output: Output) -> Result<Exit, Failure> {
    if !attempt.has_price() {
        let exit = if is_file || attempt.has_answer() {
            Exit::Failure
        } else {
            Exit::Unavailable
        };
        let why = non_empty(&attempt.problem).unwrap_or("no usable rate");
        return Err(Failure::new(exit, format!("{name}: {}", clean(why))));
    }
    let bad = attempt
        .rates
        .iter()
        .filter(|rate| rate.quote.is_none())
        .count();
    if bad > 0 {
        let all = attempt.rates.len();
        output.say(&format!("{bad} of {all} cannot be used; the others can"));
    }
    Ok(Exit::Ok)
}
