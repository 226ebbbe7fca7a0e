//! One book over two connections, and one per connection.

use super::*;
use kurs_book::Side;
use kurs_core::Price;
use rust_decimal::Decimal;

fn change(side: Side, price: u32, size: u32) -> Change {
    Change {
        side,
        price: Price::parse(&price.to_string()).unwrap(),
        size: Decimal::from(size),
    }
}

struct Rig {
    books: Books,
    manner: Manner,
    lines: Lines,
    stats: BookStats,
    now: Now,
}

impl Rig {
    fn new(scheme: Scheme, is_shared: bool) -> Self {
        Self {
            books: Books::default(),
            manner: Manner {
                scheme,
                depth: Some(10),
                is_shared,
                pause: Duration::from_secs(1),
                refresh: None,
            },
            lines: Lines::default(),
            stats: BookStats::default(),
            now: Now::default(),
        }
    }

    fn take(&mut self, connection: u64, kind: Kind, ids: Ids, changes: &[Change]) -> Outcome {
        let message = Message {
            connection,
            kind,
            ids,
            checksum: None,
            changes,
            at: None,
        };
        let (manner, lines) = (&self.manner, self.lines);
        self.books
            .take(self.now, message, manner, lines, &self.stats)
    }

    /// A snapshot with the best bid 100 and the best ask 110.
    fn snapshot(&mut self, connection: u64, ids: Ids) -> Outcome {
        let levels = [change(Side::Bid, 100, 1), change(Side::Ask, 110, 1)];
        self.take(connection, Kind::Snapshot, ids, &levels)
    }

    /// A diff that sets the size of the best bid.
    fn diff(&mut self, connection: u64, ids: Ids, size: u32) -> Outcome {
        self.take(connection, Kind::Diff, ids, &[change(Side::Bid, 100, size)])
    }

    fn ended(&mut self, connection: u64, oldest_open: u64) -> Outcome {
        self.lines.ended(oldest_open);
        self.books
            .ended(self.now, connection, self.lines, &self.stats)
    }

    fn best_size(&self) -> Option<Decimal> {
        Some(self.books.book()?.best_bid()?.size)
    }

    fn pass(&mut self, milliseconds: u64) {
        self.now = self.now.plus(Duration::from_millis(milliseconds));
    }

    fn renewals(&mut self) -> Vec<u64> {
        let mut found = Vec::new();
        let mut may_refresh = true;
        let (now, manner) = (self.now.mono, &self.manner);
        self.books
            .renewals(now, manner, &mut may_refresh, |connection| {
                found.push(connection);
            });
        found
    }

    fn gaps(&self) -> u64 {
        self.stats.gaps.load(Ordering::Relaxed)
    }
}

const fn chain(previous: u64, id: u64) -> Ids {
    Ids::Chain {
        previous: Some(previous),
        id,
    }
}

const FIRST: Ids = Ids::Chain {
    previous: None,
    id: 5,
};

#[test]
fn a_connection_that_is_ahead_of_the_other_makes_no_gap() {
    let mut rig = Rig::new(Scheme::Chain, true);
    assert!(rig.snapshot(1, FIRST).changed);
    assert!(!rig.snapshot(2, FIRST).changed, "nothing new");
    // 7 comes over connection 2 before 6 has come over any.
    assert!(!rig.diff(2, chain(6, 7), 7).changed);
    assert_eq!(rig.best_size(), Some(1.into()));
    assert!(rig.diff(1, chain(5, 6), 6).changed);
    assert_eq!(rig.best_size(), Some(7.into()), "what waited is taken too");
    assert!(!rig.diff(1, chain(6, 7), 7).changed);
    assert_eq!(rig.gaps(), 0);
}

#[test]
fn what_is_missing_on_both_connections_is_a_gap_soon() {
    let mut rig = Rig::new(Scheme::Chain, true);
    rig.snapshot(1, FIRST);
    rig.snapshot(2, FIRST);
    rig.diff(2, chain(6, 7), 7);
    rig.pass(250);
    let outcome = rig.books.advance(rig.now, &rig.stats);
    assert!(outcome.changed && outcome.turned);
    assert_eq!((rig.best_size(), rig.gaps()), (None, 1));
    assert_eq!(
        rig.books.why(),
        "order book out of step: a message is missing"
    );
    assert_eq!(rig.renewals(), [2], "on the newer connection");
    assert_eq!(rig.renewals(), Vec::<u64>::new(), "once");
}

#[test]
fn on_the_only_connection_a_gap_is_one_at_once_and_is_mended_by_a_snapshot() {
    let mut rig = Rig::new(Scheme::Chain, true);
    rig.snapshot(1, FIRST);
    assert!(rig.diff(1, chain(6, 7), 7).changed);
    assert_eq!(rig.best_size(), None);
    assert_eq!(rig.renewals(), [1]);
    // A leftover of the old subscription.
    assert!(!rig.diff(1, chain(7, 8), 8).changed);
    let anew = Ids::Chain {
        previous: None,
        id: 9,
    };
    assert!(rig.snapshot(1, anew).turned);
    assert_eq!(rig.stats.resyncs.load(Ordering::Relaxed), 1);
    rig.diff(1, chain(10, 11), 8);
    assert_eq!(rig.renewals(), Vec::<u64>::new(), "the pause holds");
    rig.pass(1_000);
    assert_eq!(rig.renewals(), [1]);
}

#[test]
fn what_a_lost_connection_still_owed_is_not_waited_for() {
    let mut rig = Rig::new(Scheme::Chain, true);
    rig.snapshot(1, FIRST);
    rig.snapshot(2, FIRST);
    rig.diff(2, chain(6, 7), 7);
    assert!(rig.ended(1, 2).changed);
    assert_eq!((rig.best_size(), rig.gaps()), (None, 1));
}

