//! The command line.

use crate::client::Client;
use crate::commands::{
    admin, alerts, backfill, backup, candles, completions, config, convert, demo, doctor, explain,
    export, get, health, history, keys, migrate, pairs, record, replay, serve, sim, sources, watch,
};
use crate::exit::{Exit, Failure};
use crate::output::{Form, Output};
use clap::{Args, Parser, Subcommand};

/// Examples before everything else: most people look for one.
const TEMPLATE: &str =
    "{before-help}{about-with-newline}\n{usage-heading} {usage}\n\n{all-args}{after-help}";

const EXAMPLES: &str = "\
Examples:
  kurs                          serve rates on http://127.0.0.1:8080, no set-up needed
  kurs demo                     the same on simulated venues, without internet
  kurs get BTC-USD              one rate from a running server
  kurs watch                    rates as they change
  kurs convert 0.5 BTC RUB      an amount in another currency
  kurs doctor                   what is wrong, and how to mend it
";

const CODES: &str = "\
Exit codes: 0 ok, 1 failure, 2 usage or configuration, 3 not found, 4 not allowed,
5 unavailable, 6 not fresh (with --require fresh), 130 Ctrl-C.
";

/// A self-hosted exchange-rate server.
#[derive(Debug, Parser)]
#[command(
    name = "kurs",
    version,
    before_help = EXAMPLES,
    after_help = CODES,
    help_template = TEMPLATE,
    max_term_width = 100
)]
pub struct Cli {
    /// How output looks.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Data as JSON
    #[arg(long, global = true, conflicts_with = "plain", help_heading = "Output")]
    pub json: bool,
    /// Data as lines with tabs between values, for scripts
    #[arg(long, global = true, help_heading = "Output")]
    pub plain: bool,
    /// No messages but errors
    #[arg(long, short, global = true, help_heading = "Output")]
    pub quiet: bool,
    /// More messages: log level DEBUG
    #[arg(
        long,
        short,
        global = true,
        conflicts_with = "quiet",
        help_heading = "Output"
    )]
    pub verbose: bool,
    /// Never ask anything; fail where a question would be needed
    #[arg(long, global = true, help_heading = "Output")]
    pub no_input: bool,
}

impl Global {
    /// Where a command writes.
    #[must_use]
    pub fn output(&self) -> Output {
        let form = match (self.json, self.plain) {
            (true, _) => Form::Json,
            (false, true) => Form::Plain,
            (false, false) => Form::Text,
        };
        Output::new(form, self.quiet)
    }
}

/// Which server a command talks to.
#[derive(Debug, Clone, Args)]
pub struct ServerArgs {
    /// The running server to talk to [default: http://127.0.0.1:8080; env: KURS_SERVER]
    #[arg(long, global = true, value_name = "URL")]
    server: Option<String>,
}

impl ServerArgs {
    /// A client of the server that was named: by flag, by environment, or the default one.
    ///
    /// # Errors
    /// When the name is no URL.
    pub fn client(&self) -> Result<Client, Failure> {
        let named = self
            .server
            .clone()
            .or_else(|| std::env::var("KURS_SERVER").ok());
        let client = Client::new(
            named
                .as_deref()
                .filter(|url| !url.is_empty())
                .unwrap_or(DEFAULT_SERVER),
        )?;
        match own_key()? {
            Some(key) => client.with_key(&key),
            None => Ok(client),
        }
    }
}

/// The key for the server: `KURS_API_KEY_FILE` names a file with it, or `KURS_API_KEY` holds it.
/// Never a flag, which everybody on the machine could read.
fn own_key() -> Result<Option<String>, Failure> {
    let named = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    if let Some(path) = named("KURS_API_KEY_FILE") {
        let read = crate::config::secrets::Files::default().read(&path);
        return read
            .map(Some)
            .map_err(|what| Failure::new(Exit::Usage, format!("KURS_API_KEY_FILE: {what}")));
    }
    Ok(named("KURS_API_KEY"))
}

