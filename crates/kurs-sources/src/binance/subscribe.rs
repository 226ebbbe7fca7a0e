//! Names of streams, and the messages that subscribe them.

use crate::venue::codec::{Channel, Named};

/// The venue's word for a channel; none for what it has not.
const fn suffix(channel: Channel) -> Option<&'static str> {
    match channel {
        Channel::Top => Some("bookTicker"),
        Channel::Book => Some("depth@100ms"),
        Channel::Trades => Some("trade"),
        Channel::Heartbeat => None,
    }
}

/// One command naming these streams.
pub(super) fn command(method: &str, id: u64, streams: &[Named<'_>]) -> String {
    let names: Vec<String> = streams
        .iter()
        .filter_map(|stream| Some((stream.symbol.to_lowercase(), suffix(stream.channel)?)))
        .map(|(symbol, suffix)| format!("\"{symbol}@{suffix}\""))
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
        let named = |symbol, channel| Named { symbol, channel };
        let streams = [
            named("BTCUSDT", Channel::Top),
            named("ETHBTC", Channel::Trades),
            named("ETHBTC", Channel::Book),
        ];
        assert_eq!(
            command("SUBSCRIBE", 3, &streams),
            r#"{"method":"SUBSCRIBE","params":["btcusdt@bookTicker","ethbtc@trade","ethbtc@depth@100ms"],"id":3}"#
        );
    }
}
