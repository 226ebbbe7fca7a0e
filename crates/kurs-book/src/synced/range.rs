//! Books whose snapshots are asked for separately ([`crate::Scheme::IdRange`]): diffs wait for
//! one, and it is bridged to the stream.

use super::{CHANGES_MAX, SyncedBook};
use crate::buffer::{Pushed, Reach};
use crate::update::{BookUpdate, Change, Ids, Kind};
use crate::{Gap, Verdict};
use kurs_core::Mono;

impl SyncedBook {
    /// Messages of a venue whose snapshots are asked for separately.
    pub(super) fn take_range(&mut self, now: Mono, update: &BookUpdate<'_>) -> Verdict {
        let (first, last) = match update.ids {
            Ids::Range { first, last } if first <= last => (first, last),
            _ => return self.lose(Gap::NoIds),
        };
        match (update.kind, self.last_id) {
            // The stream is in step; a snapshot can only repeat it, or overtake it.
            (Kind::Snapshot, _) if self.is_synced => Verdict::Duplicate,
            (Kind::Snapshot, _) => self.bridge(now, last, update.changes),
            (Kind::Diff, Some(id)) if last <= id => self.take_old(id, first, last, update.changes),
            (Kind::Diff, Some(id)) if self.is_synced => {
                let expected = id.saturating_add(1);
                let verdict = if first > expected {
                    self.lose(Gap::Sequence {
                        expected,
                        got: first,
                    })
                } else {
                    self.last_id = Some(last);
                    self.apply(update.changes, None)
                };
                if matches!(verdict, Verdict::Lost(_)) {
                    self.begin_buffer(first, last, update.changes);
                }
                verdict
            }
            (Kind::Diff, _) => match self.buffer.push(first, last, update.changes) {
                Pushed::Yes => self.join(false),
                Pushed::Known => Verdict::Duplicate,
                Pushed::Full => {
                    self.forget();
                    self.begin_buffer(first, last, update.changes);
                    Verdict::Lost(Gap::BufferFull)
                }
            },
        }
    }

    /// A diff that the book contains.
    fn take_old(&mut self, id: u64, first: u64, last: u64, changes: &[Change]) -> Verdict {
        if self.holds_snapshot && last == id {
            // The stream has come to exactly where the snapshot is.
            return self.join(true);
        }
        let verdict = self.count_old(id.saturating_add(1), first);
        if matches!(verdict, Verdict::Lost(_)) {
            self.forget();
            self.begin_buffer(first, last, changes);
        }
        verdict
    }

    /// A diff that showed a loss is the first to wait for the next snapshot.
    fn begin_buffer(&mut self, first: u64, last: u64, changes: &[Change]) {
        self.buffer.clear();
        self.buffer.push(first, last, changes);
    }

    /// A snapshot for the diffs that wait.
    fn bridge(&mut self, now: Mono, id: u64, changes: &[Change]) -> Verdict {
        let follows = id.saturating_add(1);
        if self.last_id.is_some_and(|base| id < base) {
            return if self.holds_snapshot {
                Verdict::Duplicate
            } else {
                Verdict::SnapshotTooOld
            };
        }
        if self.buffer.first().is_some_and(|first| first > follows) {
            return Verdict::SnapshotTooOld;
        }
        if changes.len() > CHANGES_MAX {
            return self.lose(Gap::TooManyLevels);
        }
        self.book.clear();
        for change in changes {
            self.book.set(change);
        }
        self.counters.applied += 1;
        self.last_id = Some(id);
        self.snapshot_at = Some(now);
        self.holds_snapshot = true;
        let ends_there = self.buffer.ends_at(id);
        self.buffer.drop_through(id);
        self.join(ends_there)
    }

    /// Leads the book on through the diffs that wait, if they begin where it ends and have no
    /// hole. `is_proven`: the stream is known to have come to where the book is.
    fn join(&mut self, is_proven: bool) -> Verdict {
        let Some(base) = self.last_id else {
            return Verdict::Buffered;
        };
        match self.buffer.reach(base) {
            Reach::Nowhere if !is_proven => Verdict::Buffered,
            Reach::Nowhere => self.believe(None),
            Reach::Broken if self.holds_snapshot => {
                // What is missing may yet come by another connection, so the snapshot stays;
                // but a newer one is needed if it does not.
                self.holds_snapshot = false;
                Verdict::SnapshotTooOld
            }
            Reach::Broken => Verdict::Buffered,
            Reach::To { last, diffs } => {
                for changes in self.buffer.after(base) {
                    for change in changes {
                        self.book.set(change);
                    }
                }
                self.counters.applied += diffs;
                self.last_id = Some(last);
                self.buffer.clear();
                self.believe(None)
            }
        }
    }
}
