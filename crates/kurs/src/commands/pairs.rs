//! `kurs pairs`.

use super::text_of;
use crate::cli::ServerArgs;
use crate::client::{Client, Method};
use crate::exit::{Exit, Failure};
use crate::output::{Form, Output};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

const EXAMPLES: &str = "\
Examples:
  kurs pairs                     what is tracked
  kurs pairs add SOLUSDT         track it on every exchange that lists it
  kurs pairs remove SOLUSDT --yes
";

/// Arguments of `pairs`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct PairsArgs {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show what is tracked (what `kurs pairs` does)
    List,
    /// Track a symbol; it outlives a restart
    Add {
        /// Such as SOLUSDT or SOL-USDT
        symbol: String,
    },
    /// Stop tracking a symbol
    Remove {
        /// Such as SOLUSDT
        symbol: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

pub(super) async fn run(
    arguments: PairsArgs,
    output: Output,
    no_input: bool,
) -> Result<Exit, Failure> {
    let client = arguments.server.client()?;
    match arguments.what.unwrap_or(What::List) {
        What::List => list(&client, output).await,
        What::Add { symbol } => {
            let body = json!({ "symbol": symbol });
            let answer = client
                .send(Method::Post, "/api/v1/currency", &[], Some(&body))
                .await?
                .accepted()?;
            if output.form == Form::Json {
                output.data(&answer.body)?;
            } else {
                let was_new = if answer.status == 201 {
                    "is tracked now"
                } else {
                    "was tracked already"
                };
                let pair = text_of(&answer.json()?, "pair");
                output.say(&crate::output::clean(&format!(
                    "{symbol} ({pair}) {was_new}"
                )));
            }
            Ok(Exit::Ok)
        }
        What::Remove { symbol, yes } => {
            // Only names that can be a part of a path; the server says the rest.
            if !symbol
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
            {
                return Err(Failure::new(
                    Exit::Usage,
                    format!("{symbol:?} is no symbol"),
                ));
            }
            if !yes && !super::confirmed(&format!("Stop tracking {symbol}?"), no_input).await? {
                return Err(Failure::new(Exit::Failure, "nothing was removed"));
            }
            let path = format!("/api/v1/currency/{symbol}");
            client
                .send(Method::Delete, &path, &[], None)
                .await?
                .accepted()?;
            output.say(&format!("{symbol} is not tracked any more"));
            Ok(Exit::Ok)
        }
    }
}

async fn list(client: &Client, output: Output) -> Result<Exit, Failure> {
    let answer = client.get("/api/v1/pairs", &[]).await?;
    if output.form == Form::Json {
        output.data(&answer.body)?;
        return Ok(Exit::Ok);
    }
    let document = answer.json()?;
    let tracked = document.get("tracked").and_then(Value::as_array);
    let rows: Vec<Vec<String>> = tracked
        .into_iter()
        .flatten()
        .map(|entry| {
            ["symbol", "pair", "added_at"]
                .map(|name| text_of(entry, name))
                .to_vec()
        })
        .collect();
    output.table(&["symbol", "pair", "since"], &rows)?;
    let names = |name: &str| -> Vec<String> {
        let list = document.get(name).and_then(Value::as_array);
        list.into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect()
    };
    output.say(&crate::output::clean(&format!(
        "directions: {}",
        names("directions").join(" ")
    )));
    Ok(Exit::Ok)
}
