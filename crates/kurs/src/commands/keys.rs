//! `kurs keys`: works on the store itself, so that the first key needs no other one. A key is shown
//! once, when it is made; the store has its hash only.

use super::migrate::store_failure;
use super::settings::SettingsArgs;
use crate::exit::{Exit, Failure};
use crate::output::{Form, Output};
use clap::{Args, Subcommand};
use kurs_api::key::{self, KeyDocument, LIFE_MAX, NAME_MAX, noted, state};
use kurs_auth::{Scope, Scopes, SecretKey};
use kurs_core::{Clock, SystemClock, Wall};
use kurs_sources::Period;
use kurs_store::{AuditEntry, Store, StoredKey};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

const EXAMPLES: &str = "\
Examples:
  kurs keys create --name shop                      may read; the key is shown this once
  kurs keys create --name ops --scope admin --expires 90d
  kurs keys list
  kurs keys rotate 3kTMd92x --overlap 24h           a new key, the old one good for a day
  kurs keys revoke 3kTMd92x --yes                   on every instance within a second
";

/// Arguments of `keys`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct KeysArgs {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a key, and show it: once, never again
    Create {
        /// What people call it, such as who holds it
        #[arg(long, value_parser = name)]
        name: Arc<str>,
        /// What it may do: read, history, stream, admin; repeatable, read unless given
        #[arg(long, value_name = "SCOPE", value_delimiter = ',')]
        scope: Vec<Scope>,
        /// How long it is good, such as 90d or 12h; without an end unless given
        #[arg(long, value_name = "TIME", value_parser = span)]
        expires: Option<Duration>,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Show all keys (what `kurs keys` does); never the keys themselves
    List {
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Take a key back, for ever
    Revoke {
        /// The id of the key: its third part
        id: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        settings: SettingsArgs,
    },
    /// Make a key in the place of another one, with the same name and scopes, and show it once
    Rotate {
        /// The id of the old key
        id: String,
        /// How long the old key is good still, such as 24h or 0s
        #[arg(long, value_name = "TIME", value_parser = span, default_value = "24h")]
        overlap: Duration,
        /// How long the new key is good; without an end unless given
        #[arg(long, value_name = "TIME", value_parser = span)]
        expires: Option<Duration>,
        #[command(flatten)]
        settings: SettingsArgs,
    },
}

fn name(text: &str) -> Result<Arc<str>, String> {
    if key::is_name(text) {
        Ok(text.into())
    } else {
        Err(format!("a name has 1 to {NAME_MAX} letters"))
    }
}

fn span(text: &str) -> Result<Duration, String> {
    let period: Period = text
        .parse()
        .map_err(|_| "write it like 90d, 12h, 30m or 45s".to_owned())?;
    if period.0 > LIFE_MAX {
        return Err("this is longer than ten years".to_owned());
    }
    Ok(period.0)
}

pub(super) async fn run(
    arguments: KeysArgs,
    output: Output,
    no_input: bool,
) -> Result<Exit, Failure> {
    let what = arguments.what.unwrap_or(What::List {
        settings: arguments.settings,
    });
    let makes = matches!(what, What::Create { .. });
    let settings = match &what {
        What::Create { settings, .. }
        | What::List { settings }
        | What::Revoke { settings, .. }
        | What::Rotate { settings, .. } => settings,
    };
    let config = settings.inputs(None)?.load()?.config;
    let mut settings = config.store.clone();
    if !makes && settings.is_missing() {
        // To look makes no database.
        settings.url = "sqlite::memory:".to_owned();
    } else if makes && settings.url.contains(":memory:") {
        let message = "a key needs a store that outlives this command: set store.url";
        return Err(Failure::new(Exit::Usage, message));
    }
    let failed = |error| store_failure(&error);
    let store = kurs_store::config::open(&settings).map_err(failed)?;
    kurs_store::config::prepare(&*store, &settings)
        .await
        .map_err(failed)?;
    let now = SystemClock::new().now().wall;
    let environment = &config.auth.environment;
    match what {
        What::List { .. } => list(&*store, output, now).await,
        What::Create {
            name,
            scope,
            expires,
            ..
        } => {
            let scopes: Scopes = match scope.as_slice() {
                [] => Scopes::NONE.with(Scope::Read),
                named => named.iter().copied().collect(),
            };
            let (secret, key) = make(environment, name, scopes, now, expires)?;
            let entry = AuditEntry {
                after: Some(noted(&key)),
                ..entry("create_key", &key.id, now)
            };
            let added = store.add_key_noted(key.clone(), Some(entry)).await;
            if !added.map_err(failed)? {
                return Err(Failure::new(Exit::Failure, "try again: the id is taken"));
            }
            show(&secret, &key, None, output)
        }
        What::Revoke { id, yes, .. } => {
            let id = checked(&id)?;
            let question = format!("Revoke the key {id}? What uses it will stop working.");
            if !yes && !super::confirmed(&question, no_input).await? {
                return Err(Failure::new(Exit::Failure, "nothing was revoked"));
            }
            revoke(&*store, id, now, output).await
        }
        What::Rotate {
            id,
            overlap,
            expires,
            ..
        } => {
            let id = checked(&id)?;
            let keys = store.keys().await.map_err(failed)?.keys;
            let old = keys.iter().find(|key| &*key.id == id);
            let old = old.ok_or_else(|| not_found(id))?;
            let scopes = old.scopes.split_ascii_whitespace();
            // Scopes of a newer program stay with the old key.
            let scopes: Scopes = scopes.filter_map(|word| word.parse().ok()).collect();
            let name = Arc::clone(&old.name);
            let (secret, key) = make(environment, name, scopes, now, expires)?;
            let until = now.plus(overlap);
            let entry = AuditEntry {
                before: Some(noted(old)),
                after: Some(noted(&key)),
                ..entry("rotate_key", id, now)
            };
            let replaced = store.replace_key_noted(id, key.clone(), until, Some(entry));
            let replaced = replaced.await;
            if !replaced.map_err(failed)? {
                let message = format!("the key {id} was revoked or rotated before");
                return Err(Failure::new(Exit::Failure, message));
            }
            let until = old.expires_at.map_or(until, |ends| ends.min(until));
            show(&secret, &key, Some((id, until)), output)
        }
    }
}

/// What the audit log says of a change that is made here.
fn entry(action: &str, id: &str, at: Wall) -> AuditEntry {
    AuditEntry {
        at,
        who: format!("cli:{}", user()).into(),
        address: None,
        action: action.into(),
        subject: id.into(),
        before: None,
        after: None,
        why: None,
    }
}

/// Who sits at the machine, as far as it says so.
fn user() -> String {
    let named = ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()));
    let named = named.unwrap_or_else(|| rustix::process::getuid().as_raw().to_string());
    crate::output::clean(&named).chars().take(64).collect()
}

