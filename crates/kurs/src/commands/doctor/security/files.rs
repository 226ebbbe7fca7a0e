//! Files with secrets, and who can read them.

use super::super::{Finding, Verdict, finding};
use crate::config::Loaded;
use crate::config::origin::Origin;
use crate::config::redact::carries_secret;
use crate::config::schema::Schema;
use crate::config::tree::show_path;
use crate::config::{Config, file::FILE_NAME};
use kurs_store::config::StoreUrl;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Any file that holds a secret of the configuration, and the database.
pub(super) fn look(loaded: &Loaded) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, keys) in files_with_secrets(loaded) {
        let mut found = of_secret(&path.display().to_string(), &path, Verdict::Problem);
        if found.verdict != Verdict::Ok {
            found.found = format!("{}; it holds {}", found.found, keys.join(", "));
        }
        findings.push(found);
    }
    if let Ok(StoreUrl::SqliteFile(path)) = loaded.config.store.url.parse::<StoreUrl>()
        && path.exists()
    {
        findings.push(of_secret("store.url", &path, Verdict::Warning));
    }
    findings
}

/// Every file that a secret was read from, with the keys of what it holds.
fn files_with_secrets(loaded: &Loaded) -> BTreeMap<PathBuf, Vec<String>> {
    let schema = Schema::of::<Config>();
    let mut files: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for (path, value, origin) in loaded.tree.leaves() {
        let Value::String(text) = value else { continue };
        let is_secret = schema.is_secret_path(&path) || carries_secret(text);
        if text.is_empty() || !is_secret {
            continue;
        }
        let file = match origin {
            Origin::File { .. } => {
                let file = loaded.file.clone();
                let file = file.unwrap_or_else(|| PathBuf::from(FILE_NAME));
                // A secret of a file that is named there is said to come from the line that names
                // it.
                named_file(&file, &path).unwrap_or(file)
            }
            Origin::DotEnv(_) => PathBuf::from(".env"),
            Origin::Credential(file) => file.clone(),
            Origin::Environment(name) => match std::env::var(name) {
                Ok(file) if name.to_ascii_uppercase().ends_with("_FILE") => PathBuf::from(file),
                _ => continue,
            },
            Origin::Default | Origin::Stored(_) | Origin::Flag(_) => continue,
        };
        files.entry(file).or_default().push(show_path(&path));
    }
    files
}

/// The file that holds a secret instead of the configuration: `key_file = "NAME"`, or
/// `key = "file:NAME"`.
fn named_file(configuration: &Path, key: &[String]) -> Option<PathBuf> {
    let text = std::fs::read_to_string(configuration).ok()?;
    let table: toml::Table = text.parse().ok()?;
    let (last, tables) = key.split_last()?;
    let mut within = &table;
    for name in tables {
        within = member(within, name)?.as_table()?;
    }
    let file = member(within, &format!("{last}_file")).and_then(toml::Value::as_str);
    let direct = member(within, last).and_then(toml::Value::as_str);
    let file = file.or_else(|| direct?.strip_prefix("file:"))?;
    let file = file.strip_prefix("file:").unwrap_or(file);
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let in_credentials = folder.map(|folder| folder.join(file));
    let in_credentials = in_credentials.filter(|path| path.is_file());
    Some(in_credentials.unwrap_or_else(|| PathBuf::from(file)))
}

fn member<'t>(table: &'t toml::Table, name: &str) -> Option<&'t toml::Value> {
    let mut members = table.iter();
    let found = members.find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value)
}

/// Who can read a file that holds a secret.
#[cfg(unix)]
pub(super) fn of_secret(check: &str, path: &Path, verdict: Verdict) -> Finding {
    use std::os::unix::fs::PermissionsExt;
    const OTHERS_READ: u32 = 0o004;
    const OTHERS_WRITE: u32 = 0o002;
    let mode = match std::fs::metadata(path) {
        Ok(facts) => facts.permissions().mode() & 0o7777,
        Err(error) => {
            let found = format!("{}: {error}", path.display());
            return finding(check, Verdict::Warning, found, "");
        }
    };
    let shown = path.display();
    let fix = format!("chmod 600 {shown}");
    if mode & OTHERS_WRITE != 0 {
        let found = format!("every user of this machine can change {shown} (mode {mode:o})");
        finding(check, verdict, found, &fix)
    } else if mode & OTHERS_READ != 0 {
        let found = format!("every user of this machine can read {shown} (mode {mode:o})");
        finding(check, verdict, found, &fix)
    } else {
        let found = format!("{shown} is not readable by others (mode {mode:o})");
        finding(check, Verdict::Ok, found, "")
    }
}

#[cfg(not(unix))]
pub(super) fn of_secret(check: &str, path: &Path, _verdict: Verdict) -> Finding {
    let found = format!("who can read {} is not known here", path.display());
    finding(
        check,
        Verdict::Warning,
        found,
        "look at its rights yourself",
    )
}
