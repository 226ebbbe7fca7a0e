//! The venue's language for the WebSocket client.

use super::codec::Codec;
use super::door::Door;
use crate::input::{Input, Wishes};
use kurs_core::{Now, SourceId};
use kurs_net::{Dialect, Frame, Heard, Notice, StreamId};
use std::sync::Arc;

/// Passes frames and notices to the desk.
pub(super) struct Session {
    door: Arc<Door>,
    codec: Arc<dyn Codec>,
    source: SourceId,
    wishes: Wishes,
}

impl Session {
    pub(super) fn new(door: Arc<Door>, codec: Arc<dyn Codec>, source: SourceId) -> Self {
        Self {
            door,
            codec,
            source,
            wishes: Wishes::new(),
        }
    }
}

impl Dialect for Session {
    fn subscribe(&mut self, command: u64, streams: &[StreamId]) -> String {
        self.door.look(|desk| desk.subscribe(command, streams))
    }

    fn unsubscribe(&mut self, command: u64, streams: &[StreamId]) -> String {
        self.door.look(|desk| desk.unsubscribe(command, streams))
    }

    fn frame(&mut self, frame: Frame<'_>, heard: &mut Vec<Heard>) {
        let Frame {
            connection,
            received,
            text,
        } = frame;
        self.door
            .frame(received, connection, text, &mut self.wishes, heard);
    }

    fn keep_alive(&mut self) -> Option<String> {
        self.codec.keep_alive()
    }

    fn advance(&mut self, _: Now, heard: &mut Vec<(u64, Heard)>) {
        self.door.found(heard);
    }

    fn notice(&mut self, notice: Notice, now: Now) {
        let source = self.source;
        match notice {
            Notice::Live { connection } => {
                self.door.tell(now, Input::Live { connection });
                tracing::debug!(%source, connection, "the stream is live");
            }
            Notice::Down {
                why,
                silent,
                retry_at,
            } => {
                self.door.tell(now, Input::Down { why: &why, silent });
                let retry_ms = retry_at.since(now.mono).as_millis();
                tracing::debug!(%source, why, retry_ms, "no stream");
            }
            Notice::Ended {
                connection,
                oldest_open,
            } => {
                let ended = Input::Ended {
                    connection,
                    oldest_open,
                };
                self.door.tell(now, ended);
                tracing::debug!(%source, connection, "connection ended");
            }
            Notice::StreamSilent(_) => {
                self.door.tell(now, Input::Time);
                self.door.poll_now.notify_one();
            }
            Notice::StreamNeverCame(stream) => {
                let meaning = self.door.look(|desk| desk.meaning(stream));
                tracing::debug!(%source, ?meaning, "the stream has not spoken");
                self.door.check_now.notify_one();
            }
            Notice::StreamRefused { stream, why } => {
                let meaning = self.door.look(|desk| desk.meaning(stream));
                tracing::warn!(%source, ?meaning, why, "the stream was refused");
                self.door.check_now.notify_one();
            }
            Notice::Renewed { from, to } => {
                self.door.tell(now, Input::Renewed { from, to });
                tracing::info!(%source, from, to, "connection renewed");
            }
            Notice::SuccessorFailed { why } => tracing::warn!(%source, why, "no successor yet"),
            Notice::StreamLive(_) => {}
        }
    }
}
