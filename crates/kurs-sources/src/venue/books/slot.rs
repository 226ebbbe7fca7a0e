//! One book and the connections that feed it.

use super::{Manner, Message, Outcome};
use crate::stats::BookStats;
use kurs_book::{Change, Gap, Ids, Kind, SyncedBook, Verdict};
use kurs_core::{Mono, Now, Wall};
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// A message ahead of the others waits this long for those that another connection still owes.
const HOLD_MAX: Duration = Duration::from_millis(250);
/// Messages that wait so.
const HELD_MAX: usize = 64;
/// Levels in the messages that wait so.
const HELD_CHANGES_MAX: usize = 20_000;
/// A book that was subscribed is due within this.
const SNAPSHOT_WAIT: Duration = Duration::from_secs(10);
/// Connections that feed one book.
const FEEDERS_MAX: usize = 4;

/// A message that came before its time.
#[derive(Debug)]
struct Held {
    since: Mono,
    connection: u64,
    ids: Ids,
    checksum: Option<u32>,
    changes: Vec<Change>,
    at: Option<Wall>,
}

#[derive(Debug)]
pub(super) struct Slot {
    /// The connection, or the key of the shared book.
    pub(super) key: u64,
    pub(super) book: SyncedBook,
    /// Why it is out of step, if it was in step before.
    pub(super) lost: Option<&'static str>,
    pub(super) observed_at: Option<Wall>,
    pub(super) received_at: Option<Wall>,
    feeders: Vec<u64>,
    held: VecDeque<Held>,
    since: Mono,
    /// When it was last asked for anew.
    asked_at: Option<Mono>,
    /// A snapshot is awaited since then.
    awaits_since: Option<Mono>,
    snapshot_at: Mono,
    /// The venue sends snapshots by itself.
    is_in_stream: bool,
}

impl Slot {
    pub(super) fn new(key: u64, now: Mono, manner: &Manner) -> Self {
        Self {
            key,
            book: SyncedBook::new(manner.scheme, manner.depth),
            lost: None,
            observed_at: None,
            received_at: None,
            feeders: Vec::new(),
            held: VecDeque::new(),
            since: now,
            asked_at: None,
            awaits_since: None,
            snapshot_at: now,
            is_in_stream: manner.scheme != kurs_book::Scheme::IdRange,
        }
    }

    /// A connection carries it. True when it did not before.
    pub(super) fn feed(&mut self, connection: u64) -> bool {
        if self.feeders.contains(&connection) {
            return false;
        }
        if self.feeders.len() >= FEEDERS_MAX {
            self.feeders.remove(0);
        }
        self.feeders.push(connection);
        true
    }

    pub(super) const fn is_fed(&self) -> bool {
        !self.feeders.is_empty()
    }

    /// The connection to ask for a snapshot: an older one may be about to end.
    pub(super) fn newest_feeder(&self) -> u64 {
        self.feeders.iter().copied().max().unwrap_or(self.key)
    }

    /// Takes a message of a connection.
    pub(super) fn take(&mut self, now: Now, message: Message<'_>, stats: &BookStats) -> Outcome {
        let mut outcome = Outcome::default();
        let is_first_word = self.feed(message.connection);
        if self.feeders.len() > 1 && self.book.is_synced() {
            match (message.kind, self.book.last_id()) {
                (Kind::Diff, Some(last)) if is_ahead(message.ids, last) => {
                    if self.hold(now.mono, &message) {
                        return outcome;
                    }
                    self.release(now, stats, &mut outcome);
                }
                // The first word of a further connection, which is behind, brings nothing new.
                // Said later, an older id means that the venue numbers anew.
                (Kind::Snapshot, Some(last)) if is_first_word && is_behind(message.ids, last) => {
                    self.book.overlap(message.ids);
                    return outcome;
                }
                _ => {}
            }
        }
        self.apply(now, message, stats, &mut outcome);
        if !self.held.is_empty() {
            self.release_ripe(now, stats, &mut outcome);
        }
        outcome
    }

