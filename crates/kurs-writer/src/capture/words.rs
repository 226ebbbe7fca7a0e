//! What a meta line says, and how every input of a source becomes a line.

use super::line::Direction;
use super::queue::Record;
use kurs_core::{Now, Pair, SourceId, Wall};
use kurs_net::http::{FetchError, Fetched, Validators};
use kurs_sources::Input;
use serde::{Deserialize, Serialize};
use std::time::Duration;

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

/// Why a request of a polled source brought nothing; see [`FetchError`].
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

const fn record(now: Now, source: Option<SourceId>, direction: Direction) -> Record {
    Record {
        now,
        source,
        direction,
        connection: None,
        url: None,
        status: None,
        head: None,
        bytes: None,
    }
}

/// The line of an input. `None` for the passing of time, which a replay lets pass by itself.
#[must_use]
pub fn record_of(source: SourceId, now: Now, input: &Input<'_>) -> Option<Record> {
    let rest = |url: &str, status: u16, head: &Head, body: &[u8]| Record {
        url: Some(url).filter(|url| !url.is_empty()).map(Into::into),
        status: Some(status),
        head: serde_json::to_string(head).ok().map(Into::into),
        bytes: Some(body.into()),
        ..record(now, Some(source), Direction::Rest)
    };
    let words = match *input {
        Input::Time => return None,
        Input::Frame { connection, text } => {
            return Some(Record {
                connection: Some(connection),
                bytes: Some(text.as_bytes().into()),
                ..record(now, Some(source), Direction::Rx)
            });
        }
        Input::Tops {
            request,
            sent_at,
            status,
            body,
        } => {
            let head = Head::Tops {
                weight: request.weight,
                sent_ns: sent_at.0,
            };
            return Some(rest(&request.path, status, &head, body));
        }
        Input::Book {
            symbol,
            status,
            body,
        } => {
            let head = Head::Book {
                symbol: symbol.to_owned(),
            };
            return Some(rest("", status, &head, body));
        }
        Input::Reply { url, answer } => match answer {
            Ok(fetched) => {
                let (status, head, body) = reply(fetched);
                return Some(rest(origin(url), status, &head, body));
            }
            Err(error) => Words::ReplyFailed {
                url: origin(url).to_owned(),
                failure: Failure::from(error),
            },
        },
        Input::Wanted { pairs } => Words::Wanted {
            pairs: pairs.to_vec(),
        },
        Input::Listed { pair, listed } => Words::Listed { pair, listed },
        Input::Live { connection } => Words::Live { connection },
        Input::Down { why, silent } => Words::Down {
            why: why.to_owned(),
            silent,
        },
        Input::Ended {
            connection,
            oldest_open,
        } => Words::Ended {
            connection,
            oldest_open,
        },
        Input::Renewed { from, to } => Words::Renewed { from, to },
        Input::TopsFailed { why, shut } => Words::TopsFailed {
            why: why.to_owned(),
            shut,
        },
        Input::BookFailed { symbol, why } => Words::BookFailed {
            symbol: symbol.to_owned(),
            why: why.to_owned(),
        },
        Input::Asked => Words::Asked,
    };
    Some(words.record(now, Some(source)))
}

/// Scheme and host of a URL. Services of the user's own may want a key in the path, or a password
/// before the host.
fn origin(url: &str) -> &str {
    let host_at = url.find("://").map_or(0, |at| at + 3);
    let rest = url.get(host_at..).unwrap_or_default();
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.contains('@') {
        return "";
    }
    url.get(..host_at + host.len()).unwrap_or_default()
}

/// Status, head and body. The other response headers are left out: no source reads them, and
/// they may hold cookies.
fn reply(fetched: &Fetched) -> (u16, Head, &[u8]) {
    match fetched {
        Fetched::NotModified => {
            let head = Head::Reply {
                etag: None,
                last_modified: None,
                content_type: None,
            };
            (304, head, &[])
        }
        Fetched::Body {
            bytes,
            validators,
            content_type,
            ..
        } => {
            let head = Head::Reply {
                etag: validators.etag.clone(),
                last_modified: validators.last_modified.clone(),
                content_type: content_type.clone(),
            };
            (200, head, bytes)
        }
    }
}

/// The answer of a polled source as it was received.
#[must_use]
pub fn fetched(status: u16, head: Option<Head>, body: &[u8]) -> Fetched {
    if status == 304 {
        return Fetched::NotModified;
    }
    let (validators, content_type) = match head {
        Some(Head::Reply {
            etag,
            last_modified,
            content_type,
        }) => (
            Validators {
                etag,
                last_modified,
            },
            content_type,
        ),
        _ => (Validators::default(), None),
    };
    Fetched::Body {
        bytes: body.to_vec().into(),
        validators,
        content_type,
        headers: Vec::new(),
    }
}

/// Whole milliseconds.
fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl From<&FetchError> for Failure {
    fn from(error: &FetchError) -> Self {
        let text = |body: &[u8]| String::from_utf8_lossy(body).into_owned();
        match error {
            FetchError::Unreachable(why) => Self::Unreachable { why: why.clone() },
            FetchError::TimedOut(after) => Self::TimedOut {
                after_ms: ms(*after),
            },
            FetchError::Limited {
                status,
                retry_after,
                body,
            } => Self::Limited {
                status: *status,
                retry_after_s: retry_after.map(|wait| wait.as_secs()),
                body: text(body),
            },
            FetchError::Refused { status, body } => Self::Refused {
                status: *status,
                body: text(body),
            },
            FetchError::ServerError { status } => Self::ServerError { status: *status },
            FetchError::TooLarge(bytes) => Self::TooLarge {
                bytes: u64::try_from(*bytes).unwrap_or(u64::MAX),
            },
            FetchError::Broken(why) => Self::Broken { why: why.clone() },
        }
    }
}

impl From<Failure> for FetchError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unreachable { why } => Self::Unreachable(why),
            Failure::TimedOut { after_ms } => Self::TimedOut(Duration::from_millis(after_ms)),
            Failure::Limited {
                status,
                retry_after_s,
                body,
            } => Self::Limited {
                status,
                retry_after: retry_after_s.map(Duration::from_secs),
                body: body.into_bytes().into(),
            },
            Failure::Refused { status, body } => Self::Refused {
                status,
                body: body.into_bytes().into(),
            },
            Failure::ServerError { status } => Self::ServerError { status },
            Failure::TooLarge { bytes } => {
                Self::TooLarge(usize::try_from(bytes).unwrap_or(usize::MAX))
            }
            Failure::Broken { why } => Self::Broken(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_url_nothing_that_may_be_secret_is_written_down() {
        let source = SourceId::parse("mybank").unwrap();
        for (url, expect) in [
            (
                "https://bank.example:8443/v1/KEY/rates",
                "https://bank.example:8443",
            ),
            ("https://bank.example?key=KEY", "https://bank.example"),
            ("https://me:KEY@bank.example/rates", ""),
        ] {
            let answer = Err(FetchError::ServerError { status: 500 });
            let input = Input::Reply {
                url,
                answer: &answer,
            };
            let record = record_of(source, Now::default(), &input).unwrap();
            let text = String::from_utf8(record.bytes.unwrap().into()).unwrap();
            assert!(!text.contains("KEY"), "{text}");
            assert_eq!(origin(url), expect);
        }
    }
}