/// The id, if it can be one. What was given may be a whole key: it is not repeated.
fn checked(id: &str) -> Result<&str, Failure> {
    let parsed = id.parse::<kurs_auth::KeyId>();
    parsed.map(|_| id).map_err(|error| {
        let message = format!("{error}: what stands between the second and third _ of the key");
        Failure::new(Exit::Usage, message)
    })
}

fn not_found(id: &str) -> Failure {
    Failure::new(Exit::NotFound, format!("there is no key {id}"))
}

/// A new key, and what is stored of it.
fn make(
    environment: &str,
    name: Arc<str>,
    scopes: Scopes,
    now: Wall,
    expires: Option<Duration>,
) -> Result<(SecretKey, StoredKey), Failure> {
    key::make(environment, name, scopes, now, expires).ok_or_else(|| {
        let message = "the system gives no random numbers: no key was made";
        Failure::new(Exit::Failure, message)
    })
}

async fn revoke(store: &dyn Store, id: &str, now: Wall, output: Output) -> Result<Exit, Failure> {
    let entry = Some(entry("revoke_key", id, now));
    let revoked = store.revoke_key_noted(id, now, entry).await;
    if !revoked.map_err(|error| store_failure(&error))? {
        return Err(not_found(id));
    }
    if output.form == Form::Json {
        output.data(&json!({"id": id, "revoked": true}).to_string())?;
    } else {
        output.say(&format!(
            "the key {id} is revoked, everywhere within a second"
        ));
    }
    Ok(Exit::Ok)
}

/// Shows a new key, the only time it can be seen.
fn show(
    secret: &SecretKey,
    key: &StoredKey,
    replaces: Option<(&str, Wall)>,
    output: Output,
) -> Result<Exit, Failure> {
    if output.form == Form::Json {
        let mut document = json!(KeyDocument::of(key, key.created_at));
        document["key"] = json!(secret.reveal());
        if let Some((old, until)) = replaces {
            document["replaces"] = json!({"id": old, "good_until": until.to_string()});
        }
        output.data(&document.to_string())?;
        return Ok(Exit::Ok);
    }
    output.data(secret.reveal())?;
    let (id, name, scopes) = (&key.id, crate::output::clean(&key.name), &key.scopes);
    let ends = key.expires_at.map_or_else(
        || "without an end".to_owned(),
        |until| format!("until {until}"),
    );
    output.say(&format!(
        "the key {id} ({name}) may {scopes}, {ends}; keep it now: it is not shown again"
    ));
    if let Some((old, until)) = replaces {
        output.say(&format!("the key {old} is good until {until}"));
    }
    Ok(Exit::Ok)
}

async fn list(store: &dyn Store, output: Output, now: Wall) -> Result<Exit, Failure> {
    let stored = store.keys().await.map_err(|error| store_failure(&error))?;
    if output.form == Form::Json {
        let keys = stored.keys.iter().map(|key| KeyDocument::of(key, now));
        let keys: Vec<KeyDocument> = keys.collect();
        output.data(&json!({ "keys": keys }).to_string())?;
        return Ok(Exit::Ok);
    }
    let time = |time: Option<Wall>| time.map(|time| time.to_string()).unwrap_or_default();
    let row = |key: &StoredKey| {
        vec![
            key.id.to_string(),
            key.name.to_string(),
            key.scopes.to_string(),
            state(key, now).to_owned(),
            key.created_at.to_string(),
            time(key.expires_at),
            time(key.used_at),
        ]
    };
    let rows: Vec<Vec<String>> = stored.keys.iter().map(row).collect();
    if rows.is_empty() {
        output.say("there are no keys: changes are accepted from the server's own machine");
        return Ok(Exit::Ok);
    }
    let headings = [
        "id", "name", "scopes", "state", "created", "expires", "used",
    ];
    output.table(&headings, &rows)?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_short() {
        assert_eq!(span("90d"), Ok(Duration::from_secs(90 * 86_400)));
        assert_eq!(span("0s"), Ok(Duration::ZERO));
        for wrong in ["", "d", "90", "-1d", "1y", "9999999999999999999d", "4000d"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_whole_key_in_the_place_of_an_id_is_not_repeated() {
        let failure = checked("kurs_live_canary00_canary").unwrap_err();
        assert!(!failure.message.contains("canary"), "{}", failure.message);
        assert_eq!(failure.exit, Exit::Usage);
        assert!(checked("3kTMd92x").is_ok());
    }
}
