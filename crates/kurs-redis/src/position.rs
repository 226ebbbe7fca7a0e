//! How far a subscriber has read, and whether the server has lost something of it.

use redis::Value;

use crate::value;

/// The flow as the server tells it at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Flow {
    /// Its first entry ever; empty when there is no flow.
    pub(crate) begin: String,
    /// Its newest entry.
    pub(crate) last: EntryId,
    /// Entries ever added.
    pub(crate) added: u64,
    /// Entries that are there.
    pub(crate) length: u64,
}

/// Name of an entry: milliseconds and a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct EntryId(u64, u64);

impl EntryId {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (ms, number) = text.split_once('-')?;
        Some(Self(ms.parse().ok()?, number.parse().ok()?))
    }
}

impl std::fmt::Display for EntryId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}-{}", self.0, self.1)
    }
}

impl Flow {
    /// From the answer of the script `position`.
    pub(crate) fn parse(answer: Value) -> Option<Self> {
        let [begin, last, added, length] = value::list(answer)?;
        Some(Self {
            begin: value::text(begin)?,
            last: EntryId::parse(&value::text(last)?)?,
            added: value::number(&added)?,
            length: value::number(&length)?,
        })
    }
}

/// The place of a subscriber.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    begin: String,
    /// The last entry read, or that was there before the first.
    pub(crate) read: EntryId,
    /// How many entries were added up to that one.
    count: u64,
}

impl Position {
    /// Behind everything that is there.
    pub(crate) fn behind(flow: &Flow) -> Self {
        Self {
            begin: flow.begin.clone(),
            read: flow.last,
            count: flow.added,
        }
    }

    /// An entry was read.
    pub(crate) fn read(&mut self, id: EntryId) {
        self.read = id;
        self.count += 1;
    }

    /// Goes on in the flow as it is now. Tells how many entries are gone, if any: at least one
    /// when nobody knows.
    pub(crate) fn compare(&mut self, flow: &Flow) -> Option<u64> {
        let trimmed = flow.added.saturating_sub(flow.length);
        if flow.begin != self.begin {
            let had_none = self.begin.is_empty();
            // Another flow: from its begin on, whatever its ids are.
            *self = Self {
                begin: flow.begin.clone(),
                read: EntryId::default(),
                count: trimmed,
            };
            return if had_none {
                Some(trimmed).filter(|lost| *lost > 0)
            } else {
                Some(trimmed.max(1))
            };
        }
        if flow.last < self.read {
            // An older copy of the same flow: it may go on with lower ids than were read.
            self.read = flow.last;
            self.count = flow.added;
            return Some(1);
        }
        if flow.last == self.read {
            self.count = flow.added;
            return None;
        }
        let lost = trimmed.saturating_sub(self.count);
        self.count += lost;
        Some(lost).filter(|lost| *lost > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(begin: &str, last: u64, added: u64, length: u64) -> Flow {
        Flow {
            begin: begin.to_owned(),
            last: EntryId(last, 0),
            added,
            length,
        }
    }

    /// A subscriber that joined at entry 5 of the flow that began with `a` and read two more.
    fn read_two() -> Position {
        let mut position = Position::behind(&flow("a", 5, 5, 5));
        position.read(EntryId(6, 0));
        position.read(EntryId(7, 0));
        position
    }

    #[test]
    fn what_is_still_there_is_no_gap() {
        let check = |now: Flow| {
            let mut position = read_two();
            assert_eq!(position.compare(&now), None, "{now:?}");
            assert_eq!(position.read, EntryId(7, 0));
        };
        check(flow("a", 7, 7, 7));
        check(flow("a", 7, 7, 0));
        check(flow("a", 12, 12, 5));
    }

    #[test]
    fn what_was_dropped_unread_is_counted_and_told_once() {
        let mut position = read_two();
        assert_eq!(position.compare(&flow("a", 12, 12, 3)), Some(2));
        assert_eq!(position.compare(&flow("a", 12, 12, 3)), None);
    }

    #[test]
    fn a_server_that_comes_back_empty_or_older_is_noticed() {
        let mut position = read_two();
        assert_eq!(position.compare(&flow("", 0, 0, 0)), Some(1));
        assert_eq!(position.compare(&flow("", 0, 0, 0)), None);
        assert_eq!(position.compare(&flow("b", 9, 2, 2)), None);
        assert_eq!(position.read, EntryId(0, 0), "all of it is read");

        let mut position = read_two();
        assert_eq!(position.compare(&flow("b", 9, 2, 2)), Some(1));
        assert_eq!(position.read, EntryId(0, 0));

        let mut position = read_two();
        assert_eq!(position.compare(&flow("a", 6, 6, 6)), Some(1));
        assert_eq!(position.read, EntryId(6, 0));
    }

    #[test]
    fn a_flow_that_begins_later_is_read_from_its_begin() {
        let mut position = Position::behind(&flow("", 0, 0, 0));
        assert_eq!(position.compare(&flow("a", 3, 3, 3)), None);
        assert_eq!(position.read, EntryId(0, 0));
        let mut position = Position::behind(&flow("", 0, 0, 0));
        assert_eq!(position.compare(&flow("a", 30, 30, 10)), Some(20));
    }
}
