//! A book that can be read only while it is the venue's.

mod range;

use crate::buffer::Buffer;
use crate::chain::Chain;
use crate::checksum;
use crate::counter;
use crate::place::Place;
use crate::update::{BookUpdate, Change, Ids, Kind, Side};
use crate::{Book, Counters, Gap, Scheme, Verdict};
use kurs_core::Mono;

/// Levels of one side that a book may have.
pub const LEVELS_MAX: usize = 100_000;
/// Levels that one message may have.
const CHANGES_MAX: usize = 2 * LEVELS_MAX;
/// So many old diffs in a row are not of a slow second connection: the venue has begun to
/// number anew, from lower ids, and the book would stand still for ever. Snapshots that are
/// asked for may be ahead of the stream, so ranges have more patience.
const OLD_RANGES_MAX: u32 = 128;
/// The same for venues whose ids are known to restart.
const OLD_DIFFS_MAX: u32 = 32;

/// A book that can be read only while it is the venue's. Messages go in as they arrive, those
/// of several connections mixed if the venue's ids are the same on all of them.
#[derive(Debug)]
pub struct SyncedBook {
    scheme: Scheme,
    depth: Option<usize>,
    book: Book,
    is_synced: bool,
    was_ever_synced: bool,
    /// Id of the last message in `book`. A book of ranges keeps both when it is lost: diffs
    /// that another connection still brings may close the gap before a snapshot does.
    last_id: Option<u64>,
    /// Not synced, and `book` is a snapshot newer than all diffs so far: nothing is asked for.
    holds_snapshot: bool,
    /// Diffs in a row that the book had already.
    old_diffs: u32,
    snapshot_at: Option<Mono>,
    buffer: Buffer,
    chain: Chain,
    scratch: Vec<u8>,
    counters: Counters,
}

impl SyncedBook {
    /// A book that waits for its first snapshot. `depth`: levels per side that are kept after
    /// every message, where the venue sends no removals for levels that leave the subscribed
    /// depth; `None` keeps all, up to [`LEVELS_MAX`].
    #[must_use]
    pub fn new(scheme: Scheme, depth: Option<usize>) -> Self {
        Self {
            scheme,
            depth,
            book: Book::new(),
            is_synced: false,
            was_ever_synced: false,
            last_id: None,
            holds_snapshot: false,
            old_diffs: 0,
            snapshot_at: None,
            buffer: Buffer::default(),
            chain: Chain::default(),
            scratch: Vec::new(),
            counters: Counters::default(),
        }
    }

    /// Takes the next message as it arrives; `now` dates the snapshots.
    pub fn take(&mut self, now: Mono, update: BookUpdate<'_>) -> Verdict {
        let verdict = match self.scheme {
            Scheme::IdRange => self.take_range(now, &update),
            _ => self.take_in_stream(now, &update),
        };
        match verdict {
            Verdict::Duplicate => self.counters.duplicates += 1,
            Verdict::Synced => {
                self.counters.resyncs += u64::from(self.was_ever_synced);
                self.was_ever_synced = true;
            }
            Verdict::Lost(Gap::Checksum { .. }) => self.counters.checksum_failures += 1,
            Verdict::Lost(Gap::Crossed) => self.counters.crossed += 1,
            Verdict::Lost(_) => self.counters.gaps += 1,
            Verdict::Buffered | Verdict::Applied | Verdict::SnapshotTooOld => {}
        }
        verdict
    }

    /// A further connection begins with a snapshot that this book has passed already, and that
    /// is left out so that the book does not go back. What the connection brings next follows it.
    pub fn overlap(&mut self, snapshot: Ids) {
        if let Ids::Chain { id, .. } = snapshot
            && self.is_synced
        {
            self.chain.join(id);
        }
    }

    /// The connection is lost: forgets everything but the counters, and waits for a snapshot.
    pub fn reset(&mut self) {
        self.forget();
        self.buffer.clear();
        self.chain.clear();
        self.snapshot_at = None;
    }

    /// True while the book is the venue's.
    #[must_use]
    pub const fn is_synced(&self) -> bool {
        self.is_synced
    }

    /// The book; `None` unless it is synced, has both sides and is not crossed.
    #[must_use]
    pub fn book(&self) -> Option<&Book> {
        let has_sides = self.book.len(Side::Bid) > 0 && self.book.len(Side::Ask) > 0;
        (self.is_synced && has_sides && !self.book.is_crossed()).then_some(&self.book)
    }

    /// True when a snapshot must be asked for, since diffs wait for it or will
    /// ([`Scheme::IdRange`] only; the other venues send theirs in the stream).
    #[must_use]
    pub fn wants_snapshot(&self) -> bool {
        self.scheme == Scheme::IdRange && !self.is_synced && !self.holds_snapshot
    }

    /// Id of the last message in the book; `None` unless it is synced, and where the venue
    /// has no ids.
    #[must_use]
    pub fn last_id(&self) -> Option<u64> {
        self.last_id.filter(|_| self.is_synced)
    }

    /// When the last snapshot came that went into the book. What cannot be verified is to be
    /// renewed from time to time.
    #[must_use]
    pub const fn snapshot_at(&self) -> Option<Mono> {
        self.snapshot_at
    }

