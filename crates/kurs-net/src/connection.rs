//! One connection as a state machine: it connects, subscribes what is wanted within the command
//! limit, notices that nothing comes, and backs off. Bytes and time come from outside.

mod answers;
mod common;
mod life;
mod slots;

use crate::backoff::Backoff;
use crate::command_rate::CommandRate;
use crate::overlap::Action;
use crate::settings::Settings;
use crate::stream::StreamId;
use answers::Answers;
pub use common::Common;
use kurs_core::Mono;
use slots::{Slot, Subscription};
use std::time::Duration;

/// Where a connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing is wanted, or it has ended.
    Idle,
    /// The shell is connecting; given up at this time.
    Connecting(Mono),
    /// Connected, no data yet.
    Subscribing,
    /// Data has come.
    Live,
    /// A successor took over; closed at this time.
    Draining(Mono),
    /// Tries again at this time.
    Backoff(Mono),
}

/// One connection and its attempts; each attempt gets a new number.
#[derive(Debug)]
pub struct Connection {
    number: u64,
    state: State,
    connected_at: Mono,
    last_data: Mono,
    /// Last sign of life of the other end, data included.
    last_life: Mono,
    /// When it last sent a sign of life itself, or was connected.
    spoke_at: Mono,
    /// All its streams were subscribed anew since data last came.
    renewed: bool,
    slots: Vec<Slot>,
    rate: CommandRate,
    backoff: Backoff,
    /// Counts on over attempts, so that a late answer is never taken for another's.
    last_command: u64,
    answers: Answers,
    /// Something may have to be subscribed or unsubscribed.
    dirty: bool,
}

