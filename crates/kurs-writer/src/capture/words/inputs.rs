//! How every input of a source becomes a line.

use super::{Failure, Head, Words};
use crate::capture::line::Direction;
use crate::capture::queue::Record;
use kurs_core::{Now, SourceId};
use kurs_net::http::{Fetched, Validators};
use kurs_sources::Input;

pub(super) const fn record(now: Now, source: Option<SourceId>, direction: Direction) -> Record {
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

#[cfg(test)]
mod tests {
    use super::*;
    use kurs_net::http::FetchError;

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
