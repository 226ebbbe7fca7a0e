//! Commands.

use super::DEPTH;
use crate::venue::codec::{Channel, Named};
use serde::Serialize;

/// The client's own sign of life.
pub(super) const PING: &str = r#"{"method":"ping"}"#;

#[derive(Serialize)]
struct Command<'a> {
    method: &'a str,
    params: Params<'a>,
    req_id: u64,
}

#[derive(Serialize)]
struct Params<'a> {
    channel: &'static str,
    symbol: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    depth: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_trigger: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot: Option<bool>,
}

/// One command for these streams, all of the channel of the first.
pub(super) fn command(method: &str, command: u64, streams: &[Named<'_>]) -> String {
    let channel = streams
        .first()
        .map_or(Channel::Book, |stream| stream.channel);
    let subscribes = method == "subscribe";
    let (word, depth, event_trigger, snapshot) = match channel {
        Channel::Book => ("book", Some(DEPTH), None, Some(true)),
        // Fires on every change of the best prices instead of on trades.
        Channel::Top => ("ticker", None, Some("bbo"), Some(true)),
        // The last fifty trades would only date the stream back.
        Channel::Trades => ("trade", None, None, Some(false)),
        Channel::Heartbeat => ("heartbeat", None, None, None),
    };
    let command = Command {
        method,
        params: Params {
            channel: word,
            symbol: streams.iter().map(|stream| stream.symbol).collect(),
            depth,
            event_trigger,
            snapshot: snapshot.filter(|_| subscribes),
        },
        req_id: command,
    };
    // Nothing in it can fail to be written.
    serde_json::to_string(&command).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn streams(channel: Channel) -> [Named<'static>; 2] {
        ["BTC/USD", "ETH/USD"].map(|symbol| Named { symbol, channel })
    }

    #[test]
    fn books_are_asked_for_with_their_depth_and_left_with_the_same() {
        assert_eq!(
            command("subscribe", 7, &streams(Channel::Book)),
            r#"{"method":"subscribe","params":{"channel":"book","symbol":["BTC/USD","ETH/USD"],"depth":10,"snapshot":true},"req_id":7}"#
        );
        assert_eq!(
            command("unsubscribe", 8, &streams(Channel::Book)),
            r#"{"method":"unsubscribe","params":{"channel":"book","symbol":["BTC/USD","ETH/USD"],"depth":10},"req_id":8}"#
        );
    }

    #[test]
    fn trades_come_without_those_of_the_past_and_tickers_on_every_change() {
        assert_eq!(
            command("subscribe", 1, &streams(Channel::Trades)),
            r#"{"method":"subscribe","params":{"channel":"trade","symbol":["BTC/USD","ETH/USD"],"snapshot":false},"req_id":1}"#
        );
        assert_eq!(
            command("subscribe", 2, &streams(Channel::Top)),
            r#"{"method":"subscribe","params":{"channel":"ticker","symbol":["BTC/USD","ETH/USD"],"event_trigger":"bbo","snapshot":true},"req_id":2}"#
        );
    }
}
