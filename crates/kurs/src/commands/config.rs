//! `kurs config check | print | schema | example`.

use super::settings::SettingsArgs;
use crate::config::schema::Schema;
use crate::config::{Config, example, print};
use crate::exit::{Exit, Failure};
use crate::output::{Form, Output, complain};
use clap::{Args, Subcommand};
use kurs_core::{Clock, SystemClock};

const EXAMPLES: &str = "\
Examples:
  kurs config check                     everything that is wrong, at once
  kurs config print                     what is in force, and where each value came from
  kurs config example > kurs.toml       every key with its default, explained
";

/// Arguments of `config`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct ConfigCommandArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Say everything that is wrong; exit code 2 when something is. What is allowed but hardly
    /// meant is a warning
    Check(SettingsArgs),
    /// Print what the configuration says, with the origin of each value; secrets are not shown.
    /// What was set while kurs ran is shown by `kurs settings`
    Print(SettingsArgs),
    /// Print the JSON Schema of the configuration
    Schema,
    /// Print a commented file with every key at its default
    Example,
}

pub(super) fn run(arguments: ConfigCommandArgs, output: Output) -> Result<Exit, Failure> {
    let schema = Schema::of::<Config>();
    match arguments.what {
        What::Check(settings) => {
            let loaded = settings.inputs(None)?.load()?;
            let now = Clock::now(&SystemClock::new()).wall;
            for warning in loaded.config.warnings(now) {
                // Not by `say`: whoever wants no messages wants this one.
                complain(&format!("warning: {warning}"));
            }
            let from = match loaded.file {
                Some(file) => format!("{} and what overrides it", file.display()),
                None => "defaults and what overrides them; no kurs.toml here".to_owned(),
            };
            output.say(&format!("the configuration is valid ({from})"));
        }
        What::Print(settings) => {
            let loaded = settings.inputs(None)?.load()?;
            match output.form {
                Form::Json => output.data(&pretty(&print::json(&schema, &loaded.tree)))?,
                Form::Text | Form::Plain => output.data(&print::text(&schema, &loaded.tree))?,
            }
        }
        What::Schema => output.data(&pretty(schema.json()))?,
        What::Example => output.data(&example::text())?,
    }
    Ok(Exit::Ok)
}

fn pretty(value: &serde_json::Value) -> String {
    format!("{value:#}")
}
