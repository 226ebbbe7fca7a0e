use super::*;
use kurs_core::Price;

const NOW: Mono = Mono(7);

fn change(side: Side, price: u32, size: u32) -> Change {
    Change {
        side,
        price: Price::new(price.into()).unwrap(),
        size: size.into(),
    }
}

fn bid(price: u32, size: u32) -> Change {
    change(Side::Bid, price, size)
}

fn ask(price: u32, size: u32) -> Change {
    change(Side::Ask, price, size)
}

fn sides() -> [Change; 2] {
    [bid(100, 1), ask(102, 1)]
}

fn take(book: &mut SyncedBook, kind: Kind, ids: Ids, changes: &[Change]) -> Verdict {
    let update = BookUpdate {
        kind,
        ids,
        checksum: None,
        changes,
    };
    book.take(NOW, update)
}

fn range(book: &mut SyncedBook, first: u64, last: u64, changes: &[Change]) -> Verdict {
    take(book, Kind::Diff, Ids::Range { first, last }, changes)
}

fn snapshot(book: &mut SyncedBook, id: u64) -> Verdict {
    let ids = Ids::Range {
        first: id,
        last: id,
    };
    take(book, Kind::Snapshot, ids, &sides())
}

fn chained(book: &mut SyncedBook, previous: u64, id: u64, changes: &[Change]) -> Verdict {
    let previous = Some(previous);
    take(book, Kind::Diff, Ids::Chain { previous, id }, changes)
}

fn chain_snapshot(book: &mut SyncedBook, id: u64) -> Verdict {
    let previous = None;
    take(book, Kind::Snapshot, Ids::Chain { previous, id }, &sides())
}

fn best_bid(book: &SyncedBook) -> Option<String> {
    let best = book.book()?.best_bid()?;
    Some(format!("{}x{}", best.price, best.size))
}

/// A book of ranges that is synced at id 10.
fn in_range() -> SyncedBook {
    let mut book = SyncedBook::new(Scheme::IdRange, None);
    assert_eq!(range(&mut book, 8, 10, &[]), Verdict::Buffered);
    assert_eq!(snapshot(&mut book, 10), Verdict::Synced);
    book
}

#[test]
fn a_snapshot_is_bridged_by_the_diffs_that_waited() {
    let mut book = SyncedBook::new(Scheme::IdRange, None);
    assert!(book.wants_snapshot());
    for (first, last, size) in [(1, 4, 11), (5, 8, 12), (9, 9, 13)] {
        let verdict = range(&mut book, first, last, &[bid(101, size)]);
        assert_eq!(verdict, Verdict::Buffered);
    }
    assert!(book.book().is_none());
    assert_eq!(snapshot(&mut book, 6), Verdict::Synced);
    assert_eq!(best_bid(&book).as_deref(), Some("101x13"));
    assert_eq!((book.last_id(), book.wants_snapshot()), (Some(9), false));
    // The snapshot and the two diffs after it.
    assert_eq!(book.counters().applied, 3);
    assert_eq!(book.snapshot_at(), Some(NOW));
}

#[test]
fn diffs_are_kept_when_the_snapshot_is_too_old() {
    let mut book = SyncedBook::new(Scheme::IdRange, None);
    range(&mut book, 5, 8, &[bid(101, 2)]);
    assert_eq!(snapshot(&mut book, 3), Verdict::SnapshotTooOld);
    assert!(book.wants_snapshot() && !book.is_synced());
    assert_eq!(snapshot(&mut book, 4), Verdict::Synced);
    assert_eq!(best_bid(&book).as_deref(), Some("101x2"));
}

#[test]
fn a_snapshot_newer_than_all_diffs_waits_for_the_next_and_is_asked_for_once() {
    let mut book = SyncedBook::new(Scheme::IdRange, None);
    range(&mut book, 5, 8, &[bid(101, 2)]);
    assert_eq!(snapshot(&mut book, 20), Verdict::Buffered);
    assert!(!book.wants_snapshot() && book.book().is_none());
    assert_eq!(range(&mut book, 9, 15, &[bid(101, 3)]), Verdict::Duplicate);
    assert_eq!(range(&mut book, 16, 22, &[bid(101, 4)]), Verdict::Synced);
    assert_eq!(best_bid(&book).as_deref(), Some("101x4"));
}

