//! Each change once, whichever connections it comes over.

use super::*;
use kurs_core::Now;
use proptest::prelude::*;

struct Rig {
    decoder: Decoder,
    now: Now,
}

impl Rig {
    fn new() -> Self {
        let mut decoder = Decoder::new(Duration::from_secs(5));
        decoder.follow(Pair::parse("BTC-USDT").unwrap()).unwrap();
        Self {
            decoder,
            now: Now::default(),
        }
    }

    /// Whether a change is passed on.
    fn passes(&mut self, connection: u64, update_id: u64) -> bool {
        let text = format!(r#"{{"u":{update_id},"s":"BTCUSDT","b":"1","B":"1","a":"2","A":"1"}}"#);
        let frame = Frame {
            connection,
            received: self.now,
            text: &text,
        };
        match self.decoder.decode(frame) {
            Decoded::Tick { tick, .. } => {
                assert_eq!(tick.event_id, Some(update_id));
                true
            }
            Decoded::Duplicate { .. } => false,
            other => panic!("{other:?}"),
        }
    }

    fn ended(&mut self, oldest_open: u64) -> Vec<u64> {
        let mut released = Vec::new();
        self.decoder
            .ended(oldest_open, |_, tick| released.extend(tick.event_id));
        released
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
fn a_symbol_that_means_another_followed_pair_is_refused() {
    let mut decoder = Decoder::new(Duration::from_secs(5));
    let first = decoder.follow(Pair::parse("AB-CDE").unwrap());
    assert!(first.is_some());
    assert_eq!(decoder.follow(Pair::parse("ABC-DE").unwrap()), None);
    decoder.unfollow(first.unwrap());
    assert_eq!(
        decoder.follow(Pair::parse("ABC-DE").unwrap()),
        first,
        "a symbol keeps its number"
    );
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
