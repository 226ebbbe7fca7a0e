//! `kurs migrate`: a run-once program for init containers.

use super::settings::SettingsArgs;
use crate::exit::{Exit, Failure};
use crate::output::{Form, Output};
use clap::Args;
use kurs_store::{Store, StoreError};

const EXAMPLES: &str = "\
Examples:
  kurs migrate
  kurs migrate --check      exit code 1 when there is something to do
  kurs migrate --dry-run    say what would be done
  kurs migrate --store-url sqlite:/var/lib/kurs/kurs.db
";

/// Arguments of `migrate`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct MigrateArgs {
    /// Change nothing; exit with 1 when the store is not of this program's version
    #[arg(long)]
    check: bool,
    /// Change nothing; list the steps that would be taken
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

pub(super) async fn run(arguments: MigrateArgs, output: Output) -> Result<Exit, Failure> {
    let config = arguments.settings.inputs(None)?.load()?.config;
    let failed = |error: StoreError| store_failure(&error);
    let only_looks = arguments.check || arguments.dry_run;
    let mut settings = config.store.clone();
    if only_looks && settings.is_missing() {
        // To look makes no database.
        settings.url = "sqlite::memory:".to_owned();
    }
    let store = kurs_store::config::open(&settings).map_err(failed)?;
    if only_looks {
        return look(&*store, &arguments, output).await;
    }
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

/// What would be done.
async fn look(store: &dyn Store, arguments: &MigrateArgs, output: Output) -> Result<Exit, Failure> {
    let failed = |error: StoreError| store_failure(&error);
    let state = store.schema().await.map_err(failed)?;
    let steps = store.pending().await.map_err(failed)?;
    if output.form == Form::Json {
        let document = serde_json::json!({
            "found": state.found, "needed": state.needed, "steps": steps,
        });
        output.data(&document.to_string())?;
    } else {
        for step in &steps {
            output.data(step)?;
        }
        let (found, needed) = (state.found, state.needed);
        output.say(&format!(
            "the store has schema version {found}, this program needs {needed}"
        ));
    }
    if arguments.check && (state.found != state.needed || !steps.is_empty()) {
        return Err(Failure::silent(Exit::Failure));
    }
    Ok(Exit::Ok)
}

/// Why a command that works on the store itself failed.
pub(super) fn store_failure(error: &StoreError) -> Failure {
    let exit = match error {
        StoreError::Unavailable(_) => Exit::Unavailable,
        _ => Exit::Failure,
    };
    Failure::new(exit, error.to_string())
}
