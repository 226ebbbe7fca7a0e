//! The venue's language for the WebSocket client.

use super::desk::Desk;
use kurs_core::Now;
use kurs_net::{Dialect, Frame, Heard, Notice, StreamId};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::Notify;

/// Passes frames to the desk and tells the pollers when the socket is lost.
pub(super) struct Session {
    pub(super) desk: Arc<Mutex<Desk>>,
    /// Wakes the REST poller.
    pub(super) poll_now: Arc<Notify>,
    /// Wakes the listing check.
    pub(super) check_now: Arc<Notify>,
}

impl Dialect for Session {
    fn subscribe(&mut self, command: u64, streams: &[StreamId]) -> String {
        self.desk.lock().command("SUBSCRIBE", command, streams)
    }

    fn unsubscribe(&mut self, command: u64, streams: &[StreamId]) -> String {
        self.desk.lock().command("UNSUBSCRIBE", command, streams)
    }

    fn frame(&mut self, frame: Frame<'_>) -> Heard {
        self.desk.lock().frame(frame)
    }

    fn notice(&mut self, notice: Notice, now: Now) {
        match notice {
            Notice::Live { connection } => {
                self.desk.lock().socket_up(now);
                tracing::debug!(connection, "the stream is live");
            }
            Notice::Down {
                why,
                silent,
                retry_at,
            } => {
                if self.desk.lock().socket_down(now, &why, silent) {
                    self.poll_now.notify_one();
                }
                let retry_ms = retry_at.since(now.mono).as_millis();
                tracing::debug!(why, retry_ms, "no stream");
            }
            Notice::Ended {
                connection,
                oldest_open,
            } => {
                self.desk.lock().connection_ended(now, oldest_open);
                tracing::debug!(connection, "connection ended");
            }
            Notice::StreamSilent(_) => {
                self.desk.lock().advance(now);
                self.poll_now.notify_one();
            }
            Notice::StreamNeverCame(stream) => {
                let pair = self.desk.lock().pair_of(stream);
                tracing::debug!(?pair, "the stream has not spoken");
                self.check_now.notify_one();
            }
            Notice::StreamRefused { stream, why } => {
                let pair = self.desk.lock().pair_of(stream);
                tracing::warn!(?pair, why, "the stream was refused");
                self.check_now.notify_one();
            }
            Notice::Renewed { from, to } => tracing::info!(from, to, "connection renewed"),
            Notice::SuccessorFailed { why } => tracing::warn!(why, "no successor yet"),
            Notice::StreamLive(_) => {}
        }
    }
}