#[test]
fn a_snapshot_that_the_next_diff_does_not_reach_is_too_old() {
    let mut book = SyncedBook::new(Scheme::IdRange, None);
    assert_eq!(snapshot(&mut book, 20), Verdict::Buffered);
    assert_eq!(range(&mut book, 23, 24, &[]), Verdict::SnapshotTooOld);
    assert!(book.wants_snapshot());
    // A diff of another connection may still close the gap.
    assert_eq!(range(&mut book, 20, 22, &[]), Verdict::Synced);
    assert_eq!(book.last_id(), Some(24));
}

#[test]
fn a_quiet_book_is_synced_by_a_snapshot_of_where_its_last_diff_ended() {
    let mut book = SyncedBook::new(Scheme::IdRange, None);
    range(&mut book, 5, 8, &[bid(101, 2)]);
    assert_eq!(snapshot(&mut book, 8), Verdict::Synced);
    let mut book = SyncedBook::new(Scheme::IdRange, None);
    assert_eq!(snapshot(&mut book, 8), Verdict::Buffered);
    assert_eq!(range(&mut book, 5, 8, &[]), Verdict::Synced);
}

#[test]
fn the_diff_that_shows_a_gap_is_the_first_to_wait() {
    let mut book = in_range();
    let gap = Gap::Sequence {
        expected: 11,
        got: 12,
    };
    assert_eq!(range(&mut book, 12, 13, &[bid(101, 9)]), Verdict::Lost(gap));
    assert!(book.book().is_none() && book.wants_snapshot() && book.last_id().is_none());
    assert_eq!(snapshot(&mut book, 9), Verdict::SnapshotTooOld);
    assert_eq!(snapshot(&mut book, 11), Verdict::Synced);
    assert_eq!(best_bid(&book).as_deref(), Some("101x9"));
    let counters = book.counters();
    assert_eq!((counters.gaps, counters.resyncs), (1, 1));
}

#[test]
fn a_gap_is_closed_by_another_connection_without_a_snapshot() {
    let mut book = in_range();
    let verdict = range(&mut book, 15, 18, &[bid(101, 9)]);
    assert!(matches!(verdict, Verdict::Lost(Gap::Sequence { .. })));
    assert_eq!(range(&mut book, 9, 12, &[bid(101, 7)]), Verdict::Buffered);
    assert_eq!(range(&mut book, 13, 16, &[bid(101, 8)]), Verdict::Synced);
    assert_eq!(best_bid(&book).as_deref(), Some("101x9"));
    assert_eq!(book.last_id(), Some(18));
}

#[test]
fn diffs_that_overlap_the_book_are_applied_and_older_ones_are_not() {
    let mut book = in_range();
    assert_eq!(range(&mut book, 7, 12, &[bid(101, 2)]), Verdict::Applied);
    assert_eq!(range(&mut book, 11, 12, &[bid(101, 9)]), Verdict::Duplicate);
    assert_eq!(snapshot(&mut book, 12), Verdict::Duplicate);
    assert_eq!(best_bid(&book).as_deref(), Some("101x2"));
}

#[test]
fn a_venue_that_numbers_anew_does_not_freeze_the_book() {
    let mut book = in_range();
    let mut lost = None;
    for id in 1..2_000 {
        let id = id % 9 + 1;
        if let Verdict::Lost(gap) = range(&mut book, id, id, &[]) {
            lost = Some(gap);
            break;
        }
    }
    assert!(matches!(lost, Some(Gap::Sequence { expected: 11, .. })));
    assert!(book.wants_snapshot());
}

#[test]
fn a_buffer_that_overflows_begins_again() {
    let mut book = SyncedBook::new(Scheme::IdRange, None);
    let mut id = 1;
    while range(&mut book, id, id, &[]) == Verdict::Buffered {
        id += 1;
        assert!(id < 1_000_000, "no bound");
    }
    assert_eq!(book.counters().gaps, 1);
    assert_eq!(snapshot(&mut book, id - 1), Verdict::Synced);
    let many = vec![bid(1, 1); 1_000];
    let mut book = SyncedBook::new(Scheme::IdRange, None);
    let mut id = 1;
    while range(&mut book, id, id, &many) == Verdict::Buffered {
        id += 1;
        assert!(id < 1_000, "no bound");
    }
    assert_eq!(snapshot(&mut book, id), Verdict::Synced);
}