/// Where kurs serves by default.
const DEFAULT_SERVER: &str = "http://127.0.0.1:8080";

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server (what `kurs` does without a command)
    Serve(serve::ServeArgs),
    /// Run the server on simulated venues: invented prices, marked as such
    Demo(demo::DemoArgs),
    /// Run simulated venues alone, with faults on demand
    Sim(sim::SimArgs),
    /// Show rates
    Get(get::GetArgs),
    /// Explain a rate: path, legs, every source, what was left out, and why
    Explain(explain::ExplainArgs),
    /// Convert an amount
    Convert(convert::ConvertArgs),
    /// Show the sources and how they are
    Sources(sources::SourcesArgs),
    /// Show, add or remove tracked pairs
    Pairs(pairs::PairsArgs),
    /// Show, set or take away what is set while kurs runs; show the audit log
    Settings(admin::AdminArgs),
    /// Watch rates and sources, and tell webhooks and chats; show what was told
    Alerts(alerts::AlertsArgs),
    /// Watch rates as they change, in the terminal
    Watch(watch::WatchArgs),
    /// Show the stored history of a pair
    History(history::HistoryArgs),
    /// Show candles of a pair: open, high, low and close of minutes, hours, days
    Candles(candles::CandlesArgs),
    /// Write what the store holds as CSV, NDJSON or Parquet
    Export(export::ExportArgs),
    /// Record everything that the sources receive, for replay
    Record(record::RecordArgs),
    /// Run recorded captures through the same code, and print or serve the rates
    Replay(replay::ReplayArgs),
    /// Bring the store to this program's version
    Migrate(migrate::MigrateArgs),
    /// Make, list, revoke and rotate API keys
    Keys(keys::KeysArgs),
    /// Fill in the past from the archives of the sources
    Backfill(backfill::BackfillArgs),
    /// Copy the embedded store into a file while it is used
    Backup(backup::BackupArgs),
    /// Put a copy in the place of the embedded store
    Restore(backup::RestoreArgs),
    /// Ask a server for its health; exit code 0 when well, 1 when not
    Health(health::HealthArgs),
    /// Check configuration, store, address, clock and sources, and explain what is wrong
    Doctor(doctor::DoctorArgs),
    /// Check, print or describe the configuration
    Config(config::ConfigCommandArgs),
    /// Print the OpenAPI document
    #[command(before_help = "Example:\n  kurs openapi > openapi.json\n")]
    Openapi,
    /// Print the AsyncAPI document of the messages on a broker
    #[command(before_help = "Example:\n  kurs asyncapi > asyncapi.json\n")]
    Asyncapi,
    /// Print completions for a shell
    Completions(completions::CompletionsArgs),
    /// Print the manual page
    #[command(before_help = "Example:\n  kurs man > /usr/local/share/man/man1/kurs.1\n")]
    Man,
    /// Print the version
    #[command(before_help = "Example:\n  kurs version\n")]
    Version,
}

/// The arguments with `serve` put in where no command is named, so that `kurs --role writer`
/// works as `kurs serve --role writer` does.
pub fn with_default_command(arguments: impl IntoIterator<Item = String>) -> Vec<String> {
    use clap::CommandFactory;
    let mut arguments: Vec<String> = arguments.into_iter().collect();
    let command = Cli::command();
    let names: Vec<&str> = command
        .get_subcommands()
        .map(clap::Command::get_name)
        .collect();
    let rest = arguments.get(1..).unwrap_or_default();
    let asks_for_help =
        |text: &String| matches!(text.as_str(), "-h" | "--help" | "-V" | "--version");
    let starts_with_flag = rest.first().is_none_or(|first| first.starts_with('-'));
    let names_command = rest.iter().any(|text| names.contains(&text.as_str()));
    if starts_with_flag && !names_command && !rest.iter().any(asks_for_help) {
        arguments.insert(arguments.len().min(1), "serve".to_owned());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn serve_is_what_happens_without_a_command() {
        let with = |text: &str| {
            let words = std::iter::once("kurs").chain(text.split_whitespace());
            with_default_command(words.map(str::to_owned)).join(" ")
        };
        assert_eq!(with(""), "kurs serve");
        assert_eq!(with("--role writer"), "kurs serve --role writer");
        assert_eq!(with("-v get BTC-USD"), "kurs -v get BTC-USD");
        assert_eq!(with("--help"), "kurs --help");
        assert_eq!(with("gte BTC-USD"), "kurs gte BTC-USD");
    }

    #[test]
    fn help_starts_with_examples_and_names_every_command() {
        let help = Cli::command().render_help().to_string();
        assert!(help.starts_with("Examples:\n"), "{help}");
        for name in [
            "serve",
            "demo",
            "sim",
            "get",
            "explain",
            "convert",
            "watch",
            "sources",
            "pairs",
            "settings",
            "alerts",
            "history",
            "candles",
            "export",
            "record",
            "replay",
            "migrate",
            "keys",
            "backfill",
            "backup",
            "restore",
            "health",
            "doctor",
            "config",
            "openapi",
            "asyncapi",
            "completions",
            "man",
            "version",
        ] {
            assert!(
                help.contains(&format!("\n  {name} ")),
                "{name} is missing in:\n{help}"
            );
        }
        assert!(help.contains("Exit codes: 0 ok"), "{help}");
    }

    #[test]
    fn every_command_shows_examples_first() {
        let mut command = Cli::command();
        command.build();
        let own = |sub: &&mut clap::Command| sub.get_name() != "help";
        for sub in command.get_subcommands_mut().filter(own) {
            let help = sub.render_help().to_string();
            assert!(
                help.starts_with("Example"),
                "{} has none:\n{help}",
                sub.get_name()
            );
        }
    }

    #[test]
    fn a_typo_gets_a_suggestion() {
        let error = Cli::try_parse_from(["kurs", "histroy"])
            .unwrap_err()
            .to_string();
        assert!(error.contains("history"), "{error}");
    }
}
