//! Messages that name the one before ([`crate::Scheme::Chain`]).
//!
//! A message that names the last one in the book comes next, even when its own id is smaller:
//! the venue has begun to number anew. Any other message is either late, from a second
//! connection that carries the same messages, or shows that some are missing. The difference
//! matters: if a restart was missed, the new small ids look like late ones, and a book that
//! ignored them would stay readable and be wrong. So "its id is smaller" is not taken as
//! proof. A message is late only when the ids remembered here connect it to the book:
//!
//! - it follows a remembered message, numbering did not restart in between, and its id is not
//!   above the last one: the book contains it, whether it came this way or in a snapshot;
//! - or it is itself remembered, as the successor of the one it names.
//!
//! If it follows a remembered message and leads beyond the last one, it contains all that the
//! book misses, since sizes are absolute: it comes next. Whatever is left is a gap.
//!
//! One case stays undecided: a connection that is behind brings the snapshot for a lost book,
//! while another has gone through a restart already. Then what is ahead may look old. Such a
//! book is one that the venue had, only late, and it gives up when many messages in a row
//! look old.

use crate::place::Place;
use crate::update::Kind;

/// Ids that are remembered. A second connection is behind by a few messages, not by so many.
const REMEMBERED: usize = 256;

/// The ids of one book's messages, as far as they are remembered.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    /// In order of the venue's history: rising, except where numbering restarted. At most
    /// twice [`REMEMBERED`], so that old ones are dropped many at a time.
    ids: Vec<u64>,
    /// Where the ids since the last restart begin.
    run: usize,
    /// Numbering restarted while there was no book; nothing is remembered until there is one.
    is_blind: bool,
}

impl Chain {
    /// Where a message belongs in a synced book whose last message was `last`. Remembers it.
    pub(crate) fn place(
        &mut self,
        last: u64,
        kind: Kind,
        previous: Option<u64>,
        id: u64,
        is_empty: bool,
    ) -> Place {
        match (kind, previous) {
            (Kind::Snapshot, _) => self.place_snapshot(id),
            // After some minute without a change comes an empty message with the same id.
            (Kind::Diff, Some(previous)) if previous == last && id == last && is_empty => {
                Place::Alive
            }
            (Kind::Diff, Some(previous)) if previous == last => {
                self.remember(id);
                Place::Next
            }
            (Kind::Diff, Some(previous)) => self.place_late(last, previous, id),
            (Kind::Diff, None) => Place::Missing {
                expected: last,
                got: id,
            },
        }
    }

    /// A snapshot replaces the book, unless the book has been there already: then it is the
    /// first word of a second connection that is behind.
    fn place_snapshot(&mut self, id: u64) -> Place {
        if self.ids.contains(&id) {
            return Place::Known;
        }
        self.begin(id);
        Place::Next
    }

    /// A second connection begins with a snapshot that the book has passed: what it brings next
    /// follows this id. An id outside the memory says nothing; numbering may have restarted.
    pub(crate) fn join(&mut self, id: u64) {
        let run = &self.ids[self.run..];
        let is_within = run.first().is_some_and(|first| *first < id)
            && run.last().is_some_and(|last| id < *last);
        if is_within && let Err(at) = run.binary_search(&id) {
            self.insert(self.run + at, id);
        }
    }

    fn place_late(&mut self, last: u64, previous: u64, id: u64) -> Place {
        let missing = Place::Missing {
            expected: last,
            got: previous,
        };
        let Ok(at) = self.ids[self.run..].binary_search(&previous) else {
            let is_known = self.is_remembered(previous, id);
            return if is_known { Place::Known } else { missing };
        };
        if id > last {
            self.remember(id);
            return Place::Next;
        }
        if id < previous {
            let is_known = self.is_remembered(previous, id);
            return if is_known { Place::Known } else { missing };
        }
        let after = self.run + at + 1;
        if id != previous && self.ids.get(after).is_some_and(|next| *next > id) {
            self.insert(after, id);
        }
        Place::Known
    }

    /// True when this very message is remembered.
    fn is_remembered(&self, previous: u64, id: u64) -> bool {
        self.ids.iter().enumerate().any(|(at, known)| {
            let before = at.checked_sub(1).map(|before| self.ids[before]);
            *known == id && (previous == id || before.is_none_or(|before| before == previous))
        })
    }

    /// The book begins with this snapshot. If its id is not above the others, or if these
    /// restarted themselves, nobody knows how it is related to them.
    pub(crate) fn begin(&mut self, id: u64) {
        if self.run > 0 || self.ids.last().is_some_and(|last| id < *last) {
            self.clear();
        }
        self.is_blind = false;
        self.remember(id);
    }

