//! Streams by number, and the messages that subscribe them.

use kurs_core::Pair;
use kurs_net::StreamId;

/// What a stream carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Channel {
    BookTicker,
    Trade,
}

impl Channel {
    const fn suffix(self) -> &'static str {
        match self {
            Self::BookTicker => "bookTicker",
            Self::Trade => "trade",
        }
    }
}

/// The venue's word for a pair.
pub(super) fn symbol_of(pair: Pair) -> String {
    format!("{}{}", pair.base, pair.quote)
}

/// Stream number of a channel of the symbol with this index: two per symbol.
pub(super) const fn stream_id(index: u32, channel: Channel) -> StreamId {
    match channel {
        Channel::BookTicker => StreamId(index * 2),
        Channel::Trade => StreamId(index * 2 + 1),
    }
}

/// Index of the symbol and channel of a stream number.
pub(super) const fn channel_of(stream: StreamId) -> (u32, Channel) {
    let channel = if stream.0.is_multiple_of(2) {
        Channel::BookTicker
    } else {
        Channel::Trade
    };
    (stream.0 / 2, channel)
}

/// One command naming these streams: (symbol, channel).
pub(super) fn command(method: &str, id: u64, streams: &[(String, Channel)]) -> String {
    let names: Vec<String> = streams
        .iter()
        .map(|(symbol, channel)| format!("\"{}@{}\"", symbol.to_lowercase(), channel.suffix()))
        .collect();
    format!(
        r#"{{"method":"{method}","params":[{}],"id":{id}}}"#,
        names.join(",")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_names_lower_case_streams() {
        let streams = [
            ("BTCUSDT".to_owned(), Channel::BookTicker),
            ("ETHBTC".to_owned(), Channel::Trade),
        ];
        assert_eq!(
            command("SUBSCRIBE", 3, &streams),
            r#"{"method":"SUBSCRIBE","params":["btcusdt@bookTicker","ethbtc@trade"],"id":3}"#
        );
    }

    #[test]
    fn stream_numbers_tell_symbol_and_channel() {
        for index in [0, 1, 500] {
            for channel in [Channel::BookTicker, Channel::Trade] {
                assert_eq!(channel_of(stream_id(index, channel)), (index, channel));
            }
        }
    }
}
