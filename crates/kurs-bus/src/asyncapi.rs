//! `asyncapi.json`: everything that travels on a broker, described for others. Made from the
//! types that are written, so that the two cannot differ.

use crate::wire::{PREFIX, VERSION};
use crate::{Cause, Command, Heartbeat, NoRate, Reply, SourcePrice, SourceStatus};
use kurs_core::{Pair, Rate, TrackedSymbol, UpdateId};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// What every consumer keeps to.
const RULES: &str = include_str!("asyncapi/rules.md");
/// Where things are on each broker.
const NATS: &str = include_str!("asyncapi/nats.md");
const REDIS: &str = include_str!("asyncapi/redis.md");
const RABBITMQ: &str = include_str!("asyncapi/rabbitmq.md");

/// One kind of update.
struct Kind {
    word: &'static str,
    title: &'static str,
    about: &'static str,
    schema: fn(&mut SchemaGenerator) -> Value,
}

/// One place where updates are found.
struct Channel {
    name: &'static str,
    /// After the prefix.
    address: &'static str,
    about: &'static str,
    kinds: &'static [&'static str],
    /// The brokers it is on; empty for all.
    servers: &'static [&'static str],
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

/// A test holds against it whatever [`crate::Body`] has.
const KINDS: [Kind; 7] = [
    Kind {
        word: "rate",
        title: "Rate",
        about: "The rate of a pair, with its state, its legs and the reason for its source.",
        schema: of::<Rate>,
    },
    Kind {
        word: "source_price",
        title: "Price of a source",
        about: "One source's own price for one market: at most a few a second, the newest each time.",
        schema: of::<SourcePrice>,
    },
    Kind {
        word: "source_status",
        title: "State of a source",
        about: "State and counters of a source, about once a second.",
        schema: of::<SourceStatus>,
    },
    Kind {
        word: "tracked",
        title: "Tracked symbols",
        about: "All symbols that users asked kurs to follow, whenever one comes or goes.",
        schema: of::<Vec<TrackedSymbol>>,
    },
    Kind {
        word: "withdrawn",
        title: "Pair withdrawn",
        about: "The pair is not published any more: forget its rate and its sources' prices.",
        schema: |generator| {
            json!({
                "type": "object",
                "required": ["pair"],
                "properties": { "pair": of::<Pair>(generator) },
            })
        },
    },
    Kind {
        word: "no_rate",
        title: "No rate",
        about: "By its policy the pair has no rate yet, and why. With `withdraws` an earlier rate is void; \
            without, it stays as long as it is valid.",
        schema: of::<NoRate>,
    },
    Kind {
        word: "heartbeat",
        title: "Heartbeat",
        about: "The Writer of a shard lives: the first update of every epoch, and one about every second.",
        schema: of::<Heartbeat>,
    },
];

const CHANNELS: [Channel; 6] = [
    Channel {
        name: "rate",
        address: "rate.{base}.{quote}",
        about: "What is published of a pair.",
        kinds: &["rate", "no_rate", "withdrawn"],
        servers: &[],
    },
    Channel {
        name: "source",
        address: "source.{source}.{base}.{quote}",
        about: "What one source says of a pair.",
        kinds: &["source_price"],
        servers: &[],
    },
    Channel {
        name: "withdrawn",
        address: "source._withdrawn.{base}.{quote}",
        about: "On NATS a withdrawal is published here a second time, with the same id: in the stream of the last \
            values a later rate replaces it under its own subject, and what the sources said before it is void \
            all the same.",
        kinds: &["withdrawn"],
        servers: &["nats"],
    },
    Channel {
        name: "status",
        address: "status.{source}",
        about: "How a source is.",
        kinds: &["source_status"],
        servers: &[],
    },
    Channel {
        name: "tracked",
        address: "tracked",
        about: "The tracked symbols.",
        kinds: &["tracked"],
        servers: &[],
    },
    Channel {
        name: "writer",
        address: "writer.{shard}",
        about: "The Writer of a shard.",
        kinds: &["heartbeat"],
        servers: &[],
    },
];

/// What the words in braces stand for.
const PARAMETERS: [(&str, &str); 4] = [
    ("base", "The asset that is priced, such as `BTC`."),
    ("quote", "The asset it is priced in, such as `USD`."),
    (
        "source",
        "A source, such as `binance`; `:`, as in `sim:binance`, becomes `-`.",
    ),
    ("shard", "Number of the shard, from 0."),
];

