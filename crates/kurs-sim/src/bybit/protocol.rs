//! Requests of v5 public spot and the answers to them.

use crate::exchange::feed::{Subject, Topic, Trigger};
use serde_json::{Value, json};

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Request {
    Ping,
    Subscribe(Vec<String>),
    Unsubscribe(Vec<String>),
}

impl Request {
    const fn op(&self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Subscribe(_) => "subscribe",
            Self::Unsubscribe(_) => "unsubscribe",
        }
    }
}

/// Arguments a request may have.
pub(crate) const ARGS_MAX: usize = 10;
/// Characters all arguments of a connection may have together.
pub(crate) const ARGS_CHARS_MAX: usize = 21_000;

/// Who is answered.
#[derive(Debug, Clone)]
pub(crate) struct Reference {
    pub(crate) req_id: Option<String>,
    pub(crate) connection: String,
}

impl Reference {
    fn answer(&self, success: bool, message: &str, op: &str) -> String {
        let req_id = self
            .req_id
            .as_ref()
            .map_or_else(String::new, |id| format!(r#""req_id":{},"#, json!(id)));
        format!(
            r#"{{"success":{success},"ret_msg":{},"conn_id":"{}",{req_id}"op":"{op}"}}"#,
            json!(message),
            self.connection,
        )
    }

    /// The request is done.
    pub(crate) fn done(&self, request: &Request) -> String {
        let message = match request {
            Request::Ping => "pong",
            other => other.op(),
        };
        self.answer(true, message, request.op())
    }

    /// The whole request is refused.
    pub(crate) fn refused(&self, request: &Request, why: &str) -> String {
        self.answer(false, why, request.op())
    }
}

/// Reads one text message, from the connection of this name. The error is the frame that answers
/// it.
pub(crate) fn parse(text: &str, connection: &str) -> Result<(Request, Reference), String> {
    let mut reference = Reference {
        req_id: None,
        connection: connection.to_owned(),
    };
    let Ok(message) = serde_json::from_str::<Value>(text) else {
        return Err(reference.answer(false, "Params Error", ""));
    };
    reference.req_id = message
        .get("req_id")
        .and_then(Value::as_str)
        .map(|id| id.chars().take(64).collect());
    let args: Vec<String> = message
        .get("args")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
        .iter()
        .filter_map(|arg| arg.as_str().map(str::to_owned))
        .collect();
    let request = match message.get("op").and_then(Value::as_str) {
        Some("ping") => return Ok((Request::Ping, reference)),
        Some("subscribe") => Request::Subscribe(args),
        Some("unsubscribe") => Request::Unsubscribe(args),
        _ => return Err(reference.answer(false, "error:op not found", "")),
    };
    match &request {
        Request::Subscribe(args) | Request::Unsubscribe(args) if args.is_empty() => {
            Err(reference.refused(&request, "error:args is empty"))
        }
        Request::Subscribe(args) | Request::Unsubscribe(args) if args.len() > ARGS_MAX => {
            Err(reference.refused(&request, "args size >10"))
        }
        _ => Ok((request, reference)),
    }
}

/// The topic of an argument such as `orderbook.50.BTCUSDT`. `repeat_ms`: see
/// [`crate::config::BybitHabits::repeat_after_ms`].
pub(crate) fn topic(arg: &str, repeat_ms: u64) -> Option<Topic> {
    let book = |depth| Subject::Book {
        depth,
        cut_by_client: false,
    };
    let (channel, symbol) = arg.rsplit_once('.')?;
    let (subject, every_ms, repeat_ms) = match channel {
        "orderbook.1" => (Subject::Best { depth: 1 }, 10, Some(repeat_ms)),
        "orderbook.50" => (book(50), 20, None),
        "orderbook.200" => (book(200), 100, None),
        "orderbook.1000" => (book(1_000), 200, None),
        "tickers" => (Subject::Ticker(Trigger::Any), 50, None),
        "publicTrade" => (Subject::Trades, 10, None),
        _ => return None,
    };
    Some(Topic {
        stream: arg.into(),
        channel: channel.into(),
        symbol: symbol.into(),
        subject,
        every_ms,
        repeat_ms,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn eleven_arguments_are_one_too_many() {
        let text = |count: usize| {
            let args = vec!["tickers.BTCUSDT"; count];
            json!({"op": "subscribe", "args": args, "req_id": "1"}).to_string()
        };
        assert!(parse(&text(10), "c").is_ok());
        let refused: Value = serde_json::from_str(&parse(&text(11), "c").unwrap_err()).unwrap();
        assert_eq!(
            refused,
            json!({"success":false,"ret_msg":"args size >10","conn_id":"c","req_id":"1","op":"subscribe"})
        );
    }

    #[test]
    fn topics_are_read_and_old_words_are_not() {
        assert_eq!(topic("orderbook.50.BTCUSDT", 0).unwrap().depth(), 50);
        assert_eq!(&*topic("tickers.ETHUSDT", 0).unwrap().symbol, "ETHUSDT");
        for arg in [
            "orderBookL2_25.BTCUSDT",
            "orderbook.25.BTCUSDT",
            "tickers",
            "",
        ] {
            assert!(topic(arg, 0).is_none(), "{arg}");
        }
    }

    proptest! {
        #[test]
        fn no_message_panics(text in any::<String>()) {
            let _ = parse(&text, "");
            let _ = topic(&text, 0);
        }
    }
}