    /// A message that did not go into a book. A snapshot may contain it, and then the same
    /// message, or the next, may come late by a second connection.
    pub(crate) fn skip(&mut self, previous: Option<u64>, id: u64) {
        if previous.is_some_and(|previous| id < previous) {
            // Ids before and after the restart cannot be told apart once a snapshot came.
            self.clear();
            self.is_blind = true;
        }
        if !self.is_blind && self.ids.last().is_none_or(|last| id > *last) {
            self.remember(id);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.ids.clear();
        self.run = 0;
        self.is_blind = false;
    }

    fn remember(&mut self, id: u64) {
        match self.ids.last() {
            Some(last) if *last == id => return,
            Some(last) if *last > id => self.run = self.ids.len(),
            _ => {}
        }
        self.ids.push(id);
        self.forget();
    }

    fn insert(&mut self, at: usize, id: u64) {
        self.ids.insert(at, id);
        self.forget();
    }

    fn forget(&mut self) {
        if self.ids.len() > 2 * REMEMBERED {
            let excess = self.ids.len() - REMEMBERED;
            self.ids.drain(..excess);
            self.run = self.run.saturating_sub(excess);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A chain whose book has these ids, restarts included.
    fn chain(ids: &[u64]) -> Chain {
        let mut chain = Chain::default();
        for id in ids {
            chain.remember(*id);
        }
        chain
    }

    fn diff(chain: &mut Chain, last: u64, previous: u64, id: u64) -> Place {
        chain.place(last, Kind::Diff, Some(previous), id, false)
    }

    #[test]
    fn what_names_the_last_message_comes_next_even_with_a_smaller_id() {
        let mut chain = chain(&[990, 1_000]);
        assert_eq!(diff(&mut chain, 1_000, 1_000, 1_007), Place::Next);
        assert_eq!(diff(&mut chain, 1_007, 1_007, 5), Place::Next);
        assert_eq!(diff(&mut chain, 5, 5, 12), Place::Next);
    }

    #[test]
    fn an_empty_message_with_the_last_id_is_a_sign_of_life() {
        let mut chain = chain(&[1_000]);
        let place = chain.place(1_000, Kind::Diff, Some(1_000), 1_000, true);
        assert_eq!(place, Place::Alive);
    }

    #[test]
    fn messages_of_a_second_connection_are_known_before_and_after_a_restart() {
        let mut chain = chain(&[980, 990, 1_000, 5, 12]);
        for (previous, id) in [
            (980, 990),
            (990, 1_000),
            (1_000, 5),
            (5, 12),
            (1_000, 1_000),
        ] {
            let place = diff(&mut chain, 12, previous, id);
            assert_eq!(place, Place::Known, "{previous} -> {id}");
        }
    }

    #[test]
    fn a_missed_restart_is_a_gap_and_not_a_late_message() {
        let mut chain = chain(&[980, 990, 1_000]);
        let missing = |got| Place::Missing {
            expected: 1_000,
            got,
        };
        assert_eq!(diff(&mut chain, 1_000, 5, 12), missing(5));
        assert_eq!(diff(&mut chain, 1_000, 990, 5), missing(990));
        assert_eq!(diff(&mut chain, 1_000, 1_001, 1_002), missing(1_001));
    }

    #[test]
    fn what_a_newer_snapshot_overtook_is_known() {
        let mut chain = chain(&[980, 990]);
        let snapshot = chain.place(990, Kind::Snapshot, None, 1_000, false);
        assert_eq!(snapshot, Place::Next);
        for (previous, id) in [(990, 993), (993, 996), (996, 1_000)] {
            assert_eq!(diff(&mut chain, 1_000, previous, id), Place::Known);
        }
        assert_eq!(diff(&mut chain, 1_000, 1_000, 1_004), Place::Next);
    }

    #[test]
    fn a_snapshot_that_the_book_has_passed_is_known_and_any_other_is_new() {
        let mut chain = chain(&[980, 990, 1_000]);
        let passed = chain.place(1_000, Kind::Snapshot, None, 990, false);
        assert_eq!(passed, Place::Known);
        // Ids may have begun anew unseen, so a small one proves nothing.
        let other = chain.place(1_000, Kind::Snapshot, None, 7, false);
        assert_eq!(other, Place::Next);
        assert_eq!(diff(&mut chain, 7, 7, 9), Place::Next);
    }

    #[test]
    fn a_second_connection_may_begin_between_what_the_first_one_brought() {
        let mut chain = chain(&[980, 990, 1_000]);
        chain.join(995);
        assert_eq!(diff(&mut chain, 1_000, 995, 1_000), Place::Known);
        assert_eq!(diff(&mut chain, 1_000, 1_000, 1_004), Place::Next);
        chain.join(1_002);
        assert_eq!(diff(&mut chain, 1_004, 1_002, 1_008), Place::Next);
        // Nothing is known of what is older than the memory, or of another numbering.
        chain.join(5);
        let missing = Place::Missing {
            expected: 1_008,
            got: 5,
        };
        assert_eq!(diff(&mut chain, 1_008, 5, 9), missing);
    }

    #[test]
    fn a_message_that_leads_from_the_past_beyond_the_book_comes_next() {
        let mut chain = chain(&[980, 990, 1_000]);
        assert_eq!(diff(&mut chain, 1_000, 990, 1_003), Place::Next);
    }

    #[test]
    fn a_late_snapshot_from_before_a_restart_does_not_bring_the_old_book_back() {
        let mut chain = chain(&[990, 1_000, 5, 12]);
        let snapshot = chain.place(12, Kind::Snapshot, None, 1_000, false);
        assert_eq!(snapshot, Place::Known);
    }

    #[test]
    fn the_memory_has_an_end() {
        let mut chain = Chain::default();
        chain.begin(1);
        for id in 1..100_000 {
            assert_eq!(diff(&mut chain, id, id, id + 1), Place::Next);
            let _ = diff(&mut chain, id + 1, id, id + 1);
            assert!(chain.ids.len() <= 2 * REMEMBERED);
        }
    }
}
