//! States of the pairs and of the source.

use super::Desk;
use kurs_core::{EventKind, Now, SourceState};
use std::sync::atomic::Ordering;

impl Desk {
    /// Tells the state of a pair if it is another than was told.
    pub(super) fn mark(&mut self, now: Now, index: u32, state: SourceState, why: &str) {
        let Some(row) = self.row_mut(index) else {
            return;
        };
        if std::mem::replace(&mut row.reported, state) == state {
            return;
        }
        let pair = row.pair;
        let why = why.into();
        self.count_pairs();
        self.deliver(now, EventKind::PairState { pair, state, why });
    }

    /// Marks pairs that were silent for too long, whichever way they last spoke, and the source
    /// when REST stood in for the socket and has stopped.
    pub(super) fn judge_silence(&mut self, now: Now) {
        let is_bridged = !self.socket_live && self.is_reported(SourceState::Live);
        if is_bridged && self.followed_rows().next().is_some() && !self.rest_speaks(now.mono) {
            let trouble = self.rest_trouble.take();
            let why = trouble.as_deref().unwrap_or("no answer by REST");
            self.report(now, SourceState::Down, why);
        }
        let silence = self.waits.silence;
        for index in self.indexes() {
            let Some(row) = self.row(index) else {
                continue;
            };
            let spoke = row.last_data();
            let is_silent = now.mono.since(spoke.unwrap_or(row.since)) >= silence;
            if !is_silent || !matches!(row.reported, SourceState::Live | SourceState::Syncing) {
                continue;
            }
            let why = if spoke.is_some() {
                "silent"
            } else {
                "has not spoken yet"
            };
            self.mark(now, index, SourceState::Stale, why);
        }
    }

    pub(super) fn count_pairs(&self) {
        let live = self
            .followed_rows()
            .filter(|(_, row)| row.reported == SourceState::Live)
            .count();
        self.stats
            .pairs
            .store(u32::try_from(live).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    pub(super) fn is_reported(&self, state: SourceState) -> bool {
        self.reported
            .as_ref()
            .is_some_and(|(last, _)| *last == state)
    }

    pub(super) fn report(&mut self, now: Now, state: SourceState, why: &str) {
        self.stats.set_state(state, why, now.wall);
        let is_same = self.reported.as_ref().is_some_and(|(last, reason)| {
            *last == state && (reason == why || state == SourceState::Live)
        });
        if is_same {
            return;
        }
        self.reported = Some((state, why.to_owned()));
        if state == SourceState::Live {
            tracing::info!(source = %self.source, "the source gives prices");
        } else if why.contains("HTTP 4") {
            // The venue refuses this address or asks too much of it: waiting will not help.
            tracing::error!(source = %self.source, why, "the source refuses to give prices");
        } else {
            tracing::warn!(source = %self.source, why, "the source gives no prices");
        }
        let why = why.into();
        self.deliver(now, EventKind::State { state, why });
    }
}
