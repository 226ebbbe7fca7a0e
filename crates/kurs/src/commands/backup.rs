//! `kurs backup` and `kurs restore`, of the embedded store.

use super::migrate::store_failure;
use super::progress::Progress;
use super::settings::SettingsArgs;
use crate::exit::{Exit, Failure};
use crate::output::{Form, Output};
use clap::Args;
use kurs_core::{Clock, SystemClock};
use kurs_store::StoreUrl;
use kurs_store::sqlite::backup;
use std::path::{Path, PathBuf};
use std::time::Duration;

const BACKUP_EXAMPLES: &str = "\
Examples:
  kurs backup kurs-2026-11-22.db
  kurs backup --store-url sqlite:/var/lib/kurs/kurs.db /backup/kurs.db --overwrite
";

const RESTORE_EXAMPLES: &str = "\
Examples:
  kurs restore kurs-2026-11-22.db
  kurs restore /backup/kurs.db --store-url sqlite:/var/lib/kurs/kurs.db --yes
";

/// How often the size of the copy is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Arguments of `backup`.
#[derive(Debug, Args)]
#[command(before_help = BACKUP_EXAMPLES)]
pub struct BackupArgs {
    /// The file to make
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Arguments of `restore`.
#[derive(Debug, Args)]
#[command(before_help = RESTORE_EXAMPLES)]
pub struct RestoreArgs {
    /// A file that `kurs backup` made
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

pub(super) async fn backup(arguments: BackupArgs, output: Output) -> Result<Exit, Failure> {
    let from = database(&arguments.settings)?;
    let to = arguments.file;
    if to.exists() && !arguments.overwrite {
        let why = format!("{} is there already: --overwrite replaces it", to.display());
        return Err(Failure::new(Exit::Usage, why));
    }
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        let why = format!("there is no folder {}", folder.display());
        return Err(Failure::new(Exit::Usage, why));
    }
    let total = std::fs::metadata(&from).map_or(0, |metadata| metadata.len());
    let mut progress = Progress::of_bytes(total, output.quiet);
    let part = backup::part_of(&to);
    let (source, target) = (from.clone(), to.clone());
    let mut copying = tokio::task::spawn_blocking(move || backup::backup(&source, &target));
    let copied = loop {
        match tokio::time::timeout(LOOK_EVERY, &mut copying).await {
            Ok(ended) => break ended,
            Err(_) => {
                let size = std::fs::metadata(&part).map_or(0, |metadata| metadata.len());
                progress.set(size, String::new());
            }
        }
    };
    progress.end();
    let copied = copied
        .map_err(|error| Failure::new(Exit::Failure, error.to_string()))?
        .map_err(|error| store_failure(&error))?;
    if output.form == Form::Json {
        let document = serde_json::json!({
            "file": to.display().to_string(), "bytes": copied.bytes, "schema": copied.schema,
        });
        output.data(&document.to_string())?;
    } else {
        output.say(&format!(
            "{} holds all of {} as of now: {} bytes, schema version {}",
            to.display(),
            from.display(),
            copied.bytes,
            copied.schema
        ));
    }
    Ok(Exit::Ok)
}

pub(super) async fn restore(
    arguments: RestoreArgs,
    output: Output,
    no_input: bool,
) -> Result<Exit, Failure> {
    let to = database(&arguments.settings)?;
    let copy = arguments.file;
    let question = format!("Put {} in the place of {}?", copy.display(), to.display());
    if to.exists() && !arguments.yes && !super::confirmed(&question, no_input).await? {
        return Err(Failure::new(Exit::Failure, "nothing was changed"));
    }
    let now = SystemClock::new().now().wall;
    let (source, target) = (copy.clone(), to.clone());
    let restored = tokio::task::spawn_blocking(move || backup::restore(&source, &target, now));
    let restored = restored
        .await
        .map_err(|error| Failure::new(Exit::Failure, error.to_string()))?
        .map_err(|error| store_failure(&error))?;
    let aside = restored.set_aside.as_deref().map(Path::display);
    if output.form == Form::Json {
        let document = serde_json::json!({
            "database": to.display().to_string(),
            "bytes": restored.copied.bytes,
            "schema": restored.copied.schema,
            "set_aside": aside.map(|path| path.to_string()),
        });
        output.data(&document.to_string())?;
        return Ok(Exit::Ok);
    }
    output.say(&format!(
        "{} is what {} holds",
        to.display(),
        copy.display()
    ));
    if let Some(aside) = aside {
        output.say(&format!("what was there before is in {aside}"));
    }
    Ok(Exit::Ok)
}

/// The file of the embedded store.
fn database(settings: &SettingsArgs) -> Result<PathBuf, Failure> {
    let config = settings.inputs(None)?.load()?.config;
    match config.store.url.parse() {
        Ok(StoreUrl::SqliteFile(path)) => Ok(path),
        Ok(StoreUrl::SqliteMemory) => Err(Failure::new(
            Exit::Usage,
            "the store is in memory: there is nothing to copy",
        )),
        _ => Err(Failure::new(
            Exit::Usage,
            "the store is a database server, which has its own tools: docs/postgresql.md",
        )),
    }
}
