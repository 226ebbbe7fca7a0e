//! From a socket to TLS over it, within the deadlines of the accept loop.

use crate::connection::{ConnectionState, Order};
use crate::tls::Tls;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Shakes hands. None when the client cannot, or the server has to close before it did.
pub(crate) async fn shake(
    tls: &Tls,
    socket: TcpStream,
    state: &ConnectionState,
) -> Option<TlsStream<TcpStream>> {
    let acceptor = TlsAcceptor::from(Arc::clone(&tls.server));
    let mut shaking = pin!(acceptor.accept(socket));
    let ended = poll_fn(|context| {
        // Registered before the order is read, so that none can slip through in between.
        state.runs_in(context.waker());
        // Nothing was asked yet: a drain ends it as well.
        if state.order() != Order::Serve {
            return Poll::Ready(None);
        }
        shaking.as_mut().poll(context).map(Some)
    });
    match ended.await? {
        Ok(stream) => Some(stream),
        Err(error) => {
            tracing::debug!(%error, "a client did not shake hands");
            None
        }
    }
}
