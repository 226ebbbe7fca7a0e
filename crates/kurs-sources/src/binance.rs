//! Binance spot: best prices, trades and order books.
//!
//! | module | what it holds |
//! |---|---|
//! | `wire` | frames as the venue writes them |
//! | `quick` | the two frames that come in numbers, read without a JSON parser |
//! | `read` | frames in the words all venues share |
//! | `subscribe` | names of streams and subscribe messages |
//! | `rest` | which symbols trade, best prices, snapshots of books |
//!
//! Diffs of a book name the range of update ids they cover. The snapshot comes by REST and is
//! joined to them ([`Scheme::IdRange`]); the ids are the same on every connection, and
//! `bookTicker` carries them too.

mod quick;
mod read;
mod rest;
mod subscribe;
mod wire;

use crate::venue::codec::{
    AnswerError, Channel, Codec, Facts, Heap, Listed, Named, PolledTop, Request, Symbols,
};
use crate::venue::{config, sites};
use kurs_book::{Change, Ids, Scheme};
use kurs_core::Pair;
use std::time::Duration;

/// `sources.binance`.
pub type Config = config::Config<sites::Binance>;

/// The language of Binance spot.
#[derive(Debug, Clone, Copy, Default)]
pub struct Binance;

impl Binance {
    /// The codec; it keeps nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Codec for Binance {
    fn symbol(&self, pair: Pair) -> String {
        format!("{}{}", pair.base, pair.quote)
    }

    /// Where nothing changes nothing is sent, so the silence of a book says nothing; that its
    /// ids stay behind those of the best price does.
    fn channels(&self) -> Vec<(Channel, bool)> {
        vec![
            (Channel::Top, true),
            (Channel::Book, false),
            (Channel::Trades, false),
        ]
    }

    fn subscribe(&self, command: u64, streams: &[Named<'_>]) -> String {
        subscribe::command("SUBSCRIBE", command, streams)
    }

    fn unsubscribe(&self, command: u64, streams: &[Named<'_>]) -> String {
        subscribe::command("UNSUBSCRIBE", command, streams)
    }

    /// The venue pings; the client need not.
    fn keep_alive(&self) -> Option<String> {
        None
    }

    fn read(&self, text: &str, symbols: &dyn Symbols, heap: &mut Heap) {
        read::frame(text, symbols, heap);
    }

    fn ask_listing(&self, symbols: &[String]) -> Vec<Request> {
        vec![rest::listing(symbols)]
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

    fn ask_book(&self, symbol: &str) -> Option<Request> {
        Some(rest::book(symbol))
    }

    fn read_book(
        &self,
        status: u16,
        body: &[u8],
        changes: &mut Vec<Change>,
    ) -> Result<Ids, AnswerError> {
        rest::read_book(status, body, changes)
    }

    fn facts(&self) -> Facts {
        Facts {
            name: "binance",
            scheme: Scheme::IdRange,
            // The venue's own limit of a snapshot.
            book_depth: Some(5_000),
            shares_book_ids: true,
            mixes_channels: true,
            keep_alive: None,
            repeats_after: None,
            top_from_book: false,
            streams_per_command: 100,
            // The venue takes 5, pongs included.
            commands_per_second: 4,
            streams_max: 1_024,
            connection_life: Some(Duration::from_secs(24 * 3_600)),
            resubscribe_pause: Duration::from_secs(5),
            refresh_book: None,
            // The venue takes 6000.
            weight_per_minute: 4_800,
        }
    }
}