    /// Lets the book take a message, and counts what became of it.
    pub(super) fn apply(
        &mut self,
        now: Now,
        message: Message<'_>,
        stats: &BookStats,
        outcome: &mut Outcome,
    ) -> Verdict {
        let was_synced = self.book.is_synced();
        let verdict = self.book.take(now.mono, message.update());
        let is_taken = matches!(
            verdict,
            Verdict::Applied | Verdict::Synced | Verdict::Buffered
        );
        if message.kind == Kind::Snapshot && is_taken {
            stats.snapshots.fetch_add(1, Ordering::Relaxed);
        }
        match verdict {
            Verdict::Applied | Verdict::Synced => {
                self.observed_at = message.at;
                self.received_at = Some(now.wall);
                outcome.changed = true;
                if message.kind == Kind::Snapshot {
                    self.snapshot_at = now.mono;
                    self.awaits_since = None;
                }
                if !was_synced {
                    outcome.turned = true;
                    if self.lost.take().is_some() {
                        stats.resyncs.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
            Verdict::Lost(gap) => {
                let (why, counter) = match gap {
                    Gap::Checksum { .. } => ("checksum", &stats.checksum_failures),
                    Gap::Sequence { .. } => ("a message is missing", &stats.gaps),
                    Gap::Crossed => ("crossed", &stats.gaps),
                    Gap::BufferFull => ("no snapshot in time", &stats.gaps),
                    Gap::TooManyLevels => ("too many levels", &stats.gaps),
                    Gap::NoIds => ("a message without ids", &stats.gaps),
                };
                counter.fetch_add(1, Ordering::Relaxed);
                self.held.clear();
                self.lost = Some(why);
                outcome.changed |= was_synced;
                outcome.turned |= was_synced;
            }
            Verdict::Buffered | Verdict::Duplicate | Verdict::SnapshotTooOld => {}
        }
        verdict
    }

    /// The book cannot be believed any more.
    pub(super) fn lose(&mut self, why: &'static str) -> Outcome {
        let was_synced = self.book.is_synced();
        self.book.reset();
        self.held.clear();
        self.awaits_since = None;
        self.lost = Some(why);
        Outcome {
            changed: was_synced,
            turned: was_synced,
        }
    }

    /// Connections have ended. What they still owed will not come.
    pub(super) fn left(
        &mut self,
        now: Now,
        is_gone: impl Fn(u64) -> bool,
        stats: &BookStats,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        self.feeders.retain(|feeder| !is_gone(*feeder));
        self.held.retain(|held| !is_gone(held.connection));
        if self.feeders.is_empty() {
            outcome.changed = self.book.is_synced();
            outcome.turned = outcome.changed;
            self.book.reset();
        } else if self.feeders.len() == 1 {
            self.release(now, stats, &mut outcome);
        }
        outcome
    }

    /// True when there is room for one more message that waits for those before it.
    fn hold(&mut self, now: Mono, message: &Message<'_>) -> bool {
        let changes: usize = self.held.iter().map(|held| held.changes.len()).sum();
        if self.held.len() >= HELD_MAX || changes + message.changes.len() > HELD_CHANGES_MAX {
            return false;
        }
        self.held.push_back(Held {
            since: now,
            connection: message.connection,
            ids: message.ids,
            checksum: message.checksum,
            changes: message.changes.to_vec(),
            at: message.at,
        });
        true
    }

    /// Takes in what waited and has nothing missing before it any more.
    fn release_ripe(&mut self, now: Now, stats: &BookStats, outcome: &mut Outcome) {
        while let Some(held) = self.held.front() {
            let last = self.book.last_id();
            if last.is_none_or(|last| is_ahead(held.ids, last)) {
                return;
            }
            self.release_first(now, stats, outcome);
        }
    }

    /// Takes in whatever waits.
    fn release(&mut self, now: Now, stats: &BookStats, outcome: &mut Outcome) {
        while !self.held.is_empty() {
            self.release_first(now, stats, outcome);
        }
    }

    fn release_first(&mut self, now: Now, stats: &BookStats, outcome: &mut Outcome) {
        let Some(held) = self.held.pop_front() else {
            return;
        };
        let message = Message {
            connection: held.connection,
            kind: Kind::Diff,
            ids: held.ids,
            checksum: held.checksum,
            changes: &held.changes,
            at: held.at,
        };
        self.apply(now, message, stats, outcome);
    }

    /// Takes in what has waited for too long.
    pub(super) fn release_late(&mut self, now: Now, stats: &BookStats) -> Outcome {
        let mut outcome = Outcome::default();
        let is_late = |held: &Held| now.mono.since(held.since) >= HOLD_MAX;
        if self.held.front().is_some_and(is_late) {
            self.release(now, stats, &mut outcome);
        }
        outcome
    }

    /// A snapshot that was asked for in the stream must come.
    pub(super) fn expect_snapshot(&mut self, now: Mono) -> Outcome {
        let is_late = |since: Mono| now.since(since) >= SNAPSHOT_WAIT;
        if self.awaits_since.is_some_and(is_late) {
            return self.lose("no snapshot came");
        }
        Outcome::default()
    }

    /// True when it must be subscribed anew.
    pub(super) fn is_due(&self, now: Mono, pause: Duration) -> bool {
        if !self.is_in_stream || self.book.is_synced() || self.awaits_since.is_some() {
            return false;
        }
        let rested = self.asked_at.is_none_or(|at| now.since(at) >= pause);
        let waited = self.lost.is_some() || now.since(self.since) >= SNAPSHOT_WAIT;
        rested && waited
    }

    /// True when it was not renewed for so long.
    pub(super) fn is_old(&self, now: Mono, refresh: Duration) -> bool {
        self.awaits_since.is_none()
            && self.book.is_synced()
            && now.since(self.snapshot_at) >= refresh
    }

    /// It is being subscribed anew.
    pub(super) const fn asked(&mut self, now: Mono) {
        self.asked_at = Some(now);
        self.awaits_since = Some(now);
    }
}

/// True when messages are missing between this one and the last.
fn is_ahead(ids: Ids, last: u64) -> bool {
    match ids {
        Ids::None => false,
        Ids::Range { first, .. } => first > last.saturating_add(1),
        Ids::Chain { previous, .. } => previous.is_some_and(|previous| previous > last),
        Ids::Counter(number) => number > last.saturating_add(1),
    }
}

/// True when a snapshot is of a book that was there before, and not of one that is counted anew.
const fn is_behind(ids: Ids, last: u64) -> bool {
    match ids {
        Ids::None | Ids::Counter(1) => false,
        Ids::Range { last: id, .. } | Ids::Chain { id, .. } | Ids::Counter(id) => id <= last,
    }
}
