//! The order book of one symbol over all connections: one book where the venue's ids are the
//! same on every connection, else one per connection with a lead.

mod slot;

use super::merge::Lines;
use crate::stats::BookStats;
use kurs_book::{Book, BookUpdate, Change, Counters, Ids, Kind, Scheme, Verdict};
use kurs_core::{Mono, Now, Wall};
use slot::Slot;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Books of one symbol at a time: an old connection, its successor, and one more.
const SLOTS_MAX: usize = 4;
/// Key of the one book that all connections share.
const SHARED: u64 = 0;

/// What does not differ from symbol to symbol.
#[derive(Debug, Clone)]
pub(super) struct Manner {
    /// How books are kept in step.
    pub(super) scheme: Scheme,
    /// Levels per side that are kept.
    pub(super) depth: Option<usize>,
    /// True when messages of several connections go into one book.
    pub(super) is_shared: bool,
    /// Least time between two subscriptions of one book.
    pub(super) pause: Duration,
    /// How long a book is trusted before it is asked for anew.
    pub(super) refresh: Option<Duration>,
}

/// One message about a book.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) connection: u64,
    pub(super) kind: Kind,
    pub(super) ids: Ids,
    pub(super) checksum: Option<u32>,
    pub(super) changes: &'a [Change],
    pub(super) at: Option<Wall>,
}

impl<'a> Message<'a> {
    const fn update(&self) -> BookUpdate<'a> {
        BookUpdate {
            kind: self.kind,
            ids: self.ids,
            checksum: self.checksum,
            changes: self.changes,
        }
    }
}

/// What became of the readable book.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The book that is read changed, or another is read from now on.
    pub(super) changed: bool,
    /// A book was lost or synced: counts may have changed.
    pub(super) turned: bool,
}

/// The books of one symbol.
#[derive(Debug, Default)]
pub(super) struct Books {
    slots: Vec<Slot>,
    /// Key of the one that is read.
    lead: u64,
}

impl Books {
    /// Takes the next message as it arrives.
    pub(super) fn take(
        &mut self,
        now: Now,
        message: Message<'_>,
        manner: &Manner,
        lines: Lines,
        stats: &BookStats,
    ) -> Outcome {
        let Some(slot) = self.slot_of(now.mono, message.connection, manner, lines) else {
            return Outcome::default();
        };
        let key = slot.key;
        let outcome = slot.take(now, message, stats);
        self.settle(key, outcome)
    }

    /// A snapshot that was asked for.
    pub(super) fn snapshot(
        &mut self,
        now: Now,
        ids: Ids,
        changes: &[Change],
        stats: &BookStats,
    ) -> Option<(Verdict, Outcome)> {
        // Only venues whose books are shared have their snapshots asked for.
        let slot = self.slots.iter_mut().find(|slot| slot.key == SHARED)?;
        let message = Message {
            connection: SHARED,
            kind: Kind::Snapshot,
            ids,
            checksum: None,
            changes,
            at: None,
        };
        let mut outcome = Outcome::default();
        let verdict = slot.apply(now, message, stats, &mut outcome);
        Some((verdict, self.settle(SHARED, outcome)))
    }

    /// The venue says that the symbol is alive on this connection: its book is due.
    pub(super) fn alive(&mut self, now: Mono, connection: u64, manner: &Manner, lines: Lines) {
        if let Some(slot) = self.slot_of(now, connection, manner, lines) {
            slot.feed(connection);
        }
    }

    /// A message about the book could not be used: the book has missed it.
    pub(super) fn spoil(&mut self, connection: u64, manner: &Manner, stats: &BookStats) -> Outcome {
        let key = if manner.is_shared { SHARED } else { connection };
        let Some(slot) = self.slots.iter_mut().find(|slot| slot.key == key) else {
            return Outcome::default();
        };
        let outcome = slot.lose("a message that cannot be used");
        if outcome.turned {
            stats.gaps.fetch_add(1, Ordering::Relaxed);
        }
        self.settle(key, outcome)
    }

    /// The book that is read gets no messages any more although it should. Gives the connection
    /// to subscribe it on.
    pub(super) fn fall_silent(&mut self, stats: &BookStats) -> (u64, Outcome) {
        let key = self.lead;
        let Some(slot) = self.slots.iter_mut().find(|slot| slot.key == key) else {
            return (key, Outcome::default());
        };
        let outcome = slot.lose("its stream is silent");
        if outcome.turned {
            stats.gaps.fetch_add(1, Ordering::Relaxed);
        }
        let connection = slot.newest_feeder();
        (connection, self.settle(key, outcome))
    }

    /// A connection has ended.
    pub(super) fn ended(
        &mut self,
        now: Now,
        connection: u64,
        lines: Lines,
        stats: &BookStats,
    ) -> Outcome {
        let gone = |key: u64| key != SHARED && (key == connection || key < lines.oldest_open);
        let led = gone(self.lead);
        self.slots.retain(|slot| !gone(slot.key));
        let mut outcome = Outcome {
            changed: led,
            turned: led,
        };
        for slot in &mut self.slots {
            if slot.key == SHARED {
                outcome = slot.left(now, gone, stats);
            }
        }
        self.slots
            .retain(|slot| slot.key != SHARED || slot.is_fed());
        self.settle(self.lead, outcome)
    }

