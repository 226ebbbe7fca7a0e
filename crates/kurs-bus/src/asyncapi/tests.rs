use super::*;
use crate::book::BookState;
use crate::conformance::{every_kind, full_rate, untrack};
use crate::{Actor, Body, ChangeMistake, Update, wire};
use kurs_core::{Price, SourceId, Wall};
use std::collections::BTreeSet;
use std::sync::Arc;

/// How many kinds there are: whoever adds one is sent here by the compiler.
const fn kinds(body: &Body) -> usize {
    match body {
        Body::Rate(_)
        | Body::SourcePrice(_)
        | Body::SourceStatus(_)
        | Body::Tracked(_)
        | Body::Withdrawn(_)
        | Body::NoRate(_)
        | Body::Heartbeat(_)
        // Read, and never written.
        | Body::Unknown(_) => 7,
    }
}

fn updates() -> Vec<Arc<Update>> {
    let mut updates = every_kind();
    updates.push(full_rate(8));
    updates
}

/// Accepts what a message of the document may hold.
fn validator(document: &Value, message: &str) -> jsonschema::Validator {
    let payload = &document["components"]["messages"][message]["payload"];
    assert!(!payload.is_null(), "{message} is not described");
    let mut schema = document.clone();
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["allOf"] = json!([payload]);
    let options = jsonschema::options().should_validate_formats(true);
    options.build(&schema).unwrap()
}

fn assert_accepts(document: &Value, message: &str, text: &[u8]) {
    let written: Value = serde_json::from_slice(text).unwrap();
    let validator = validator(document, message);
    let mistakes: Vec<String> = validator
        .iter_errors(&written)
        .map(|mistake| format!("{}: {mistake}", mistake.instance_path()))
        .collect();
    assert!(mistakes.is_empty(), "{written:#}\n{mistakes:#?}");
}

#[test]
fn every_update_that_is_written_is_as_the_document_says() {
    let document = document("1.2.3");
    let mut seen = BTreeSet::new();
    for update in updates() {
        assert_accepts(&document, wire::kind(&update.body), &wire::encode(&update));
        seen.insert(wire::kind(&update.body).to_owned());
        assert_eq!(KINDS.len(), kinds(&update.body));
    }
    let described: BTreeSet<String> = KINDS.iter().map(|kind| kind.word.to_owned()).collect();
    assert_eq!(seen, described);
}

#[test]
fn every_member_that_is_written_is_described() {
    let document = document("1.2.3");
    let resolve = |schema: &Value| match schema["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).unwrap().clone(),
        None => schema.clone(),
    };
    for update in updates() {
        let written: Value = serde_json::from_slice(&wire::encode(&update)).unwrap();
        let payload = &document["components"]["messages"][wire::kind(&update.body)]["payload"];
        for (schema, members) in [
            (payload.clone(), &written),
            (resolve(&payload["properties"]["data"]), &written["data"]),
        ] {
            for name in members
                .as_object()
                .into_iter()
                .flat_map(|members| members.keys())
            {
                assert!(!schema["properties"][name].is_null(), "{name}: {schema:#}");
            }
        }
    }
}

