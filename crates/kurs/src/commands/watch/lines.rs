//! What a stream tells, line by line: for scripts, pipes and terminals that cannot be drawn on.

use super::feed::{self, Told};
use super::sse::Event;
use crate::client::Client;
use crate::commands::text_of;
use crate::exit::{Exit, Failure};
use crate::output::{Form, Output, clean};
use serde_json::Value;
use tokio::sync::mpsc;

/// Writes until the reader has seen enough.
pub(super) async fn write(
    client: Client,
    pairs: Vec<String>,
    output: Output,
) -> Result<Exit, Failure> {
    let (told, mut stream) = mpsc::channel(feed::WAITING_MAX);
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(feed::run(client, pairs.join(","), String::new(), told));
    while let Some(told) = stream.recv().await {
        match told {
            Told::Opened(_) => {}
            Told::Event(event, data) => {
                let text = match output.form {
                    Form::Json => json(&event),
                    Form::Text | Form::Plain => plain(&event, &data),
                };
                output.data(&text)?;
            }
            Told::Lost { why, wait } => {
                let wait = wait.as_millis();
                output.say(&format!("kurs: {}; trying again in {wait} ms", clean(&why)));
            }
            Told::Ended(failure) => return Err(failure),
        }
    }
    Err(Failure::new(
        Exit::Failure,
        "the stream is not read any more",
    ))
}

/// The event in one line, its document as it came.
fn json(event: &Event) -> String {
    let quoted = |text: &str| Value::from(text).to_string();
    let data = event.data.replace('\n', " ");
    let id = match event.id.is_empty() {
        true => String::new(),
        false => format!(",\"id\":{}", quoted(&event.id)),
    };
    format!(
        "{{\"event\":{}{id},\"data\":{data}}}\n",
        quoted(&event.kind)
    )
}

/// Time, pair, value, bid, ask, state, source of every rate; a pair without a rate has the state
/// `no-rate` and, in the place of the source, why.
fn plain(event: &Event, data: &Value) -> String {
    let rates = match event.kind.as_str() {
        "snapshot" => list(data, "rates").map(line).collect(),
        "rate" => data.get("rate").map(line).unwrap_or_default(),
        _ => String::new(),
    };
    let errors = match event.kind.as_str() {
        "snapshot" => list(data, "errors").map(no_rate).collect(),
        "error" => no_rate(data),
        _ => String::new(),
    };
    rates + &errors
}

fn list<'a>(data: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    data.get(name)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn line(rate: &Value) -> String {
    let names = [
        "published_at",
        "pair",
        "value",
        "bid",
        "ask",
        "state",
        "source",
    ];
    names.map(|name| clean(&text_of(rate, name))).join("\t") + "\n"
}

fn no_rate(error: &Value) -> String {
    let topic = text_of(error, "topic");
    let pair = clean(topic.strip_prefix("rate:").unwrap_or(&topic));
    let why = clean(&text_of(error, "detail"));
    format!("\t{pair}\t\t\t\tno-rate\t{why}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn event(kind: &str, data: &Value) -> Event {
        Event {
            kind: kind.to_owned(),
            id: "0.1-7".to_owned(),
            data: data.to_string(),
        }
    }

    #[test]
    fn a_line_has_a_rate_and_a_snapshot_as_many_as_it_has() {
        let rate = json!({"published_at": "t", "pair": "BTC-USD", "value": "1.50", "state": "fresh", "source": "a\tb"});
        let told = json!({"topic": "rate:BTC-USD", "rate": rate});
        let expected = "t\tBTC-USD\t1.50\t\t\tfresh\ta\u{fffd}b\n";
        assert_eq!(plain(&event("rate", &told), &told), expected);
        let error = json!({"topic": "rate:XXX-USD", "detail": "no market"});
        let told = json!({"rates": [rate, rate], "errors": [error]});
        let lines = plain(&event("snapshot", &told), &told);
        assert_eq!(lines.lines().count(), 3);
        assert!(lines.ends_with("\tXXX-USD\t\t\t\tno-rate\tno market\n"));
        assert_eq!(plain(&event("heartbeat", &json!({})), &json!({})), "");
    }

    #[test]
    fn as_json_every_event_is_one_line_with_its_document() {
        let data = json!({"degraded": ""});
        assert_eq!(
            super::json(&event("heartbeat", &data)),
            "{\"event\":\"heartbeat\",\"id\":\"0.1-7\",\"data\":{\"degraded\":\"\"}}\n"
        );
    }
}
