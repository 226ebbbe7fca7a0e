//! `/asyncapi.json`: what travels on a broker, as the bus describes it, and what clients are told
//! by server-sent events and WebSocket. Made from the types that are written.

use kurs_stream::EventKind;
use kurs_stream::command::{CommandDocument, ReplyDocument};
use kurs_stream::document::{ByeDocument, GapDocument, HeartbeatDocument};
use kurs_stream::hub::{ErrorEvent, HelloDocument, RateEvent, SnapshotDocument, SourceEvent};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// What every client keeps to.
const RULES: &str = include_str!("asyncapi/streams.md");

/// One kind of event.
struct Kind {
    event: EventKind,
    about: &'static str,
    /// It may tell a place to go on from.
    has_id: bool,
    schema: fn(&mut SchemaGenerator) -> Value,
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

const KINDS: [Kind; 8] = [
    Kind {
        event: EventKind::Hello,
        about: "The stream begins.",
        has_id: false,
        schema: of::<HelloDocument>,
    },
    Kind {
        event: EventKind::Snapshot,
        about: "How everything that was asked for stands. In parts; the final one says `last`.",
        has_id: true,
        schema: of::<SnapshotDocument>,
    },
    Kind {
        event: EventKind::Rate,
        about: "A rate has changed, or has run out: then its state is `stale`.",
        has_id: true,
        schema: of::<RateEvent>,
    },
    Kind {
        event: EventKind::Source,
        about: "A source's own price, or its state, has changed.",
        has_id: true,
        schema: of::<SourceEvent<'static>>,
    },
    Kind {
        event: EventKind::Error,
        about: "There is no rate.",
        has_id: true,
        schema: of::<ErrorEvent>,
    },
    Kind {
        event: EventKind::Gap,
        about: "Something was left out.",
        has_id: true,
        schema: of::<GapDocument>,
    },
    Kind {
        event: EventKind::Heartbeat,
        about: "Nothing more was told up to here.",
        has_id: true,
        schema: of::<HeartbeatDocument>,
    },
    Kind {
        event: EventKind::Bye,
        about: "The stream ends, and when to come back.",
        has_id: true,
        schema: of::<ByeDocument>,
    },
];

/// The document for this version of the program, AsyncAPI 3.0.
pub(crate) fn document(version: &str) -> Value {
    let mut document = kurs_bus::asyncapi::document(version);
    let mut settings = SchemaSettings::draft07().for_serialize();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let mut messages = Map::new();
    for kind in &KINDS {
        let name = kind.event.as_str();
        let data = (kind.schema)(&mut generator);
        messages.insert(format!("stream_{name}"), server_sent(kind, &data));
        messages.insert(format!("socket_{name}"), framed(kind, data));
    }
    let asked = of::<CommandDocument>(&mut generator);
    let about = "Listens, or does not any more. At most ten a second.";
    messages.insert("socket_command".into(), message("command", about, asked));
    let answered = of::<ReplyDocument>(&mut generator);
    let about = "Whether a command was carried out.";
    messages.insert("socket_reply".into(), message("reply", about, answered));

    put(&mut document, "/servers", servers());
    put(&mut document, "/channels", channels(&messages));
    put(&mut document, "/operations", operations());
    put(&mut document, "/components/messages", messages);
    let schemas = generator.take_definitions(true);
    put(&mut document, "/components/schemas", schemas);
    document
}

/// Adds members to an object of the document.
fn put(document: &mut Value, at: &str, members: Map<String, Value>) {
    if let Some(Value::Object(object)) = document.pointer_mut(at) {
        object.extend(members);
    }
}

fn members<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    let named = members.map(|(name, value)| (name.to_owned(), value));
    named.into_iter().collect()
}

fn reference(path: &str) -> Value {
    json!({ "$ref": format!("#/{path}") })
}

fn servers() -> Map<String, Value> {
    let server = |protocol: &str, about: &str| json!({ "host": "localhost:8080", "protocol": protocol, "description": about });
    members([
        (
            "sse",
            server("http", "Server-sent events; https where a certificate is."),
        ),
        (
            "websocket",
            server("ws", "WebSocket; wss where a certificate is."),
        ),
    ])
}

