//! One connection as a state machine: it connects, subscribes what is wanted within the command
//! limit, notices that nothing comes, and backs off. Bytes and time come from outside.

mod common;
mod slots;

use crate::backoff::Backoff;
use crate::command_rate::CommandRate;
use crate::overlap::{Action, Notice};
use crate::settings::Settings;
use crate::stream::StreamId;
pub use common::Common;
use kurs_core::Mono;
use slots::{Slot, Subscription};
use std::collections::BTreeMap;
use std::time::Duration;

/// Commands whose answer is remembered; the oldest is forgotten beyond that.
const ANSWERS_AWAITED_MAX: usize = 64;

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
    /// When it next owes a sign of life; no time where the venue wants none.
    speak_at: Option<Mono>,
    slots: Vec<Slot>,
    rate: CommandRate,
    backoff: Backoff,
    /// Counts on over attempts, so that a late answer is never taken for another's.
    last_command: u64,
    answers_awaited: BTreeMap<u64, Vec<StreamId>>,
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
            speak_at: None,
            slots: Vec::new(),
            rate: CommandRate::new(settings.commands_per_second),
            backoff: Backoff::new(settings.backoff.clone()),
            last_command: 0,
            answers_awaited: BTreeMap::new(),
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

    /// Begins an attempt under the next number.
    pub fn connect(&mut self, now: Mono, common: &mut Common, actions: &mut Vec<Action>) {
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
        successor.state = State::Backoff(now.plus(delay));
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
        self.speak_at = common.settings.keep_alive.map(|every| now.plus(every));
        self.slots.clear();
        self.answers_awaited.clear();
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
        let until = now.plus(delay);
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
        self.backoff.data(now);
        let Some(slot) = stream.index().and_then(|index| self.slots.get_mut(index)) else {
            return false;
        };
        let first = !slot.spoke;
        slot.spoke = true;
        first
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

    /// A command was accepted.
    pub fn accepted(&mut self, command: u64) {
        self.answers_awaited.remove(&command);
    }

    /// A command was refused. A batch is tried again stream by stream, since one bad name may
    /// have spoilt it; a stream refused alone is reported and left out.
    pub fn refused(
        &mut self,
        now: Mono,
        command: u64,
        why: &str,
        common: &Common,
        actions: &mut Vec<Action>,
    ) {
        let Some(streams) = self.answers_awaited.remove(&command) else {
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

    /// The venue pinged; the shell has answered, which counts against the command limit.
    pub fn ponged(&mut self, now: Mono) {
        self.rate.spend(now);
    }

    /// True when the present state has lasted too long: no handshake, or no data.
    #[must_use]
    pub fn overdue(&self, now: Mono, common: &Common) -> Option<&'static str> {
        match self.state {
            State::Connecting(until) if now >= until => Some("no handshake in time"),
            State::Subscribing if self.silent(now, common) => Some("no data after connecting"),
            State::Live if self.silent(now, common) => Some("no data on any stream"),
            _ => None,
        }
    }

    fn silent(&self, now: Mono, common: &Common) -> bool {
        self.silence_deadline(common)
            .is_some_and(|deadline| now >= deadline)
    }

    /// Only watched streams can make a connection look dead.
    fn silence_deadline(&self, common: &Common) -> Option<Mono> {
        let watched = common.desired.values().any(|spec| spec.watched);
        watched.then(|| self.last_data.plus(common.settings.connection_silence))
    }

    /// When it next has something to do.
    #[must_use]
    pub fn next_deadline(&self, now: Mono, common: &Common) -> Option<Mono> {
        match self.state {
            State::Idle => None,
            State::Connecting(at) | State::Backoff(at) => Some(at),
            State::Draining(at) => Some(self.speaks_at(now).map_or(at, |speaks| speaks.min(at))),
            State::Subscribing | State::Live => {
                let silence = self.silence_deadline(common);
                let permit = self.dirty.then(|| self.rate.next_permit(now));
                let speaks = self.speaks_at(now);
                silence.into_iter().chain(permit).chain(speaks).min()
            }
        }
    }

    /// When the next sign of life can go: it is due, and the command limit allows it.
    fn speaks_at(&self, now: Mono) -> Option<Mono> {
        let due = self.speak_at?;
        Some(due.max(self.rate.next_permit(now)))
    }

    /// Sends the sign of life that is due, and what is to be subscribed and unsubscribed, as
    /// far as the command limit allows.
    pub fn pump(&mut self, now: Mono, common: &Common, actions: &mut Vec<Action>) {
        if self.is_open() && self.speak_at.is_some_and(|due| now >= due) && self.rate.take(now) {
            self.speak_at = common.settings.keep_alive.map(|every| now.plus(every));
            let connection = self.number;
            actions.push(Action::KeepAlive { connection });
        }
        if !matches!(self.state, State::Subscribing | State::Live) {
            return;
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
        if !subscribe {
            actions.push(Action::Unsubscribe {
                connection,
                command,
                streams,
            });
            return;
        }
        self.answers_awaited.insert(command, streams.clone());
        if self.answers_awaited.len() > ANSWERS_AWAITED_MAX {
            self.answers_awaited.pop_first();
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
