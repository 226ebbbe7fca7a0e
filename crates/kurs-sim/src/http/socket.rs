//! A TCP connection that can be told to end: quietly or with a reset.

use crate::faults::Close;
use crate::http::registry::Registry;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// Ends a connection from outside. The first word holds.
#[derive(Debug)]
pub(crate) struct Switch(watch::Sender<Option<Close>>);

impl Switch {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(watch::Sender::new(None)))
    }

    pub(crate) fn close(&self, how: Close) {
        self.0.send_if_modified(|word| {
            let first = word.is_none();
            if first {
                *word = Some(how);
            }
            first
        });
    }

    /// Waits until somebody ends the connection.
    pub(crate) async fn closed(&self) {
        let mut watch = self.0.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail before the word is given.
        let _ = watch.wait_for(Option::is_some).await;
    }
}

/// The TCP stream; when it is dropped it says goodbye in the way its switch was told.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    switch: Arc<Switch>,
    registry: Arc<Registry>,
    id: u64,
}

impl Socket {
    /// Enters the connection into the registry, where it stays until it is dropped.
    pub(crate) fn new(stream: TcpStream, switch: Arc<Switch>, registry: Arc<Registry>) -> Self {
        let id = registry.add(switch.clone());
        Self {
            stream,
            switch,
            registry,
            id,
        }
    }

    pub(crate) const fn id(&self) -> u64 {
        self.id
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.registry.remove(self.id);
        if *self.switch.0.borrow() == Some(Close::Reset) {
            // Lingering for zero seconds makes the system send RST instead of FIN.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
