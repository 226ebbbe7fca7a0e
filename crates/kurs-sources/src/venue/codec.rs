//! What tells one streaming venue from another: its words, its ids, its requests. A codec is
//! pure. It opens nothing, waits for nothing and reads no clock; the runtime beside it
//! (connections, books, silence, polling) is the same for all venues.

use kurs_book::{Change, Ids, Kind};
use kurs_core::{Pair, Price, Wall};
use rust_decimal::Decimal;
use std::ops::Range;

/// What a stream carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// Best bid and ask.
    Top,
    /// The order book.
    Book,
    /// Trades: they date the stream, and may rest for hours.
    Trades,
    /// A sign of life of one symbol, where the venue has one.
    Heartbeat,
}

impl Channel {
    /// All channels, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Top, Self::Book, Self::Trades, Self::Heartbeat];
}

/// Finds followed symbols by the venue's word.
pub trait Symbols {
    /// Number of a followed symbol.
    fn find(&self, name: &str) -> Option<u32>;
}

/// A best price and what is offered there, if the venue says.
pub type Offer = (Price, Option<Decimal>);

/// One thing that a frame says. `symbol` is the number [`Symbols::find`] gave.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// Best bid and ask; the runtime refuses what is crossed.
    Top {
        /// Whose.
        symbol: u32,
        /// Best bid and what is offered there.
        bid: Offer,
        /// Best ask and what is offered there.
        ask: Offer,
        /// The venue's id of this change, rising per symbol and the same on every connection;
        /// `None` where it has none.
        id: Option<u64>,
        /// When the venue says it was true.
        at: Option<Wall>,
    },
    /// The venue says that there is no best bid or no best ask.
    NoTop {
        /// Whose.
        symbol: u32,
    },
    /// A message about a book.
    Book {
        /// Whose.
        symbol: u32,
        /// Replace or change.
        kind: Kind,
        /// Its place among the others.
        ids: Ids,
        /// The venue's checksum, if it is to be verified.
        checksum: Option<u32>,
        /// Where its levels are in [`Heap::changes`].
        changes: Range<usize>,
        /// When the venue says it was true.
        at: Option<Wall>,
    },
    /// A trade.
    Trade {
        /// Whose.
        symbol: u32,
        /// The venue's id, rising per symbol.
        id: u64,
        /// Its price.
        price: Price,
        /// When the venue says it happened.
        traded_at: Wall,
        /// When the venue sent the frame.
        sent_at: Wall,
    },
    /// The symbol is alive on this channel, although nothing changed.
    Alive {
        /// Whose.
        symbol: u32,
        /// Where.
        channel: Channel,
    },
    /// The connection is alive; of the symbols this says nothing.
    Heartbeat,
    /// A whole command was accepted.
    Accepted {
        /// Its number; `None` where the venue names none and answers in order.
        command: Option<u64>,
    },
    /// A whole command was refused.
    Refused {
        /// Its number; `None` where the venue names none and answers in order.
        command: Option<u64>,
        /// The venue's words, shortened.
        why: String,
    },
    /// One stream was refused, whichever command asked for it.
    StreamRefused {
        /// Whose.
        symbol: u32,
        /// Which.
        channel: Channel,
        /// The venue's words, shortened.
        why: String,
    },
    /// The venue will close the connection soon.
    ShutdownNotice,
    /// The venue as a whole takes no orders or is in maintenance; its prices mean nothing.
    Halted {
        /// The venue's word.
        why: String,
    },
    /// Known and of no interest, or of a symbol that is not followed.
    Other,
    /// About a followed symbol and readable, but impossible: a price of zero, a negative size.
    Impossible {
        /// Whose.
        symbol: u32,
        /// On which channel: a book that missed a message must be asked for again.
        channel: Channel,
    },
    /// Not a frame of this venue.
    Unreadable,
}

/// What a frame says, in vectors that are used again for every frame.
#[derive(Debug, Default)]
pub struct Heap {
    /// Statements in the order of the frame; at least one per frame.
    pub said: Vec<Said>,
    /// Levels of the book messages among them.
    pub changes: Vec<Change>,
}

impl Heap {
    /// Empties both vectors.
    pub fn clear(&mut self) {
        self.said.clear();
        self.changes.clear();
    }
}

/// One stream to be subscribed or unsubscribed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named<'a> {
    /// The venue's word.
    pub symbol: &'a str,
    /// What of it.
    pub channel: Channel,
}

/// One GET of the venue's REST interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Path and query below the base URL, beginning with a slash.
    pub path: String,
    /// What it costs of the venue's budget, in the venue's own unit.
    pub weight: u32,
}

/// Why an answer holds no data, named by what can be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// One of the symbols is unknown to the venue; ask for fewer at a time.
    #[error("a symbol is not traded there")]
    BadSymbol,
    /// Too many requests: wait, for the time named if one is.
    #[error("the venue asks for fewer requests")]
    Limited {
        /// Seconds to wait, if the body says.
        retry_after_s: Option<u64>,
    },
    /// The venue's own words for anything else, shortened.
    #[error("{0}")]
    Refused(String),
    /// Not an answer of this venue.
    #[error("the answer cannot be read")]
    Unreadable,
}

