//! Each change once, whichever connections it comes over.

use super::*;
use kurs_core::{Pair, Price, Quote};
use proptest::prelude::*;

struct Rig {
    merge: Merge,
    lines: Lines,
    now: Mono,
}

fn tick(event_id: Option<u64>, bid: u64) -> Tick {
    let price = |value: u64| Price::parse(&value.to_string()).unwrap();
    Tick {
        pair: Pair::parse("BTC-USDT").unwrap(),
        quote: Quote::sides(price(bid), price(bid + 1)).unwrap(),
        sizes: None,
        observed_at: None,
        valid_for: Duration::from_secs(5),
        event_id,
    }
}

impl Rig {
    fn new() -> Self {
        Self {
            merge: Merge::default(),
            lines: Lines::default(),
            now: Mono(0),
        }
    }

    /// Whether a change is passed on.
    fn passes(&mut self, connection: u64, id: u64) -> bool {
        self.lines.heard(connection);
        let tick = tick(Some(id), 1);
        self.merge.passes(self.now, connection, &tick, self.lines)
    }

    /// The same for a change without an id.
    fn passes_plain(&mut self, connection: u64, bid: u64) -> bool {
        self.lines.heard(connection);
        let tick = tick(None, bid);
        self.merge.passes(self.now, connection, &tick, self.lines)
    }

    fn ended(&mut self, oldest_open: u64) -> Vec<u64> {
        self.lines.ended(oldest_open);
        let released = self.merge.ended(self.lines);
        released
            .and_then(|tick| tick.event_id)
            .into_iter()
            .collect()
    }

    fn pass(&mut self, milliseconds: u64) {
        self.now = self.now.plus(Duration::from_millis(milliseconds));
    }
}

#[test]
fn repeated_and_reordered_ids_are_dropped() {
    let mut rig = Rig::new();
    let passed: Vec<bool> = [5, 5, 4, 6, 5, 9].map(|id| rig.passes(1, id)).to_vec();
    assert_eq!(passed, [true, false, false, true, false, true]);
}

#[test]
fn a_newer_connection_that_is_ahead_waits_until_it_has_missed_nothing() {
    let mut rig = Rig::new();
    assert!(rig.passes(1, 5));
    assert!(
        !rig.passes(2, 8),
        "6 and 7 are still to come over the older one"
    );
    assert!(rig.passes(1, 6) && rig.passes(1, 7) && rig.passes(1, 8));
    assert!(!rig.passes(2, 8), "known: from here on it misses nothing");
    assert!(rig.passes(2, 9));
    assert!(!rig.passes(1, 9));
}

#[test]
fn what_a_newer_connection_held_back_is_due_when_the_older_one_ends() {
    let mut rig = Rig::new();
    rig.passes(1, 5);
    assert!(!rig.passes(2, 8));
    assert_eq!(rig.ended(2), [8]);
    assert_eq!(rig.ended(2), Vec::<u64>::new());
    assert!(!rig.passes(2, 8) && rig.passes(2, 9));
}

#[test]
fn what_was_held_back_by_a_connection_that_ended_too_is_not_told() {
    let mut rig = Rig::new();
    rig.passes(1, 5);
    assert!(!rig.passes(2, 8));
    assert_eq!(rig.ended(3), Vec::<u64>::new());
    assert!(rig.passes(3, 1), "the first word after a gap");
}

#[test]
fn a_dead_older_connection_does_not_hold_the_newer_one_for_long() {
    let mut rig = Rig::new();
    rig.passes(1, 5);
    assert!(!rig.passes(2, 8));
    rig.pass(300);
    assert!(rig.passes(2, 9));
}

#[test]
fn the_first_word_after_a_gap_holds_even_with_a_lower_id() {
    let mut rig = Rig::new();
    rig.passes(1, 500);
    rig.ended(2);
    assert!(rig.passes(2, 3));
    assert!(!rig.passes(2, 3) && rig.passes(2, 4));
}