fn channels(messages: &Map<String, Value>) -> Map<String, Value> {
    let beginning_with = |beginning: &str| -> Map<String, Value> {
        let names = messages.keys().filter(|name| name.starts_with(beginning));
        names
            .map(|name| {
                let message = reference(&format!("components/messages/{name}"));
                (name.clone(), message)
            })
            .collect()
    };
    members([
        (
            "stream",
            json!({
                "address": "/api/v1/stream",
                "description": RULES.trim_end(),
                "servers": [reference("servers/sse")],
                "messages": beginning_with("stream_"),
            }),
        ),
        (
            "socket",
            json!({
                "address": "/api/v1/ws",
                "description": "The same events as texts, by the subprotocol `kurs.v1.json`, and commands. Events come \
                    in between commands and their replies.",
                "servers": [reference("servers/websocket")],
                "messages": beginning_with("socket_"),
            }),
        ),
    ])
}

fn operations() -> Map<String, Value> {
    members([
        (
            "send_stream",
            json!({
                "action": "send",
                "channel": reference("channels/stream"),
                "summary": "Tells what changes in rates and sources.",
            }),
        ),
        (
            "send_socket",
            json!({
                "action": "send",
                "channel": reference("channels/socket"),
                "summary": "Tells what changes in rates and sources.",
                "messages": KINDS
                    .map(|kind| reference(&format!("channels/socket/messages/socket_{}", kind.event.as_str()))),
            }),
        ),
        (
            "answer_socket_command",
            json!({
                "action": "receive",
                "channel": reference("channels/socket"),
                "summary": "Carries out a command and answers.",
                "messages": [reference("channels/socket/messages/socket_command")],
                "reply": {
                    "channel": reference("channels/socket"),
                    "messages": [reference("channels/socket/messages/socket_reply")],
                },
            }),
        ),
    ])
}

fn message(name: &str, about: &str, payload: Value) -> Value {
    json!({
        "name": name,
        "title": name,
        "summary": about,
        "contentType": "application/json",
        "payload": payload,
    })
}

/// The field `id` of an event.
fn id() -> Value {
    json!({
        "type": "string",
        "description": "A place in the flow of all updates: whoever has heard this event has heard everything up to it. \
            SHARD.EPOCH-SEQ, with commas between several shards.",
        "examples": ["0.3-120"],
    })
}

/// An event of an SSE stream: the payload is the field `data`, the headers are the others.
fn server_sent(kind: &Kind, data: &Value) -> Value {
    let name = kind.event.as_str();
    let mut fields = json!({ "event": { "type": "string", "const": name } });
    if kind.has_id {
        fields["id"] = id();
    }
    let mut message = message(name, kind.about, data.clone());
    message["headers"] = json!({
        "type": "object",
        "description": "The fields of the event beside `data`.",
        "required": ["event"],
        "properties": fields,
    });
    message
}

/// An event as a text of WebSocket.
fn framed(kind: &Kind, data: Value) -> Value {
    let name = kind.event.as_str();
    let mut fields = json!({ "event": { "type": "string", "const": name }, "data": data });
    if kind.has_id {
        fields["id"] = id();
    }
    let payload = json!({
        "type": "object",
        "required": ["event", "data"],
        "properties": fields,
        "additionalProperties": false,
    });
    message(name, kind.about, payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(members) => {
                if let Some(Value::String(path)) = members.get("$ref") {
                    found.insert(path.clone());
                }
                members.values().for_each(|one| references(one, found));
            }
            Value::Array(items) => items.iter().for_each(|one| references(one, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let document = document("1.2.3");
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(found.len() > 50, "{found:?}");
        for path in found {
            let target = document.pointer(&path[1..]);
            assert!(target.is_some(), "{path} leads nowhere");
        }
    }

    #[test]
    fn what_the_bus_describes_is_described_alike_for_clients() {
        let (bus, whole) = (kurs_bus::asyncapi::document("1.2.3"), document("1.2.3"));
        for at in [
            "/servers",
            "/channels",
            "/operations",
            "/components/messages",
            "/components/schemas",
        ] {
            let before = bus.pointer(at).unwrap().as_object().unwrap();
            for (name, described) in before {
                let now = whole.pointer(&format!("{at}/{name}"));
                assert_eq!(now, Some(described), "{at}/{name} has another meaning now");
            }
        }
    }
}
