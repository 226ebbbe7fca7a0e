//! Which streams an error is about. The venue says so in its sentence only:
//! `Wrong URL or channel:books,instId:X-Y doesn't exist` (60018), or by repeating the request
//! (60012).

use super::subscribe::channel;
use crate::levels::shortened;
use crate::venue::codec::{Channel, Said, Symbols};

/// Streams named by one error; the sentence is the venue's, so its length is not ours.
const STREAMS_MAX: usize = 100;

/// Adds a refusal for every followed stream that the sentence names. True when there was one.
pub(super) fn streams(message: &str, symbols: &dyn Symbols, said: &mut Vec<Said>) -> bool {
    let before = said.len();
    let mut head = "";
    for part in message.split("instId").take(STREAMS_MAX + 1) {
        // What stands before `instId` names the channel, what follows it the instrument.
        if !head.is_empty()
            && let Some(symbol) = symbols.find(value(part))
        {
            for channel in channels(head) {
                let why = shortened(message);
                said.push(Said::StreamRefused {
                    symbol,
                    channel,
                    why,
                });
            }
        }
        head = part;
    }
    said.len() > before
}

/// The channel named last; all that can be followed where none is.
fn channels(text: &str) -> Vec<Channel> {
    match text.rsplit_once("channel") {
        Some((_, rest)) => channel(value(rest)).into_iter().collect(),
        None => vec![Channel::Top, Channel::Book, Channel::Trades],
    }
}

/// The word that follows, behind whatever separates it from its name: `:`, `":"`, `\" : \"`.
fn value(text: &str) -> &str {
    let text = text.trim_start_matches(|letter: char| !letter.is_ascii_alphanumeric());
    let end = text.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-');
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spoken::Names;

    const TWO: Names = Names(&["BTC-USDT", "X-USDT"]);

    fn named(message: &str) -> Vec<(u32, Channel)> {
        let mut said = Vec::new();
        streams(message, &TWO, &mut said);
        said.into_iter()
            .map(|said| match said {
                Said::StreamRefused {
                    symbol, channel, ..
                } => (symbol, channel),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn the_stream_is_found_in_the_sentence() {
        for message in [
            "Wrong URL or channel:books,instId:X-USDT doesn't exist. Please use the correct URL, channel and parameters referring to API document.",
            "channel:books,instId:X-USDT doesn't exist",
            r#"Invalid request: {"op": "subscribe", "args":[{ "channel" : "books", "instId" : "X-USDT"}]}"#,
        ] {
            assert_eq!(named(message), [(1, Channel::Book)], "{message}");
        }
    }

    #[test]
    fn each_of_several_streams_is_found_with_its_own_channel() {
        let message = r#"{"op":"subscribe","args":[{"channel":"bbo-tbt","instId":"BTC-USDT"},{"channel":"books5","instId":"BTC-USDT"},{"channel":"trades","instId":"X-USDT"}]}"#;
        assert_eq!(named(message), [(0, Channel::Top), (1, Channel::Trades)]);
    }

    #[test]
    fn a_sentence_that_names_no_followed_stream_refuses_none() {
        for message in [
            "",
            "instId",
            "channel:books,instId:",
            "channel:books,instId:Y-USDT doesn't exist",
            "Wrong URL or channel:candle1m,instId:BTC-USDT doesn't exist",
            "requests too frequent",
        ] {
            assert!(named(message).is_empty(), "{message}");
        }
    }

    #[test]
    fn an_instrument_without_a_channel_is_refused_on_all() {
        assert_eq!(named("bad instId:X-USDT").len(), 3);
    }

    #[test]
    fn a_long_sentence_is_not_followed_to_its_end() {
        let message = "channel:books,instId:X-USDT ".repeat(10_000);
        assert!(named(&message).len() <= STREAMS_MAX);
    }
}
