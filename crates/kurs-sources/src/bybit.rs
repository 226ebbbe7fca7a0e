//! Bybit v5 spot: order books of 50 levels, best prices from the book of one level, trades.
//!
//! | module | what it holds |
//! |---|---|
//! | `wire`, `data` | frames as the venue writes them, read in one pass |
//! | `message` | what a frame about a followed stream says |
//! | `control` | answers to commands and pings |
//! | `rest` | which symbols trade, best prices of all at once |
//!
//! `u` counts the messages of one topic. Nothing says that it is the same number on two
//! connections, so best prices go without an id and books of two connections are not mixed. A
//! book of one level that does not change is repeated after 3 s: only silence beyond that says
//! something, whatever `silence_ms` is.

mod control;
mod data;
mod message;
mod rest;
mod wire;

use crate::venue::codec::{
    AnswerError, Channel, Codec, Facts, Heap, Listed, Named, PolledTop, Request, Symbols,
};
use kurs_book::Scheme;
use kurs_core::Pair;
use serde_json::json;
use std::time::Duration;

/// The language of Bybit spot.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bybit;

impl Bybit {
    /// The codec; it holds nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

fn command(kind: &str, command: u64, streams: &[Named<'_>]) -> String {
    let topics: Vec<String> = streams
        .iter()
        .filter_map(|stream| wire::topic_of(stream.channel, stream.symbol))
        .collect();
    json!({ "op": kind, "req_id": command.to_string(), "args": topics }).to_string()
}

impl Codec for Bybit {
    fn symbol(&self, pair: Pair) -> String {
        pair.to_string().replace('-', "")
    }

    fn channels(&self) -> Vec<(Channel, bool)> {
        vec![
            (Channel::Top, true),
            (Channel::Book, false),
            (Channel::Trades, false),
        ]
    }

    fn subscribe(&self, number: u64, streams: &[Named<'_>]) -> String {
        command("subscribe", number, streams)
    }

    fn unsubscribe(&self, number: u64, streams: &[Named<'_>]) -> String {
        command("unsubscribe", number, streams)
    }

    fn keep_alive(&self) -> Option<String> {
        Some(r#"{"op":"ping"}"#.to_owned())
    }

    fn read(&self, text: &str, symbols: &dyn Symbols, heap: &mut Heap) {
        wire::read(text, symbols, heap);
    }

    fn ask_listing(&self, symbols: &[String]) -> Vec<Request> {
        rest::listing(symbols)
    }

    fn read_listing(&self, status: u16, body: &[u8]) -> Result<Vec<Listed>, AnswerError> {
        rest::read_listing(status, body)
    }

    fn ask_tops(&self, symbols: &[String]) -> Vec<Request> {
        rest::tops(symbols)
    }

    fn read_tops(
        &self,
        _: &Request,
        status: u16,
        body: &[u8],
    ) -> Result<Vec<PolledTop>, AnswerError> {
        rest::read_tops(status, body)
    }

    fn facts(&self) -> Facts {
        Facts {
            name: "bybit",
            scheme: Scheme::Counter,
            book_depth: Some(50),
            shares_book_ids: false,
            mixes_channels: true,
            // The venue's advice; it drops clients that never ping.
            keep_alive: Some(Duration::from_secs(20)),
            repeats_after: Some(Duration::from_secs(3)),
            top_from_book: false,
            // Spot takes ten, and refuses the eleventh with the ten before it.
            streams_per_command: 10,
            commands_per_second: 8,
            // All topics of a connection together take 21,000 characters: 35 each, with quotes
            // and comma, which leaves symbols 19 on the average.
            streams_max: 600,
            connection_life: None,
            resubscribe_pause: Duration::from_secs(1),
            refresh_book: None,
            // The venue takes 600 per 5 s, and shuts an address out for 10 minutes beyond that.
            weight_per_minute: 600,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_names_its_topics_and_its_number() {
        let named = |symbol, channel| Named { symbol, channel };
        let streams = [
            named("BTCUSDT", Channel::Top),
            named("BTCUSDT", Channel::Book),
            named("ETHUSDT", Channel::Trades),
        ];
        assert_eq!(
            Bybit::new().subscribe(7, &streams),
            r#"{"args":["orderbook.1.BTCUSDT","orderbook.50.BTCUSDT","publicTrade.ETHUSDT"],"op":"subscribe","req_id":"7"}"#
        );
        assert_eq!(
            Bybit::new().unsubscribe(8, &streams[..1]),
            r#"{"args":["orderbook.1.BTCUSDT"],"op":"unsubscribe","req_id":"8"}"#
        );
    }

    #[test]
    fn a_full_connection_stays_within_the_venues_characters() {
        let facts = Bybit::new().facts();
        // The longest symbol the venue lists has 19 letters.
        let longest = wire::topic_of(Channel::Book, "1000000BABYDOGEUSDT").unwrap();
        assert!(facts.streams_max * (longest.len() + 3) <= 21_000);
        assert!(facts.streams_per_command <= 10);
    }

    #[test]
    fn a_pair_is_written_in_one_word() {
        let pair = Pair::parse("BTC-USDT").unwrap();
        assert_eq!(Bybit::new().symbol(pair), "BTCUSDT");
    }
}
