//! Two connections as one, for recordings without ids.
//!
//! Live book messages are chained by ids that are the same on every connection, and
//! [`kurs_book::SyncedBook`] drops by them what it has already. Recordings of 2021 and 2022
//! have none; there a message is known by when the venue sent it and by its checksum. On each
//! connection the messages of an instrument come in order, so the first arrivals of both are in
//! order too.

use kurs_core::Wall;
use std::collections::BTreeSet;

/// Messages that are remembered per instrument: seconds of the liveliest one, where the later
/// connection lags by some 0.2 s.
const REMEMBERED: usize = 1_024;

/// Book messages of one instrument that have come over whichever connection.
#[derive(Debug, Clone, Default)]
pub struct Merge {
    seen: BTreeSet<(Wall, Option<u32>)>,
}

impl Merge {
    /// Nothing has come yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            seen: BTreeSet::new(),
        }
    }

    /// True when this message has not come before. What is older than all that is remembered
    /// has.
    pub fn is_new(&mut self, at: Wall, checksum: Option<u32>) -> bool {
        let is_full = self.seen.len() >= REMEMBERED;
        if is_full
            && self
                .seen
                .first()
                .is_some_and(|oldest| (at, checksum) < *oldest)
        {
            return false;
        }
        let is_new = self.seen.insert((at, checksum));
        if self.seen.len() > REMEMBERED {
            self.seen.pop_first();
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_is_new_once_however_the_connections_interleave() {
        let mut merge = Merge::new();
        let messages: Vec<(Wall, Option<u32>)> = (0..10_000_u32)
            .map(|number| (Wall(i64::from(number / 3)), Some(number)))
            .collect();
        let mut passed = 0;
        for (index, message) in messages.iter().enumerate() {
            passed += u32::from(merge.is_new(message.0, message.1));
            if let Some(late) = index.checked_sub(100) {
                let (at, checksum) = messages[late];
                assert!(!merge.is_new(at, checksum));
            }
        }
        assert_eq!(passed, 10_000);
        assert!(merge.seen.len() <= REMEMBERED);
        assert!(
            !merge.is_new(Wall(0), Some(0)),
            "forgotten, and therefore old"
        );
    }
}