#[test]
fn ids_that_stay_low_on_the_only_connection_are_believed_in_the_end() {
    let mut rig = Rig::new();
    rig.passes(1, 500);
    assert!(!rig.passes(2, 3));
    rig.ended(2);
    assert!(!rig.passes(2, 4), "for a moment it may be lag");
    rig.pass(2_000);
    assert!(rig.passes(2, 5) && rig.passes(2, 6));
}

#[test]
fn ids_that_begin_anew_on_the_first_connection_are_believed_after_two_seconds() {
    // Attempts that never opened have numbers too: the first to speak need not be number one.
    for first in [1, 7] {
        let mut rig = Rig::new();
        assert!(rig.passes(first, 1_008) && rig.passes(first, 1_009));
        rig.pass(60_000);
        assert!(!rig.passes(first, 1_009), "a repeated id proves nothing");
        rig.pass(60_000);
        assert!(!rig.passes(first, 1), "for a moment it may be lag");
        rig.pass(1_999);
        assert!(!rig.passes(first, 2));
        rig.pass(1);
        assert!(rig.passes(first, 3) && rig.passes(first, 4));
        assert!(!rig.passes(first, 4));
    }
}

#[test]
fn ids_that_begin_anew_after_a_failed_attempt_are_believed_too() {
    let mut rig = Rig::new();
    rig.passes(1, 500);
    // Attempt 2 failed, 3 speaks.
    rig.ended(2);
    assert!(rig.passes(3, 600));
    assert!(!rig.passes(3, 1));
    rig.pass(2_000);
    assert!(rig.passes(3, 2));
}

#[test]
fn low_ids_are_never_believed_while_an_older_connection_is_open() {
    let mut rig = Rig::new();
    rig.passes(1, 500);
    assert!(!rig.passes(2, 500) && rig.passes(2, 501));
    assert!(!rig.passes(2, 3));
    rig.pass(60_000);
    assert!(!rig.passes(2, 4) && !rig.passes(1, 5));
}

#[test]
fn without_ids_the_older_connection_leads_to_its_end() {
    let mut rig = Rig::new();
    assert!(rig.passes_plain(1, 10));
    assert!(!rig.passes_plain(2, 10));
    assert!(rig.passes_plain(1, 11));
    assert!(!rig.passes_plain(2, 11));
    rig.lines.ended(2);
    let released = rig.merge.ended(rig.lines).unwrap();
    assert_eq!(released.quote, tick(None, 11).quote);
    assert!(rig.passes_plain(2, 12) && !rig.passes_plain(1, 13));
}

#[test]
fn without_ids_a_dead_older_connection_does_not_hold_the_newer_one_for_long() {
    let mut rig = Rig::new();
    rig.passes_plain(1, 10);
    assert!(!rig.passes_plain(2, 11));
    rig.pass(300);
    assert!(rig.passes_plain(2, 12) && rig.passes_plain(2, 13));
}

proptest! {
    /// Two connections carry the same ids, each in order, mixed at random; the older one ends
    /// when both have brought everything.
    #[test]
    fn over_two_connections_every_id_passes_once_and_in_order(
        order in prop::collection::vec(any::<bool>(), 0..200),
        joined_at in 2_u64..40,
    ) {
        let mut rig = Rig::new();
        let mut passed = Vec::new();
        let (mut old, mut new) = (0_u64, joined_at - 1);
        // The newer connection joins when the older has its place or is a little behind.
        for from_new in order {
            let (connection, next) = if from_new && old > 0 { (2, &mut new) } else { (1, &mut old) };
            *next += 1;
            if rig.passes(connection, *next) {
                passed.push(*next);
            }
        }
        let last = if new >= joined_at { old.max(new) } else { old };
        while old < last {
            old += 1;
            if rig.passes(1, old) {
                passed.push(old);
            }
        }
        passed.extend(rig.ended(2));
        prop_assert_eq!(passed, (1..=last).collect::<Vec<_>>());
    }
}