#[test]
fn every_command_and_reply_that_is_written_is_as_the_document_says() {
    let pair = Pair::parse("BTC-USDT").unwrap();
    let source = SourceId::parse("sim:binance").unwrap();
    let symbol = TrackedSymbol {
        symbol: "BTCUSDT".into(),
        pair,
        added_at: Wall::from_unix_ms(1_790_000_000_123),
    };
    let level = (Price::parse("64364.270").unwrap(), "0.00".parse().unwrap());
    let book = BookState {
        source,
        pair,
        symbol: "BTCUSDT".into(),
        bids: vec![level],
        asks: Vec::new(),
        bid_levels: 1,
        ask_levels: 0,
        update_id: Some(5),
        observed_at: None,
        received_at: Wall::from_unix_ms(1_790_000_000_123),
        verified_by: "id_range".into(),
    };
    let why: Arc<str> = "it is so".into();
    let by = Box::new(Actor {
        who: "loopback".into(),
        address: None,
        why: Some(Arc::clone(&why)),
    });
    let commands = [
        untrack("BTCUSDT"),
        Command::Track {
            symbol: "BTCUSDT".into(),
            pair,
            by: Some(by.clone()),
        },
        Command::Change {
            changes: [
                (
                    "a".to_owned(),
                    Some(serde_json::json!({"b": [1, "c", true]})),
                ),
                ("d".to_owned(), None),
            ]
            .into(),
            expected: Some(3),
            by,
        },
        Command::Book {
            source,
            pair,
            levels: 20,
        },
    ];
    let replies = [
        Reply::Tracked {
            symbol,
            created: true,
        },
        Reply::Untracked { existed: false },
        Reply::Changed {
            version: 4,
            changed: true,
        },
        Reply::Refused {
            mistakes: vec![ChangeMistake {
                key: "a".into(),
                what: Arc::clone(&why),
            }],
        },
        Reply::Outdated { version: 4 },
        Reply::NotListed {
            why: Arc::clone(&why),
        },
        Reply::Unavailable {
            why: Arc::clone(&why),
        },
        Reply::Book(Box::new(book)),
        Reply::BookNotReady {
            why: Arc::clone(&why),
        },
        Reply::NoBook {
            unknown_source: true,
            why,
        },
    ];
    let document = document("1.2.3");
    for command in commands {
        assert_accepts(&document, "command", &wire::encode_command(&command));
    }
    for reply in replies {
        assert_accepts(&document, "reply", &wire::encode_reply(&reply));
    }
}

#[test]
fn what_is_not_so_is_refused() {
    let document = document("1.2.3");
    let written: Value = serde_json::from_slice(&wire::encode(&full_rate(8))).unwrap();
    let validator = validator(&document, "rate");
    assert!(validator.is_valid(&written));
    for (pointer, wrong) in [
        ("/v", json!(2)),
        ("/id", json!("1-2")),
        ("/kind", json!("no_rate")),
        ("/data/value", json!(64_364)),
        ("/data/value", json!("6.4e4")),
        ("/data/confidence", json!("1e-3")),
        ("/data/valid_for_ms", json!("5000")),
        ("/data/valid_for_ms", json!({ "secs": 5, "nanos": 0 })),
        ("/data/published_at", json!(1_790_000_000)),
        ("/data/state", json!("good")),
        ("/data/pair", json!("btc-usd")),
        ("/data/legs/0/inverted", json!("true")),
        ("/cause/event_id", json!(-1)),
    ] {
        let mut spoilt = written.clone();
        *spoilt.pointer_mut(pointer).unwrap() = wrong;
        assert!(!validator.is_valid(&spoilt), "{pointer}: {spoilt:#}");
    }
}

#[test]
fn every_update_travels_under_a_channel_that_names_its_kind() {
    let document = document("1.2.3");
    for update in updates() {
        let subject = wire::subject(&update);
        let is_of = |address: &str| {
            let (parts, words) = (address.split('.'), subject.split('.'));
            parts.clone().count() == words.clone().count()
                && parts
                    .zip(words)
                    .all(|(part, word)| part.starts_with('{') || part == word)
        };
        let channels = document["channels"].as_object().unwrap();
        let found: Vec<&Value> = channels
            .values()
            .filter(|channel| channel["address"].as_str().is_some_and(is_of))
            .collect();
        assert_eq!(found.len(), 1, "{subject}");
        let messages = &found[0]["messages"];
        assert!(!messages[wire::kind(&update.body)].is_null(), "{subject}");
    }
}

#[test]
fn the_document_is_whole_and_the_same_each_time() {
    let document = document("1.2.3");
    assert_eq!(document.to_string(), super::document("1.2.3").to_string());
    assert_eq!(document["asyncapi"], "3.0.0");
    assert_eq!(document["info"]["version"], "1.2.3");
    check_references(&document, &document);
    let text = document.to_string();
    for unwanted in [
        "\"format\":\"decimal\"",
        "$defs",
        "prefixItems",
        "[`",
        "crate::",
    ] {
        assert!(!text.contains(unwanted), "{unwanted}");
    }
}

fn check_references(node: &Value, document: &Value) {
    match node {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                let pointer = reference.strip_prefix('#').unwrap();
                assert!(document.pointer(pointer).is_some(), "{reference}");
            }
            members
                .values()
                .for_each(|member| check_references(member, document));
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| check_references(item, document)),
        _ => {}
    }
}