    /// Messages that were held back for too long are due.
    pub(super) fn advance(&mut self, now: Now, stats: &BookStats) -> Outcome {
        let mut total = Outcome::default();
        for at in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(at) else {
                break;
            };
            let key = slot.key;
            let outcome = slot.release_late(now, stats);
            let outcome = self.settle(key, outcome);
            total.changed |= outcome.changed;
            total.turned |= outcome.turned;
        }
        total
    }

    /// Connections on which the book must be subscribed anew now. `may_refresh` is spent by a
    /// book that is asked for only because its time is up.
    pub(super) fn renewals(
        &mut self,
        now: Mono,
        manner: &Manner,
        may_refresh: &mut bool,
        mut renew: impl FnMut(u64),
    ) -> Outcome {
        let mut total = Outcome::default();
        for at in 0..self.slots.len() {
            let lead = self.lead;
            let Some(slot) = self.slots.get_mut(at) else {
                break;
            };
            let key = slot.key;
            let late = slot.expect_snapshot(now);
            if slot.is_due(now, manner.pause) {
                slot.asked(now);
                renew(slot.newest_feeder());
            } else if key == lead
                && *may_refresh
                && manner
                    .refresh
                    .is_some_and(|refresh| slot.is_old(now, refresh))
            {
                *may_refresh = false;
                slot.asked(now);
                renew(slot.newest_feeder());
            }
            let outcome = self.settle(key, late);
            total.changed |= outcome.changed;
            total.turned |= outcome.turned;
        }
        total
    }

    /// The book, if it can be read.
    pub(super) fn book(&self) -> Option<&Book> {
        self.leading()?.book.book()
    }

    /// True when a snapshot must be asked for.
    pub(super) fn wants_snapshot(&self) -> bool {
        self.leading()
            .is_some_and(|slot| slot.book.wants_snapshot())
    }

    /// True while the book is the venue's, readable or not.
    pub(super) fn is_synced(&self) -> bool {
        self.leading().is_some_and(|slot| slot.book.is_synced())
    }

    /// True when no connection carries a book.
    pub(super) const fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Why there is nothing to read, in one phrase.
    pub(super) fn why(&self) -> String {
        let Some(slot) = self.leading() else {
            return "order book awaited".to_owned();
        };
        if slot.book.is_synced() {
            return "order book has one side only".to_owned();
        }
        match slot.lost {
            Some(why) => format!("order book out of step: {why}"),
            None => "order book awaited".to_owned(),
        }
    }

    /// Id of the last message in the book.
    pub(super) fn last_id(&self) -> Option<u64> {
        self.leading()?.book.last_id()
    }

    /// When the last message was true by the venue's word, and when it was received.
    pub(super) fn times(&self) -> (Option<Wall>, Option<Wall>) {
        self.leading()
            .map_or((None, None), |slot| (slot.observed_at, slot.received_at))
    }

    /// What happened to the books of all connections.
    pub(super) fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        for slot in &self.slots {
            let one = slot.book.counters();
            sum.applied += one.applied;
            sum.duplicates += one.duplicates;
            sum.gaps += one.gaps;
            sum.resyncs += one.resyncs;
            sum.checksum_failures += one.checksum_failures;
            sum.crossed += one.crossed;
        }
        sum
    }

    fn leading(&self) -> Option<&Slot> {
        self.slots.iter().find(|slot| slot.key == self.lead)
    }

    fn slot_of(
        &mut self,
        now: Mono,
        connection: u64,
        manner: &Manner,
        lines: Lines,
    ) -> Option<&mut Slot> {
        let key = if manner.is_shared { SHARED } else { connection };
        if let Some(at) = self.slots.iter().position(|slot| slot.key == key) {
            return self.slots.get_mut(at);
        }
        if connection < lines.oldest_open {
            return None;
        }
        if self.slots.len() >= SLOTS_MAX {
            let lead = self.lead;
            let at = self.slots.iter().position(|slot| slot.key != lead)?;
            self.slots.remove(at);
        }
        if self.slots.is_empty() {
            self.lead = key;
        }
        self.slots.push(Slot::new(key, now, manner));
        self.slots.last_mut()
    }

    /// Chooses which book is read: the lead while it is in step, else another that is.
    fn settle(&mut self, key: u64, outcome: Outcome) -> Outcome {
        let is_led = key == self.lead;
        let lead_is_synced = self.is_synced();
        if !lead_is_synced && let Some(other) = self.slots.iter().find(|slot| slot.book.is_synced())
        {
            self.lead = other.key;
            return Outcome {
                changed: true,
                turned: true,
            };
        }
        if self.leading().is_none()
            && let Some(other) = self.slots.first()
        {
            self.lead = other.key;
        }
        Outcome {
            changed: outcome.changed && is_led,
            turned: outcome.turned,
        }
    }
}

#[cfg(test)]
mod tests;
