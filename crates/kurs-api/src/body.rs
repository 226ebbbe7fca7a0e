//! The one body type of all answers.

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A body that is either nothing or one shared piece of memory. Concrete, so that an answer
/// needs no box. Its length is always known, so every answer carries `Content-Length`.
#[derive(Debug, Default)]
pub(crate) struct Body(Option<Bytes>);

impl Body {
    /// No body.
    #[must_use]
    pub(crate) const fn empty() -> Self {
        Self(None)
    }

    /// These bytes, shared, not copied.
    #[must_use]
    pub(crate) const fn full(bytes: Bytes) -> Self {
        Self(Some(bytes))
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.0.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
    }
}
