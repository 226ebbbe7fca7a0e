//! HTTP/2: many requests at one time over one connection, each answered as over HTTP/1.1.
//!
//! The deadlines of such a connection follow from its open answers: none of them left is a wait
//! for the next request, and each must be taken by the client within its time.

use crate::body::Body;
use crate::config::Limits;
use crate::connection::{ConnectionState, Slot};
use crate::service::ApiService;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderValue, Method, Request, Response};
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::server::conn::http2;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Bytes of an answer that are handed over at a time. What is handed over waits in memory for a
/// client that does not read, and is known no more.
const PIECE: usize = 16 * 1024;
/// Bytes of one answer that wait in memory.
const SEND_BUFFER: usize = 64 * 1024;
/// Bytes of all bodies of a connection that wait to be read.
const RECEIVE_WINDOW: u32 = 256 * 1024;
/// Bytes of one body that wait to be read.
const BODY_WINDOW: u32 = 64 * 1024;
/// Requests that a client may take back before they are looked at. One more ends the connection:
/// taking back at once what was asked costs the server more than the client (CVE-2023-44487).
const RESETS_MAX: usize = 20;
/// Mistakes of a client that are answered with a reset before the connection ends.
const MISTAKES_MAX: usize = 100;
/// How often it is asked whether the client is there, and how long it may take to say so.
const PING_EVERY: Duration = Duration::from_secs(20);
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// How connections speak HTTP/2.
pub(crate) fn protocol(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut http = http2::Builder::new(TokioExecutor::new());
    http.timer(TokioTimer::new())
        .max_concurrent_streams(limits.requests_per_connection)
        .max_header_list_size(u32::try_from(limits.head_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(BODY_WINDOW)
        .initial_connection_window_size(RECEIVE_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(RESETS_MAX)
        .max_local_error_reset_streams(MISTAKES_MAX)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_WITHIN);
    http
}

/// Answers the requests of one connection.
#[derive(Debug)]
pub(crate) struct Multiplexed {
    /// What answers one request. What it notes about its connection is true of one request only,
    /// and nobody looks at it.
    one: ApiService,
    state: Arc<ConnectionState>,
    write: Duration,
    patience: Duration,
}

impl Multiplexed {
    pub(crate) fn new(mut one: ApiService, limits: &Limits) -> Self {
        let state = Arc::clone(&one.connection);
        one.connection = Arc::new(state.apart(limits));
        Self {
            write: Duration::from_millis(limits.write_ms),
            patience: one.api.streams.write_patience(),
            one,
            state,
        }
    }
}

impl Service<Request<Incoming>> for Multiplexed {
    type Response = Response<Pieces>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Pieces>, Infallible>> + Send>>;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        let slot = ConnectionState::answer_begins(&self.state);
        let is_head = request.method() == Method::HEAD;
        name_host(&mut request);
        let answering = self.one.call(request);
        let (write, patience) = (self.write, self.patience);
        Box::pin(async move {
            let (mut parts, mut body) = answering.await?.into_parts();
            if is_head && let Body::Full(bytes) = &body {
                // Nobody else leaves the body out here.
                parts.headers.insert(CONTENT_LENGTH, bytes.len().into());
                body = Body::Empty;
            }
            let patience = matches!(body, Body::Events(_)).then_some(patience);
            if patience.is_none() {
                slot.due_within(write, false);
            }
            let rest = Bytes::new();
            let pieces = Pieces {
                body,
                rest,
                slot,
                patience,
            };
            Ok(Response::from_parts(parts, pieces))
        })
    }
}

/// Puts the authority, which HTTP/2 has in the place of `Host`, where all else looks for it. Both,
/// and not the same, are two hosts (RFC 9113 section 8.3.1), which is refused as such.
fn name_host(request: &mut Request<Incoming>) {
    let authority = request.uri().authority().map(|it| it.as_str().to_owned());
    let Some(authority) = authority else {
        return;
    };
    let mut named = request.headers().get_all(HOST).iter();
    let is_same = |host: &HeaderValue| host.as_bytes().eq_ignore_ascii_case(authority.as_bytes());
    if named.next().is_some_and(is_same) {
        return;
    }
    if let Ok(host) = HeaderValue::from_str(&authority) {
        request.headers_mut().append(HOST, host);
    }
}

/// A body in pieces, each asked for when the one before has found room on its way to the client.
pub(crate) struct Pieces {
    body: Body,
    rest: Bytes,
    slot: Slot,
    /// How long a client may take nothing of a stream of events.
    patience: Option<Duration>,
}

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.rest = frame.into_data().unwrap_or_default();
                }
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {
                    // The client has taken all there was.
                    self.slot.is_taken();
                    return Poll::Pending;
                }
            }
        }
        let length = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(length);
        if let Some(patience) = self.patience {
            self.slot.due_within(patience, true);
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match self.body.size_hint().exact() {
            Some(more) => {
                let rest = u64::try_from(self.rest.len()).unwrap_or(u64::MAX);
                SizeHint::with_exact(more.saturating_add(rest))
            }
            None => SizeHint::default(),
        }
    }
}
