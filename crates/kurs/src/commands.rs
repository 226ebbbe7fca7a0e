//! One file per subcommand. Each has its arguments and a `run` that ends in an exit code.

pub mod admin;
pub mod alerts;
pub mod asyncapi;
pub mod backfill;
pub mod backup;
pub mod candles;
pub mod completions;
pub mod config;
pub mod convert;
pub mod demo;
pub mod doctor;
pub mod explain;
pub mod export;
pub mod get;
pub mod health;
pub mod history;
pub mod keys;
pub mod man;
pub mod migrate;
pub mod openapi;
pub mod pairs;
mod progress;
pub mod record;
pub mod replay;
pub mod serve;
pub mod settings;
pub mod sim;
pub mod sources;
pub mod watch;

use crate::cli::{Cli, Command};
use crate::exit::{Exit, Failure};
use std::io::IsTerminal;

/// Runs what the command line asks for.
///
/// # Errors
/// A [`Failure`] with its exit code.
pub async fn run(cli: Cli) -> Result<Exit, Failure> {
    let Cli { global, command } = cli;
    let output = global.output();
    match command {
        Command::Serve(arguments) => serve::run(arguments, &global).await,
        Command::Demo(arguments) => demo::run(arguments, &global).await,
        Command::Sim(arguments) => sim::run(arguments, &global).await,
        Command::Record(arguments) => record::run(arguments, &global).await,
        Command::Replay(arguments) => replay::run(arguments, &global).await,
        Command::Migrate(arguments) => migrate::run(arguments, output).await,
        Command::Backfill(arguments) => backfill::run(arguments, &global).await,
        Command::Keys(arguments) => keys::run(arguments, output, global.no_input).await,
        Command::Export(arguments) => interruptible(export::run(arguments, output)).await,
        Command::Backup(arguments) => backup::backup(arguments, output).await,
        Command::Restore(arguments) => backup::restore(arguments, output, global.no_input).await,
        Command::Doctor(arguments) => doctor::run(arguments, output).await,
        Command::Config(arguments) => config::run(arguments, output),
        Command::Asyncapi => asyncapi::run(output),
        Command::Openapi => openapi::run(output),
        Command::Completions(arguments) => completions::run(&arguments, output),
        Command::Man => man::run(output),
        Command::Version => {
            if output.form == crate::output::Form::Json {
                let version = env!("CARGO_PKG_VERSION");
                let facts = serde_json::json!({ "version": version, "commit": crate::COMMIT });
                output.data(&facts.to_string())?;
            } else {
                output.data(&crate::version_line())?;
            }
            Ok(Exit::Ok)
        }
        Command::Get(arguments) => interruptible(get::run(arguments, output)).await,
        Command::Explain(arguments) => interruptible(explain::run(arguments, output)).await,
        Command::Convert(arguments) => interruptible(convert::run(arguments, output)).await,
        Command::Sources(arguments) => interruptible(sources::run(arguments, output)).await,
        Command::Pairs(arguments) => {
            interruptible(pairs::run(arguments, output, global.no_input)).await
        }
        Command::Settings(arguments) => interruptible(admin::run(arguments, output)).await,
        Command::Alerts(arguments) => {
            interruptible(alerts::run(arguments, output, global.no_input)).await
        }
        Command::History(arguments) => interruptible(history::run(arguments, output)).await,
        Command::Candles(arguments) => interruptible(candles::run(arguments, output)).await,
        Command::Watch(arguments) => watch::run(arguments, output).await,
        Command::Health(arguments) => interruptible(health::run(arguments, output)).await,
    }
}

/// Ends a command with 130 on Ctrl-C.
async fn interruptible(work: impl Future<Output = Result<Exit, Failure>>) -> Result<Exit, Failure> {
    tokio::select! {
        ended = work => ended,
        _ = tokio::signal::ctrl_c() => Err(Failure::silent(Exit::Interrupted)),
    }
}

/// Asks a person; without one the answer must have been given by `--yes`.
async fn confirmed(question: &str, no_input: bool) -> Result<bool, Failure> {
    if no_input || !std::io::stdin().is_terminal() {
        let message = "this needs --yes when nobody can be asked";
        return Err(Failure::new(Exit::Usage, message));
    }
    crate::output::complain(&format!("{question} [y/N]"));
    let answer = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map(|_| line)
    })
    .await
    .map_err(|error| Failure::new(Exit::Failure, error.to_string()))??;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// A member of an answer as a text; numbers and absent members too.
fn text_of(value: &serde_json::Value, name: &str) -> String {
    match value.get(name) {
        None | Some(serde_json::Value::Null) => String::new(),
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
