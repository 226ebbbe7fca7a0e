//! The socket of a client, which is written to by its own task, or, while that rests, by the pump
//! of the streams.

use bytes::{Buf as _, Bytes};
use kurs_stream::{Event, Outlet};
use kurs_telemetry::metrics::Counter;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

/// A socket whose bytes others may write as well, if it is a plain one.
pub(crate) trait Lend {
    /// The socket; `None` when its bytes are not what the client is told.
    fn lend(&mut self) -> Option<Arc<TcpStream>>;
}

impl Lend for TlsStream<TcpStream> {
    fn lend(&mut self) -> Option<Arc<TcpStream>> {
        None
    }
}

/// A plain socket.
#[derive(Debug)]
pub(crate) enum Wire {
    /// Of its task alone.
    Own(TcpStream),
    /// Of the pump as well.
    Lent(Arc<TcpStream>),
    /// Neither: it is about to be lent.
    Gone,
}

impl Lend for Wire {
    fn lend(&mut self) -> Option<Arc<TcpStream>> {
        let shared = match std::mem::replace(self, Self::Gone) {
            Self::Own(socket) => Arc::new(socket),
            Self::Lent(socket) => socket,
            Self::Gone => return None,
        };
        *self = Self::Lent(Arc::clone(&shared));
        Some(shared)
    }
}

fn gone<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(ErrorKind::NotConnected.into()))
}

impl AsyncRead for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Own(socket) => Pin::new(socket).poll_read(context, buffer),
            Self::Lent(socket) => loop {
                ready!(socket.poll_read_ready(context))?;
                match socket.try_read(buffer.initialize_unfilled()) {
                    Ok(count) => {
                        buffer.advance(count);
                        return Poll::Ready(Ok(()));
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return Poll::Ready(Err(error)),
                }
            },
            Self::Gone => gone(),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Own(socket) => Pin::new(socket).poll_write(context, bytes),
            Self::Lent(socket) => poll_write(socket, context, bytes),
            Self::Gone => gone(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What is written to a socket is on its way.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Own(socket) => Pin::new(socket).poll_shutdown(context),
            Self::Lent(socket) => {
                let socket = socket2::SockRef::from(&**socket);
                Poll::Ready(socket.shutdown(std::net::Shutdown::Write))
            }
            Self::Gone => gone(),
        }
    }
}

fn poll_write(
    socket: &TcpStream,
    context: &mut Context<'_>,
    bytes: &[u8],
) -> Poll<io::Result<usize>> {
    loop {
        ready!(socket.poll_write_ready(context))?;
        match socket.try_write(bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            done => return Poll::Ready(done),
        }
    }
}

/// The same of several pieces at a time.
fn poll_write_pieces(
    socket: &TcpStream,
    context: &mut Context<'_>,
    pieces: &VecDeque<Bytes>,
) -> Poll<io::Result<usize>> {
    let slices: Vec<IoSlice<'_>> = pieces
        .iter()
        .take(AT_A_TIME)
        .map(|piece| IoSlice::new(piece))
        .collect();
    loop {
        ready!(socket.poll_write_ready(context))?;
        match socket.try_write_vectored(&slices) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            done => return Poll::Ready(done),
        }
    }
}

/// Pieces that are handed to the system at a time.
const AT_A_TIME: usize = 32;

/// Where the pump writes what a client is told.
pub(crate) struct Direct {
    socket: Arc<TcpStream>,
    /// An event as bytes.
    form: fn(&Event) -> &Bytes,
    events: Counter,
    /// What the socket did not take: the client's task writes it first. The bytes are those of the
    /// events, shared by all clients: whoever never reads holds little of its own.
    rest: Mutex<VecDeque<Bytes>>,
}

impl Direct {
    pub(crate) fn new(
        socket: Arc<TcpStream>,
        form: fn(&Event) -> &Bytes,
        events: Counter,
    ) -> Arc<Self> {
        Arc::new(Self {
            socket,
            form,
            events,
            rest: Mutex::default(),
        })
    }

    pub(crate) fn has_rest(&self) -> bool {
        !self.rest.lock().is_empty()
    }

    /// Writes what was left over, in the client's task.
    pub(crate) fn poll_rest(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut rest = self.rest.lock();
        while !rest.is_empty() {
            let mut count = ready!(poll_write_pieces(&self.socket, context, &rest))?;
            if count == 0 {
                return Poll::Ready(Err(ErrorKind::WriteZero.into()));
            }
            while let Some(first) = rest.front_mut() {
                if count < first.len() {
                    first.advance(count);
                    break;
                }
                count -= first.len();
                rest.pop_front();
            }
        }
        Poll::Ready(Ok(()))
    }

    /// An event that the client's task writes, as soon as it writes the rest.
    pub(crate) fn keep(&self, event: &Event) {
        let bytes = (self.form)(event);
        if !bytes.is_empty() {
            self.rest.lock().push_back(bytes.clone());
        }
    }
}

/// A client that leaves something over to the end takes nothing any more: the system need not keep
/// it for minutes, nor the client wait to hear of it.
impl Drop for Direct {
    fn drop(&mut self) {
        if !self.rest.get_mut().is_empty() {
            // The connection is closed either way.
            let _ = self.socket.set_zero_linger();
        }
    }
}

impl Outlet for Direct {
    fn write(&self, events: &[Arc<Event>]) -> bool {
        self.events
            .inc_by(u64::try_from(events.len()).unwrap_or_default());
        let together: Bytes;
        let bytes: &Bytes = match events {
            [event] => (self.form)(event),
            events => {
                let pieces: Vec<&[u8]> =
                    events.iter().map(|event| &(self.form)(event)[..]).collect();
                together = pieces.concat().into();
                &together
            }
        };
        // Whatever is wrong with the socket, the client's task sees it when it writes the rest.
        let count = self.socket.try_write(bytes).unwrap_or(0);
        if count >= bytes.len() {
            return true;
        }
        self.rest.lock().push_back(bytes.slice(count..));
        false
    }
}

impl fmt::Debug for Direct {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Direct")
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}