/// The document for this version of the program, AsyncAPI 3.0. The schemas are JSON Schema
/// draft 7, as AsyncAPI takes them by default. Subjects carry the default prefix.
#[must_use]
pub fn document(version: &str) -> Value {
    let mut settings = SchemaSettings::draft07().for_serialize();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut generator = settings.into_generator();
    let mut messages = Map::new();
    for kind in &KINDS {
        messages.insert(kind.word.to_owned(), update_message(kind, &mut generator));
    }
    let (command, reply) = (of::<Command>(&mut generator), of::<Reply>(&mut generator));
    let about = "Asks for a change, or for what only the Writer has.";
    messages.insert("command".into(), message("Command", about, &command));
    messages.insert(
        "reply".into(),
        message("Reply", "The Writer's answer.", &reply),
    );
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "kurs",
            "version": version,
            "description": RULES.trim_end(),
            "license": { "name": "MIT OR Apache-2.0" },
        },
        "defaultContentType": "application/json",
        "servers": {
            "nats": server("localhost:4222", "nats", NATS),
            "redis": server("localhost:6379", "redis", REDIS),
            "rabbitmq": server("localhost:5672", "amqp", RABBITMQ),
        },
        "channels": channels(),
        "operations": operations(),
        "components": {
            "messages": messages,
            "schemas": generator.take_definitions(true),
        },
    })
}

fn server(host: &str, protocol: &str, about: &str) -> Value {
    json!({ "host": host, "protocol": protocol, "description": about.trim_end() })
}

fn message(title: &str, about: &str, payload: &Value) -> Value {
    json!({
        "name": title.to_ascii_lowercase(),
        "title": title,
        "summary": about,
        "contentType": "application/json",
        "payload": payload,
    })
}

fn update_message(kind: &Kind, generator: &mut SchemaGenerator) -> Value {
    let described = |schema: Value, about: &str| json!({ "allOf": [schema], "description": about });
    let payload = json!({
        "type": "object",
        "required": ["v", "id", "kind", "data"],
        "properties": {
            "v": {
                "const": VERSION,
                "description": "Version of the text. Pass a message of any other over.",
            },
            "id": described(
                of::<UpdateId>(generator),
                "SHARD.EPOCH-SEQ, three whole numbers. Unique, and growing within the shard.",
            ),
            "kind": { "const": kind.word },
            "cause": described(
                of::<Cause>(generator),
                "What a source said that led to it, where sources number what they say.",
            ),
            "at_ms": {
                "type": "integer",
                "minimum": 0,
                "description": "When the Writer published it, in milliseconds of its own monotonic clock. To be \
                    compared with nothing but other updates of the same shard and epoch.",
            },
            "data": (kind.schema)(generator),
        },
    });
    let mut message = message(kind.title, kind.about, &payload);
    message["name"] = json!(kind.word);
    message
}

fn reference(path: &str) -> Value {
    json!({ "$ref": format!("#/{path}") })
}

fn channels() -> Map<String, Value> {
    let messages = |names: &[&str]| -> Map<String, Value> {
        let listed = |name: &&str| {
            let message = reference(&format!("components/messages/{name}"));
            ((*name).to_owned(), message)
        };
        names.iter().map(listed).collect()
    };
    let mut channels = Map::new();
    for channel in &CHANNELS {
        let mut described = json!({
            "address": format!("{PREFIX}.{}", channel.address),
            "description": channel.about,
            "messages": messages(channel.kinds),
        });
        let parameters: Map<String, Value> = PARAMETERS
            .iter()
            .filter(|(name, _)| channel.address.contains(&format!("{{{name}}}")))
            .map(|(name, about)| ((*name).to_owned(), json!({ "description": about })))
            .collect();
        if !parameters.is_empty() {
            described["parameters"] = Value::Object(parameters);
        }
        if !channel.servers.is_empty() {
            let server = |name: &&str| reference(&format!("servers/{name}"));
            described["servers"] = channel.servers.iter().map(server).collect();
        }
        channels.insert(channel.name.to_owned(), described);
    }
    let commands = json!({
        "address": format!("{PREFIX}.command"),
        "description": "Where Readers ask the active Writer; one Writer takes each command. On Redis the stream \
            `{kurs}.v1.commands`, on RabbitMQ the queue `kurs.v1.commands`.",
        "messages": messages(&["command"]),
    });
    channels.insert("command".to_owned(), commands);
    let replies = json!({
        "address": null,
        "description": "Where whoever asked waits: named in the command itself.",
        "messages": messages(&["reply"]),
    });
    channels.insert("reply".to_owned(), replies);
    channels
}

/// What kurs does: it sends updates, and answers commands.
fn operations() -> Map<String, Value> {
    let mut operations = Map::new();
    for channel in &CHANNELS {
        let operation = json!({
            "action": "send",
            "channel": reference(&format!("channels/{}", channel.name)),
            "summary": channel.about,
        });
        operations.insert(format!("send_{}", channel.name), operation);
    }
    let answering = json!({
        "action": "receive",
        "channel": reference("channels/command"),
        "summary": "The active Writer carries out a command and answers.",
        "reply": { "channel": reference("channels/reply") },
    });
    operations.insert("answer_command".to_owned(), answering);
    operations
}

#[cfg(test)]
mod tests;