#[test]
fn a_diff_without_sensible_ids_is_a_loss() {
    let mut book = in_range();
    assert_eq!(
        take(&mut book, Kind::Diff, Ids::None, &[]),
        Verdict::Lost(Gap::NoIds)
    );
    assert!(book.book().is_none());
    let mut book = in_range();
    assert_eq!(range(&mut book, 12, 11, &[]), Verdict::Lost(Gap::NoIds));
}

#[test]
fn a_book_that_crosses_is_lost_in_every_scheme() {
    let mut book = in_range();
    let verdict = range(&mut book, 11, 11, &[bid(102, 1)]);
    assert_eq!(verdict, Verdict::Lost(Gap::Crossed));
    assert!(book.book().is_none());
    assert_eq!(book.counters().crossed, 1);
    let in_stream = [
        (
            Scheme::Chain,
            Ids::Chain {
                previous: None,
                id: 1,
            },
        ),
        (Scheme::Counter, Ids::Counter(4)),
        (Scheme::KrakenChecksum, Ids::None),
        (Scheme::ChainWithChecksum, Ids::None),
        (Scheme::Unverifiable, Ids::None),
    ];
    for (scheme, ids) in in_stream {
        let mut book = SyncedBook::new(scheme, None);
        let crossed = [bid(102, 1), ask(102, 1)];
        let verdict = take(&mut book, Kind::Snapshot, ids, &crossed);
        assert_eq!(verdict, Verdict::Lost(Gap::Crossed), "{scheme:?}");
        assert_eq!(
            take(&mut book, Kind::Snapshot, ids, &sides()),
            Verdict::Synced
        );
    }
}

#[test]
fn a_book_may_cross_in_the_middle_of_a_message() {
    let mut book = in_range();
    let changes = [bid(103, 1), ask(102, 0), ask(104, 1)];
    assert_eq!(range(&mut book, 11, 13, &changes), Verdict::Applied);
    assert_eq!(best_bid(&book).as_deref(), Some("103x1"));
}

#[test]
fn a_book_with_one_side_is_synced_and_not_readable() {
    let mut book = in_range();
    assert_eq!(range(&mut book, 11, 11, &[ask(102, 0)]), Verdict::Applied);
    assert!(book.is_synced() && book.book().is_none());
    assert_eq!(range(&mut book, 12, 12, &[ask(103, 1)]), Verdict::Applied);
    assert!(book.book().is_some());
}

#[test]
fn a_chain_goes_on_over_keep_alives_and_restarts() {
    let mut book = SyncedBook::new(Scheme::Chain, None);
    assert_eq!(chained(&mut book, 3, 5, &[]), Verdict::Buffered);
    assert_eq!(chain_snapshot(&mut book, 100), Verdict::Synced);
    assert_eq!(
        chained(&mut book, 100, 107, &[bid(101, 2)]),
        Verdict::Applied
    );
    assert_eq!(chained(&mut book, 107, 107, &[]), Verdict::Duplicate);
    assert_eq!(chained(&mut book, 107, 2, &[bid(101, 3)]), Verdict::Applied);
    assert_eq!(
        chained(&mut book, 107, 2, &[bid(101, 3)]),
        Verdict::Duplicate
    );
    assert_eq!(chained(&mut book, 2, 9, &[bid(101, 4)]), Verdict::Applied);
    assert_eq!(best_bid(&book).as_deref(), Some("101x4"));
    let gap = Gap::Sequence {
        expected: 9,
        got: 11,
    };
    assert_eq!(chained(&mut book, 11, 14, &[]), Verdict::Lost(gap));
    assert_eq!(chained(&mut book, 14, 15, &[]), Verdict::Buffered);
    assert_eq!(chain_snapshot(&mut book, 15), Verdict::Synced);
}

#[test]
fn a_second_snapshot_in_the_stream_replaces_the_book() {
    let mut book = SyncedBook::new(Scheme::Chain, None);
    chain_snapshot(&mut book, 100);
    chained(&mut book, 100, 107, &[bid(101, 2)]);
    assert_eq!(chain_snapshot(&mut book, 110), Verdict::Applied);
    assert_eq!(best_bid(&book).as_deref(), Some("100x1"));
    assert_eq!(
        chained(&mut book, 107, 110, &[bid(101, 9)]),
        Verdict::Duplicate
    );
}

