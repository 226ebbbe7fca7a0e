//! Whether the other end lives. Data prove it, and so do heartbeats and the answers to pings; but
//! a connection that only lives, and carries nothing, has its end too.

use super::common::Common;
use super::{Connection, State};
use crate::stream::StreamId;
use kurs_core::Mono;
use std::time::Duration;

/// A connection is asked for an answer no more often than this: subscriptions need their share
/// of what may be sent.
const QUESTION_EVERY: Duration = Duration::from_millis(500);

impl Connection {
    /// The other end lives, and with it the stream it names, but there is no data. True when it
    /// is the stream's first word over this connection.
    pub fn alive(&mut self, now: Mono, stream: Option<StreamId>) -> bool {
        if !self.is_open() {
            return false;
        }
        self.last_life = now;
        stream.is_some_and(|stream| self.heard(stream))
    }

    /// The venue pinged: it lives. The shell has answered, which counts against the command
    /// limit.
    pub fn ponged(&mut self, now: Mono) {
        self.rate.spend(now);
        self.alive(now, None);
    }

    /// True when the present state has lasted too long: no handshake, or no data.
    #[must_use]
    pub fn overdue(&self, now: Mono, common: &Common) -> Option<&'static str> {
        let is_over = |deadline: Option<Mono>| deadline.is_some_and(|deadline| now >= deadline);
        match self.state {
            State::Connecting(until) if now >= until => Some("no handshake in time"),
            State::Subscribing | State::Live => {
                if is_over(self.death_deadline(common)) {
                    Some(if self.state == State::Live {
                        "no data on any stream"
                    } else {
                        "no data after connecting"
                    })
                } else if is_over(self.frozen_deadline(common)) {
                    Some("signs of life, but no data on any stream")
                } else {
                    None
                }
            }
            _ => None,
        }
    }

    /// When it counts as dead: nothing came, whatever it was.
    pub(super) fn death_deadline(&self, common: &Common) -> Option<Mono> {
        let after = common.settings.connection_silence;
        common.watches_any().then(|| self.last_life.plus(after))
    }

    /// When it counts as frozen: it lives, and brings no data.
    pub(super) fn frozen_deadline(&self, common: &Common) -> Option<Mono> {
        let after = common.settings.data_silence;
        common.watches_any().then(|| self.last_data.plus(after))
    }

    /// When all streams of a connection that lives without data are subscribed anew: a venue
    /// that works answers that with data, however quiet its markets are.
    pub(super) fn renewal_due(&self, common: &Common) -> Option<Mono> {
        let after = common.settings.data_silence / 2;
        let is_due = !self.renewed && common.watches_any();
        is_due.then(|| self.last_data.plus(after))
    }

    /// When the next sign of life can go: it is due, and the command limit allows it.
    pub(super) fn speaks_at(&self, now: Mono, common: &Common) -> Option<Mono> {
        let due = self.speak_due(common)?;
        Some(due.max(self.rate.next_permit(now)))
    }

    /// When it next owes a sign of life: regularly where the venue wants that, and early enough
    /// for an answer when the other end has gone quiet.
    pub(super) fn speak_due(&self, common: &Common) -> Option<Mono> {
        let settings = &common.settings;
        let regular = settings.keep_alive.map(|every| self.spoke_at.plus(every));
        let quiet_since = self.last_life.max(self.spoke_at);
        let asks = common.watches_any() && !matches!(self.state, State::Draining(_));
        let question =
            asks.then(|| quiet_since.plus((settings.connection_silence / 3).max(QUESTION_EVERY)));
        regular.into_iter().chain(question).min()
    }
}
