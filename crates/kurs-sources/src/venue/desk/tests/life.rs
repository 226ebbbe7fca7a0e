//! How long a book that is in step can be read when nothing more is said of it.

use super::words::Words;
use super::{Rig, pair};
use crate::input::Machine;
use std::time::Duration;

/// Why the book of A cannot be read; empty when it can.
fn unreadable(rig: &Rig) -> String {
    let view = rig.desk.book(pair("A"), 10).unwrap();
    assert_eq!(view.depth.is_none(), !view.why.is_empty());
    view.why.to_string()
}

#[test]
fn a_book_that_gave_no_sign_of_life_for_too_long_cannot_be_read_until_it_gives_one() {
    let mut rig = Rig::new(Words::with_tops());
    rig.say(1, "top A 100 110 1; snap A 5 100 110");
    rig.pass(2_900);
    assert_eq!(unreadable(&rig), "");
    // Neither the stream nor REST says anything: with the pair its book is stale.
    rig.pass(100);
    assert_eq!(unreadable(&rig), "no sign of life for 3 s");
    for _ in 0..3 {
        // What only says that the connection lives says nothing of the book.
        rig.say(1, "beat");
        rig.pass(1_000);
    }
    assert_eq!(unreadable(&rig), "no sign of life for 6 s");
    rig.say(1, "diff A 5 6 101");
    assert_eq!(unreadable(&rig), "");
}

#[test]
fn a_quiet_book_stays_readable_as_long_as_the_symbol_lives_or_rest_agrees_with_it() {
    let mut rig = Rig::new(Words::with_tops());
    rig.say(1, "top A 100 110 1; snap A 5 100 110");
    for _ in 0..10 {
        rig.pass(2_000);
        rig.rest("A 100 110");
        assert_eq!(unreadable(&rig), "");
    }
    let received = rig.desk.book(pair("A"), 10).unwrap().received_at.unwrap();
    let age = rig.now.wall.since(received);
    assert_eq!(age, Duration::from_secs(20), "its age is the true one");
    for _ in 0..10 {
        rig.pass(1_000);
        rig.say(1, "alive A");
        assert_eq!(unreadable(&rig), "");
    }
}

#[test]
fn a_silent_book_that_rest_contradicts_cannot_be_read_after_the_longest_age() {
    let mut rig = Rig::new(Words::with_tops());
    rig.say(1, "top A 100 110 1; snap A 5 100 110");
    rig.pass(2_000);
    rig.rest("A 105 115");
    rig.pass(2_900);
    rig.rest("A 106 116");
    assert_eq!(unreadable(&rig), "");
    rig.pass(100);
    assert_eq!(unreadable(&rig), "no sign of life for 5 s");
}
