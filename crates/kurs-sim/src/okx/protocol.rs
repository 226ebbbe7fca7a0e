//! Requests of v5 public and the answers to them.

use crate::exchange::feed::{Subject, Topic, Trigger};
use serde_json::{Value, json};

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) subscribe: bool,
    pub(crate) args: Vec<Arg>,
}

/// One channel of one instrument, if it is both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arg {
    pub(crate) channel: String,
    pub(crate) instrument: String,
}

/// Bytes of the channels of one request.
const ARGS_BYTES_MAX: usize = 64 * 1_024;

/// Who is answered.
#[derive(Debug, Clone)]
pub(crate) struct Reference {
    pub(crate) id: Option<String>,
    pub(crate) connection: String,
}

impl Reference {
    fn head(&self) -> String {
        self.id
            .as_ref()
            .map_or_else(String::new, |id| format!(r#""id":{},"#, json!(id)))
    }

    pub(crate) fn error(&self, code: u32, message: &str) -> String {
        format!(
            r#"{{{}"event":"error","code":"{code}","msg":{},"connId":"{}"}}"#,
            self.head(),
            json!(message),
            self.connection,
        )
    }

    /// A channel or an instrument that is not there.
    pub(crate) fn unknown(&self, arg: &Arg) -> String {
        let Arg {
            channel,
            instrument,
        } = arg;
        self.error(
            60_018,
            &format!(
                "Wrong URL or channel:{channel},instId:{instrument} doesn't exist. Please use the correct URL, channel and parameters referring to API document."
            ),
        )
    }

    /// The acknowledgement of one argument.
    pub(crate) fn done(&self, subscribe: bool, arg: &Arg) -> String {
        format!(
            r#"{{{}"event":"{}","arg":{{"channel":{},"instId":{}}},"connId":"{}"}}"#,
            self.head(),
            if subscribe {
                "subscribe"
            } else {
                "unsubscribe"
            },
            json!(arg.channel),
            json!(arg.instrument),
            self.connection,
        )
    }
}

/// Reads one text message but `ping`, from the connection of this name. The error is the frame
/// that answers it.
pub(crate) fn parse(text: &str, connection: &str) -> Result<(Request, Reference), String> {
    let mut reference = Reference {
        id: None,
        connection: connection.to_owned(),
    };
    let shown: String = text.chars().take(200).collect();
    let invalid =
        |reference: &Reference| reference.error(60_012, &format!("Invalid request: {shown}"));
    let Ok(message) = serde_json::from_str::<Value>(text) else {
        return Err(invalid(&reference));
    };
    reference.id = message
        .get("id")
        .and_then(Value::as_str)
        .map(|id| id.chars().take(32).collect());
    let subscribe = match message.get("op").and_then(Value::as_str) {
        Some("subscribe") => true,
        Some("unsubscribe") => false,
        _ => return Err(invalid(&reference)),
    };
    let Some(list) = message.get("args").and_then(Value::as_array) else {
        return Err(invalid(&reference));
    };
    let mut args = Vec::new();
    let mut bytes = 0;
    for arg in list {
        let text = |key: &str| arg.get(key).and_then(Value::as_str).map(str::to_owned);
        let (Some(channel), Some(instrument)) = (text("channel"), text("instId")) else {
            return Err(invalid(&reference));
        };
        bytes += channel.len() + instrument.len();
        args.push(Arg {
            channel,
            instrument,
        });
    }
    if args.is_empty() || bytes > ARGS_BYTES_MAX {
        return Err(invalid(&reference));
    }
    Ok((Request { subscribe, args }, reference))
}

/// Whether a channel is only for clients that have logged in.
pub(crate) fn needs_login(channel: &str) -> bool {
    matches!(channel, "books-l2-tbt" | "books50-l2-tbt")
}

/// The topic of an argument. `repeat_ms`: see [`crate::config::OkxHabits::repeat_after_ms`].
pub(crate) fn topic(arg: &Arg, repeat_ms: u64) -> Option<Topic> {
    let book = Subject::Book {
        depth: 400,
        cut_by_client: false,
    };
    let (subject, every_ms, repeat_ms) = match arg.channel.as_str() {
        "bbo-tbt" => (Subject::Best { depth: 1 }, 10, Some(repeat_ms)),
        "books5" => (Subject::Best { depth: 5 }, 100, Some(repeat_ms)),
        "books" => (book, 100, Some(repeat_ms)),
        "tickers" => (Subject::Ticker(Trigger::Any), 100, None),
        "trades" => (Subject::Trades, 10, None),
        _ => return None,
    };
    Some(Topic {
        stream: format!("{}:{}", arg.channel, arg.instrument).into(),
        channel: arg.channel.as_str().into(),
        symbol: arg.instrument.as_str().into(),
        subject,
        every_ms,
        repeat_ms,
    })
}

/// Sent before the server goes down.
pub(crate) fn notice_of_upgrade() -> String {
    r#"{"event":"notice","code":"64008","msg":"The connection will soon be closed for a service upgrade. Please reconnect.","connId":"00000000"}"#.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_are_read_and_acknowledged_with_their_id() {
        let text =
            r#"{"id":"1512","op":"subscribe","args":[{"channel":"tickers","instId":"BTC-USDT"}]}"#;
        let (request, reference) = parse(text, "a4d3ae55").unwrap();
        assert!(request.subscribe);
        assert_eq!(
            reference.done(true, &request.args[0]),
            r#"{"id":"1512","event":"subscribe","arg":{"channel":"tickers","instId":"BTC-USDT"},"connId":"a4d3ae55"}"#
        );
    }

    #[test]
    fn what_is_no_request_is_answered_60012() {
        for text in [
            "{",
            "[]",
            r#"{"op":"fly","args":[]}"#,
            r#"{"op":"subscribe","args":[{}]}"#,
        ] {
            let answer: Value = serde_json::from_str(&parse(text, "c").unwrap_err()).unwrap();
            assert_eq!(
                (&answer["event"], &answer["code"]),
                (&json!("error"), &json!("60012"))
            );
        }
    }

    proptest! {
        #[test]
        fn no_message_panics(text in any::<String>()) {
            let _ = parse(&text, "");
        }
    }
}
