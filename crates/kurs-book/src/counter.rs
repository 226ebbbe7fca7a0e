//! Messages that are counted one by one ([`crate::Scheme::Counter`]).

use crate::place::Place;

/// The number of a message with which the venue began to count anew. Such a message is a
/// snapshot, whatever it calls itself.
pub(crate) const ANEW: u64 = 1;

/// Where a message belongs in a synced book. The last number said again is a sign of life:
/// the shallowest books repeat themselves when nothing changes. A snapshot with any other
/// number replaces the book.
pub(crate) const fn place(last: u64, number: u64, is_snapshot: bool) -> Place {
    if number == last && number != ANEW {
        return Place::Alive;
    }
    let expected = last.saturating_add(1);
    if is_snapshot || number == expected {
        Place::Next
    } else {
        Place::Missing {
            expected,
            got: number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_next_number_continues_a_book() {
        assert_eq!(place(5, 6, false), Place::Next);
        assert_eq!(place(5, 5, false), Place::Alive);
        for got in [2, 4, 7, u64::MAX] {
            assert_eq!(place(5, got, false), Place::Missing { expected: 6, got });
        }
    }

    #[test]
    fn a_snapshot_replaces_the_book_unless_it_only_repeats_it() {
        for number in [1, 4, 6, 900] {
            assert_eq!(place(5, number, true), Place::Next);
        }
        assert_eq!(place(5, 5, true), Place::Alive);
        assert_eq!(place(1, 1, true), Place::Next, "the venue began anew twice");
    }
}
