//! Subscribe messages of the Exchange feed and what refuses them.

use crate::exchange::feed::{Subject, Topic, Trigger};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What a client asks for: channels with their products.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) subscribe: bool,
    /// Channel and product; for an unsubscription without products, the channel alone.
    pub(crate) wanted: BTreeSet<(String, Option<String>)>,
}

/// Levels the full book is cut to; a simulated book is never so deep.
const FULL: usize = 1_000_000;
/// Channels and products a message may name.
const WANTED_MAX: usize = 5_000;

/// What a client is told that wants a channel without having logged in.
pub(crate) const LOGIN_NEEDED: &str = "level2, level3, and full channels now require authentication. See https://docs.cloud.coinbase.com/exchange/docs/websocket-channels";

/// An error frame.
pub(crate) fn error(message: &str, reason: &str) -> String {
    let (message, reason) = (json!(message), json!(reason));
    format!(r#"{{"type":"error","message":{message},"reason":{reason}}}"#)
}

fn failed(reason: &str) -> String {
    error("Failed to subscribe", reason)
}

fn strings(value: Option<&Value>) -> Vec<String> {
    let texts = value.and_then(Value::as_array);
    let texts = texts.map(Vec::as_slice).unwrap_or_default();
    texts
        .iter()
        .filter_map(|text| text.as_str().map(str::to_owned))
        .collect()
}

/// Reads one text message; the error is the frame that answers it.
pub(crate) fn parse(text: &str) -> Result<Command, String> {
    let Ok(message) = serde_json::from_str::<Value>(text) else {
        return Err(error("Malformed JSON", "the message is no JSON"));
    };
    let subscribe = match message.get("type").and_then(Value::as_str) {
        Some("subscribe") => true,
        Some("unsubscribe") => false,
        _ => {
            return Err(error(
                "Malformed message",
                "Type is not a valid message type",
            ));
        }
    };
    let shared_products = strings(message.get("product_ids"));
    let Some(channels) = message.get("channels").and_then(Value::as_array) else {
        return Err(failed("No channels provided"));
    };
    let mut wanted = BTreeSet::new();
    for channel in channels {
        let (name, products) = match channel {
            Value::String(name) => (name.as_str(), shared_products.clone()),
            _ => {
                let name = channel.get("name").and_then(Value::as_str).unwrap_or("");
                let own = strings(channel.get("product_ids"));
                let products = if own.is_empty() {
                    shared_products.clone()
                } else {
                    own
                };
                (name, products)
            }
        };
        if matches!(name, "level2" | "level3" | "full") {
            return Err(failed(LOGIN_NEEDED));
        }
        if subject(name).is_none() {
            return Err(failed(&format!("{name} is not a valid channel")));
        }
        if products.is_empty() && subscribe {
            return Err(failed("No product ids provided"));
        }
        if products.is_empty() {
            wanted.insert((name.to_owned(), None));
        }
        for product in products {
            wanted.insert((name.to_owned(), Some(product)));
        }
        if wanted.len() > WANTED_MAX {
            return Err(failed("Too many products"));
        }
    }
    if wanted.is_empty() {
        return Err(failed("No channels provided"));
    }
    Ok(Command { subscribe, wanted })
}

/// A product that is not listed fails the whole message.
pub(crate) fn invalid_product(product: &str) -> String {
    failed(&format!("{product} is not a valid product"))
}

fn subject(channel: &str) -> Option<(Subject, u64)> {
    let book = Subject::Book {
        depth: FULL,
        cut_by_client: false,
    };
    Some(match channel {
        "level2_batch" => (book, 50),
        "ticker" => (Subject::Ticker(Trigger::Trade), 50),
        "ticker_batch" => (Subject::Ticker(Trigger::Trade), 5_000),
        "matches" => (Subject::Trades, 10),
        "heartbeat" => (Subject::Heartbeat, 1_000),
        _ => return None,
    })
}

/// The topic of a channel and a product.
pub(crate) fn topic(channel: &str, product: &str) -> Option<Topic> {
    let (subject, every_ms) = subject(channel)?;
    Some(Topic {
        stream: format!("{channel}:{product}").into(),
        channel: channel.into(),
        symbol: product.into(),
        subject,
        every_ms,
        repeat_ms: None,
    })
}

/// The acknowledgement: everything this connection has now.
pub(crate) fn subscriptions(topics: &[Topic]) -> String {
    let mut channels: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for topic in topics {
        let products = channels.entry(&topic.channel).or_default();
        products.push(&topic.symbol);
    }
    let channels: Vec<String> = channels
        .iter()
        .map(|(name, products)| {
            let products = json!(products);
            format!(r#"{{"name":"{name}","product_ids":{products}}}"#)
        })
        .collect();
    let channels = channels.join(",");
    format!(r#"{{"type":"subscriptions","channels":[{channels}]}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_ways_to_name_a_channel_are_read() {
        let text = r#"{"type":"subscribe","product_ids":["BTC-USD"],"channels":["level2_batch",{"name":"ticker","product_ids":["ETH-USD"]}]}"#;
        let wanted = parse(text).unwrap().wanted;
        let pair = |channel: &str, product: &str| (channel.to_owned(), Some(product.to_owned()));
        let expect = [pair("level2_batch", "BTC-USD"), pair("ticker", "ETH-USD")];
        assert_eq!(wanted, expect.into());
    }

    #[test]
    fn refusals_are_in_the_words_of_the_venue() {
        for (channels, named) in [
            (r#"["level2"]"#, "require authentication"),
            (r#"["level2_batch","full"]"#, "require authentication"),
            (r#"["level9"]"#, "level9 is not a valid channel"),
            ("[]", "No channels"),
        ] {
            let text = format!(
                r#"{{"type":"subscribe","product_ids":["BTC-USD"],"channels":{channels}}}"#
            );
            let refused = parse(&text).unwrap_err();
            let frame: Value = serde_json::from_str(&refused).unwrap();
            assert_eq!(frame["type"], "error");
            assert_eq!(frame["message"], "Failed to subscribe");
            assert!(
                frame["reason"].as_str().unwrap().contains(named),
                "{refused}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_message_panics(text in any::<String>()) {
            let _ = parse(&text);
        }
    }
}
