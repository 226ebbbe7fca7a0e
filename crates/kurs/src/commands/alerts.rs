//! `kurs alerts`: what is watched, and who is told.

use super::text_of;
use crate::cli::ServerArgs;
use crate::client::{Client, Method};
use crate::exit::{Exit, Failure};
use crate::output::{Form, Output, clean};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

const EXAMPLES: &str = "\
Examples:
  kurs alerts                                                  what is watched
  kurs alerts add threshold BTC-USD above 70000 --webhook https://example.org/kurs
  kurs alerts add percent BTC-USD 2 --window 3600 --webhook https://example.org/kurs
  kurs alerts add freeze BTC-RUB --after 60 --telegram 123456789
  kurs alerts add source-loss binance --webhook https://example.org/kurs
  kurs alerts add depeg USDT 1 --webhook https://example.org/kurs
  kurs alerts test a7kd3mqx2tpz                                tell the target something
  kurs alerts told a7kd3mqx2tpz                                what it has told, and how that went
  kurs alerts pause a7kd3mqx2tpz
  kurs alerts remove a7kd3mqx2tpz --yes
";

/// Arguments of `alerts`.
#[derive(Debug, Args)]
#[command(before_help = EXAMPLES)]
pub struct AlertsArgs {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show what is watched (what `kurs alerts` does)
    List,
    /// Watch something; the secret of a webhook is shown once
    Add {
        #[command(subcommand)]
        condition: Watch,
    },
    /// Look at nothing until it is resumed
    Pause {
        /// The id of the alert
        id: String,
    },
    /// Look again
    Resume {
        /// The id of the alert
        id: String,
    },
    /// Tell the target something, marked as a test
    Test {
        /// The id of the alert
        id: String,
    },
    /// Show what an alert has told, newest first
    Told {
        /// The id of the alert
        id: String,
        /// At most so many
        #[arg(long, value_name = "COUNT", default_value_t = 20)]
        limit: u32,
    },
    /// Stop watching, and forget what was told
    Remove {
        /// The id of the alert
        id: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Subcommand)]
enum Watch {
    /// A rate above or below a value
    Threshold {
        /// Such as BTC-USD
        pair: String,
        /// above or below
        side: String,
        /// The value
        value: String,
        /// By how many percent it must come back before it can fire again; 0.5 unless given
        #[arg(long, value_name = "PERCENT")]
        margin: Option<String>,
        #[command(flatten)]
        terms: Terms,
    },
    /// A rate that has moved, either way
    Percent {
        /// Such as BTC-USD
        pair: String,
        /// By how many percent
        percent: String,
        /// Within so many seconds; since it was told last unless given
        #[arg(long, value_name = "SECONDS")]
        window: Option<u32>,
        #[command(flatten)]
        terms: Terms,
    },
    /// A source that is not live
    SourceLoss {
        /// Such as binance
        source: String,
        /// For so many seconds; 30 unless given
        #[arg(long, value_name = "SECONDS")]
        after: Option<u32>,
        #[command(flatten)]
        terms: Terms,
    },
    /// A pair without a fresh rate
    Freeze {
        /// Such as BTC-USD
        pair: String,
        /// For so many seconds; 30 unless given
        #[arg(long, value_name = "SECONDS")]
        after: Option<u32>,
        #[command(flatten)]
        terms: Terms,
    },
    /// A stablecoin away from its dollar
    Depeg {
        /// Such as USDT
        asset: String,
        /// By how many percent
        percent: String,
        #[command(flatten)]
        terms: Terms,
    },
}

#[derive(Debug, Args)]
struct Terms {
    /// Tell this URL, by signed requests
    #[arg(
        long,
        value_name = "URL",
        required_unless_present = "telegram",
        conflicts_with = "telegram"
    )]
    webhook: Option<String>,
    /// Tell this chat of the Telegram bot
    #[arg(long, value_name = "CHAT", allow_hyphen_values = true)]
    telegram: Option<i64>,
    /// What to call it
    #[arg(long)]
    name: Option<String>,
    /// The least time between two firings, in seconds; 60 unless given
    #[arg(long, value_name = "SECONDS")]
    cooldown: Option<u32>,
}

