//! `kurs explain`, and the explanation under `kurs get --explain`.

use super::get::{moment, rate_path};
use super::text_of;
use crate::cli::ServerArgs;
use crate::client::Method;
use crate::exit::{Exit, Failure};
use crate::output::{Form, Output, age};
use clap::Args;
use kurs_core::Wall;
use serde_json::Value;

const EXAMPLES: &str = "\
Examples:
  kurs explain BTC-RUB
  kurs explain BTC-USD --json
  kurs explain BTC-RUB --at 2026-11-21T12:00:00Z
";

/// Arguments of `explain`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct ExplainArgs {
    /// A pair such as BTC-RUB, btc/rub or BTCRUB
    #[arg(value_name = "PAIR")]
    pair: String,
    /// Explain what was served at this moment of the past (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<String>,
    /// With --at: exactly the answer that had this number, where there are several of one moment
    #[arg(long, value_name = "SEQ", requires = "at")]
    seq: Option<u64>,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) async fn run(arguments: ExplainArgs, output: Output) -> Result<Exit, Failure> {
    let client = arguments.server.client()?;
    let mut parameters = vec![("explain", "true"), ("allow_stale", "true")];
    if let Some(at) = &arguments.at {
        parameters.push(("at", at));
    }
    let seq = arguments.seq.map(|seq| seq.to_string());
    if let Some(seq) = &seq {
        parameters.push(("seq", seq));
    }
    let path = rate_path(&arguments.pair)?;
    let answer = client.send(Method::Get, &path, &parameters, None).await?;
    let answer = answer.accepted()?;
    if output.form == Form::Json {
        output.data(&answer.body)?;
        return Ok(Exit::Ok);
    }
    output.data(&text(&answer.json()?, output))?;
    Ok(Exit::Ok)
}

/// The rate with its whole explanation.
pub(super) fn text(rate: &Value, output: Output) -> String {
    head(rate, output) + &why(rate, output)
}

/// The rate itself, a line for each thing that is said of it.
fn head(rate: &Value, output: Output) -> String {
    let named = |name: &str, shown: &str| {
        let text = text_of(rate, name);
        (!text.is_empty()).then(|| vec![shown.to_owned(), text])
    };
    let mut rows = vec![vec![
        text_of(rate, "pair"),
        format!("{} ({})", text_of(rate, "value"), text_of(rate, "state")),
    ]];
    rows.extend(
        [("bid", "bid"), ("ask", "ask")]
            .map(|(name, shown)| named(name, shown))
            .into_iter()
            .flatten(),
    );
    rows.extend(named("confidence", "confidence"));
    rows.push(vec![
        "source".to_owned(),
        format!(
            "{} since {}",
            text_of(rate, "source"),
            text_of(rate, "since")
        ),
    ]);
    rows.push(vec!["path".to_owned(), texts(rate.get("path")).join(" * ")]);
    if let Some(age_ms) = rate.get("age_ms").and_then(Value::as_u64) {
        rows.push(vec!["age of the oldest leg".to_owned(), age(age_ms)]);
    }
    rows.push(vec!["expires".to_owned(), text_of(rate, "expires_at")]);
    let marks = rate.get("depeg").and_then(Value::as_array);
    for mark in marks.into_iter().flatten() {
        let text = format!(
            "{} {} ({} %)",
            text_of(mark, "pair"),
            text_of(mark, "value"),
            text_of(mark, "percent")
        );
        rows.push(vec!["off its peg".to_owned(), text]);
    }
    output.table_text(&["rate", "value"], &rows)
}

/// The day that ends at this moment, as it was configured; any other moment as it is.
fn last_day(end: &str) -> String {
    let is_midnight = end.ends_with("T00:00:00.000Z");
    let day = end
        .parse::<Wall>()
        .ok()
        .filter(|_| is_midnight)
        .map(|end| Wall(end.0.saturating_sub(1)).to_string())
        .and_then(|last| last.split_once('T').map(|(day, _)| day.to_owned()));
    day.unwrap_or_else(|| end.to_owned())
}

