//! `kurs health`, for containers without a shell.

use super::text_of;
use crate::cli::ServerArgs;
use crate::client::Method;
use crate::exit::{Exit, Failure};
use crate::output::{Form, Output};
use clap::Args;
use serde_json::Value;

const EXAMPLES: &str = "\
Examples:
  kurs health            can this server serve?
  kurs health --live     does its process answer at all?
";

/// Arguments of `health`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct HealthArgs {
    /// Only whether the process answers
    #[arg(long, conflicts_with = "ready")]
    live: bool,
    /// Whether it can serve (the default)
    #[arg(long)]
    ready: bool,
    #[command(flatten)]
    server: ServerArgs,
}

pub(super) async fn run(arguments: HealthArgs, output: Output) -> Result<Exit, Failure> {
    let client = arguments.server.client()?;
    let (path, parameters): (_, &[(&str, &str)]) = if arguments.live {
        ("/livez", &[])
    } else {
        ("/readyz", &[("verbose", "true")])
    };
    let answer = client
        .send(Method::Get, path, parameters, None)
        .await
        .map_err(|failure| Failure {
            exit: Exit::Failure,
            ..failure
        })?;
    let well = answer.status < 400;
    if output.form == Form::Json {
        output.data(&answer.body)?;
    } else {
        let document: Value = serde_json::from_str(&answer.body).unwrap_or(Value::Null);
        let checks = document.get("checks").and_then(Value::as_array);
        let rows: Vec<Vec<String>> = checks
            .into_iter()
            .flatten()
            .map(|check| {
                ["name", "status", "detail"]
                    .map(|name| text_of(check, name))
                    .to_vec()
            })
            .collect();
        if !rows.is_empty() && !output.quiet {
            output.table(&["check", "status", "detail"], &rows)?;
        }
        output.say(if well { "ok" } else { "not ready" });
    }
    Ok(if well { Exit::Ok } else { Exit::Failure })
}
