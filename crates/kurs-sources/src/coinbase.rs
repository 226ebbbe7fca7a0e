//! Coinbase Exchange (not Advanced Trade, which shares nothing with it but the name): order
//! books by `level2_batch`, trades, and a heartbeat per product.
//!
//! | module | what it holds |
//! |---|---|
//! | `wire` | frames as the venue writes them, read in one pass |
//! | `frame` | what a frame says, once it is read |
//! | `time` | times of the venue, which may be nonsense |
//! | `rest` | which products trade, best prices one by one |
//!
//! `level2_batch` carries neither number nor checksum, so a lost frame cannot be seen in the
//! book; [`Facts::refresh_book`] bounds how long such a loss can last. The best price is taken
//! from the book: `ticker` speaks on trades only, and so lags behind whenever nobody trades.

mod frame;
mod rest;
mod time;
mod wire;

use crate::venue::codec::{
    AnswerError, Channel, Codec, Facts, Heap, Listed, Named, PolledTop, Request, Symbols,
};
use kurs_book::Scheme;
use kurs_core::Pair;
use serde_json::{Value, json};
use std::time::Duration;

/// The language of Coinbase Exchange.
#[derive(Debug, Clone, Copy, Default)]
pub struct Coinbase;

impl Coinbase {
    /// The codec; it holds nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

/// The venue's word for a channel.
const fn channel_name(channel: Channel) -> &'static str {
    match channel {
        Channel::Top => "ticker",
        // `level2`, of the same shapes and not held back for 50 ms, needs a login since 2023.
        Channel::Book => "level2_batch",
        Channel::Trades => "matches",
        Channel::Heartbeat => "heartbeat",
    }
}

fn command(kind: &str, streams: &[Named<'_>]) -> String {
    let channels: Vec<Value> = Channel::ALL
        .into_iter()
        .filter_map(|channel| {
            let products: Vec<&str> = streams
                .iter()
                .filter(|stream| stream.channel == channel)
                .map(|stream| stream.symbol)
                .collect();
            let name = channel_name(channel);
            (!products.is_empty()).then(|| json!({ "name": name, "product_ids": products }))
        })
        .collect();
    json!({ "type": kind, "channels": channels }).to_string()
}

impl Codec for Coinbase {
    fn symbol(&self, pair: Pair) -> String {
        pair.to_string()
    }

    fn channels(&self) -> Vec<(Channel, bool)> {
        vec![
            (Channel::Book, false),
            (Channel::Heartbeat, true),
            (Channel::Trades, false),
        ]
    }

    /// The venue answers with a list of everything that is subscribed, never with the command's
    /// number, so the number is not sent.
    fn subscribe(&self, _: u64, streams: &[Named<'_>]) -> String {
        command("subscribe", streams)
    }

    fn unsubscribe(&self, _: u64, streams: &[Named<'_>]) -> String {
        command("unsubscribe", streams)
    }

    fn keep_alive(&self) -> Option<String> {
        None
    }

    fn read(&self, text: &str, symbols: &dyn Symbols, heap: &mut Heap) {
        wire::read(text, symbols, heap);
    }

    /// The venue lists all products in one answer.
    fn ask_listing(&self, _: &[String]) -> Vec<Request> {
        vec![rest::listing()]
    }

    fn read_listing(&self, status: u16, body: &[u8]) -> Result<Vec<Listed>, AnswerError> {
        rest::read_listing(status, body)
    }

    fn ask_tops(&self, symbols: &[String]) -> Vec<Request> {
        symbols.iter().map(|symbol| rest::top(symbol)).collect()
    }

    fn read_tops(
        &self,
        request: &Request,
        status: u16,
        body: &[u8],
    ) -> Result<Vec<PolledTop>, AnswerError> {
        rest::read_top(request, status, body)
    }

    fn facts(&self) -> Facts {
        Facts {
            name: "coinbase",
            scheme: Scheme::Unverifiable,
            book_depth: None,
            shares_book_ids: false,
            mixes_channels: true,
            keep_alive: None,
            repeats_after: None,
            top_from_book: true,
            // Five products with their three channels. One bad name spoils the whole message, of
            // which the others are then asked for one by one.
            streams_per_command: 15,
            commands_per_second: 8,
            // The venue names no limit. Every product costs a frame per 50 ms, and a slow
            // reader is cut off.
            streams_max: 900,
            connection_life: None,
            resubscribe_pause: Duration::from_secs(1),
            refresh_book: Some(Duration::from_secs(600)),
            // 8 requests per second; the venue takes 10.
            weight_per_minute: 480,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_group_the_products_by_channel() {
        let named = |symbol, channel| Named { symbol, channel };
        let streams = [
            named("BTC-USD", Channel::Book),
            named("BTC-USD", Channel::Heartbeat),
            named("ETH-USD", Channel::Book),
        ];
        let text = Coinbase::new().subscribe(7, &streams);
        assert_eq!(
            text,
            r#"{"channels":[{"name":"level2_batch","product_ids":["BTC-USD","ETH-USD"]},{"name":"heartbeat","product_ids":["BTC-USD"]}],"type":"subscribe"}"#
        );
        let text = Coinbase::new().unsubscribe(8, &streams[2..]);
        assert_eq!(
            text,
            r#"{"channels":[{"name":"level2_batch","product_ids":["ETH-USD"]}],"type":"unsubscribe"}"#
        );
    }

    #[test]
    fn no_channel_that_needs_a_login_is_asked_for() {
        for channel in Channel::ALL {
            assert!(!["level2", "level3", "full"].contains(&channel_name(channel)));
        }
    }

    #[test]
    fn a_pair_is_written_with_a_dash() {
        let pair = Pair::parse("BTC-USD").unwrap();
        assert_eq!(Coinbase::new().symbol(pair), "BTC-USD");
    }
}