fn texts(list: Option<&Value>) -> Vec<String> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items
        .filter_map(Value::as_str)
        .map(ToOwned::to_owned)
        .collect()
}

/// How a rate of several prices was put together.
fn evidence(evidence: &Value, output: Output) -> String {
    let mut rows = Vec::new();
    for (name, shown) in [
        ("policy", "policy"),
        ("price", "price of a book"),
        ("rule", "rule"),
        ("evaluated", "with its numbers"),
        ("spread_percent", "spread, percent"),
    ] {
        let text = text_of(evidence, name);
        if !text.is_empty() {
            rows.push(vec![shown.to_owned(), text]);
        }
    }
    if let Some(fixed) = evidence.get("fixed") {
        rows.push(vec!["stood for by".to_owned(), text_of(fixed, "owner")]);
        rows.push(vec!["until".to_owned(), last_day(&text_of(fixed, "until"))]);
    }
    for note in texts(evidence.get("notes")) {
        rows.push(vec!["note".to_owned(), note]);
    }
    if let Some(gate) = evidence.get("gate") {
        let text = format!(
            "median {}, MAD {}, out beyond {}",
            text_of(gate, "median"),
            text_of(gate, "mad"),
            text_of(gate, "limit")
        );
        rows.push(vec!["gate".to_owned(), text]);
    }
    let mut text = output.table_text(&["how", ""], &rows);
    let votes: Vec<Vec<String>> = evidence
        .get("constituents")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|vote| {
            let used = vote.get("used") == Some(&Value::Bool(true));
            let mut row: Vec<String> = ["source", "pair", "value", "price"]
                .map(|name| text_of(vote, name))
                .to_vec();
            row.push(if used { "used" } else { "left out" }.to_owned());
            row.push(text_of(vote, "why"));
            row
        })
        .collect();
    if !votes.is_empty() {
        let headings = ["constituent", "of", "value", "by", "used", "why"];
        text.push_str(&output.table_text(&headings, &votes));
    }
    text
}

/// Why a rate is what it is: reason, legs, what every source says, what was passed over.
pub(super) fn why(rate: &Value, output: Output) -> String {
    let list = |name: &str| {
        rate.get(name)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let mut text = String::new();
    if output.form == Form::Text {
        text = crate::output::clean(&format!(
            "{}: {}",
            text_of(rate, "pair"),
            text_of(rate, "reason")
        ));
        text = format!("\n{text}\n");
    }
    if let Some(part) = rate.get("evidence") {
        text.push_str(&evidence(part, output));
    }
    let legs: Vec<Vec<String>> = list("legs")
        .iter()
        .map(|leg| {
            let inverted = leg.get("inverted") == Some(&Value::Bool(true));
            let value = text_of(leg, "value");
            vec![
                text_of(leg, "pair"),
                text_of(leg, "source"),
                if inverted {
                    format!("1 / {value}")
                } else {
                    value
                },
                text_of(leg, "expires_at"),
            ]
        })
        .collect();
    text.push_str(&output.table_text(&["leg", "source", "value", "expires"], &legs));
    let rows: Vec<Vec<String>> = list("constituents")
        .iter()
        .map(|part| {
            let age_ms = part
                .get("age_ms")
                .and_then(Value::as_u64)
                .map(age)
                .unwrap_or_default();
            let used = if part.get("used") == Some(&Value::Bool(true)) {
                "used"
            } else {
                ""
            };
            vec![
                text_of(part, "pair"),
                text_of(part, "source"),
                text_of(part, "value"),
                text_of(part, "state"),
                age_ms,
                used.to_owned(),
                text_of(part, "why"),
            ]
        })
        .collect();
    text.push_str(&output.table_text(
        &["market", "source", "value", "state", "age", "used", "why"],
        &rows,
    ));
    let rejected: Vec<Vec<String>> = list("rejections")
        .iter()
        .map(|part| {
            ["source", "state", "why"]
                .map(|name| text_of(part, name))
                .to_vec()
        })
        .collect();
    if !rejected.is_empty() {
        text.push_str(&output.table_text(&["passed over", "state", "why"], &rejected));
    }
    text
}
