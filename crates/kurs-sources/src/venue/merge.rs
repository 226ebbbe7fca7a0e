//! Each change of a best price once, whichever of two connections it comes over.

use kurs_core::{Mono, Tick};
use std::time::Duration;

/// A newer connection that is ahead of the older one waits this long for it to catch up.
const HOLD_MAX: Duration = Duration::from_millis(250);
/// Ids that go on below the last one for this long have begun anew.
const REGRESS_MAX: Duration = Duration::from_secs(2);

/// Which connections frames may come from.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lines {
    /// Every connection below this has ended.
    pub(super) oldest_open: u64,
    /// Oldest connection that has brought a frame and has not ended. Not every number gets so
    /// far: attempts that fail have numbers too.
    oldest_heard: Option<u64>,
}

impl Lines {
    /// A frame came over a connection.
    pub(super) fn heard(&mut self, connection: u64) {
        if self.oldest_heard.is_none_or(|heard| connection < heard) {
            self.oldest_heard = Some(connection);
        }
    }

    /// Connections below `oldest_open` have ended.
    pub(super) fn ended(&mut self, oldest_open: u64) {
        self.oldest_open = self.oldest_open.max(oldest_open);
        self.oldest_heard = self.oldest_heard.filter(|heard| *heard >= oldest_open);
    }

    /// True when no older connection is open beside this one.
    fn is_alone(&self, connection: u64) -> bool {
        self.oldest_heard >= Some(connection)
    }
}

/// Came over a newer connection, ahead of what the older one has brought so far.
#[derive(Debug, Clone, Copy)]
struct Held {
    tick: Tick,
    connection: u64,
    since: Mono,
}

/// The best prices of one symbol over all connections.
#[derive(Debug, Default)]
pub(super) struct Merge {
    /// Newest connection whose frames follow on what was passed on.
    connection: u64,
    /// Last id passed on.
    id: Option<u64>,
    held: Option<Held>,
    /// Since when ids have been too low with no other connection to explain it.
    regress_since: Option<Mono>,
}

impl Merge {
    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Last id passed on.
    pub(super) const fn last_id(&self) -> Option<u64> {
        self.id
    }

    /// Whether a change is passed on now. While two connections overlap, the older one leads
    /// until the newer has brought something already known: from there on it misses nothing.
    /// Changes without ids tell nothing about that, so there the older one leads to its end.
    pub(super) fn passes(&mut self, now: Mono, connection: u64, tick: &Tick, lines: Lines) -> bool {
        match tick.event_id {
            Some(id) => self.passes_by_id(now, connection, id, tick, lines),
            None => self.passes_by_lead(now, connection, tick, lines),
        }
    }

    fn passes_by_id(
        &mut self,
        now: Mono,
        connection: u64,
        id: u64,
        tick: &Tick,
        lines: Lines,
    ) -> bool {
        let Some(last) = self.id else {
            self.connection = self.connection.max(connection);
            return self.pass(Some(id));
        };
        if connection > self.connection {
            let older_is_open = self.connection >= lines.oldest_open;
            if !older_is_open {
                // The first word after a gap holds, whatever its id.
                self.connection = connection;
                return self.pass(Some(id));
            }
            if id > last && self.holds(now, connection, tick) {
                return false;
            }
            self.connection = connection;
        }
        if id > last {
            return self.pass(Some(id));
        }
        // Too low. Over a second connection, or for a moment, that is lag; for ever it is not.
        if connection < self.connection || !lines.is_alone(connection) || id == last {
            return false;
        }
        let since = *self.regress_since.get_or_insert(now);
        now.since(since) >= REGRESS_MAX && self.pass(Some(id))
    }

    fn passes_by_lead(&mut self, now: Mono, connection: u64, tick: &Tick, lines: Lines) -> bool {
        let lead_is_open = self.connection > 0 && self.connection >= lines.oldest_open;
        if lead_is_open && connection < self.connection {
            return false;
        }
        if lead_is_open && connection > self.connection && self.holds(now, connection, tick) {
            return false;
        }
        self.connection = connection;
        self.pass(None)
    }

    /// Holds a newer connection's change back, unless the older one has been silent since the
    /// first that was held for too long.
    fn holds(&mut self, now: Mono, connection: u64, tick: &Tick) -> bool {
        let since = self.held.map_or(now, |held| held.since);
        let waits = now.since(since) < HOLD_MAX;
        if waits {
            let tick = *tick;
            self.held = Some(Held {
                tick,
                connection,
                since,
            });
        }
        waits
    }

    const fn pass(&mut self, id: Option<u64>) -> bool {
        self.id = id;
        self.held = None;
        self.regress_since = None;
        true
    }

    /// Connections have ended: what a newer one was holding back is due.
    pub(super) fn ended(&mut self, lines: Lines) -> Option<Tick> {
        if self.connection >= lines.oldest_open {
            return None;
        }
        let held = self.held.take()?;
        let is_news = held.tick.event_id.is_none() || held.tick.event_id > self.id;
        if !is_news || held.connection < lines.oldest_open {
            return None;
        }
        self.connection = held.connection;
        self.id = held.tick.event_id;
        Some(held.tick)
    }
}

#[cfg(test)]
mod tests;
