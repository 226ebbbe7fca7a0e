//! OKX spot, WebSocket v5 and REST.
//!
//! Best prices come by `bbo-tbt` every 10 ms, books of 400 levels by `books` every 100 ms. Book
//! messages are chained: each names the `seqId` it follows, and the ids are the same on every
//! connection. The checksum that they also carry has been 0 since June 2026; where it is
//! another number (recordings, clones of the venue) it is verified.
//!
//! | module | what it holds |
//! |---|---|
//! | `wire` | frames: envelopes, events, tops, trades |
//! | `book` | book messages, straight from the JSON text into changes |
//! | `refusal` | which streams an error is about |
//! | `subscribe` | commands |
//! | `rest` | listing and best prices |

mod book;
mod refusal;
mod rest;
mod subscribe;
mod wire;

use crate::venue::codec::{
    AnswerError, Channel, Codec, Facts, Heap, Listed, Named, PolledTop, Request, Symbols,
};
use kurs_book::Scheme;
use kurs_core::Pair;
use std::time::Duration;

/// The language of OKX.
#[derive(Debug, Clone, Copy, Default)]
pub struct Okx;

impl Okx {
    /// The codec; it keeps nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Codec for Okx {
    fn symbol(&self, pair: Pair) -> String {
        format!("{}-{}", pair.base, pair.quote)
    }

    fn channels(&self) -> Vec<(Channel, bool)> {
        // A book speaks when its top does, and less often.
        vec![
            (Channel::Top, true),
            (Channel::Book, false),
            (Channel::Trades, false),
        ]
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
        _request: &Request,
        status: u16,
        body: &[u8],
    ) -> Result<Vec<PolledTop>, AnswerError> {
        rest::read_tops(status, body)
    }

    fn facts(&self) -> Facts {
        Facts {
            name: "okx",
            scheme: Scheme::ChainWithChecksum,
            // The venue sends the removals of levels that leave the window itself.
            book_depth: Some(400),
            shares_book_ids: true,
            mixes_channels: true,
            // Links without data for 30 s are closed.
            keep_alive: Some(Duration::from_secs(20)),
            // Unchanged tops and books are repeated about once a minute only.
            repeats_after: None,
            top_from_book: false,
            // 64 KB of channels per message; one takes 70 bytes with the longest symbol.
            streams_per_command: 300,
            commands_per_second: 3,
            streams_max: 900,
            connection_life: None,
            // 480 commands an hour and connection, two per resubscription: one book that will
            // not hold uses 450 of them.
            resubscribe_pause: Duration::from_secs(16),
            refresh_book: None,
            // 20 requests per 2 s are allowed.
            weight_per_minute: 120,
        }
    }
}

#[cfg(test)]
mod tests;