    /// What happened since the book was made.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// One more diff that the book has already, unless there are too many of them.
    fn count_old(&mut self, expected: u64, got: u64) -> Verdict {
        let most = match self.scheme {
            Scheme::IdRange => OLD_RANGES_MAX,
            _ => OLD_DIFFS_MAX,
        };
        self.old_diffs += 1;
        if self.old_diffs < most {
            Verdict::Duplicate
        } else {
            self.lose(Gap::Sequence { expected, got })
        }
    }

    /// Messages of a venue whose snapshots come in the stream.
    fn take_in_stream(&mut self, now: Mono, update: &BookUpdate<'_>) -> Verdict {
        let (id, is_snapshot) = match (self.scheme, update.ids) {
            (Scheme::Chain | Scheme::ChainWithChecksum, Ids::Chain { id, .. }) => {
                (Some(id), update.kind == Kind::Snapshot)
            }
            (Scheme::Counter, Ids::Counter(number)) => {
                let is_anew = number == counter::ANEW;
                (Some(number), is_anew || update.kind == Kind::Snapshot)
            }
            // Old recordings have checksums and no ids.
            (Scheme::ChainWithChecksum, Ids::None)
            | (Scheme::KrakenChecksum | Scheme::Unverifiable, _) => {
                (None, update.kind == Kind::Snapshot)
            }
            _ => return self.lose(Gap::NoIds),
        };
        if !self.is_synced && !is_snapshot {
            if let Ids::Chain { previous, id } = update.ids {
                self.chain.skip(previous, id);
            }
            return Verdict::Buffered;
        }
        match self.place(update, is_snapshot) {
            Place::Next => {}
            Place::Alive => {
                self.old_diffs = 0;
                return Verdict::Duplicate;
            }
            Place::Known => {
                return self.count_old(self.last_id.unwrap_or_default(), id.unwrap_or_default());
            }
            Place::Missing { expected, got } => {
                if let Ids::Chain { previous, id } = update.ids {
                    self.chain.skip(previous, id);
                }
                return self.lose(Gap::Sequence { expected, got });
            }
        }
        if is_snapshot {
            self.book.clear();
            self.snapshot_at = Some(now);
        }
        self.last_id = id;
        self.apply(update.changes, update.checksum)
    }

    /// Where a message of the stream belongs, by its ids.
    fn place(&mut self, update: &BookUpdate<'_>, is_snapshot: bool) -> Place {
        match (update.ids, self.last_id.filter(|_| self.is_synced)) {
            (Ids::Chain { previous, id }, Some(last)) => {
                let is_empty = update.changes.is_empty();
                self.chain.place(last, update.kind, previous, id, is_empty)
            }
            (Ids::Chain { id, .. }, None) => {
                self.chain.begin(id);
                Place::Next
            }
            (Ids::Counter(number), Some(last)) => counter::place(last, number, is_snapshot),
            _ => Place::Next,
        }
    }

    /// Takes the levels of one message into the book.
    fn apply(&mut self, changes: &[Change], checksum: Option<u32>) -> Verdict {
        if changes.len() > CHANGES_MAX {
            return self.lose(Gap::TooManyLevels);
        }
        for change in changes {
            self.book.set(change);
        }
        let verdict = self.believe(checksum);
        if !matches!(verdict, Verdict::Lost(_)) {
            self.counters.applied += 1;
        }
        verdict
    }

    /// Believes the book as it is now, unless something speaks against it.
    fn believe(&mut self, checksum: Option<u32>) -> Verdict {
        if let Some(depth) = self.depth {
            self.book.cut(depth);
        }
        let (bids, asks) = (self.book.len(Side::Bid), self.book.len(Side::Ask));
        if bids > LEVELS_MAX || asks > LEVELS_MAX {
            return self.lose(Gap::TooManyLevels);
        }
        if let Some((expected, computed)) = self.checksums(checksum)
            && expected != computed
        {
            return self.lose(Gap::Checksum { expected, computed });
        }
        if self.book.is_crossed() {
            return self.lose(Gap::Crossed);
        }
        self.holds_snapshot = false;
        self.old_diffs = 0;
        if std::mem::replace(&mut self.is_synced, true) {
            Verdict::Applied
        } else {
            Verdict::Synced
        }
    }

    /// What the venue computed and what the book gives, if they are to be compared.
    fn checksums(&mut self, expected: Option<u32>) -> Option<(u32, u32)> {
        let expected = expected?;
        match self.scheme {
            Scheme::KrakenChecksum => {
                Some((expected, checksum::kraken(&self.book, &mut self.scratch)))
            }
            // OKX still sends the field, with nothing in it.
            Scheme::ChainWithChecksum if expected != 0 => {
                Some((expected, checksum::okx(&self.book, &mut self.scratch)))
            }
            _ => None,
        }
    }

    fn lose(&mut self, gap: Gap) -> Verdict {
        self.old_diffs = 0;
        let may_be_closed = matches!(gap, Gap::Sequence { .. } | Gap::NoIds);
        if self.scheme == Scheme::IdRange && may_be_closed {
            self.is_synced = false;
        } else {
            self.forget();
        }
        Verdict::Lost(gap)
    }

    fn forget(&mut self) {
        self.book.clear();
        self.is_synced = false;
        self.last_id = None;
        self.holds_snapshot = false;
    }
}

#[cfg(test)]
mod tests;