impl Connection {
    /// Idle.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            number: 0,
            state: State::Idle,
            connected_at: Mono(0),
            last_data: Mono(0),
            last_life: Mono(0),
            spoke_at: Mono(0),
            renewed: false,
            slots: Vec::new(),
            rate: CommandRate::new(settings.commands_per_second),
            backoff: Backoff::new(settings.backoff.clone()),
            last_command: 0,
            answers: Answers::default(),
            dirty: false,
        }
    }

    /// Number of the present attempt; grows over all connections of a chain.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// True while frames may come over it.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(
            self.state,
            State::Subscribing | State::Live | State::Draining(_)
        )
    }

    /// When the handshake was done; meaningful while open.
    #[must_use]
    pub const fn connected_at(&self) -> Mono {
        self.connected_at
    }

    /// True when this stream has spoken over this connection.
    #[must_use]
    pub fn spoke(&self, stream: StreamId) -> bool {
        self.slot(stream).is_some_and(|slot| slot.spoke)
    }

    /// Begins an attempt under the next number, at once or as soon as one is allowed.
    pub fn connect(&mut self, now: Mono, common: &mut Common, actions: &mut Vec<Action>) {
        let at = common.attempt_at(now);
        if at > now {
            self.state = State::Backoff(at);
            return;
        }
        common.attempted_at = Some(now);
        common.last_number = common.next_number();
        self.number = common.last_number;
        self.state = State::Connecting(now.plus(common.settings.connect_timeout));
        actions.push(Action::Connect {
            connection: self.number,
        });
    }

    /// Begins its first attempt after the next delay of this connection's backoff, and goes on
    /// counting attempts where this one stands.
    pub fn succeed_later(&mut self, now: Mono, common: &mut Common) -> Self {
        let delay = self.backoff.next_delay(&mut common.random);
        let mut successor = Self::new(&common.settings);
        successor.backoff = self.backoff.clone();
        successor.state = State::Backoff(common.attempt_at(now.plus(delay)));
        successor
    }

    /// The handshake is done.
    pub fn connected(&mut self, now: Mono, common: &Common, actions: &mut Vec<Action>) {
        if !matches!(self.state, State::Connecting(_)) {
            return;
        }
        self.state = State::Subscribing;
        self.connected_at = now;
        self.last_data = now;
        self.last_life = now;
        self.spoke_at = now;
        self.renewed = false;
        self.slots.clear();
        self.answers = Answers::default();
        self.rate = CommandRate::new(common.settings.commands_per_second);
        self.dirty = true;
        self.pump(now, common, actions);
    }

    /// The attempt failed or the connection was lost. Returns when it tries again.
    pub fn fail(&mut self, now: Mono, retry_after: Option<Duration>, common: &mut Common) -> Mono {
        let delay = self
            .backoff
            .next_delay(&mut common.random)
            .max(retry_after.unwrap_or_default());
        let until = common.attempt_at(now.plus(delay));
        self.state = State::Backoff(until);
        until
    }

    /// Ends it for good.
    pub const fn end(&mut self) {
        self.state = State::Idle;
    }

    /// A successor took over: it is read a little longer, then closed.
    pub const fn drain(&mut self, until: Mono) {
        self.state = State::Draining(until);
    }

    /// Data of a stream arrived. True when it is the stream's first over this connection.
    pub fn data(&mut self, now: Mono, stream: StreamId) -> bool {
        match self.state {
            State::Subscribing => self.state = State::Live,
            State::Live | State::Draining(_) => {}
            _ => return false,
        }
        self.last_data = now;
        self.last_life = now;
        self.renewed = false;
        self.backoff.data(now);
        self.heard(stream)
    }

    /// A stream spoke. True when it is the first time.
    fn heard(&mut self, stream: StreamId) -> bool {
        self.slot_mut(stream)
            .is_some_and(|slot| !std::mem::replace(&mut slot.spoke, true))
    }

    /// The wanted streams changed.
    pub fn desired_changed(&mut self, now: Mono, common: &Common, actions: &mut Vec<Action>) {
        self.forget_refusals(common);
        self.dirty = true;
        self.pump(now, common, actions);
    }

    /// Unsubscribe these streams and subscribe them again, for they are silent or must begin
    /// anew. One that was refused is tried once more.
    pub fn renew(
        &mut self,
        now: Mono,
        streams: &[StreamId],
        common: &Common,
        actions: &mut Vec<Action>,
    ) {
        for stream in streams {
            let Some(slot) = self.slot_mut(*stream) else {
                continue;
            };
            slot.subscription = match slot.subscription {
                Subscription::Sent => Subscription::Renew,
                Subscription::Refused => Subscription::None,
                _ => continue,
            };
            self.dirty = true;
        }
        self.pump(now, common, actions);
    }

    /// When it next has something to do.
    #[must_use]
    pub fn next_deadline(&self, now: Mono, common: &Common) -> Option<Mono> {
        match self.state {
            State::Idle => None,
            State::Connecting(at) | State::Backoff(at) => Some(at),
            State::Draining(at) => {
                let speaks = self.speaks_at(now, common);
                Some(speaks.map_or(at, |speaks| speaks.min(at)))
            }
            State::Subscribing | State::Live => {
                let permit = self.dirty.then(|| self.rate.next_permit(now));
                [
                    self.death_deadline(common),
                    self.frozen_deadline(common),
                    self.renewal_due(common),
                    permit,
                    self.speaks_at(now, common),
                ]
                .into_iter()
                .flatten()
                .min()
            }
        }
    }

    /// Sends the sign of life that is due, and what is to be subscribed and unsubscribed, as
    /// far as the command limit allows.
    pub fn pump(&mut self, now: Mono, common: &Common, actions: &mut Vec<Action>) {
        let speaks = self.speak_due(common);
        if self.is_open() && speaks.is_some_and(|due| now >= due) && self.rate.take(now) {
            self.spoke_at = now;
            let connection = self.number;
            actions.push(Action::KeepAlive { connection });
        }
        if !matches!(self.state, State::Subscribing | State::Live) {
            return;
        }
        if self.renewal_due(common).is_some_and(|due| now >= due) {
            self.renewed = true;
            self.renew_all();
        }
        while self.dirty {
            let leaving = self.next_leaving(common);
            let subscribe = leaving.is_empty();
            let streams = if subscribe {
                self.next_joining(common, actions)
            } else {
                leaving
            };
            if streams.is_empty() {
                self.dirty = false;
                return;
            }
            if !self.rate.take(now) {
                return;
            }
            self.send(subscribe, streams, actions);
        }
    }

    fn send(&mut self, subscribe: bool, streams: Vec<StreamId>, actions: &mut Vec<Action>) {
        self.last_command += 1;
        let (connection, command) = (self.number, self.last_command);
        for stream in &streams {
            if let Some(slot) = self.slot_mut(*stream) {
                let after = if subscribe {
                    Subscription::Sent
                } else {
                    Subscription::None
                };
                slot.subscription = after;
            }
        }
        let asked_for = if subscribe {
            streams.clone()
        } else {
            Vec::new()
        };
        self.answers.await_for(command, asked_for);
        if !subscribe {
            actions.push(Action::Unsubscribe {
                connection,
                command,
                streams,
            });
            return;
        }
        actions.push(Action::Subscribe {
            connection,
            command,
            streams,
        });
    }

    fn slot(&self, stream: StreamId) -> Option<&Slot> {
        stream.index().and_then(|index| self.slots.get(index))
    }

    fn slot_mut(&mut self, stream: StreamId) -> Option<&mut Slot> {
        stream.index().and_then(|index| self.slots.get_mut(index))
    }
}
