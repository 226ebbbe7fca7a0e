//! The one body type of all answers.

use crate::stream::EventBody;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A body: nothing, one shared piece of memory, or a stream of events. Concrete, so that an
/// ordinary answer needs no box. But for streams its length is always known, so every answer
/// carries `Content-Length`.
#[derive(Debug)]
pub(crate) enum Body {
    /// Nothing, or what is left of nothing more.
    Empty,
    /// These bytes.
    Full(Bytes),
    /// Events, as they come.
    Events(Box<EventBody>),
}

impl Body {
    /// No body.
    #[must_use]
    pub(crate) const fn empty() -> Self {
        Self::Empty
    }

    /// These bytes, shared, not copied.
    #[must_use]
    pub(crate) const fn full(bytes: Bytes) -> Self {
        Self::Full(bytes)
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let ready = match &mut *self {
            Self::Events(events) => events.poll(context),
            Self::Full(bytes) => Poll::Ready(Some(std::mem::take(bytes))),
            Self::Empty => Poll::Ready(None),
        };
        if matches!(*self, Self::Full(_)) {
            *self = Self::Empty;
        }
        ready.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(bytes) => bytes.is_empty(),
            Self::Events(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => {
                SizeHint::with_exact(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
            }
            Self::Events(_) => SizeHint::default(),
        }
    }
}
