//! Requests of WebSocket v2 and the answers to them.

use crate::exchange::feed::{Subject, Topic, Trigger};
use serde_json::{Value, json};

/// What a client asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Request {
    Ping,
    Subscription(Subscription),
}

/// A subscription to one channel for some symbols, or its end.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Subscription {
    pub(crate) subscribe: bool,
    pub(crate) channel: Channel,
    pub(crate) symbols: Vec<String>,
    pub(crate) snapshot: bool,
}

/// A channel with its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channel {
    Book { depth: usize },
    Ticker { bbo: bool },
    Trade,
    Instrument,
}

/// The only depths there are.
const DEPTHS: [u64; 5] = [10, 25, 100, 500, 1_000];
/// Symbols one request may name.
const SYMBOLS_MAX: usize = 2_000;
/// A longer symbol is no symbol.
const SYMBOL_CHARS_MAX: usize = 40;

/// The common parts of an answer: when the request came and which it was.
#[derive(Debug, Clone)]
pub(crate) struct Reference {
    pub(crate) method: &'static str,
    pub(crate) req_id: Option<u64>,
    /// RFC 3339.
    pub(crate) time: String,
}

impl Reference {
    fn tail(&self) -> String {
        let Self { req_id, time, .. } = self;
        let req_id = req_id.map_or_else(String::new, |id| format!(r#","req_id":{id}"#));
        format!(r#""time_in":"{time}","time_out":"{time}"{req_id}"#)
    }

    /// A refusal, of one symbol or of the whole request.
    pub(crate) fn refused(&self, why: &str, symbol: Option<&str>) -> String {
        let symbol =
            symbol.map_or_else(String::new, |name| format!(r#","symbol":{}"#, json!(name)));
        format!(
            r#"{{"error":{},"method":"{}","success":false{symbol},{}}}"#,
            json!(why),
            self.method,
            self.tail()
        )
    }

    pub(crate) fn pong(&self) -> String {
        format!(r#"{{"method":"pong",{}}}"#, self.tail())
    }

    /// The acknowledgement for one symbol.
    pub(crate) fn done(&self, channel: Channel, snapshot: bool, symbol: Option<&str>) -> String {
        let subscribing = self.method == "subscribe";
        let settings = match channel {
            Channel::Book { depth } => format!(r#""channel":"book","depth":{depth}"#),
            Channel::Ticker { bbo } => {
                let trigger = if bbo { "bbo" } else { "trades" };
                format!(r#""channel":"ticker","event_trigger":"{trigger}""#)
            }
            Channel::Trade => r#""channel":"trade""#.to_owned(),
            Channel::Instrument => r#""channel":"instrument""#.to_owned(),
        };
        let snapshot = if subscribing {
            format!(r#","snapshot":{snapshot}"#)
        } else {
            String::new()
        };
        let symbol = symbol.map_or_else(String::new, |name| format!(r#","symbol":"{name}""#));
        format!(
            r#"{{"method":"{}","result":{{{settings}{snapshot}{symbol}}},"success":true,{}}}"#,
            self.method,
            self.tail()
        )
    }
}

/// Reads one text message; `time` dates the answers. The error is the frame that answers it.
pub(crate) fn parse(text: &str, time: String) -> Result<(Request, Reference), String> {
    let mut reference = Reference {
        method: "subscribe",
        req_id: None,
        time,
    };
    let Ok(message) = serde_json::from_str::<Value>(text) else {
        return Err(reference.refused("Malformed request", None));
    };
    reference.req_id = message.get("req_id").and_then(Value::as_u64);
    let subscribe = match message.get("method").and_then(Value::as_str) {
        Some("ping") => return Ok((Request::Ping, reference)),
        Some("subscribe") => true,
        Some("unsubscribe") => false,
        _ => return Err(reference.refused("Unsupported method", None)),
    };
    if !subscribe {
        reference.method = "unsubscribe";
    }
    let params = message.get("params").unwrap_or(&Value::Null);
    let symbols: Vec<String> = params
        .get("symbol")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .filter_map(Value::as_str)
        .take(SYMBOLS_MAX)
        .map(|name| name.chars().take(SYMBOL_CHARS_MAX).collect())
        .collect();
    let first = symbols.first().map(String::as_str);
    let channel = match params.get("channel").and_then(Value::as_str) {
        Some("book") => {
            let depth = match params.get("depth") {
                None => Some(10),
                Some(depth) => depth.as_u64().filter(|depth| DEPTHS.contains(depth)),
            };
            let Some(depth) = depth.and_then(|depth| usize::try_from(depth).ok()) else {
                return Err(reference.refused("Subscription depth not supported", first));
            };
            Channel::Book { depth }
        }
        Some("ticker") => match params.get("event_trigger").and_then(Value::as_str) {
            None | Some("trades") => Channel::Ticker { bbo: false },
            Some("bbo") => Channel::Ticker { bbo: true },
            Some(_) => return Err(reference.refused("Event trigger not supported", first)),
        },
        Some("trade") => Channel::Trade,
        Some("instrument") => Channel::Instrument,
        _ => return Err(reference.refused("Channel not supported", first)),
    };
    if symbols.is_empty() && channel != Channel::Instrument {
        return Err(reference.refused("Symbol(s) not found", None));
    }
    // Trades come without a snapshot unless one is asked for.
    let unless_told = channel != Channel::Trade;
    let told = params.get("snapshot").and_then(Value::as_bool);
    let subscription = Subscription {
        subscribe,
        channel,
        symbols,
        snapshot: told.unwrap_or(unless_told),
    };
    Ok((Request::Subscription(subscription), reference))
}

/// The topic of a channel and a symbol; the instrument channel has none.
pub(crate) fn topic(channel: Channel, symbol: &str) -> Option<Topic> {
    let (name, stream, subject) = match channel {
        Channel::Book { depth } => {
            let subject = Subject::Book {
                depth,
                cut_by_client: true,
            };
            ("book", format!("book-{depth}:{symbol}"), subject)
        }
        Channel::Ticker { bbo } => {
            let (word, trigger) = if bbo {
                ("bbo", Trigger::Best)
            } else {
                ("trades", Trigger::Trade)
            };
            let stream = format!("ticker-{word}:{symbol}");
            ("ticker", stream, Subject::Ticker(trigger))
        }
        Channel::Trade => ("trade", format!("trade:{symbol}"), Subject::Trades),
        Channel::Instrument => return None,
    };
    Some(Topic {
        stream: stream.into(),
        channel: name.into(),
        symbol: symbol.into(),
        subject,
        every_ms: 10,
        repeat_ms: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refusal(params: &str) -> Value {
        let text = format!(r#"{{"method":"subscribe","params":{params},"req_id":7}}"#);
        serde_json::from_str(&parse(&text, "T".to_owned()).unwrap_err()).unwrap()
    }

    #[test]
    fn refusals_name_what_is_wrong_and_the_request() {
        let answer = refusal(r#"{"channel":"book","symbol":["BTC/USD"],"depth":27}"#);
        assert_eq!(answer["error"], "Subscription depth not supported");
        assert_eq!(
            (&answer["success"], &answer["req_id"]),
            (&json!(false), &json!(7))
        );
        assert_eq!(answer["symbol"], "BTC/USD");
        let answer = refusal(r#"{"channel":"candles","symbol":["BTC/USD"]}"#);
        assert_eq!(answer["error"], "Channel not supported");
    }

    #[test]
    fn settings_are_read_and_acknowledged() {
        let text = r#"{"method":"subscribe","params":{"channel":"ticker","symbol":["BTC/USD"],"event_trigger":"bbo"}}"#;
        let (request, reference) = parse(text, "T".to_owned()).unwrap();
        let Request::Subscription(subscription) = request else {
            panic!("no subscription");
        };
        assert_eq!(subscription.channel, Channel::Ticker { bbo: true });
        assert!(subscription.snapshot);
        let done = reference.done(subscription.channel, true, Some("BTC/USD"));
        let done: Value = serde_json::from_str(&done).unwrap();
        assert_eq!(
            done["result"],
            json!({"channel":"ticker","event_trigger":"bbo","snapshot":true,"symbol":"BTC/USD"})
        );
        assert!(done.get("req_id").is_none());
    }

    proptest! {
        #[test]
        fn no_message_panics(text in any::<String>()) {
            let _ = parse(&text, String::new());
        }
    }
}
