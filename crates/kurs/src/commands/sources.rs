//! `kurs sources` and `kurs sources try`.

mod try_once;

use super::text_of;
use crate::cli::ServerArgs;
use crate::exit::{Exit, Failure};
use crate::output::{Form, Output, age};
use clap::{Args, Subcommand};
use serde_json::Value;

const EXAMPLES: &str = "\
Examples:
  kurs sources
  kurs sources --json | jq '.sources[] | select(.state != \"live\")'
  kurs sources try mybank               ask one source once, and see what is read
";

/// Arguments of `sources`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct SourcesArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Ask one source of the configuration once and show what is read; needs no running server
    Try(try_once::TryArgs),
}

pub(super) async fn run(arguments: SourcesArgs, output: Output) -> Result<Exit, Failure> {
    if let Some(What::Try(what)) = arguments.what {
        return try_once::run(what, output).await;
    }
    let client = arguments.server.client()?;
    let answer = client.get("/api/v1/sources", &[]).await?;
    if output.form == Form::Json {
        output.data(&answer.body)?;
        return Ok(Exit::Ok);
    }
    let document = answer.json()?;
    let rows: Vec<Vec<String>> = document
        .get("sources")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|source| {
            let age_ms = source.get("age_ms").and_then(Value::as_u64);
            let mut row: Vec<String> = ["source", "state", "mode", "priority", "pairs"]
                .map(|name| text_of(source, name))
                .to_vec();
            row.push(match output.form {
                Form::Plain => age_ms.map(|age| age.to_string()).unwrap_or_default(),
                _ => age_ms.map(age).unwrap_or_default(),
            });
            row.extend(
                ["messages", "decode_errors", "failures", "reconnects", "why"]
                    .map(|name| text_of(source, name)),
            );
            row
        })
        .collect();
    output.table(
        &[
            "source",
            "state",
            "mode",
            "priority",
            "pairs",
            "last data",
            "messages",
            "unreadable",
            "failures",
            "reconnects",
            "why",
        ],
        &rows,
    )?;
    Ok(Exit::Ok)
}
