//! Streams: events, encoded once and shared by all who listen.

use crate::connection::OpenCall;
use crate::convert;
use crate::gate::Who;
use crate::proto;
use crate::refusal::Refusal;
use crate::service::trailers;
use bytes::{BufMut, Bytes, BytesMut};
use http_body::{Body, Frame};
use kurs_stream::{Ended, Event, Item, Listener, Place};
use kurs_telemetry::metrics::StreamMetrics;
use parking_lot::Mutex;
use prost::Message;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::{Instant, Sleep};
use tonic::{Code, Status};

/// Bytes that are handed to the connection at a time: of a client that takes this much every
/// few seconds it is known that it is there.
const PIECE: usize = 16 * 1_024;

/// A message with what goes before it on the wire.
pub(crate) fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(length + 5);
    bytes.put_u8(0);
    // Nothing here comes near 4 GiB.
    bytes.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    if message.encode(&mut bytes).is_err() {
        // It was made as large as it has to be.
        return Bytes::new();
    }
    bytes.freeze()
}

/// An event, encoded by the first who wants it.
fn encoded(event: &Event) -> &Bytes {
    event.other(|event| {
        framed(&proto::Event {
            position: event.position().to_owned(),
            told: event.document().and_then(convert::told),
        })
    })
}

/// A stream as the one who looks after its connection sees it.
#[derive(Debug)]
pub(crate) struct Stream {
    /// May listen as long as this is kept.
    _who: Who,
    metrics: StreamMetrics,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// `None` when it has ended.
    listener: Option<Listener>,
    /// Why it has ended.
    why: Option<Refusal>,
    /// What was made ready and not handed over.
    rest: Bytes,
    /// When the client last took something.
    taken_at: Instant,
    /// All was taken, and more is waited for.
    asks: bool,
    /// When it was ended because nothing was taken.
    cut_at: Option<Instant>,
    waker: Option<Waker>,
}

/// How a stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// As it should.
    Well,
    /// It was ended, and not even that is taken.
    Stuck,
}

impl Stream {
    pub(crate) fn new(listener: Listener, who: Who, metrics: StreamMetrics) -> Arc<Self> {
        listener.belongs_to(who.owner());
        Arc::new(Self {
            _who: who,
            metrics,
            inner: Mutex::new(Inner {
                listener: Some(listener),
                why: None,
                rest: Bytes::new(),
                taken_at: Instant::now(),
                asks: false,
                cut_at: None,
                waker: None,
            }),
        })
    }

    /// Ends it where its client takes nothing.
    pub(crate) fn look(&self, now: Instant, patience: Duration) -> Fate {
        let mut inner = self.inner.lock();
        let late = |since: Instant| now.saturating_duration_since(since) >= patience;
        if let Some(cut_at) = inner.cut_at {
            return if late(cut_at) && !inner.asks {
                Fate::Stuck
            } else {
                Fate::Well
            };
        }
        if inner.listener.is_some() && !inner.asks && late(inner.taken_at) {
            self.metrics.slow.inc();
            inner.cut_at = Some(now);
            inner.end(of_ended(Ended::Slow));
        }
        Fate::Well
    }

    /// The next piece; `None` at the end.
    fn poll_piece(&self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut inner = self.inner.lock();
        if inner.rest.is_empty() {
            inner.fill(context, &self.metrics);
        }
        (inner.taken_at, inner.asks) = (Instant::now(), inner.rest.is_empty());
        if !inner.rest.is_empty() {
            let piece = inner.rest.len().min(PIECE);
            return Poll::Ready(Some(inner.rest.split_to(piece)));
        }
        if inner.listener.is_none() {
            return Poll::Ready(None);
        }
        inner.waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// Why it has ended.
    fn why(&self) -> Status {
        let why = self.inner.lock().why.take();
        why.map_or_else(|| Status::ok(""), Into::into)
    }

    fn end(&self, why: Refusal) {
        self.inner.lock().end(why);
    }
}

impl Inner {
    /// Makes the next piece ready: one event as it is, or several together.
    fn fill(&mut self, context: &mut Context<'_>, metrics: &StreamMetrics) {
        let mut first: Option<Arc<Event>> = None;
        let mut piece = BytesMut::new();
        while let Some(listener) = &self.listener
            && piece.len() < PIECE
        {
            match listener.poll_next(context) {
                Poll::Ready(Item::Event(event)) => {
                    metrics.events.inc();
                    match first.take() {
                        None if piece.is_empty() => first = Some(event),
                        before => {
                            for event in before.iter().chain([&event]) {
                                piece.extend_from_slice(encoded(event));
                            }
                        }
                    }
                }
                Poll::Ready(Item::End(ended)) => self.end(of_ended(ended)),
                Poll::Pending => break,
            }
        }
        self.rest = match first {
            Some(event) => encoded(&event).clone(),
            None => piece.freeze(),
        };
    }

    fn end(&mut self, why: Refusal) {
        self.listener = None;
        self.why.get_or_insert(why);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

fn of_ended(ended: Ended) -> Refusal {
    match ended {
        Ended::Drained => Refusal::new(Code::Unavailable, "DRAIN", "this instance is ending")
            .retry_after(Duration::from_secs(1)),
        Ended::Revoked => Refusal::new(
            Code::PermissionDenied,
            "REVOKED",
            "whoever listened may not listen any more",
        ),
        Ended::Slow => Refusal::new(
            Code::ResourceExhausted,
            "SLOW_READER",
            "the client took nothing for too long",
        ),
    }
}

/// The body of an answer that goes on.
pub(crate) struct Subscription {
    pub(crate) stream: Arc<Stream>,
    /// The deadline that the client has given.
    pub(crate) deadline: Option<Pin<Box<Sleep>>>,
    pub(crate) has_ended: bool,
    pub(crate) _call: OpenCall,
    pub(crate) _place: Place,
}

impl Body for Subscription {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(context).is_ready()
        {
            self.stream.end(Refusal::new(
                Code::DeadlineExceeded,
                "DEADLINE",
                "the deadline of the call has passed",
            ));
            self.deadline = None;
        }
        self.stream.poll_piece(context).map(|piece| {
            Some(Ok(match piece {
                Some(piece) => Frame::data(piece),
                None => {
                    self.has_ended = true;
                    Frame::trailers(trailers(&self.stream.why()))
                }
            }))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kurs_stream::Document;
    use kurs_stream::document::HeartbeatDocument;
    use proto::event::Told;

    #[test]
    fn an_event_is_encoded_once_for_all_who_hear_it() {
        let degraded = "the bus is silent".into();
        let document = Document::Heartbeat(HeartbeatDocument { degraded });
        let event = Event::telling(document, "0.1-7".into());
        let bytes = encoded(&event).clone();
        assert_eq!(encoded(&event).as_ptr(), bytes.as_ptr());
        let (head, message) = bytes.split_at(5);
        assert_eq!(head, [0, 0, 0, 0, u8::try_from(message.len()).unwrap()]);
        let told = proto::Event::decode(message).unwrap();
        assert_eq!(told.position, "0.1-7");
        let degraded = "the bus is silent".to_owned();
        assert_eq!(
            told.told,
            Some(Told::Heartbeat(proto::Heartbeat { degraded }))
        );
    }
}