#[test]
fn with_the_last_connection_the_book_is_gone() {
    let mut rig = Rig::new(Scheme::Chain, true);
    rig.snapshot(1, FIRST);
    assert!(rig.ended(1, 2).changed);
    assert!(rig.books.is_empty() && rig.best_size().is_none());
    assert_eq!(rig.gaps(), 0, "a lost connection is no gap");
}

#[test]
fn without_shared_ids_the_lead_changes_when_its_connection_ends_or_its_book_is_lost() {
    let mut rig = Rig::new(Scheme::Unverifiable, false);
    rig.snapshot(1, Ids::None);
    rig.snapshot(2, Ids::None);
    assert!(!rig.diff(2, Ids::None, 2).changed, "the first one leads");
    assert_eq!(rig.best_size(), Some(1.into()));
    assert!(rig.ended(1, 2).changed);
    assert_eq!(rig.best_size(), Some(2.into()));
    rig.snapshot(3, Ids::None);
    rig.diff(3, Ids::None, 3);
    // Connection 2 crosses its book.
    let crossing = [change(Side::Bid, 120, 1)];
    assert!(rig.take(2, Kind::Diff, Ids::None, &crossing).changed);
    assert_eq!(rig.best_size(), Some(3.into()));
    assert_eq!(rig.renewals(), [2], "the lost one is asked for again");
}

#[test]
fn a_book_that_cannot_be_verified_is_renewed_and_lost_if_no_snapshot_comes() {
    let mut rig = Rig::new(Scheme::Unverifiable, false);
    rig.manner.refresh = Some(Duration::from_secs(60));
    rig.snapshot(1, Ids::None);
    assert_eq!(rig.renewals(), Vec::<u64>::new());
    rig.pass(60_000);
    assert_eq!(rig.renewals(), [1]);
    assert_eq!(rig.best_size(), Some(1.into()), "readable meanwhile");
    rig.pass(9_000);
    rig.snapshot(1, Ids::None);
    assert_eq!(rig.renewals(), Vec::<u64>::new());
    rig.pass(60_000);
    assert_eq!(rig.renewals(), [1]);
    rig.pass(10_000);
    rig.renewals();
    assert_eq!(rig.best_size(), None, "no snapshot came");
}

#[test]
fn a_message_that_cannot_be_used_loses_the_book() {
    let mut rig = Rig::new(Scheme::Unverifiable, false);
    rig.snapshot(1, Ids::None);
    let outcome = rig.books.spoil(1, &rig.manner, &rig.stats);
    assert!(outcome.changed && rig.best_size().is_none());
    assert_eq!((rig.gaps(), rig.renewals()), (1, vec![1]));
}

#[test]
fn a_service_that_begins_anew_on_one_connection_is_followed_there_and_read_when_the_other_ends() {
    let mut rig = Rig::new(Scheme::Counter, false);
    rig.snapshot(1, Ids::Counter(500));
    rig.snapshot(2, Ids::Counter(90));
    rig.diff(1, Ids::Counter(501), 5);
    // The service of the second connection begins anew; the first one's goes on.
    rig.snapshot(2, Ids::Counter(1));
    rig.diff(2, Ids::Counter(2), 7);
    rig.diff(1, Ids::Counter(502), 6);
    assert_eq!(rig.best_size(), Some(6.into()), "the lead is not disturbed");
    assert!(rig.ended(1, 2).changed);
    assert_eq!(rig.best_size(), Some(7.into()));
    rig.snapshot(2, Ids::Counter(1));
    rig.diff(2, Ids::Counter(2), 8);
    assert_eq!((rig.best_size(), rig.gaps()), (Some(8.into()), 0));
}

#[test]
fn a_count_that_begins_anew_resets_a_shared_book_whichever_connection_brings_it() {
    for connection in [1, 2] {
        let mut rig = Rig::new(Scheme::Counter, true);
        rig.snapshot(1, Ids::Counter(500));
        if connection == 1 {
            rig.diff(2, Ids::Counter(501), 5);
        }
        assert!(rig.snapshot(connection, Ids::Counter(1)).changed);
        rig.diff(connection, Ids::Counter(2), 7);
        assert_eq!((rig.best_size(), rig.gaps()), (Some(7.into()), 0));
    }
}

#[test]
fn a_snapshot_with_an_older_id_begins_the_book_anew_unless_it_is_the_first_word_of_a_connection() {
    let begin = |id| Ids::Chain { previous: None, id };
    let two = || {
        let mut rig = Rig::new(Scheme::Chain, true);
        rig.snapshot(1, begin(1_000));
        rig.diff(1, chain(1_000, 1_010), 2);
        // Behind, and between what the first connection brought.
        assert!(!rig.snapshot(2, begin(1_005)).changed);
        assert_eq!(rig.best_size(), Some(2.into()), "the book does not go back");
        rig
    };
    let mut rig = two();
    assert!(!rig.diff(2, chain(1_005, 1_010), 2).changed);
    rig.diff(2, chain(1_010, 1_020), 3);
    assert_eq!((rig.best_size(), rig.gaps()), (Some(3.into()), 0));
    // The venue numbers anew, with a snapshot on the connections it has.
    let mut rig = two();
    assert!(rig.snapshot(2, begin(7)).changed);
    assert!(rig.diff(2, chain(7, 9), 4).changed);
    rig.snapshot(1, begin(7));
    rig.diff(1, chain(7, 9), 4);
    rig.diff(1, chain(9, 12), 5);
    assert_eq!((rig.best_size(), rig.gaps()), (Some(5.into()), 0));
}
