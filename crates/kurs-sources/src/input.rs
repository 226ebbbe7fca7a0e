//! The one door into a source. Whatever changes what a source knows goes through
//! [`Machine::take`] with its time: what the user wants, what the venue said by which way, and
//! that time has passed. A recorder taps the door, and a replay drives the same code through it.
//!
//! A machine reads no clock, opens nothing and draws no random numbers: the same inputs at the
//! same times give the same events.

use crate::book::BookView;
use crate::protocol::{Received, Refusal};
use crate::stats::SourceStats;
use crate::venue::codec::{AnswerError, Request};
use kurs_core::{Mono, Now, Pair, SourceId};
use kurs_net::Heard;
use kurs_net::http::{FetchError, Fetched};

/// Something a source is told.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// Time has passed. Comes about every 100 ms.
    Time,

    // ---- to streaming venues ----
    /// These pairs are wanted from now on, and no others.
    Wanted {
        /// All of them.
        pairs: &'a [Pair],
    },
    /// The venue's listing was looked up.
    Listed {
        /// Which pair.
        pair: Pair,
        /// Whether it is traded; `None` when the venue could not be asked.
        listed: Option<bool>,
    },
    /// A frame arrived.
    Frame {
        /// Number of the connection; grows with every attempt.
        connection: u64,
        /// As it was sent.
        text: &'a str,
    },
    /// First data after the start or after [`Input::Down`].
    Live {
        /// Over which connection.
        connection: u64,
    },
    /// No connection speaks any more, or an attempt failed while none spoke.
    Down {
        /// One phrase for people.
        why: &'a str,
        /// True when the connection was open to the last and only brought nothing.
        silent: bool,
    },
    /// No more frames come over this connection.
    Ended {
        /// Its number.
        connection: u64,
        /// Every connection with a lower number than this has ended.
        oldest_open: u64,
    },
    /// A successor took over from a connection that still spoke.
    Renewed {
        /// Number of the old connection.
        from: u64,
        /// Number of the new one.
        to: u64,
    },
    /// The venue answered a request for best prices.
    Tops {
        /// The request.
        request: &'a Request,
        /// When it was sent.
        sent_at: Mono,
        /// HTTP status.
        status: u16,
        /// The body.
        body: &'a [u8],
    },
    /// A request for best prices was not answered, or not sent.
    TopsFailed {
        /// One phrase for people.
        why: &'a str,
        /// True when the venue is shut to us for a while.
        shut: bool,
    },
    /// The venue answered a request for a book.
    Book {
        /// The venue's word for whose.
        symbol: &'a str,
        /// HTTP status.
        status: u16,
        /// The body.
        body: &'a [u8],
    },
    /// A request for a book was not answered.
    BookFailed {
        /// The venue's word for whose.
        symbol: &'a str,
        /// One phrase for people.
        why: &'a str,
    },

    // ---- to polled sources ----
    /// The next request is made.
    Asked,
    /// The latest request was answered, or failed.
    Reply {
        /// Where the request went, without query, so without anything secret.
        url: &'a str,
        /// What came.
        answer: &'a Result<Fetched, FetchError>,
    },
}

/// What a machine wants of its surroundings after an input. A replay has none and ignores it.
#[derive(Debug, Default)]
pub struct Wishes {
    /// What connections have to know, each with its number.
    pub heard: Vec<(u64, Heard)>,
    /// The streams to be carried may have changed.
    pub streams: bool,
    /// Best prices should be asked for at once.
    pub poll_now: bool,
    /// The listing should be looked up at once: something contradicts it.
    pub check_now: bool,
    /// The answer that was taken in holds no data.
    pub refused: Option<AnswerError>,
    /// What a polled source made of [`Input::Reply`].
    pub answered: Option<Result<Received, Refusal>>,
}

impl Wishes {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

/// The whole state of a source, without its sockets.
pub trait Machine: Send {
    /// Its name in answers.
    fn source(&self) -> SourceId;

    /// Its counters and state.
    fn stats(&self) -> &SourceStats;

    /// Takes one input. Events go to the sink the machine was built with.
    fn take(&mut self, now: Now, input: Input<'_>, wishes: &mut Wishes);

    /// Does what has become due.
    fn advance(&mut self, now: Now, wishes: &mut Wishes) {
        self.take(now, Input::Time, wishes);
    }

    /// The book of a pair, at most `levels` per side; `None` when the source keeps none of it.
    fn book(&self, pair: Pair, levels: usize) -> Option<BookView> {
        let _ = (pair, levels);
        None
    }
}

/// Sees every input of every source before the source does. Must not block.
pub trait Tap: Send + Sync {
    /// One input. Inputs of one source come in the order in which the source takes them.
    fn record(&self, source: SourceId, now: Now, input: &Input<'_>);
}
