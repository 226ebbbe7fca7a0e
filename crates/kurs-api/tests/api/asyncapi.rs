//! What clients of streams are told is what `/asyncapi.json` says. Every event that any test of
//! this program hears is held against it.

use jsonschema::Validator;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// By the name of the message: its payload, and the fields of an event beside it.
static MESSAGES: LazyLock<BTreeMap<String, (Validator, Option<Validator>)>> = LazyLock::new(|| {
    let document = kurs_api::asyncapi("1.2.3");
    let validator = |schema: &Value| {
        let mut whole = document.clone();
        whole["$schema"] = json!("http://json-schema.org/draft-07/schema#");
        whole["allOf"] = json!([schema]);
        let options = jsonschema::options().should_validate_formats(true);
        options.build(&whole).unwrap()
    };
    let messages = document["components"]["messages"].as_object().unwrap();
    let ours = messages
        .iter()
        .filter(|(name, _)| name.starts_with("stream_") || name.starts_with("socket_"));
    ours.map(|(name, message)| {
        let fields = message.get("headers").map(&validator);
        (name.clone(), (validator(&message["payload"]), fields))
    })
    .collect()
});

fn assert_accepts(validator: &Validator, what: &str, said: &Value) {
    let mistakes: Vec<String> = validator
        .iter_errors(said)
        .map(|mistake| format!("{}: {mistake}", mistake.instance_path()))
        .collect();
    assert!(mistakes.is_empty(), "{what}: {said:#}\n{mistakes:#?}");
}

/// An event of an SSE stream.
pub(crate) fn assert_server_sent(event: &str, id: Option<&str>, data: &Value) {
    let name = format!("stream_{event}");
    let (payload, fields) = MESSAGES
        .get(&name)
        .unwrap_or_else(|| panic!("{name} is not described"));
    assert_accepts(payload, &name, data);
    let mut head = json!({ "event": event });
    if let Some(id) = id {
        head["id"] = json!(id);
    }
    assert_accepts(fields.as_ref().unwrap(), &name, &head);
}

/// A text over WebSocket: an event or a reply.
pub(crate) fn assert_framed(said: &Value) {
    let name = match said["event"].as_str() {
        Some(event) => format!("socket_{event}"),
        None => "socket_reply".to_owned(),
    };
    let (payload, _) = MESSAGES
        .get(&name)
        .unwrap_or_else(|| panic!("{name} is not described"));
    assert_accepts(payload, &name, said);
}

#[test]
fn a_text_that_is_not_described_is_noticed() {
    let good = json!({"event": "heartbeat", "id": "0.1-7", "data": {"degraded": ""}});
    assert_framed(&good);
    for (at, wrong) in [
        ("/event", json!("hartbeat")),
        ("/id", json!(7)),
        ("/data", json!({})),
    ] {
        let mut said = good.clone();
        *said.pointer_mut(at).unwrap() = wrong;
        let noticed = std::panic::catch_unwind(|| assert_framed(&said));
        assert!(noticed.is_err(), "{said}");
    }
}
