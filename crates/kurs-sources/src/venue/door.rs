//! The desk behind its lock: everything that goes in is shown to the recorder first, and what
//! the desk wishes is passed on.

use super::desk::Desk;
use crate::input::{Input, Machine, Tap, Wishes};
use crate::venue::codec::AnswerError;
use kurs_core::{Now, SourceId};
use kurs_net::{Heard, StreamSpec};
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::{Notify, watch};

/// The way to the desk of a running source.
pub(super) struct Door {
    source: SourceId,
    desk: Mutex<Desk>,
    tap: Option<Arc<dyn Tap>>,
    /// What connections have to know of what was found without a frame.
    found: Mutex<Vec<(u64, Heard)>>,
    streams: watch::Sender<Arc<[StreamSpec]>>,
    /// Wakes the REST poller.
    pub(super) poll_now: Notify,
    /// Wakes the listing check.
    pub(super) check_now: Notify,
}

impl Door {
    pub(super) fn new(
        desk: Desk,
        tap: Option<Arc<dyn Tap>>,
        streams: watch::Sender<Arc<[StreamSpec]>>,
    ) -> Self {
        Self {
            source: desk.source(),
            desk: Mutex::new(desk),
            tap,
            found: Mutex::default(),
            streams,
            poll_now: Notify::new(),
            check_now: Notify::new(),
        }
    }

    /// Looks at the desk without telling it anything.
    pub(super) fn look<T>(&self, at: impl FnOnce(&Desk) -> T) -> T {
        at(&self.desk.lock())
    }

    fn put(&self, now: Now, input: Input<'_>, wishes: &mut Wishes) {
        let mut desk = self.desk.lock();
        if let Some(tap) = &self.tap {
            tap.record(self.source, now, &input);
        }
        desk.take(now, input, wishes);
        if std::mem::take(&mut wishes.streams) {
            // Under the lock, so that the last word is the desk's last word.
            let streams = desk.streams();
            self.streams.send_if_modified(|before| {
                let changed = *before != streams;
                *before = streams;
                changed
            });
        }
    }

    /// Tells the desk something. Gives why an answer was of no use, if it was of none.
    pub(super) fn tell(&self, now: Now, input: Input<'_>) -> Option<AnswerError> {
        let mut wishes = Wishes::new();
        self.put(now, input, &mut wishes);
        if !wishes.heard.is_empty() {
            self.found.lock().append(&mut wishes.heard);
        }
        if wishes.poll_now {
            self.poll_now.notify_one();
        }
        if wishes.check_now {
            self.check_now.notify_one();
        }
        wishes.refused
    }

    /// Tells the desk of a frame; `wishes` comes empty and is used again.
    pub(super) fn frame(
        &self,
        now: Now,
        connection: u64,
        text: &str,
        wishes: &mut Wishes,
        heard: &mut Vec<Heard>,
    ) {
        self.put(now, Input::Frame { connection, text }, wishes);
        heard.extend(wishes.heard.drain(..).map(|(_, heard)| heard));
    }

    /// What was found without a frame since the last time.
    pub(super) fn found(&self, heard: &mut Vec<(u64, Heard)>) {
        heard.append(&mut self.found.lock());
    }
}
