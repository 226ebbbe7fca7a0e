//! `kurs get`.

use super::{explain, text_of};
use crate::cli::ServerArgs;
use crate::client::{Answer, Client, Method};
use crate::exit::{Exit, Failure};
use crate::output::{Form, Output, age};
use clap::{Args, ValueEnum};
use kurs_core::PairParser;
use serde_json::Value;

const EXAMPLES: &str = "\
Examples:
  kurs get BTC-USD
  kurs get BTC-USD ETH-RUB
  kurs get BTC-USD --explain          with legs, sources and the reason
  kurs get BTC-USD --require fresh    exit code 6 unless it may be used blindly
  kurs get BTC-USD --at 2026-11-21T12:00:00Z    as it was served then
";

/// Arguments of `get`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct GetArgs {
    /// Pairs such as BTC-USD, btc/usd or BTCUSDT
    #[arg(required = true, value_name = "PAIR", num_args = 1..=500)]
    pairs: Vec<String>,
    /// Show legs, what each source says, and why this source
    #[arg(long)]
    explain: bool,
    /// Show an expired value with its state instead of failing
    #[arg(long)]
    allow_stale: bool,
    /// Exit with 6 unless every value is in this state
    #[arg(long, value_name = "STATE")]
    require: Option<Required>,
    /// Answer as at this moment of the past (RFC 3339), to the millisecond
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<String>,
    /// With --at: exactly the answer that had this number, where there are several of one moment
    #[arg(long, value_name = "SEQ", requires = "at")]
    seq: Option<u64>,
    #[command(flatten)]
    server: ServerArgs,
}

/// A time as RFC 3339 writes it, checked and left as it is.
pub(super) fn moment(text: &str) -> Result<String, String> {
    match text.parse::<kurs_core::Wall>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => {
            Err("is written as 2026-11-21T12:00:00Z, with milliseconds if need be".to_owned())
        }
    }
}

/// The state that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Required {
    /// May be used blindly.
    Fresh,
}

/// The path of a pair's rate.
pub(super) fn rate_path(pair: &str) -> Result<String, Failure> {
    let pair = PairParser::default()
        .parse(pair)
        .map_err(|error| Failure::new(Exit::Usage, format!("{:?}: {error}", pair)))?;
    Ok(format!("/api/v1/rates/{}/{}", pair.base, pair.quote))
}

pub(super) async fn run(arguments: GetArgs, output: Output) -> Result<Exit, Failure> {
    let client = arguments.server.client()?;
    let mut documents = Vec::new();
    let mut worst: Option<Failure> = None;
    for pair in &arguments.pairs {
        match one(&client, &arguments, pair, output).await {
            Ok(answer) => documents.push(answer),
            // One bad pair does not hide the others.
            Err(failure) if arguments.pairs.len() > 1 && failure.exit != Exit::Usage => {
                crate::output::complain(&format!("kurs: {pair}: {failure}"));
                worst = worst.or(Some(Failure::silent(failure.exit)));
            }
            Err(failure) => return Err(failure),
        }
    }
    let mut parsed = Vec::new();
    for answer in &documents {
        parsed.push(answer.json()?);
    }
    match output.form {
        Form::Json => {
            for answer in &documents {
                output.data(&answer.body)?;
            }
        }
        Form::Text | Form::Plain => {
            let rows: Vec<Vec<String>> = parsed.iter().map(|rate| row(rate, output)).collect();
            output.table(&["pair", "value", "source", "state", "age", "path"], &rows)?;
            if arguments.explain {
                for rate in &parsed {
                    output.data(&explain::why(rate, output))?;
                }
            }
        }
    }
    if let Some(failure) = worst {
        return Err(failure);
    }
    let all_fresh = parsed.iter().all(|rate| text_of(rate, "state") == "fresh");
    if arguments.require.is_some() && !all_fresh {
        return Err(Failure::new(Exit::Stale, "not fresh"));
    }
    Ok(Exit::Ok)
}

async fn one(
    client: &Client,
    arguments: &GetArgs,
    pair: &str,
    output: Output,
) -> Result<Answer, Failure> {
    let mut parameters = Vec::new();
    // The age is in the explanation only; the plain document never changes without a new seq.
    if arguments.explain || output.form != Form::Json {
        parameters.push(("explain", "true"));
    }
    if arguments.allow_stale {
        parameters.push(("allow_stale", "true"));
    }
    if let Some(at) = &arguments.at {
        parameters.push(("at", at));
    }
    let seq = arguments.seq.map(|seq| seq.to_string());
    if let Some(seq) = &seq {
        parameters.push(("seq", seq));
    }
    let answer = client
        .send(Method::Get, &rate_path(pair)?, &parameters, None)
        .await?;
    let expired = answer
        .problem_kind()
        .is_some_and(|kind| kind == "rate-expired");
    answer.accepted().map_err(|failure| {
        let stale = expired && arguments.require.is_some();
        if stale {
            Failure {
                exit: Exit::Stale,
                ..failure
            }
        } else {
            failure
        }
    })
}

fn row(rate: &Value, output: Output) -> Vec<String> {
    let age_ms = rate.get("age_ms").and_then(Value::as_u64);
    let state = text_of(rate, "state");
    let path: Vec<&str> = rate
        .get("path")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    vec![
        text_of(rate, "pair"),
        text_of(rate, "value"),
        text_of(rate, "source"),
        state,
        match output.form {
            Form::Plain => age_ms.map(|age| age.to_string()).unwrap_or_default(),
            _ => age_ms.map(age).unwrap_or_default(),
        },
        path.join(" "),
    ]
}
