//! The socket as hyper sees it. Notes for the deadlines what comes and goes, and gives a body to
//! the bare error heads that hyper writes itself when a request cannot be parsed.

use crate::answer::{NO_REFERRER_TEXT, POLICY_TEXT};
use crate::connection::ConnectionState;
use crate::problem::{Kind, PROBLEM_JSON, Problem};
use crate::request_id::RequestIds;
use crate::stream::wire::{Direct, Lend};
use http::HeaderValue;
use kurs_stream::Event;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Wraps a socket.
pub(crate) struct WatchedIo<T> {
    socket: T,
    state: Arc<ConnectionState>,
    ids: Arc<RequestIds>,
    /// True once a line end came since the last head began: tells a request line that is too
    /// long from a head that is.
    line_ended: bool,
    /// True for HTTP/1.1, whose error heads can be told from all else.
    has_heads: bool,
    /// What goes out instead of a bare error head, and how much of it has gone.
    replacement: Vec<u8>,
    replaced: usize,
    /// Bytes dropped after the last answer.
    lingered: usize,
    hsts: Option<HeaderValue>,
    /// Where the pump writes the events of a stream, with what it could not write.
    direct: Option<Arc<Direct>>,
}

/// Most bytes that are dropped after the last answer.
const LINGER_BYTES_MAX: usize = 1024 * 1024;

impl<T> WatchedIo<T> {
    pub(crate) const fn new(socket: T, state: Arc<ConnectionState>, ids: Arc<RequestIds>) -> Self {
        Self {
            socket,
            state,
            ids,
            line_ended: false,
            has_heads: true,
            replacement: Vec::new(),
            replaced: 0,
            lingered: 0,
            hsts: None,
            direct: None,
        }
    }
}

impl<T> WatchedIo<T> {
    /// What goes over it is no text: nothing is replaced.
    pub(crate) const fn binary(mut self) -> Self {
        self.has_heads = false;
        self
    }

