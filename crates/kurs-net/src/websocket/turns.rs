//! Sockets that are read in turns.

use super::dial::Socket;
use futures_util::StreamExt;
use std::task::Poll;
use tokio_tungstenite::tungstenite::{self, Message};

pub(super) type Item = Option<Result<Message, tungstenite::Error>>;

/// The next message of any socket, taking turns.
pub(super) async fn next_message(sockets: &mut [(u64, Socket)], turn: &mut usize) -> (u64, Item) {
    std::future::poll_fn(|context| {
        let count = sockets.len();
        for offset in 0..count {
            let at = (*turn + offset) % count;
            let Some((number, socket)) = sockets.get_mut(at) else {
                continue;
            };
            if let Poll::Ready(item) = socket.poll_next_unpin(context) {
                *turn = at + 1;
                return Poll::Ready((*number, item));
            }
        }
        Poll::Pending
    })
    .await
}
