//! A machine under virtual time.

use kurs_core::Mono;
use kurs_net::{Action, Event, Notice, Overlap, Settings, StreamId, StreamSpec};
use std::time::Duration;

/// A machine, its time, and what it asked for.
pub(super) struct Rig {
    pub(super) overlap: Overlap,
    pub(super) now: Mono,
    pub(super) actions: Vec<Action>,
}

impl Rig {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            overlap: Overlap::new(settings, 7),
            now: Mono(0),
            actions: Vec::new(),
        }
    }

    pub(super) fn want(&mut self, streams: impl IntoIterator<Item = u32>) -> Vec<Action> {
        let streams: Vec<StreamSpec> = streams
            .into_iter()
            .map(|id| StreamSpec {
                id: StreamId(id),
                watched: true,
                group: 0,
            })
            .collect();
        self.overlap
            .set_desired(self.now, &streams, &mut self.actions);
        self.taken()
    }

    pub(super) fn event(&mut self, connection: u64, event: Event) -> Vec<Action> {
        self.overlap
            .handle(self.now, connection, event, &mut self.actions);
        self.taken()
    }

    pub(super) fn data(&mut self, connection: u64, stream: u32) -> Vec<Action> {
        self.overlap
            .data(self.now, connection, StreamId(stream), &mut self.actions);
        self.taken()
    }

    /// A sign of life without data, perhaps for one stream.
    pub(super) fn alive(&mut self, connection: u64, stream: Option<u32>) -> Vec<Action> {
        let stream = stream.map(StreamId);
        self.overlap
            .alive(self.now, connection, stream, &mut self.actions);
        self.taken()
    }

    /// Lets time pass, deadline by deadline.
    pub(super) fn pass(&mut self, duration: Duration) -> Vec<Action> {
        let until = self.now.plus(duration);
        while let Some(deadline) = self
            .overlap
            .next_deadline(self.now)
            .filter(|at| *at <= until)
        {
            assert!(
                deadline >= self.now || self.now == until,
                "a deadline in the past"
            );
            self.now = self.now.max(deadline);
            self.overlap.advance(self.now, &mut self.actions);
            let next = self.overlap.next_deadline(self.now);
            assert!(
                next.is_none_or(|next| next > self.now),
                "the machine would spin"
            );
        }
        self.now = until;
        self.taken()
    }

    pub(super) fn taken(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// One connection, live on these streams.
    pub(super) fn live(settings: Settings, streams: &[u32]) -> Self {
        let mut rig = Self::new(settings);
        rig.want(streams.iter().copied());
        rig.event(1, Event::Connected);
        for stream in streams {
            rig.data(1, *stream);
        }
        rig
    }
}

pub(super) fn subscribed(actions: &[Action], on: u64) -> Vec<u32> {
    let mut found = Vec::new();
    for action in actions {
        if let Action::Subscribe {
            connection,
            streams,
            ..
        } = action
            && *connection == on
        {
            found.extend(streams.iter().map(|stream| stream.0));
        }
    }
    found
}

pub(super) fn unsubscribed(actions: &[Action]) -> Vec<u32> {
    let mut found = Vec::new();
    for action in actions {
        if let Action::Unsubscribe { streams, .. } = action {
            found.extend(streams.iter().map(|stream| stream.0));
        }
    }
    found
}

pub(super) fn notices(actions: &[Action]) -> Vec<Notice> {
    let mut found = Vec::new();
    for action in actions {
        if let Action::Notice(notice) = action {
            found.push(notice.clone());
        }
    }
    found
}

pub(super) fn lost() -> Event {
    Event::Lost {
        why: "reset".to_owned(),
    }
}
