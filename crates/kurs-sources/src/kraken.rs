//! Kraken spot, WebSocket v2 and REST.
//!
//! Prices come from the book of depth 10: its checksum covers ten levels a side, so at that
//! depth it covers all of the book, and it is the only sign of a lost message that this venue
//! gives. A quiet book sends nothing at all; the heartbeat of the connection, about one a
//! second, speaks for the connection and for no symbol. Quiet symbols are therefore confirmed
//! by REST.
//!
//! | module | what it holds |
//! |---|---|
//! | `wire` | frames: envelopes, acknowledgements, trades, tickers |
//! | `book` | book messages, straight from the JSON text into changes |
//! | `number` | bare JSON numbers with every digit, and times |
//! | `subscribe` | commands |
//! | `rest` | listing and best prices |
//! | `names` | the venue's several names for one pair |

mod book;
mod names;
mod number;
mod rest;
mod subscribe;
mod wire;

use crate::venue::codec::{
    AnswerError, Channel, Codec, Facts, Heap, Listed, Named, PolledTop, Request, Symbols,
};
use kurs_book::Scheme;
use kurs_core::Pair;
use std::time::Duration;

/// Levels per side that are subscribed, and to which both sides are cut after every message:
/// the venue sends no removal for a level that is pushed out. One of 10, 25, 100, 500, 1000.
const DEPTH: usize = 10;

/// The language of Kraken.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kraken;

impl Kraken {
    /// The codec; it keeps nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Codec for Kraken {
    fn symbol(&self, pair: Pair) -> String {
        format!("{}/{}", pair.base, pair.quote)
    }

    fn channels(&self) -> Vec<(Channel, bool)> {
        vec![(Channel::Book, true), (Channel::Trades, false)]
    }

    fn subscribe(&self, command: u64, streams: &[Named<'_>]) -> String {
        subscribe::command("subscribe", command, streams)
    }

    fn unsubscribe(&self, command: u64, streams: &[Named<'_>]) -> String {
        subscribe::command("unsubscribe", command, streams)
    }

    fn keep_alive(&self) -> Option<String> {
        Some(subscribe::PING.to_owned())
    }

    fn read(&self, text: &str, symbols: &dyn Symbols, heap: &mut Heap) {
        wire::read(text, symbols, heap);
    }

    fn ask_listing(&self, symbols: &[String]) -> Vec<Request> {
        rest::ask_listing(symbols)
    }

    fn read_listing(&self, status: u16, body: &[u8]) -> Result<Vec<Listed>, AnswerError> {
        rest::read_listing(status, body)
    }

    fn ask_tops(&self, symbols: &[String]) -> Vec<Request> {
        rest::ask_tops(symbols)
    }

    fn read_tops(
        &self,
        request: &Request,
        status: u16,
        body: &[u8],
    ) -> Result<Vec<PolledTop>, AnswerError> {
        rest::read_tops(request, status, body)
    }

    fn facts(&self) -> Facts {
        Facts {
            name: "kraken",
            scheme: Scheme::KrakenChecksum,
            book_depth: Some(DEPTH),
            shares_book_ids: false,
            mixes_channels: false,
            // The venue advises one a minute.
            keep_alive: Some(Duration::from_secs(30)),
            repeats_after: None,
            top_from_book: true,
            streams_per_command: 50,
            // The limit is not published, and moves.
            commands_per_second: 4,
            streams_max: 1_000,
            connection_life: None,
            // A wrong checksum is mended by two commands; a snapshot takes up to 410 ms.
            resubscribe_pause: Duration::from_secs(1),
            refresh_book: None,
            // About one request a second and address, each of weight 1.
            weight_per_minute: 50,
        }
    }
}

#[cfg(test)]
mod tests;
