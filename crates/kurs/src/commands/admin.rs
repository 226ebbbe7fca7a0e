//! `kurs settings`: what is set while kurs runs, and who changed what.

use super::text_of;
use crate::cli::ServerArgs;
use crate::client::{Client, Method};
use crate::exit::{Exit, Failure};
use crate::output::{Form, Output, clean};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

const EXAMPLES: &str = "\
Examples:
  kurs settings                                        what is set
  kurs settings set sources.binance.enabled false --why \"quotes lag\"
  kurs settings set policy.USDT-RUB '{\"kind\":\"fixed\",\"value\":\"97.50\"}'
  kurs settings unset sources.binance.enabled
  kurs settings audit --limit 20                       who changed what, and when
";

/// Arguments of `settings`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct AdminArgs {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show what is set (what `kurs settings` does)
    List,
    /// Set a value, on every instance within a second; it outlives a restart
    Set {
        /// A key of the configuration, such as sources.binance.enabled
        key: String,
        /// The value: JSON, or a text as it is
        #[arg(allow_hyphen_values = true)]
        value: String,
        /// What for, for the audit log
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
    },
    /// Take a setting away: what the configuration says holds again
    Unset {
        /// The key
        key: String,
        /// What for, for the audit log
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
    },
    /// Show the audit log, newest first: settings, tracked pairs, keys
    Audit {
        /// At most so many entries
        #[arg(long, value_name = "COUNT", default_value_t = 100)]
        limit: u32,
        /// At or after, such as 2026-11-22T10:00:00Z
        #[arg(long, value_name = "TIME")]
        start: Option<String>,
        /// Before
        #[arg(long, value_name = "TIME")]
        end: Option<String>,
        /// Only by this one, such as key:3kTMd92x
        #[arg(long, value_name = "WHO")]
        who: Option<String>,
        /// Only of this, such as sources.binance.enabled
        #[arg(long, value_name = "SUBJECT")]
        subject: Option<String>,
    },
}

pub(super) async fn run(arguments: AdminArgs, output: Output) -> Result<Exit, Failure> {
    let client = arguments.server.client()?;
    match arguments.what.unwrap_or(What::List) {
        What::List => list(&client, output).await,
        What::Set { key, value, why } => {
            // `false` and `3` are what they look like; a rule is a text.
            let value = serde_json::from_str(&value).unwrap_or(Value::String(value));
            let body = match why {
                Some(why) => json!({ "value": value, "why": why }),
                None => json!({ "value": value }),
            };
            let path = path_of(&key)?;
            let answer = client.send(Method::Put, &path, &[], Some(&body)).await?;
            tell(&answer.accepted()?.body, &key, "is set", output)
        }
        What::Unset { key, why } => {
            let path = path_of(&key)?;
            let why = why.as_deref().map(|why| ("why", why));
            let parameters: Vec<(&str, &str)> = why.into_iter().collect();
            let answer = client
                .send(Method::Delete, &path, &parameters, None)
                .await?;
            tell(
                &answer.accepted()?.body,
                &key,
                "is not set any more",
                output,
            )
        }
        What::Audit {
            limit,
            start,
            end,
            who,
            subject,
        } => {
            let limit = limit.to_string();
            let asked = [
                ("limit", Some(&limit)),
                ("start", start.as_ref()),
                ("end", end.as_ref()),
                ("who", who.as_ref()),
                ("subject", subject.as_ref()),
            ];
            let given = asked.into_iter();
            let parameters: Vec<(&str, &str)> = given
                .filter_map(|(name, value)| Some((name, value?.as_str())))
                .collect();
            audit(&client, &parameters, output).await
        }
    }
}

/// Only what can be a part of a path; the server says the rest.
fn path_of(key: &str) -> Result<String, Failure> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':');
    if key.is_empty() || !key.chars().all(is_plain) {
        let message = format!("{:?} is no key such as sources.binance.enabled", clean(key));
        return Err(Failure::new(Exit::Usage, message));
    }
    Ok(format!("/api/v1/admin/settings/{key}"))
}

fn tell(body: &str, key: &str, what: &str, output: Output) -> Result<Exit, Failure> {
    if output.form == Form::Json {
        output.data(body)?;
        return Ok(Exit::Ok);
    }
    let answer: Value = serde_json::from_str(body).unwrap_or_default();
    let is = |name: &str| answer.get(name) == Some(&Value::Bool(true));
    let version = text_of(&answer, "version");
    output.say(&match (is("changed"), is("taken_over")) {
        (false, _) => format!("{key} was so before; nothing was changed"),
        (true, true) => format!("{key} {what}, in force here; version {version}"),
        (true, false) => format!("{key} {what}, and will be in force soon; version {version}"),
    });
    Ok(Exit::Ok)
}

async fn list(client: &Client, output: Output) -> Result<Exit, Failure> {
    let answer = client.get("/api/v1/admin/settings", &[]).await?;
    if output.form == Form::Json {
        output.data(&answer.body)?;
        return Ok(Exit::Ok);
    }
    let document = answer.json()?;
    let settings = document.get("settings").and_then(Value::as_array);
    let row = |setting: &Value| {
        let in_force = setting.get("is_in_force") == Some(&Value::Bool(true));
        let stands = if in_force {
            "in force".to_owned()
        } else {
            format!("not in force: {}", text_of(setting, "why_not"))
        };
        let configured = setting.get("configured").map(|configured| {
            format!(
                "{} ({})",
                text_of(configured, "value"),
                text_of(configured, "origin")
            )
        });
        vec![
            text_of(setting, "key"),
            text_of(setting, "value"),
            stands,
            configured.unwrap_or_default(),
            text_of(setting, "who"),
            text_of(setting, "set_at"),
            text_of(setting, "why"),
        ]
    };
    let rows: Vec<Vec<String>> = settings.into_iter().flatten().map(row).collect();
    if rows.is_empty() {
        output.say("nothing is set: the configuration alone is in force");
        return Ok(Exit::Ok);
    }
    let headings = ["key", "value", "state", "without it", "who", "since", "why"];
    output.table(&headings, &rows)?;
    Ok(Exit::Ok)
}

async fn audit(
    client: &Client,
    parameters: &[(&str, &str)],
    output: Output,
) -> Result<Exit, Failure> {
    let answer = client.get("/api/v1/admin/audit", parameters).await?;
    if output.form == Form::Json {
        output.data(&answer.body)?;
        return Ok(Exit::Ok);
    }
    let document = answer.json()?;
    let entries = document.get("entries").and_then(Value::as_array);
    let names = [
        "at", "who", "address", "action", "subject", "before", "after", "why",
    ];
    let row = |entry: &Value| names.map(|name| text_of(entry, name)).to_vec();
    let rows: Vec<Vec<String>> = entries.into_iter().flatten().map(row).collect();
    if rows.is_empty() {
        output.say("nothing was changed");
        return Ok(Exit::Ok);
    }
    output.table(&names, &rows)?;
    if document.get("next").is_some() {
        output
            .say("there are older entries: ask for more with --limit, or up to a time with --end");
    }
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_part_of_a_path() {
        assert_eq!(
            path_of("policy.BTC-USD").unwrap(),
            "/api/v1/admin/settings/policy.BTC-USD"
        );
        for wrong in ["", "a/b", "a b", "a?b", "ä"] {
            assert!(path_of(wrong).is_err(), "{wrong}");
        }
    }
}
