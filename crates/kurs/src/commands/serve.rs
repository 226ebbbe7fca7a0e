//! `kurs serve`, and what `demo` shares with it.

use super::settings::SettingsArgs;
use crate::cli::Global;
use crate::config::{Inputs, Loaded};
use crate::exit::{Exit, Failure};
use crate::output::color_wanted;
use crate::server::{self, Start};
use clap::Args;
use kurs_sim::market::past::Past;
use kurs_telemetry::logs::{self, Output as LogOutput};

const EXAMPLES: &str = "\
Examples:
  kurs serve
  kurs serve --http-addr 0.0.0.0:8080 --store-url sqlite:/var/lib/kurs/kurs.db
  KURS_DIRECTIONS=BTC-EUR,ETH-EUR kurs serve
";

/// Arguments of `serve`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct ServeArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Run without what was set by the API: on the configuration alone
    #[arg(long)]
    ignore_settings: bool,
}

pub(super) async fn run(arguments: ServeArgs, global: &Global) -> Result<Exit, Failure> {
    let mut inputs = arguments.settings.inputs(Some(global))?;
    inputs.ignores_settings = arguments.ignore_settings;
    let loaded = inputs.load()?;
    serve(inputs, loaded, None).await
}

/// Logs, then the version, then everything else. With a past, the sources are simulated venues.
pub(super) async fn serve(
    inputs: Inputs,
    loaded: Loaded,
    past: Option<Past>,
) -> Result<Exit, Failure> {
    // The log needs its settings, so the configuration is read before the first line; mistakes
    // in it go to standard error as they are.
    let log = logs::install(&loaded.config.log, LogOutput::stderr(color_wanted()));
    std::panic::set_hook(Box::new(log_panic));
    tracing::info!("{}", crate::version_line());
    match &loaded.file {
        Some(file) => tracing::info!(file = %file.display(), "read the configuration"),
        None => tracing::info!("no configuration file, using defaults and the environment"),
    }
    let ended = server::run(Start {
        inputs,
        loaded,
        past,
        log: log.clone(),
    })
    .await;
    log.flush();
    ended
}

/// A panic is a fault of the program: one line in the log like everything else. Whoever spawned
/// the task contains it and starts it again.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let place = panic
        .location()
        .map(ToString::to_string)
        .unwrap_or_default();
    let words = panic.payload_as_str().unwrap_or("no words");
    tracing::error!(place, error = words, "a task panicked: please report this");
}
