//! `kurs history`.

use super::text_of;
use crate::cli::ServerArgs;
use crate::exit::{Exit, Failure};
use crate::output::{Form, Output};
use clap::Args;
use kurs_core::PairParser;
use serde_json::Value;

const EXAMPLES: &str = "\
Examples:
  kurs history BTC-USDT --start 2026-11-21T00:00:00Z
  kurs history BTC-RUB --published
  kurs history USD-RUB --source cbr --limit 5000 --json > usd-rub.ndjson
";

/// Most rows the server gives in one page.
const PAGE: usize = 1_000;

/// Arguments of `history`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct HistoryArgs {
    /// The pair, such as BTC-USDT
    pair: String,
    /// From this time on, such as 2026-11-21T00:00:00Z
    #[arg(long, value_name = "TIME")]
    start: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    end: Option<String>,
    /// Only what this source said
    #[arg(long, value_name = "SOURCE")]
    source: Option<String>,
    /// What was published instead of what was received
    #[arg(long, conflicts_with = "source")]
    published: bool,
    /// At most this many rows
    #[arg(long, default_value_t = 100, value_name = "ROWS")]
    limit: usize,
    #[command(flatten)]
    server: ServerArgs,
}

/// The rows of a history page, and the cursor of the next one.
fn page_of(document: &Value) -> (Vec<Value>, Option<String>) {
    let rows = document
        .get("points")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let next = document
        .get("next")
        .and_then(Value::as_str)
        .map(str::to_owned);
    (rows, next)
}

pub(super) async fn run(arguments: HistoryArgs, output: Output) -> Result<Exit, Failure> {
    let client = arguments.server.client()?;
    let pair = PairParser::default()
        .parse(&arguments.pair)
        .map_err(|error| Failure::new(Exit::Usage, format!("{:?}: {error}", arguments.pair)))?;
    let path = format!("/api/v1/history/{}/{}", pair.base, pair.quote);
    let mut cursor: Option<String> = None;
    let mut left = arguments.limit;
    let mut rows: Vec<Vec<String>> = Vec::new();
    while left > 0 {
        let limit = left.min(PAGE).to_string();
        let mut parameters = vec![("limit", limit.as_str())];
        if arguments.published {
            parameters.push(("published", "true"));
        }
        let optional = [
            ("start", &arguments.start),
            ("end", &arguments.end),
            ("source", &arguments.source),
            ("cursor", &cursor),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                parameters.push((name, value.as_str()));
            }
        }
        let document = client.get(&path, &parameters).await?.json()?;
        let (page, next) = page_of(&document);
        left = left.saturating_sub(page.len());
        for entry in &page {
            if output.form == Form::Json {
                // One row per line, so that long answers need no memory at either end.
                output.data(&entry.to_string())?;
            } else {
                let names = ["received_at", "source", "value", "bid", "ask"];
                rows.push(names.map(|name| text_of(entry, name)).to_vec());
            }
        }
        match next {
            Some(next) if !page.is_empty() => cursor = Some(next),
            _ => {
                cursor = None;
                break;
            }
        }
    }
    if output.form != Form::Json {
        output.table(&["received at", "source", "value", "bid", "ask"], &rows)?;
    }
    if cursor.is_some() {
        output.say("there is more: raise --limit");
    }
    Ok(Exit::Ok)
}
