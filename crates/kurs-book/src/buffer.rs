//! Diffs that wait for a snapshot ([`crate::Scheme::IdRange`]).

use crate::update::Change;

/// Diffs that may wait: some minutes of a venue that sends ten per second.
const DIFFS_MAX: usize = 2_048;
/// Levels that may wait, in all diffs together.
const CHANGES_MAX: usize = 65_536;

/// A diff that covers the ids `first..=last`; its levels are at `start..end` of the pool.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    first: u64,
    last: u64,
    start: usize,
    end: usize,
}

/// Diffs in order of their ids, however the connections that brought them were mixed.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    diffs: Vec<Waiting>,
    changes: Vec<Change>,
}

/// Whether a diff was taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    Yes,
    /// The same is there already.
    Known,
    /// There is no room. The buffer is as it was.
    Full,
}

/// How far diffs lead from a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// There is none after it.
    Nowhere,
    /// To this id, without a hole, through so many diffs.
    To { last: u64, diffs: u64 },
    /// Diffs are missing on the way.
    Broken,
}

impl Buffer {
    pub(crate) fn push(&mut self, first: u64, last: u64, changes: &[Change]) -> Pushed {
        let is_before = |at: &Waiting| (at.first, at.last) < (first, last);
        // Mostly it is the newest.
        let place = match self.diffs.last() {
            Some(newest) if !is_before(newest) => self.diffs.partition_point(is_before),
            _ => self.diffs.len(),
        };
        let there = self.diffs.get(place);
        if there.is_some_and(|at| (at.first, at.last) == (first, last)) {
            return Pushed::Known;
        }
        let start = self.changes.len();
        let end = start + changes.len();
        if self.diffs.len() >= DIFFS_MAX || end > CHANGES_MAX {
            return Pushed::Full;
        }
        self.changes.extend_from_slice(changes);
        let waiting = Waiting {
            first,
            last,
            start,
            end,
        };
        self.diffs.insert(place, waiting);
        Pushed::Yes
    }

    /// First id of the oldest diff.
    pub(crate) fn first(&self) -> Option<u64> {
        self.diffs.first().map(|diff| diff.first)
    }

    /// True when a diff ends with this id.
    pub(crate) fn ends_at(&self, id: u64) -> bool {
        self.diffs.iter().any(|diff| diff.last == id)
    }

    /// Drops the diffs that a snapshot with this id contains.
    pub(crate) fn drop_through(&mut self, id: u64) {
        self.diffs.retain(|diff| diff.last > id);
        if self.diffs.is_empty() {
            self.changes.clear();
        }
    }

    /// How far the diffs lead from the book with this id.
    pub(crate) fn reach(&self, id: u64) -> Reach {
        let (mut last, mut diffs) = (id, 0);
        for diff in &self.diffs {
            if diff.last <= last {
                continue;
            }
            if diff.first > last.saturating_add(1) {
                return Reach::Broken;
            }
            last = diff.last;
            diffs += 1;
        }
        if diffs == 0 {
            Reach::Nowhere
        } else {
            Reach::To { last, diffs }
        }
    }

    /// The levels that lead on from the book with this id, in order. Only where [`Self::reach`]
    /// found a way.
    pub(crate) fn after(&self, id: u64) -> impl Iterator<Item = &[Change]> {
        let mut last = id;
        self.diffs.iter().filter_map(move |diff| {
            if diff.last <= last {
                return None;
            }
            last = diff.last;
            self.changes.get(diff.start..diff.end)
        })
    }

    /// Drops all diffs and gives their memory back: it is needed again only after a loss.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diffs_of_two_connections_join_whatever_their_order_and_cut() {
        let mut buffer = Buffer::default();
        for (first, last) in [(11, 20), (6, 15), (1, 5), (16, 25), (6, 10)] {
            assert_eq!(buffer.push(first, last, &[]), Pushed::Yes);
        }
        assert_eq!(buffer.push(6, 15, &[]), Pushed::Known);
        assert_eq!(buffer.reach(3), Reach::To { last: 25, diffs: 5 });
        assert_eq!(buffer.reach(25), Reach::Nowhere);
        assert_eq!(buffer.push(27, 28, &[]), Pushed::Yes);
        assert_eq!(buffer.reach(3), Reach::Broken);
        assert_eq!(buffer.reach(26), Reach::To { last: 28, diffs: 1 });
    }

    #[test]
    fn the_buffer_ends_somewhere() {
        let mut buffer = Buffer::default();
        let mut pushed = 0;
        while buffer.push(pushed, pushed, &[]) == Pushed::Yes {
            pushed += 1;
        }
        assert_eq!(pushed, DIFFS_MAX as u64);
    }
}
