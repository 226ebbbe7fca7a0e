//! What a meta line says, and how every input of a source becomes a line.

mod failures;
mod inputs;

use inputs::record;
pub use inputs::{fetched, record_of};

use super::line::{Direction, FORMAT};
use super::queue::Record;
use kurs_core::{Now, Pair, SourceId, Wall};
use serde::{Deserialize, Serialize};

/// What a meta line says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Words {
    /// The first line of every file.
    Head {
        /// Version of the format.
        format: u32,
        /// Version of the program that recorded.
        #[serde(default)]
        kurs: String,
        /// When recording began; the same in all files of one recording.
        started: Wall,
        /// Number of the file within the recording, from 1.
        #[serde(default)]
        part: u32,
        /// Sources that were on.
        #[serde(default)]
        sources: Vec<String>,
        /// Pairs that were followed at the start.
        #[serde(default)]
        pairs: Vec<String>,
        /// Pairs that were always priced.
        #[serde(default)]
        directions: Vec<String>,
        /// True when the venues were simulated.
        #[serde(default)]
        simulated: bool,
    },
    /// So many records were lost here: the disk was too slow.
    Gap {
        /// How many.
        lost: u64,
    },
    /// The source was told to follow these pairs and no others.
    Wanted {
        /// All of them.
        pairs: Vec<Pair>,
    },
    /// The listing of the venue was looked up.
    Listed {
        /// Which pair.
        pair: Pair,
        /// Whether it is traded; `null` when the venue could not be asked.
        listed: Option<bool>,
    },
    /// First data after the start or a loss.
    Live {
        /// Over which connection.
        connection: u64,
    },
    /// No connection speaks any more.
    Down {
        /// One phrase for people.
        why: String,
        /// True when it was open to the last and only brought nothing.
        silent: bool,
    },
    /// No more frames come over this connection.
    Ended {
        /// Its number.
        connection: u64,
        /// Every connection with a lower number has ended.
        oldest_open: u64,
    },
    /// A successor took over.
    Renewed {
        /// From this connection
        from: u64,
        /// to this one.
        to: u64,
    },
    /// A request for best prices failed.
    TopsFailed {
        /// One phrase for people.
        why: String,
        /// True when the venue is shut to us for a while.
        shut: bool,
    },
    /// A request for a book failed.
    BookFailed {
        /// The venue's word for whose.
        symbol: String,
        /// One phrase for people.
        why: String,
    },
    /// A polled source made its next request.
    Asked,
    /// A request of a polled source failed.
    ReplyFailed {
        /// Scheme and host of where it went.
        url: String,
        /// What happened.
        failure: Failure,
    },
}

/// What must be known of a REST answer besides its body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "for", rename_all = "snake_case")]
pub enum Head {
    /// Best prices were asked for.
    Tops {
        /// Cost of the request in the venue's unit.
        weight: u32,
        /// When it was sent, monotonic nanoseconds.
        sent_ns: u64,
    },
    /// A book was asked for.
    Book {
        /// The venue's word for whose.
        symbol: String,
    },
    /// A polled source asked for its table. Status 304: nothing new.
    Reply {
        /// The ETag, if there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        etag: Option<String>,
        /// Last-Modified, if there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last_modified: Option<String>,
        /// Content-Type, if there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        content_type: Option<String>,
    },
}

/// Why a request of a polled source brought nothing; see `FetchError` of kurs-net.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Failure {
    /// Nothing came back.
    Unreachable {
        /// One phrase.
        why: String,
    },
    /// No answer in this time.
    TimedOut {
        /// Milliseconds.
        after_ms: u64,
    },
    /// The server limits requests.
    Limited {
        /// HTTP status.
        status: u16,
        /// Seconds it named.
        retry_after_s: Option<u64>,
        /// What it said, as far as it is text.
        body: String,
    },
    /// Refused.
    Refused {
        /// HTTP status.
        status: u16,
        /// What it said, as far as it is text.
        body: String,
    },
    /// The server failed.
    ServerError {
        /// HTTP status.
        status: u16,
    },
    /// The body was longer than this.
    TooLarge {
        /// Bytes.
        bytes: u64,
    },
    /// The answer broke off.
    Broken {
        /// One phrase.
        why: String,
    },
}

/// The format that a head names, if it is one that this program does not know. Looked for before
/// anything else of it: a newer head may lack what ours has.
#[must_use]
pub fn newer_format(bytes: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Format {
        what: String,
        format: u64,
    }
    let named: Format = serde_json::from_slice(bytes).ok()?;
    (named.what == "head" && named.format > u64::from(FORMAT)).then_some(named.format)
}

impl Words {
    /// The line to be written.
    #[must_use]
    pub fn record(&self, now: Now, source: Option<SourceId>) -> Record {
        // Texts, numbers and lists of them always become JSON.
        let text = serde_json::to_string(self).unwrap_or_default();
        Record {
            bytes: Some(text.into_bytes().into()),
            ..record(now, source, Direction::Meta)
        }
    }
}
