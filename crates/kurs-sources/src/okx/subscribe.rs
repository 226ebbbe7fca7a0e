//! Commands.

use crate::venue::codec::{Channel, Named};
use serde::Serialize;

/// The client's own sign of life: a text, not JSON.
pub(super) const PING: &str = "ping";

#[derive(Serialize)]
struct Command<'a> {
    /// A text of digits.
    id: String,
    op: &'a str,
    args: Vec<Arg<'a>>,
}

#[derive(Serialize)]
struct Arg<'a> {
    channel: &'static str,
    #[serde(rename = "instId")]
    symbol: &'a str,
}

/// One command for these streams.
pub(super) fn command(op: &str, command: u64, streams: &[Named<'_>]) -> String {
    let command = Command {
        id: command.to_string(),
        op,
        args: streams
            .iter()
            .map(|stream| Arg {
                channel: word(stream.channel),
                symbol: stream.symbol,
            })
            .collect(),
    };
    // Nothing in it can fail to be written.
    serde_json::to_string(&command).unwrap_or_default()
}

/// The channel that is subscribed; the venue has no sign of life of one symbol, so that the best
/// prices stand in.
const fn word(channel: Channel) -> &'static str {
    match channel {
        Channel::Top | Channel::Heartbeat => "bbo-tbt",
        Channel::Book => "books",
        Channel::Trades => "trades",
    }
}

/// What a channel of the venue carries. `books-l2-tbt` is for logged-in clients and speaks as
/// `books` does; it is read since recordings have it. `None`: of no interest.
pub(super) fn channel(word: &str) -> Option<Channel> {
    match word {
        "bbo-tbt" => Some(Channel::Top),
        "books" | "books-l2-tbt" => Some(Channel::Book),
        "trades" => Some(Channel::Trades),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_names_streams_of_several_channels() {
        let stream = |symbol, channel| Named { symbol, channel };
        let streams = [
            stream("BTC-USDT", Channel::Top),
            stream("BTC-USDT", Channel::Book),
            stream("ETH-USDT", Channel::Trades),
        ];
        assert_eq!(
            command("subscribe", 1_512, &streams),
            r#"{"id":"1512","op":"subscribe","args":[{"channel":"bbo-tbt","instId":"BTC-USDT"},{"channel":"books","instId":"BTC-USDT"},{"channel":"trades","instId":"ETH-USDT"}]}"#
        );
    }

    #[test]
    fn the_longest_command_is_shorter_than_the_venue_allows() {
        let symbol = "ABCDEFGHIJKLMNOP-ABCDEFGHIJKLMNOP";
        let streams = [Named {
            symbol,
            channel: Channel::Top,
        }; 300];
        assert!(command("unsubscribe", u64::MAX, &streams).len() < 64_000);
    }

    #[test]
    fn channels_that_are_subscribed_are_read() {
        for known in [Channel::Top, Channel::Book, Channel::Trades] {
            assert_eq!(channel(word(known)), Some(known));
        }
        assert_eq!(channel("books5"), None);
    }
}