impl Watch {
    /// The body of the request.
    fn body(self) -> Value {
        let (mut condition, terms) = match self {
            Self::Threshold {
                pair,
                side,
                value,
                margin,
                terms,
            } => (
                json!({"kind": "threshold", "pair": pair, "side": side, "value": value,
                       "margin_percent": margin}),
                terms,
            ),
            Self::Percent {
                pair,
                percent,
                window,
                terms,
            } => (
                json!({"kind": "percent", "pair": pair, "percent": percent,
                       "window_seconds": window}),
                terms,
            ),
            Self::SourceLoss {
                source,
                after,
                terms,
            } => (
                json!({"kind": "source_loss", "source": source, "after_seconds": after}),
                terms,
            ),
            Self::Freeze { pair, after, terms } => (
                json!({"kind": "freeze", "pair": pair, "after_seconds": after}),
                terms,
            ),
            Self::Depeg {
                asset,
                percent,
                terms,
            } => (
                json!({"kind": "depeg", "asset": asset, "percent": percent}),
                terms,
            ),
        };
        condition["cooldown_seconds"] = json!(terms.cooldown);
        let target = match (terms.webhook, terms.telegram) {
            (Some(url), _) => json!({"kind": "webhook", "url": url}),
            (None, chat) => json!({"kind": "telegram", "chat": chat}),
        };
        let mut body = Map::from_iter([
            ("target".to_owned(), target),
            ("condition".to_owned(), without_nulls(condition)),
        ]);
        if let Some(name) = terms.name {
            body.insert("name".to_owned(), json!(name));
        }
        Value::Object(body)
    }
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let given = members.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(given.collect())
        }
        other => other,
    }
}

pub(super) async fn run(
    arguments: AlertsArgs,
    output: Output,
    no_input: bool,
) -> Result<Exit, Failure> {
    let client = arguments.server.client()?;
    match arguments.what.unwrap_or(What::List) {
        What::List => list(&client, output).await,
        What::Add { condition } => add(&client, &condition.body(), output).await,
        What::Pause { id } => pause(&client, &id, true, output).await,
        What::Resume { id } => pause(&client, &id, false, output).await,
        What::Test { id } => {
            let path = format!("{}/test", path_of(&id)?);
            let answer = client.send(Method::Post, &path, &[], None).await?;
            let answer = answer.accepted()?;
            if output.form == Form::Json {
                output.data(&answer.body)?;
            } else {
                let delivery = text_of(&answer.json()?, "id");
                output.say(&clean(&format!(
                    "it will be told as {delivery}; kurs alerts told {id} shows how that went"
                )));
            }
            Ok(Exit::Ok)
        }
        What::Told { id, limit } => told(&client, &id, limit, output).await,
        What::Remove { id, yes } => {
            let path = path_of(&id)?;
            if !yes && !super::confirmed(&format!("Remove the alert {id}?"), no_input).await? {
                return Err(Failure::new(Exit::Failure, "nothing was removed"));
            }
            let answer = client.send(Method::Delete, &path, &[], None).await?;
            answer.accepted()?;
            output.say(&format!("the alert {id} is gone"));
            Ok(Exit::Ok)
        }
    }
}

/// Only what can be a part of a path; the server says the rest.
fn path_of(id: &str) -> Result<String, Failure> {
    if id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric()) {
        let message = format!("{:?} is no id of an alert", clean(id));
        return Err(Failure::new(Exit::Usage, message));
    }
    Ok(format!("/api/v1/alerts/{id}"))
}

async fn add(client: &Client, body: &Value, output: Output) -> Result<Exit, Failure> {
    let answer = client
        .send(Method::Post, "/api/v1/alerts", &[], Some(body))
        .await?
        .accepted()?;
    if output.form == Form::Json {
        output.data(&answer.body)?;
        return Ok(Exit::Ok);
    }
    let alert = answer.json()?;
    output.data(&clean(&text_of(&alert, "id")))?;
    let secret = text_of(&alert, "secret");
    if !secret.is_empty() {
        output.say(&clean(&format!(
            "what is told is signed with {secret}; keep it now: it is not shown again"
        )));
    }
    Ok(Exit::Ok)
}

async fn pause(
    client: &Client,
    id: &str,
    is_paused: bool,
    output: Output,
) -> Result<Exit, Failure> {
    let body = json!({ "is_paused": is_paused });
    let answer = client
        .send(Method::Patch, &path_of(id)?, &[], Some(&body))
        .await?
        .accepted()?;
    if output.form == Form::Json {
        output.data(&answer.body)?;
    } else if is_paused {
        output.say(&format!("the alert {id} looks at nothing now"));
    } else {
        output.say(&format!("the alert {id} looks again"));
    }
    Ok(Exit::Ok)
}

