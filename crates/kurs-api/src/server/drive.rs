//! One connection, of either version of HTTP, to its end.

use crate::connection::{ConnectionState, Order};
use crate::multiplex::Multiplexed;
use crate::service::ApiService;
use hyper::rt::{Read, Write};
use hyper::server::conn::{http1, http2};
use hyper_util::rt::TokioExecutor;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;

/// A connection that can be told to end.
pub(super) trait Serving: Future<Output = Result<(), hyper::Error>> {
    /// Nothing more is to be asked; what was asked is answered.
    fn drain(self: Pin<&mut Self>, state: &ConnectionState);
}

impl<T> Serving for http1::UpgradeableConnection<T, ApiService>
where
    T: Read + Write + Unpin + Send + 'static,
{
    fn drain(self: Pin<&mut Self>, state: &ConnectionState) {
        if state.quiet_since_ms().is_some() {
            self.graceful_shutdown();
        }
    }
}

impl<T> Serving for http2::Connection<T, Multiplexed, TokioExecutor>
where
    T: Read + Write + Unpin,
{
    fn drain(self: Pin<&mut Self>, _state: &ConnectionState) {
        self.graceful_shutdown();
    }
}

/// Serves a connection to its end, as it is ordered.
pub(super) async fn drive(connection: impl Serving, state: &ConnectionState, peer: SocketAddr) {
    let mut connection = pin!(connection);
    // The order that the connection was last told; none before its first poll.
    let mut told = None;
    let ended = poll_fn(|context| {
        if told != Some(state.order()) {
            // Registered before the order is read again, and anew for every order, since
            // waking takes the waker: none can slip through in between.
            state.runs_in(context.waker());
            let order = state.order();
            told = Some(order);
            match order {
                Order::Serve => {}
                Order::Drain => {
                    // What lies in the socket already is read first, and answered.
                    if let Poll::Ready(ended) = connection.as_mut().poll(context) {
                        return Poll::Ready(ended);
                    }
                    connection.as_mut().drain(state);
                }
                Order::Close => return Poll::Ready(Ok(())),
            }
        }
        connection.as_mut().poll(context)
    });
    if let Err(error) = ended.await {
        tracing::debug!(%error, %peer, "a connection ended early");
    }
}
