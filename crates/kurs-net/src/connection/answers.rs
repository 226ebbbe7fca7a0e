//! What the venue answers to commands.

use super::Connection;
use super::common::Common;
use super::slots::Subscription;
use crate::overlap::{Action, Notice};
use crate::stream::StreamId;
use kurs_core::Mono;
use std::collections::BTreeMap;

/// Commands whose answer is remembered; the oldest is forgotten beyond that.
const AWAITED_MAX: usize = 64;

/// Commands without an answer so far, each with the streams it subscribes.
#[derive(Debug, Default)]
pub(super) struct Answers {
    awaited: BTreeMap<u64, Vec<StreamId>>,
}

impl Answers {
    /// A command was sent. One that unsubscribes is awaited too, for venues whose answers are
    /// told apart by nothing but their order.
    pub(super) fn await_for(&mut self, command: u64, subscribed: Vec<StreamId>) {
        self.awaited.insert(command, subscribed);
        if self.awaited.len() > AWAITED_MAX {
            self.awaited.pop_first();
        }
    }

    /// The answer to a command came; to the oldest when none is named. Gives the streams that
    /// the command subscribes.
    fn take(&mut self, command: Option<u64>) -> Option<Vec<StreamId>> {
        match command {
            Some(command) => self.awaited.remove(&command),
            None => Some(self.awaited.pop_first()?.1),
        }
    }
}

impl Connection {
    /// A command was accepted; the oldest that awaits its answer when none is named.
    pub fn accepted(&mut self, command: Option<u64>) {
        self.answers.take(command);
    }

    /// A command was refused; the oldest that awaits its answer when none is named. A batch is tried again stream by stream, since one bad name may
    /// have spoilt it; a stream refused alone is reported and left out.
    pub fn refused(
        &mut self,
        now: Mono,
        command: Option<u64>,
        why: &str,
        common: &Common,
        actions: &mut Vec<Action>,
    ) {
        let Some(streams) = self.answers.take(command) else {
            return;
        };
        let alone = streams.len() == 1;
        for stream in streams {
            let Some(slot) = self.slot_mut(stream) else {
                continue;
            };
            if slot.subscription != Subscription::Sent {
                continue;
            }
            if alone {
                slot.subscription = Subscription::Refused;
                let why = why.to_owned();
                actions.push(Action::Notice(Notice::StreamRefused { stream, why }));
            } else {
                slot.subscription = Subscription::None;
                slot.alone = true;
                self.dirty = true;
            }
        }
        self.pump(now, common, actions);
    }

    /// One stream was refused, whichever command asked for it.
    pub fn stream_refused(&mut self, stream: StreamId, why: &str, actions: &mut Vec<Action>) {
        if let Some(slot) = self.slot_mut(stream)
            && slot.subscription == Subscription::Sent
        {
            slot.subscription = Subscription::Refused;
            let why = why.to_owned();
            actions.push(Action::Notice(Notice::StreamRefused { stream, why }));
        }
    }
}