async fn list(client: &Client, output: Output) -> Result<Exit, Failure> {
    let answer = client.get("/api/v1/alerts", &[]).await?;
    if output.form == Form::Json {
        output.data(&answer.body)?;
        return Ok(Exit::Ok);
    }
    let document = answer.json()?;
    let alerts = document.get("alerts").and_then(Value::as_array);
    let is = |alert: &Value, name: &str| alert.get(name) == Some(&Value::Bool(true));
    let row = |alert: &Value| {
        let stands = match (is(alert, "is_paused"), is(alert, "is_armed")) {
            (true, _) => "paused",
            (false, true) => "armed",
            (false, false) => "fired",
        };
        let condition = alert.get("condition").cloned().unwrap_or_default();
        let target = alert.get("target").cloned().unwrap_or_default();
        vec![
            text_of(alert, "id"),
            text_of(alert, "name"),
            words(&condition),
            format!("{}{}", text_of(&target, "url"), text_of(&target, "chat")),
            stands.to_owned(),
            text_of(alert, "fired"),
            text_of(alert, "fired_at"),
        ]
    };
    let rows: Vec<Vec<String>> = alerts.into_iter().flatten().map(row).collect();
    if rows.is_empty() {
        output.say("nothing is watched");
        return Ok(Exit::Ok);
    }
    let headings = [
        "id",
        "name",
        "condition",
        "target",
        "state",
        "fired",
        "last",
    ];
    output.table(&headings, &rows)?;
    Ok(Exit::Ok)
}

/// A condition in one line, in the words of `kurs alerts add`.
fn words(condition: &Value) -> String {
    let names = [
        "kind", "pair", "source", "asset", "side", "value", "percent",
    ];
    let mut words: Vec<String> = names.map(|name| text_of(condition, name)).to_vec();
    words.retain(|word| !word.is_empty());
    for (name, before) in [("window_seconds", "within"), ("after_seconds", "for")] {
        let seconds = text_of(condition, name);
        if !seconds.is_empty() {
            words.push(format!("{before} {seconds} s"));
        }
    }
    words.join(" ")
}

async fn told(client: &Client, id: &str, limit: u32, output: Output) -> Result<Exit, Failure> {
    let path = format!("{}/deliveries", path_of(id)?);
    let answer = client.get(&path, &[("limit", &limit.to_string())]).await?;
    if output.form == Form::Json {
        output.data(&answer.body)?;
        return Ok(Exit::Ok);
    }
    let document = answer.json()?;
    let deliveries = document.get("deliveries").and_then(Value::as_array);
    let row = |delivery: &Value| {
        let message = delivery.get("message").cloned().unwrap_or_default();
        vec![
            text_of(delivery, "id"),
            text_of(delivery, "created_at"),
            text_of(delivery, "state"),
            text_of(delivery, "attempts"),
            text_of(&message, "text"),
            text_of(delivery, "error"),
        ]
    };
    let rows: Vec<Vec<String>> = deliveries.into_iter().flatten().map(row).collect();
    if rows.is_empty() {
        output.say("it has told nothing");
        return Ok(Exit::Ok);
    }
    let headings = ["id", "at", "state", "attempts", "text", "trouble"];
    output.table(&headings, &rows)?;
    Ok(Exit::Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_part_of_a_path() {
        assert_eq!(
            path_of("a7kd3mqx2tpz").unwrap(),
            "/api/v1/alerts/a7kd3mqx2tpz"
        );
        for wrong in ["", "a/b", "..", "a b", "a?b"] {
            assert!(path_of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_given_is_not_sent() {
        let watch = Watch::Freeze {
            pair: "BTC-USD".to_owned(),
            after: None,
            terms: Terms {
                webhook: None,
                telegram: Some(-5),
                name: None,
                cooldown: Some(0),
            },
        };
        let expected = json!({
            "target": {"kind": "telegram", "chat": -5},
            "condition": {"kind": "freeze", "pair": "BTC-USD", "cooldown_seconds": 0},
        });
        assert_eq!(watch.body(), expected);
    }
}