/// A symbol as the venue lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The venue's word, as [`Codec::symbol`] gives it.
    pub symbol: String,
    /// The pair it means, where the venue says so apart from the symbol: `BTCUSDT` alone could
    /// be several.
    pub pair: Option<Pair>,
    /// True when it can be traded now.
    pub trades: bool,
}

/// A best price by REST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolledTop {
    /// The venue's word, as [`Codec::symbol`] gives it.
    pub symbol: String,
    /// Best bid and ask with what is offered there; `None` when the venue has none.
    pub sides: Option<(Offer, Offer)>,
}

/// A language of one venue.
pub trait Codec: Send + Sync + 'static {
    /// The venue's word for a pair.
    fn symbol(&self, pair: Pair) -> String;

    /// The channels that are followed for every symbol, each with whether its silence says
    /// something.
    fn channels(&self) -> Vec<(Channel, bool)>;

    /// Text that subscribes these streams, all of one channel unless
    /// [`Facts::mixes_channels`].
    fn subscribe(&self, command: u64, streams: &[Named<'_>]) -> String;

    /// Text that unsubscribes these streams.
    fn unsubscribe(&self, command: u64, streams: &[Named<'_>]) -> String;

    /// The venue's word for a ping, where it has one: sent every [`Facts::keep_alive`], and when
    /// the connection has gone quiet. Its answer is [`Said::Heartbeat`].
    fn keep_alive(&self) -> Option<String>;

    /// Reads a frame. Adds at least one statement, never panics, and takes memory in
    /// proportion to the frame only.
    fn read(&self, text: &str, symbols: &dyn Symbols, heap: &mut Heap);

    /// Requests that tell which of these symbols are traded. They may tell of more.
    fn ask_listing(&self, symbols: &[String]) -> Vec<Request>;

    /// Reads an answer about the listing. Symbols that were asked for and are absent are not
    /// traded.
    ///
    /// # Errors
    /// [`AnswerError`] when it holds no listing.
    fn read_listing(&self, status: u16, body: &[u8]) -> Result<Vec<Listed>, AnswerError>;

    /// Requests that bring the best prices of these symbols. They may bring more.
    fn ask_tops(&self, symbols: &[String]) -> Vec<Request>;

    /// Reads an answer with best prices. `request` is the one it answers.
    ///
    /// # Errors
    /// [`AnswerError`] when it holds no prices.
    fn read_tops(
        &self,
        request: &Request,
        status: u16,
        body: &[u8],
    ) -> Result<Vec<PolledTop>, AnswerError>;

    /// The request for a book's snapshot, for venues that send none in the stream.
    fn ask_book(&self, symbol: &str) -> Option<Request> {
        let _ = symbol;
        None
    }

    /// Reads a snapshot into `changes`.
    ///
    /// # Errors
    /// [`AnswerError`] when it holds no book.
    fn read_book(
        &self,
        status: u16,
        body: &[u8],
        changes: &mut Vec<Change>,
    ) -> Result<Ids, AnswerError> {
        let _ = (status, body, changes);
        Err(AnswerError::Unreadable)
    }

    /// What else the runtime must know.
    fn facts(&self) -> Facts;
}

/// Facts of a venue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Name of the source: `kraken`.
    pub name: &'static str,
    /// How its books are kept in step.
    pub scheme: kurs_book::Scheme,
    /// Levels per side that the stream carries; levels beyond are cut. `None`: all.
    pub book_depth: Option<usize>,
    /// True when book messages of two connections may be mixed, since their ids are the same.
    pub shares_book_ids: bool,
    /// True when a subscribe message may name several channels.
    pub mixes_channels: bool,
    /// How often the client must speak.
    pub keep_alive: Option<std::time::Duration>,
    /// How often an unchanged top is said again; `None` when it is not, so that a quiet symbol
    /// must be confirmed by other means (heartbeat, REST).
    pub repeats_after: Option<std::time::Duration>,
    /// True when best prices come from the book: there is no channel of their own.
    pub top_from_book: bool,
    /// Streams named in one subscribe message.
    pub streams_per_command: usize,
    /// Messages a connection may send per second, below the venue's own limit.
    pub commands_per_second: u32,
    /// Streams on one connection.
    pub streams_max: usize,
    /// Longest connection before it is replaced, if the venue cuts it.
    pub connection_life: Option<std::time::Duration>,
    /// Least time between two subscriptions of the same stream, so that a book that will not
    /// hold does not use up the venue's limit.
    pub resubscribe_pause: std::time::Duration,
    /// How long a book without ids or checksum is trusted before it is asked for anew.
    pub refresh_book: Option<std::time::Duration>,
    /// Budget of REST requests: weight per minute that is used at most.
    pub weight_per_minute: u32,
}