    /// All goes over TLS, which the answers that are made here say too.
    pub(crate) fn secured(mut self, hsts: Option<HeaderValue>) -> Self {
        self.hsts = hsts;
        self
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for WatchedIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(context, buffer))?;
        let came = buffer.filled().get(before..).unwrap_or_default();
        if !came.is_empty() {
            let begins = self.state.bytes_came();
            self.line_ended = came.contains(&b'\n') || (self.line_ended && !begins);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> WatchedIo<T> {
    /// Reads and drops what the client still sends. Closing a socket with unread bytes would
    /// reset the connection, and the client would never see why it was refused.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.state.lingers();
        let mut dropped = [0_u8; 4_096];
        while self.lingered < LINGER_BYTES_MAX {
            let mut buffer = ReadBuf::new(&mut dropped);
            ready!(Pin::new(&mut self.socket).poll_read(context, &mut buffer))?;
            if buffer.filled().is_empty() {
                break;
            }
            self.lingered = self.lingered.saturating_add(buffer.filled().len());
        }
        Poll::Ready(Ok(()))
    }

    fn note<R>(&self, written: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if written.is_pending() {
            self.state.write_blocked();
        }
        written
    }

    /// Sends what the pump could not.
    fn poll_rest(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &self.direct {
            None => Poll::Ready(Ok(())),
            Some(direct) => self.note(direct.poll_rest(context)),
        }
    }

    /// Sends what replaces an error head.
    fn poll_replacement(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.replacement.get(self.replaced..)
            && !rest.is_empty()
        {
            let sent = Pin::new(&mut self.socket).poll_write(context, rest);
            if sent.is_pending() {
                self.state.write_blocked();
            }
            let sent = ready!(sent)?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.replaced = self.replaced.saturating_add(sent);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: Lend> WatchedIo<T> {
    /// The socket, for others to write to as well.
    pub(crate) fn lend(&mut self) -> Option<Arc<tokio::net::TcpStream>> {
        self.socket.lend()
    }

    /// All of a stream was written that is to be written now: its task rests, unless something
    /// waits that it did not take out while the socket was full.
    fn rests(&mut self, context: &Context<'_>) {
        let Some(told) = self.state.told() else {
            return;
        };
        if self.state.holds_back() {
            return;
        }
        if !told.mailbox.has_outlet()
            && let Some(socket) = self.socket.lend()
        {
            let direct = Direct::new(socket, Event::chunk, told.events);
            told.mailbox.lead_to(Arc::clone(&direct) as Arc<_>);
            self.direct = Some(direct);
        }
        if !told.mailbox.rest() {
            context.waker().wake_by_ref();
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Lend + Unpin> AsyncWrite for WatchedIo<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.has_heads
            && let Some((start, status)) = bare_error(bytes)
        {
            let problem = problem_of(status, self.line_ended);
            let (before, _) = bytes.split_at(start);
            self.replacement.extend_from_slice(before);
            let answer = problem_answer(&problem, self.ids.next().as_str(), self.hsts.as_ref());
            self.replacement.extend_from_slice(&answer);
            return Poll::Ready(Ok(bytes.len()));
        }
        ready!(self.poll_rest(context))?;
        let written = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.note(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_replacement(context))?;
        ready!(self.poll_rest(context))?;
        // TLS keeps back what the socket does not take.
        let flushed = Pin::new(&mut self.socket).poll_flush(context);
        ready!(self.note(flushed))?;
        self.state.written();
        if self.state.is_stream() {
            self.rests(context);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_replacement(context))?;
        ready!(self.poll_rest(context))?;
        let shut = Pin::new(&mut self.socket).poll_shutdown(context);
        ready!(self.note(shut))?;
        if self.replacement.is_empty() && !self.state.may_have_unread() {
            return Poll::Ready(Ok(()));
        }
        self.poll_linger(context)
    }
}

/// End of every head hyper writes: the date is the last field.
const DATE_TAIL: &[u8] = b" GMT\r\n\r\n";
/// A date field with the end of the head: `date: Sat, 21 Nov 2026 20:17:54 GMT`.
const DATE_BYTES: usize = 6 + 29 + 4;
const NO_BODY: &[u8] = b"content-length: 0\r\n";

/// Finds an error head that hyper made itself at the end of what it writes: a 4xx without a
/// body. The service never makes one, its errors are problem documents. Gives where the head
/// starts and its status.
fn bare_error(bytes: &[u8]) -> Option<(usize, u16)> {
    if !bytes.ends_with(DATE_TAIL) {
        return None;
    }
    let before_date = bytes.len().checked_sub(DATE_BYTES)?;
    if !bytes.get(..before_date)?.ends_with(NO_BODY) {
        return None;
    }
    let start = bytes.windows(7).rposition(|window| window == b"HTTP/1.")?;
    let status = bytes.get(start..)?.get(9..12)?;
    let status: u16 = std::str::from_utf8(status).ok()?.parse().ok()?;
    (400..500).contains(&status).then_some((start, status))
}

fn problem_of(status: u16, line_ended: bool) -> Problem {
    match status {
        431 if line_ended => Problem::new(
            Kind::HeadTooLarge,
            "the head of the request has too many fields or bytes",
        ),
        414 | 431 => Problem::new(Kind::UriTooLong, "the request line is too long"),
        _ => Problem::new(
            Kind::MalformedRequest,
            "the head of the request is not valid HTTP/1.1",
        ),
    }
}

/// A whole answer, head and body, outside hyper: the connection closes after it.
pub(crate) fn problem_answer(
    problem: &Problem,
    request_id: &str,
    hsts: Option<&HeaderValue>,
) -> Vec<u8> {
    let body = problem.document(request_id);
    let status = problem.kind.status();
    let retry_after = problem
        .retry_after_seconds
        .map(|seconds| format!("retry-after: {seconds}\r\n"))
        .unwrap_or_default();
    let hsts = hsts
        .and_then(|value| value.to_str().ok())
        .map(|value| format!("strict-transport-security: {value}\r\n"))
        .unwrap_or_default();
    let mut answer = format!(
        "HTTP/1.1 {} {}\r\nconnection: close\r\ncontent-type: {PROBLEM_JSON}\r\ncontent-length: {}\r\n\
         cache-control: no-store\r\n{retry_after}x-request-id: {request_id}\r\napi-supported-versions: 1\r\n\
         x-content-type-options: nosniff\r\ncontent-security-policy: {POLICY_TEXT}\r\n\
         referrer-policy: {NO_REFERRER_TEXT}\r\n{hsts}\r\n",
        status.as_u16(),
        status.canonical_reason().unwrap_or(""),
        body.len(),
    )
    .into_bytes();
    answer.extend_from_slice(&body);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: &[u8] =
        b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\ndate: Sat, 21 Nov 2026 20:17:54 GMT\r\n\r\n";

    #[test]
    fn only_a_bare_error_at_the_end_is_taken_for_one() {
        assert_eq!(bare_error(BARE), Some((0, 400)));
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ndate: Sat, 21 Nov 2026 20:17:54 GMT\r\n\r\n{}";
        assert_eq!(bare_error(answer), None);
        let both = [answer.as_slice(), BARE].concat();
        assert_eq!(bare_error(&both), Some((answer.len(), 400)));
        let moved =
            String::from_utf8_lossy(BARE).replace("400 Bad Request", "308 Permanent Redirect");
        assert_eq!(bare_error(moved.as_bytes()), None);
    }
}
