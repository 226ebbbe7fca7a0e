//! Ranges of ids: diffs by one or two connections that cut them differently, snapshots by
//! request, early, late and stale.

use crate::venue::{Sent, Venue, assert_true};
use kurs_book::{Ids, Kind, Scheme, SyncedBook, Verdict};
use proptest::prelude::*;

/// Id of step 0.
const BASE: u64 = 5_000;

fn id(step: usize) -> u64 {
    BASE + step as u64
}

/// The diffs of one connection, from some step to the last, without those that were dropped.
fn line(random: &mut fastrand::Rng, venue: &Venue, from: usize, loss: f64) -> Vec<Sent> {
    let end = venue.steps.len() - 1;
    let mut sent = Vec::new();
    let mut after = from;
    while after < end {
        let to = end.min(after + random.usize(1..6));
        // Nothing is lost at the end, so that the book can come back.
        let is_lost = random.f64() < loss && to < end - 60;
        if !is_lost {
            sent.push(Sent {
                step: to,
                kind: Kind::Diff,
                ids: Ids::Range {
                    first: id(after) + 1,
                    last: id(to),
                },
                checksum: None,
                changes: venue.diff(after, to),
            });
        }
        after = to;
    }
    sent
}

fn snapshot(venue: &Venue, step: usize) -> Sent {
    Sent {
        step,
        kind: Kind::Snapshot,
        ids: Ids::Range {
            first: id(step),
            last: id(step),
        },
        checksum: None,
        changes: venue.snapshot(step, usize::MAX),
    }
}

fn run(seed: u64, loss: f64, lines: usize, swaps: bool) {
    let mut random = fastrand::Rng::with_seed(seed);
    let venue = Venue::new(&mut random, 400, 12);
    let mut book = SyncedBook::new(Scheme::IdRange, None);
    let mut queues: Vec<_> = (0..lines)
        .map(|number| {
            let from = number * random.usize(0..150);
            let mut sent = line(&mut random, &venue, from, loss);
            if swaps {
                for at in 1..sent.len().saturating_sub(20) {
                    match random.u8(0..20) {
                        0 => sent.swap(at - 1, at),
                        1 => sent.insert(at, sent[at - 1].clone()),
                        _ => {}
                    }
                }
            }
            sent.into_iter().peekable()
        })
        .collect();
    let mut asked: Option<(usize, Sent)> = None;
    let mut newest = 0;
    while queues.iter_mut().any(|queue| queue.peek().is_some()) {
        // The connection that is behind mostly speaks next.
        let behind = (0..lines).min_by_key(|number| {
            let next = queues[*number].peek().map(|sent| sent.step);
            next.unwrap_or(usize::MAX)
        });
        let mut number = behind.unwrap();
        if random.u8(0..3) == 0 {
            number = random.usize(0..lines);
        }
        let Some(sent) = queues[number].next() else {
            continue;
        };
        newest = newest.max(sent.step);
        let verdict = sent.give(&mut book);
        check(&book, &venue, &sent, verdict, seed);
        match asked.take() {
            Some((0, answer)) => {
                let verdict = answer.give(&mut book);
                check(&book, &venue, &answer, verdict, seed);
            }
            Some((wait, answer)) => asked = Some((wait - 1, answer)),
            None if book.wants_snapshot() => {
                // The answer is from another server, which may be behind or ahead.
                let shift = random.usize(0..16);
                let step = (newest + shift)
                    .saturating_sub(8)
                    .min(venue.steps.len() - 1);
                asked = Some((random.usize(0..6), snapshot(&venue, step)));
            }
            None => {}
        }
    }
    if !book.is_synced() {
        assert_eq!(
            snapshot(&venue, venue.steps.len() - 1).give(&mut book),
            Verdict::Synced
        );
    }
    assert_eq!(
        book.last_id(),
        Some(id(venue.steps.len() - 1)),
        "seed {seed}"
    );
    let end = venue.steps.last().unwrap();
    assert_true(&book, end, usize::MAX, &format!("at the end, seed {seed}"));
}

fn check(book: &SyncedBook, venue: &Venue, sent: &Sent, verdict: Verdict, seed: u64) {
    let Some(last) = book.last_id() else {
        assert!(book.book().is_none(), "seed {seed}");
        return;
    };
    let step = (last - BASE) as usize;
    let story = format!(
        "at step {step} after {:?}, {verdict:?}, seed {seed}",
        sent.ids
    );
    assert!(
        sent.kind == Kind::Snapshot || step >= sent.step,
        "it stands still {story}"
    );
    assert_true(book, &venue.steps[step], usize::MAX, &story);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_readable_book_of_ranges_is_the_venues(seed: u64, loss in 0.0..0.3, lines in 1_usize..=3) {
        run(seed, loss, lines, false);
    }

    #[test]
    fn repeated_and_swapped_ranges_do_not_deceive_the_book(seed: u64, loss in 0.0..0.1, lines in 1_usize..=2) {
        run(seed, loss, lines, true);
    }
}

#[test]
fn two_connections_without_loss_never_need_a_second_snapshot() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let venue = Venue::new(&mut random, 400, 12);
        let mut book = SyncedBook::new(Scheme::IdRange, None);
        let first = line(&mut random, &venue, 0, 0.0);
        let mut second = line(&mut random, &venue, 180, 0.0).into_iter().peekable();
        assert_eq!(snapshot(&venue, 0).give(&mut book), Verdict::Buffered);
        for sent in first {
            // The second connection is ahead by some steps.
            while second
                .peek()
                .is_some_and(|ahead| ahead.step < sent.step + 5)
            {
                second.next().unwrap().give(&mut book);
            }
            sent.give(&mut book);
            // Until the first has come to where the second began, there is a hole between them.
            let is_joined = !(170..=180).contains(&sent.step);
            assert!(
                book.is_synced() || !is_joined,
                "at {}, seed {seed}",
                sent.step
            );
        }
        assert!(book.is_synced(), "seed {seed}");
    }
}
