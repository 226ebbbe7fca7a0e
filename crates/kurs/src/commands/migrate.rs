//! `kurs migrate`: a run-once program for init containers.

use super::settings::SettingsArgs;
use crate::exit::{Exit, Failure};
use crate::output::{Form, Output};
use clap::Args;

const EXAMPLES: &str = "\
Examples:
  kurs migrate
  kurs migrate --store-url sqlite:/var/lib/kurs/kurs.db
";

/// Arguments of `migrate`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct MigrateArgs {
    #[command(flatten)]
    settings: SettingsArgs,
}

pub(super) async fn run(arguments: MigrateArgs, output: Output) -> Result<Exit, Failure> {
    let config = arguments.settings.inputs(None)?.load()?.config;
    let failed = |error: kurs_store::StoreError| {
        let exit = match error {
            kurs_store::StoreError::Unavailable(_) => Exit::Unavailable,
            _ => Exit::Failure,
        };
        Failure::new(exit, error.to_string())
    };
    let store = kurs_store::config::open(&config.store).map_err(failed)?;
    let state = store.migrate().await.map_err(failed)?;
    if output.form == Form::Json {
        let document = serde_json::json!({ "from": state.found, "to": state.needed });
        output.data(&document.to_string())?;
    } else if state.found == state.needed {
        output.say(&format!(
            "the store has schema version {} already",
            state.needed
        ));
    } else {
        let (found, needed) = (state.found, state.needed);
        output.say(&format!(
            "the store went from schema version {found} to {needed}"
        ));
    }
    Ok(Exit::Ok)
}
