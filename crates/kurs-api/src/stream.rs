//! Streams of rates: server-sent events (HTML standard, section 9.2). Conventions 18 to 23.

pub(crate) mod socket;
pub(crate) mod wire;

use crate::answer::{Answer, Outcome};
use crate::call::Call;
use crate::connection::{ConnectionState, Told};
use crate::problem::{FieldError, Kind, Problem};
use crate::state::ApiState;
use bytes::Bytes;
use kurs_auth::Grant;
use kurs_stream::places::{Place, address_of};
use kurs_stream::{Item, Listener, Position, Refused, Topic};
use kurs_telemetry::metrics::StreamMetrics;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Media type of server-sent events.
pub(crate) const EVENT_STREAM: &str = "text/event-stream";
/// Bytes that are handed to the connection at a time, about.
const PIECE: usize = 16 * 1_024;
/// Longest id that a client may go on from.
const POSITION_MAX: usize = 4_096;

/// `GET /api/v1/stream`.
pub(crate) fn events(call: &Call) -> Outcome {
    let topics = topics_of(call)?;
    let resume = resume_of(call)?;
    let place = enter(call)?;
    if call.is_head {
        return Ok(Answer::events(None));
    }
    let streams = &call.api.streams;
    let listener = streams.listen(&topics, resume).map_err(refused)?;
    let grant = call.api.doors.open(&call.caller);
    if let Some(grant) = &grant {
        listener.belongs_to(grant.number());
    }
    Ok(Answer::events(Some(EventBody {
        preface: Some(format!("retry: {}\n\n", streams.retry_ms()).into()),
        listener,
        metrics: call.api.stream_metrics.clone(),
        has_ended: false,
        rest: Bytes::new(),
        is_turn_of_socket: false,
        connection: None,
        has_chunks: false,
        _place: place,
        _grant: grant,
    })))
}

/// The topics that the query names; all rates without any.
fn topics_of(call: &Call) -> Result<Vec<Topic>, Problem> {
    let parse = |text: &str| call.api.view.parse_pair(text);
    let mut topics = BTreeSet::new();
    let mut errors = Vec::new();
    for name in ["pairs", "topics"] {
        for text in call.arguments.list(&[name]) {
            let topic = if name == "pairs" {
                parse(text)
                    .map(Topic::Rate)
                    .map_err(|error| error.to_string())
            } else {
                Topic::parse(text, parse).map_err(|error| error.to_string())
            };
            match topic {
                Ok(topic) => {
                    topics.insert(meant(&call.api, topic));
                }
                Err(why) => {
                    let shown = crate::problem::clean(text);
                    errors.push(FieldError::parameter(name, format!("{shown}: {why}")));
                }
            }
        }
    }
    let most = call.api.streams.topics_max();
    if topics.len() > most {
        let why = format!("one stream has at most {most} topics");
        errors.push(FieldError::parameter("topics", why));
    }
    if !errors.is_empty() {
        errors.truncate(20);
        return Err(Problem::with_errors(Kind::InvalidParameter, errors));
    }
    if topics.is_empty() {
        topics.insert(Topic::Rates);
    }
    Ok(topics.into_iter().collect())
}

/// A topic under the names that are told: `binance` is `sim:binance` where that is what runs.
pub(crate) fn meant(api: &ApiState, topic: Topic) -> Topic {
    match topic {
        Topic::Top(source, pair) => {
            Topic::Top(api.view.find_source(source).unwrap_or(source), pair)
        }
        other => other,
    }
}

/// Where the client had ended: browsers send the header by themselves.
fn resume_of(call: &Call) -> Result<Option<Position>, Problem> {
    let header = call.headers.get("last-event-id");
    let (name, text) = match (header, call.arguments.text("last_event_id")) {
        (Some(value), _) => ("Last-Event-ID", value.to_str().unwrap_or("?")),
        (None, Some(text)) => ("last_event_id", text),
        (None, None) => return Ok(None),
    };
    if text.is_empty() {
        return Ok(None);
    }
    let position = Some(text).filter(|text| text.len() <= POSITION_MAX);
    let position = position.and_then(|text| text.parse::<Position>().ok());
    position
        .map(Some)
        .ok_or_else(|| Problem::parameter(name, "is no id of an event, such as 0.3-120"))
}