#[test]
fn a_count_goes_on_by_one() {
    let mut book = SyncedBook::new(Scheme::Counter, Some(1));
    let say = |book: &mut SyncedBook, kind, number, changes: &[Change]| {
        take(book, kind, Ids::Counter(number), changes)
    };
    assert_eq!(say(&mut book, Kind::Diff, 6, &[]), Verdict::Buffered);
    assert_eq!(say(&mut book, Kind::Snapshot, 7, &sides()), Verdict::Synced);
    assert_eq!(
        say(&mut book, Kind::Diff, 8, &[bid(101, 5)]),
        Verdict::Applied
    );
    assert_eq!(book.book().unwrap().len(Side::Bid), 1, "cut to its depth");
    assert_eq!(
        say(&mut book, Kind::Snapshot, 8, &sides()),
        Verdict::Duplicate
    );
    assert_eq!(best_bid(&book).as_deref(), Some("101x5"));
    assert_eq!(say(&mut book, Kind::Diff, 1, &sides()), Verdict::Applied);
    assert_eq!(best_bid(&book).as_deref(), Some("100x1"), "counted anew");
    let gap = Gap::Sequence {
        expected: 2,
        got: 3,
    };
    assert_eq!(say(&mut book, Kind::Diff, 3, &[]), Verdict::Lost(gap));
}

#[test]
fn a_wrong_checksum_loses_the_book_and_an_empty_one_says_nothing() {
    for (scheme, zero) in [
        (Scheme::ChainWithChecksum, Verdict::Synced),
        (
            Scheme::KrakenChecksum,
            Verdict::Lost(Gap::Checksum {
                expected: 0,
                computed: crc32fast::hash(b"10211001"),
            }),
        ),
        (Scheme::Unverifiable, Verdict::Synced),
    ] {
        let mut book = SyncedBook::new(scheme, None);
        let mut update = BookUpdate {
            kind: Kind::Snapshot,
            ids: Ids::None,
            checksum: Some(0),
            changes: &sides(),
        };
        assert_eq!(book.take(NOW, update), zero, "{scheme:?}");
        update.checksum = Some(1);
        let verdict = book.take(NOW, update);
        let is_lost = matches!(verdict, Verdict::Lost(Gap::Checksum { .. }));
        assert_eq!(is_lost, scheme != Scheme::Unverifiable, "{scheme:?}");
        assert_eq!(book.book().is_none(), is_lost);
    }
}

#[test]
fn a_book_has_no_more_levels_than_its_bound() {
    let levels: Vec<_> = (1..=LEVELS_MAX as u32 + 1).map(|at| bid(at, 1)).collect();
    let mut book = SyncedBook::new(Scheme::Unverifiable, None);
    let verdict = take(&mut book, Kind::Snapshot, Ids::None, &levels);
    assert_eq!(verdict, Verdict::Lost(Gap::TooManyLevels));
    assert!(book.book().is_none());
    let verdict = take(&mut book, Kind::Snapshot, Ids::None, &levels[1..]);
    assert_eq!(verdict, Verdict::Synced);
    let verdict = take(&mut book, Kind::Diff, Ids::None, &levels[..1]);
    assert_eq!(verdict, Verdict::Lost(Gap::TooManyLevels));
}

#[test]
fn a_reset_book_knows_nothing_but_its_counters() {
    let mut book = in_range();
    let counters = book.counters();
    book.reset();
    assert!(!book.is_synced() && book.book().is_none() && book.wants_snapshot());
    assert_eq!(book.counters(), counters);
    // The venue may number otherwise now.
    assert_eq!(range(&mut book, 2, 3, &[]), Verdict::Buffered);
    assert_eq!(snapshot(&mut book, 2), Verdict::Synced);
    assert_eq!(book.counters().resyncs, 1);
}

#[test]
fn a_gap_is_told_in_one_phrase() {
    let gap = Gap::Sequence {
        expected: 11,
        got: 13,
    };
    assert_eq!(
        gap.to_string(),
        "a message is missing: expected id 11, got 13"
    );
}
