//! Connections that follow one another without a gap. Before a planned cut, or when the venue
//! announces its shutdown, a successor is connected and subscribed first; the old connection
//! ends only after every speaking stream has spoken on the new one. What both carry is told
//! apart by the user, who sees the connection number in each frame.

mod handover;
mod loss;
mod words;

use crate::connection::{Common, Connection, State};
use crate::settings::Settings;
use crate::stream::{StreamId, StreamSpec};
use crate::stream_watch::StreamWatch;
use kurs_core::Mono;
use loss::Loss;
pub use words::{Action, Event, Notice};

/// Keeps one connection alive, or two while they change over.
#[derive(Debug)]
pub struct Overlap {
    common: Common,
    current: Connection,
    successor: Option<Connection>,
    previous: Option<Connection>,
    watch: StreamWatch,
    renew_at: Option<Mono>,
    /// Whether the user was last told that data comes.
    serving: bool,
}

impl Overlap {
    /// Idle until streams are wanted.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        let current = Connection::new(&settings);
        Self {
            common: Common::new(settings, seed),
            current,
            successor: None,
            previous: None,
            watch: StreamWatch::default(),
            renew_at: None,
            serving: false,
        }
    }

    /// Sets which streams are wanted; the others are not touched.
    pub fn set_desired(&mut self, now: Mono, streams: &[StreamSpec], actions: &mut Vec<Action>) {
        let before = std::mem::take(&mut self.common.desired);
        for stream in streams {
            if stream.id.index().is_some() {
                self.common.desired.insert(stream.id, *stream);
            }
        }
        for stream in before.keys() {
            if !self.common.desired.contains_key(stream) {
                self.watch.forget(*stream);
            }
        }
        if self.common.desired.is_empty() {
            self.stop(actions);
            return;
        }
        let from = actions.len();
        if self.current.state() == State::Idle {
            self.current.connect(now, &mut self.common, actions);
        }
        self.current.desired_changed(now, &self.common, actions);
        if let Some(successor) = &mut self.successor {
            successor.desired_changed(now, &self.common, actions);
        }
        self.note_subscriptions(now, from, actions);
    }

    fn stop(&mut self, actions: &mut Vec<Action>) {
        for mut connection in [self.previous.take(), self.successor.take()]
            .into_iter()
            .flatten()
        {
            self.close(&mut connection, actions);
        }
        let mut current =
            std::mem::replace(&mut self.current, Connection::new(&self.common.settings));
        self.close(&mut current, actions);
        self.watch.clear();
        self.renew_at = None;
        self.serving = false;
    }

    /// Data of a stream arrived: the hot path.
    pub fn data(&mut self, now: Mono, number: u64, stream: StreamId, actions: &mut Vec<Action>) {
        let successor_speaks = match &mut self.successor {
            Some(successor) if successor.number() == number => successor.data(now, stream),
            _ => false,
        };
        if self.current.number() == number {
            let connecting = self.current.state() == State::Subscribing;
            self.current.data(now, stream);
            if connecting && self.current.state() == State::Live {
                self.plan_renewal();
            }
        } else if let Some(previous) = &mut self.previous
            && previous.number() == number
        {
            previous.data(now, stream);
        }
        if !self.serving && self.is_open(number) {
            self.serving = true;
            actions.push(Action::Notice(Notice::Live { connection: number }));
        }
        if self.watch.data(now, stream) {
            actions.push(Action::Notice(Notice::StreamLive(stream)));
        }
        if successor_speaks && self.successor_carries_all() {
            self.take_over(now, actions);
        }
    }

    /// A sign of life without data came, perhaps for one stream.
    pub fn alive(
        &mut self,
        now: Mono,
        number: u64,
        stream: Option<StreamId>,
        actions: &mut Vec<Action>,
    ) {
        let Some(connection) = self.find(number).0 else {
            return;
        };
        let is_open = connection.is_open();
        let is_first = connection.alive(now, stream);
        let Some(stream) = stream.filter(|_| is_open) else {
            return;
        };
        if self.watch.data(now, stream) {
            actions.push(Action::Notice(Notice::StreamLive(stream)));
        }
        let is_successor = self.current.number() != number;
        if is_first && is_successor && self.successor_carries_all() {
            self.take_over(now, actions);
        }
    }

    /// Anything else happened to a connection.
    pub fn handle(&mut self, now: Mono, number: u64, event: Event, actions: &mut Vec<Action>) {
        let from = actions.len();
        match event {
            Event::Connected => {
                let (connection, common) = self.find(number);
                if let Some(connection) = connection {
                    connection.connected(now, common, actions);
                }
            }
            Event::ConnectFailed { why, retry_after } => {
                self.lose(now, number, &why, Loss::Broke(retry_after), actions);
            }
            Event::Lost { why } => self.lose(now, number, &why, Loss::Broke(None), actions),
            Event::Accepted { command } => {
                if let Some(connection) = self.find(number).0 {
                    connection.accepted(command);
                }
            }
            Event::Refused { command, why } => {
                let (connection, common) = self.find(number);
                if let Some(connection) = connection {
                    connection.refused(now, command, &why, common, actions);
                }
            }
            Event::StreamRefused { stream, why } => {
                if let Some(connection) = self.find(number).0 {
                    connection.stream_refused(stream, &why, actions);
                }
            }
            Event::Renew { stream } => {
                let (connection, common) = self.find(number);
                if let Some(connection) = connection {
                    connection.renew(now, &[stream], common, actions);
                }
            }
            Event::ShutdownNotice => self.replace(now, number, actions),
            Event::Ponged => {
                if let Some(connection) = self.find(number).0 {
                    connection.ponged(now);
                }
            }
        }
        self.note_subscriptions(now, from, actions);
    }

    /// Does what has become due.
    pub fn advance(&mut self, now: Mono, actions: &mut Vec<Action>) {
        let from = actions.len();
        if let State::Draining(until) = self
            .previous
            .as_ref()
            .map_or(State::Idle, Connection::state)
            && now >= until
            && let Some(mut previous) = self.previous.take()
        {
            self.close(&mut previous, actions);
        }
        if let Some(previous) = &mut self.previous {
            previous.pump(now, &self.common, actions);
        }
        for number in [
            self.current.number(),
            self.successor.as_ref().map_or(0, Connection::number),
        ] {
            let (connection, common) = self.find(number);
            let Some(connection) = connection else {
                continue;
            };
            match connection.state() {
                State::Backoff(until) if now >= until => connection.connect(now, common, actions),
                _ => {
                    if let Some(why) = connection.overdue(now, common) {
                        let loss = if connection.is_open() {
                            Loss::Silent
                        } else {
                            Loss::Broke(None)
                        };
                        actions.push(Action::Close { connection: number });
                        self.lose(now, number, why, loss, actions);
                    } else {
                        connection.pump(now, common, actions);
                    }
                }
            }
        }
        if self
            .handover_deadline()
            .is_some_and(|deadline| now >= deadline)
        {
            self.end_handover(now, actions);
        }
        if self.renewal_due().is_some_and(|due| now >= due) {
            self.start_successor(now, actions);
        }
        self.advance_watch(now, actions);
        self.note_subscriptions(now, from, actions);
    }

    /// When [`Overlap::advance`] next has something to do. Data and signs of life only move it
    /// later, unless they gave an action.
    #[must_use]
    pub fn next_deadline(&self, now: Mono) -> Option<Mono> {
        let connections = [
            Some(&self.current),
            self.successor.as_ref(),
            self.previous.as_ref(),
        ];
        connections
            .into_iter()
            .flatten()
            .filter_map(|connection| connection.next_deadline(now, &self.common))
            .chain(self.handover_deadline())
            .chain(self.renewal_due())
            .chain(self.watch.next_deadline(&self.common.settings))
            .min()
    }

    /// True while this connection's handshake is awaited.
    #[must_use]
    pub fn awaits(&self, number: u64) -> bool {
        [Some(&self.current), self.successor.as_ref()]
            .into_iter()
            .flatten()
            .any(|one| one.number() == number && matches!(one.state(), State::Connecting(_)))
    }

    /// Number of connections that exist or are being made.
    #[must_use]
    pub fn connections(&self) -> usize {
        1 + usize::from(self.successor.is_some()) + usize::from(self.previous.is_some())
    }

    fn find(&mut self, number: u64) -> (Option<&mut Connection>, &mut Common) {
        // Number 0 is a connection that was never attempted: it gets no events, but its wait
        // ends like any other's.
        let connection = if self.current.number() == number {
            Some(&mut self.current)
        } else {
            [self.successor.as_mut(), self.previous.as_mut()]
                .into_iter()
                .flatten()
                .find(|connection| connection.number() == number)
        };
        (connection, &mut self.common)
    }

    fn is_open(&self, number: u64) -> bool {
        let connections = [
            Some(&self.current),
            self.successor.as_ref(),
            self.previous.as_ref(),
        ];
        connections
            .into_iter()
            .flatten()
            .any(|one| one.number() == number && one.is_open())
    }

    fn oldest_open(&self) -> u64 {
        [
            Some(&self.current),
            self.successor.as_ref(),
            self.previous.as_ref(),
        ]
        .into_iter()
        .flatten()
        .filter(|connection| connection.is_open())
        .map(Connection::number)
        .min()
        .unwrap_or(self.common.next_number())
    }

    fn advance_watch(&mut self, now: Mono, actions: &mut Vec<Action>) {
        let (mut notices, mut again) = (Vec::new(), Vec::new());
        self.watch
            .advance(now, &self.common.settings, &mut notices, &mut again);
        actions.extend(notices.into_iter().map(Action::Notice));
        if !again.is_empty() {
            self.current.renew(now, &again, &self.common, actions);
        }
    }

    /// Watched streams that were subscribed since `from` owe their first frame.
    fn note_subscriptions(&mut self, now: Mono, from: usize, actions: &[Action]) {
        for action in actions.get(from..).unwrap_or_default() {
            let Action::Subscribe { streams, .. } = action else {
                continue;
            };
            for stream in streams {
                if self.common.watches(*stream) {
                    self.watch.subscribed(now, *stream);
                }
            }
        }
    }
}
