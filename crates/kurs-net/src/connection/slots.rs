//! The streams of one connection: which are to be subscribed and unsubscribed next.

use super::Connection;
use super::common::Common;
use crate::overlap::{Action, Notice};
use crate::stream::StreamId;

/// One stream on this connection.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Slot {
    pub(super) subscription: Subscription,
    /// Data came over this connection.
    pub(super) spoke: bool,
    /// Was in a batch that was refused as a whole: asked for alone from now on.
    pub(super) alone: bool,
    /// Group of its subscription.
    group: u8,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Subscription {
    #[default]
    None,
    Sent,
    /// To be unsubscribed and subscribed again.
    Renew,
    Refused,
    /// Beyond what the connection may carry.
    Beyond,
}

impl Connection {
    /// Subscribed streams that are no longer wanted, or must be renewed: at most one batch, all
    /// of one group.
    pub(super) fn next_leaving(&self, common: &Common) -> Vec<StreamId> {
        let mut streams = Vec::new();
        let mut group = None;
        for (slot, number) in self.slots.iter().zip(0_u32..) {
            let stream = StreamId(number);
            let leaves = match slot.subscription {
                Subscription::Sent => !common.desired.contains_key(&stream),
                Subscription::Renew => true,
                Subscription::None | Subscription::Refused | Subscription::Beyond => false,
            };
            if leaves
                && streams.len() < common.settings.streams_per_command.max(1)
                && *group.get_or_insert(slot.group) == slot.group
            {
                streams.push(stream);
            }
        }
        streams
    }

    /// Wanted streams that are not subscribed: at most one batch, all of one group. Those
    /// beyond the limit of the connection are refused here.
    pub(super) fn next_joining(
        &mut self,
        common: &Common,
        actions: &mut Vec<Action>,
    ) -> Vec<StreamId> {
        let mut carried = self
            .slots
            .iter()
            .filter(|slot| slot.subscription == Subscription::Sent)
            .count();
        let mut streams = Vec::new();
        let mut group = None;
        for (stream, spec) in &common.desired {
            let Some(index) = stream.index() else {
                continue;
            };
            if self.slots.len() <= index {
                self.slots.resize(index + 1, Slot::default());
            }
            let Some(slot) = self.slots.get_mut(index) else {
                continue;
            };
            if slot.subscription != Subscription::None {
                continue;
            }
            if carried >= common.settings.streams_max {
                slot.subscription = Subscription::Beyond;
                let why = "the connection carries no more streams".to_owned();
                actions.push(Action::Notice(Notice::StreamRefused {
                    stream: *stream,
                    why,
                }));
                continue;
            }
            if *group.get_or_insert(spec.group) != spec.group {
                continue;
            }
            if slot.alone && !streams.is_empty() {
                break;
            }
            slot.group = spec.group;
            streams.push(*stream);
            carried += 1;
            if slot.alone || streams.len() >= common.settings.streams_per_command.max(1) {
                break;
            }
        }
        streams
    }

    /// All subscribed streams are to be unsubscribed and subscribed again.
    pub(super) fn renew_all(&mut self) {
        for slot in &mut self.slots {
            if slot.subscription == Subscription::Sent {
                slot.subscription = Subscription::Renew;
                self.dirty = true;
            }
        }
    }

    /// A stream that is no longer wanted may be asked for again later, whatever became of it.
    pub(super) fn forget_refusals(&mut self, common: &Common) {
        for (slot, number) in self.slots.iter_mut().zip(0_u32..) {
            let is_left = matches!(
                slot.subscription,
                Subscription::Refused | Subscription::Beyond
            );
            if is_left && !common.desired.contains_key(&StreamId(number)) {
                *slot = Slot::default();
            }
        }
    }
}