fn enter(call: &Call) -> Result<Place, Problem> {
    let place = call.api.streams.enter(address_of(call.peer));
    place.ok_or_else(|| {
        Problem::new(Kind::TooBusy, "too many streams from this address").retry_after(5)
    })
}

fn refused(why: Refused) -> Problem {
    let kind = match why {
        Refused::Draining => Kind::NotReady,
        Refused::Full | Refused::TooManyTopics(_) => Kind::TooBusy,
    };
    Problem::new(kind, why.to_string()).retry_after(2)
}

/// Events on their way to a client.
pub(crate) struct EventBody {
    preface: Option<Bytes>,
    listener: Listener,
    metrics: StreamMetrics,
    has_ended: bool,
    /// What is left of an event that is long: its bytes are shared by all clients, what the
    /// connection holds is a copy.
    rest: Bytes,
    /// The connection writes what it holds before it gets more of the rest.
    is_turn_of_socket: bool,
    /// The connection that it goes over: an ordinary one again when it has ended.
    connection: Option<Arc<ConnectionState>>,
    /// It is one of HTTP/1.1.
    has_chunks: bool,
    _place: Place,
    /// As long as it is kept, the stream ends with the key.
    _grant: Option<Grant>,
}

impl Drop for EventBody {
    fn drop(&mut self) {
        if let Some(connection) = &self.connection {
            connection.stream_ended();
        }
    }
}

impl EventBody {
    /// Goes over this connection, whose client may take nothing for so long. `has_chunks`: it is
    /// one of HTTP/1.1.
    pub(crate) fn over(
        &mut self,
        connection: Arc<ConnectionState>,
        patience: Duration,
        has_chunks: bool,
    ) {
        let told = has_chunks.then(|| Told {
            mailbox: Arc::clone(self.listener.mailbox()),
            events: self.metrics.events.clone(),
        });
        self.has_chunks = has_chunks;
        connection.streams(patience, told);
        self.connection = Some(connection);
    }

    /// The next part of the rest, or all of it where the connection holds no copies.
    fn part(&mut self) -> Bytes {
        let end = if self.has_chunks {
            self.rest.len().min(PIECE)
        } else {
            self.rest.len()
        };
        let part = self.rest.split_to(end);
        self.is_turn_of_socket = !self.rest.is_empty();
        if let Some(connection) = &self.connection {
            connection.hold_back(self.is_turn_of_socket);
        }
        part
    }

    fn is_blocked(&self) -> bool {
        let connection = self.connection.as_ref();
        connection.is_some_and(|connection| connection.is_blocked())
    }

    /// The next piece: one event as it is, or several together.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(preface) = self.preface.take() {
            return Poll::Ready(Some(preface));
        }
        if self.has_chunks && self.is_blocked() {
            // What waits is bounded and replaced by newer; what hyper holds is neither. The socket
            // wakes this when it takes more.
            return Poll::Pending;
        }
        if !self.rest.is_empty() {
            if std::mem::take(&mut self.is_turn_of_socket) {
                context.waker().wake_by_ref();
                return Poll::Pending;
            }
            return Poll::Ready(Some(self.part()));
        }
        let mut first: Option<Bytes> = None;
        let mut piece: Vec<u8> = Vec::new();
        while !self.has_ended && piece.len() < PIECE {
            match self.listener.poll_next(context) {
                Poll::Ready(Item::Event(event)) => {
                    self.metrics.events.inc();
                    if event.sse().len() > PIECE {
                        // From here on nobody else writes, until the last part is with the socket.
                        self.rest = event.sse().clone();
                        if let Some(connection) = &self.connection {
                            connection.hold_back(true);
                        }
                        break;
                    }
                    match first.take() {
                        None if piece.is_empty() => first = Some(event.sse().clone()),
                        before => {
                            piece.extend_from_slice(&before.unwrap_or_default());
                            piece.extend_from_slice(event.sse());
                        }
                    }
                }
                Poll::Ready(Item::End(_)) => self.has_ended = true,
                Poll::Pending => break,
            }
        }
        match first {
            Some(first) => Poll::Ready(Some(first)),
            None if !piece.is_empty() => Poll::Ready(Some(piece.into())),
            None if !self.rest.is_empty() => Poll::Ready(Some(self.part())),
            None if self.has_ended => Poll::Ready(None),
            None => Poll::Pending,
        }
    }
}

impl fmt::Debug for EventBody {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EventBody")
            .field("listener", &self.listener)
            .finish_non_exhaustive()
    }
}
