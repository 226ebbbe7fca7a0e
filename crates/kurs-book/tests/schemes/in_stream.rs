//! Snapshots in the stream: chained ids, counters, checksums, and nothing at all.

use crate::venue::{Sent, Step, Venue, assert_true, price, size};
use kurs_book::{Ids, Kind, Scheme, Side, SyncedBook, Verdict};
use proptest::prelude::*;

/// Levels a venue of this scheme shows.
fn depth(scheme: Scheme) -> Option<usize> {
    match scheme {
        Scheme::KrakenChecksum => Some(10),
        _ => None,
    }
}

/// What goes wrong on the way.
#[derive(Debug, Clone, Copy)]
struct Faults {
    loss: f64,
    repeats: f64,
    swaps: f64,
    restarts: f64,
}

/// Ids of the steps, as the venue numbers its messages. None comes twice, or nobody could
/// tell them apart when messages are repeated.
fn numbers(random: &mut fastrand::Rng, scheme: Scheme, steps: usize, restarts: f64) -> Vec<u64> {
    let mut numbers: Vec<u64> = Vec::new();
    let mut start: u64 = 1_000_000_000;
    let mut next = start;
    for _ in 0..steps {
        numbers.push(next);
        let is_restart = random.f64() < restarts;
        if scheme == Scheme::Counter {
            let is_first = next >= start;
            next = if is_restart && is_first { 1 } else { next + 1 };
        } else if is_restart {
            start -= 1_000_000;
            next = start;
        } else {
            next += random.u64(1..100);
        }
    }
    numbers
}

fn checksum(scheme: Scheme, step: &Step) -> Option<u32> {
    let digits = |text: String| text.replace('.', "").trim_start_matches('0').to_owned();
    let (bids, asks) = (step.best(Side::Bid, 25), step.best(Side::Ask, 25));
    let text = match scheme {
        Scheme::KrakenChecksum => {
            let levels = asks.iter().take(10).chain(bids.iter().take(10));
            levels
                .map(|(tick, lots)| {
                    digits(price(*tick).to_string()) + &digits(size(*lots).to_string())
                })
                .collect::<String>()
        }
        Scheme::ChainWithChecksum => {
            let mut words = Vec::new();
            for rank in 0..25 {
                for side in [&bids, &asks] {
                    if let Some((tick, lots)) = side.get(rank) {
                        words.push(format!("{}:{}", price(*tick), size(*lots)));
                    }
                }
            }
            words.join(":")
        }
        _ => return None,
    };
    Some(crc32fast::hash(text.as_bytes()))
}

struct Stream<'a> {
    scheme: Scheme,
    with_ids: bool,
    venue: &'a Venue,
    numbers: &'a [u64],
}

impl Stream<'_> {
    fn ids(&self, step: usize, kind: Kind) -> Ids {
        let id = self.numbers[step];
        match self.scheme {
            Scheme::Counter => Ids::Counter(id),
            Scheme::Chain | Scheme::ChainWithChecksum if self.with_ids => Ids::Chain {
                previous: (kind == Kind::Diff).then(|| self.numbers[step - 1]),
                id,
            },
            _ => Ids::None,
        }
    }

    fn snapshot(&self, step: usize) -> Sent {
        let shown = depth(self.scheme).unwrap_or(usize::MAX);
        Sent {
            step,
            kind: Kind::Snapshot,
            ids: self.ids(step, Kind::Snapshot),
            checksum: checksum(self.scheme, &self.venue.steps[step]),
            changes: self.venue.snapshot(step, shown),
        }
    }

    fn diff(&self, step: usize) -> Sent {
        if self.scheme == Scheme::Counter && self.numbers[step] == 1 {
            return self.snapshot(step);
        }
        let changes = match depth(self.scheme) {
            Some(depth) => self.venue.diff_of_best(step - 1, step, depth),
            None => self.venue.diff(step - 1, step),
        };
        Sent {
            step,
            kind: Kind::Diff,
            ids: self.ids(step, Kind::Diff),
            checksum: checksum(self.scheme, &self.venue.steps[step]),
            changes,
        }
    }

    /// What a connection brings that subscribes at a step.
    fn line(&self, random: &mut fastrand::Rng, from: usize, faults: Faults) -> Vec<Sent> {
        let mut sent = vec![self.snapshot(from)];
        let end = self.venue.steps.len() - 1;
        for step in from + 1..=end {
            let is_end = step > end - 40;
            if is_end || random.f64() >= faults.loss {
                sent.push(self.diff(step));
            }
            if !is_end && random.f64() < faults.repeats {
                let again = sent.len() - 1 - random.usize(0..sent.len().min(4));
                sent.push(sent[again].clone());
            }
            if !is_end && random.f64() < faults.swaps && sent.len() > 2 {
                let last = sent.len() - 1;
                sent.swap(last - 1, last);
            }
        }
        sent
    }
}

fn run(seed: u64, scheme: Scheme, with_ids: bool, lines: usize, faults: Faults) {
    let mut random = fastrand::Rng::with_seed(seed);
    let venue = Venue::new(&mut random, 300, 12);
    let numbers = numbers(&mut random, scheme, venue.steps.len(), faults.restarts);
    let stream = Stream {
        scheme,
        with_ids,
        venue: &venue,
        numbers: &numbers,
    };
    let mut book = SyncedBook::new(scheme, depth(scheme));
    let mut queues: Vec<_> = (0..lines)
        .map(|number| {
            let from = number * random.usize(0..100);
            stream
                .line(&mut random, from, faults)
                .into_iter()
                .peekable()
        })
        .collect();
    // A subscription made anew is answered by a snapshot, in order with the rest.
    let mut stood_still = 0;
    let mut resubscribed: Vec<bool> = vec![false; lines];
    while queues.iter_mut().any(|queue| queue.peek().is_some()) {
        let number = random.usize(0..lines);
        let Some(next) = queues[number].peek() else {
            continue;
        };
        let sent = if std::mem::take(&mut resubscribed[number]) {
            stream.snapshot(next.step.saturating_sub(1))
        } else {
            queues[number].next().unwrap()
        };
        let verdict = sent.give(&mut book);
        let step = match (book.last_id(), verdict) {
            (Some(last), _) => numbers.iter().rposition(|id| *id == last).unwrap(),
            (None, _) => sent.step,
        };
        let story = format!(
            "{scheme:?} at step {step} after {:?}, {verdict:?}, seed {seed}",
            sent.ids
        );
        if book.is_synced() {
            // Counters have the same numbers again after a restart.
            if scheme == Scheme::Counter {
                let last = book.last_id();
                assert_eq!(last, Some(numbers[sent.step]), "{story}");
                assert_true(&book, &venue.steps[sent.step], usize::MAX, &story);
            } else {
                // With restarts, what is ahead may look old for a while.
                let is_still = step < sent.step;
                stood_still = if is_still { stood_still + 1 } else { 0 };
                let allowed = if faults.restarts > 0.0 { 32 } else { 0 };
                assert!(stood_still <= allowed, "it stands still: {story}");
                let shown = depth(scheme).unwrap_or(usize::MAX);
                assert_true(&book, &venue.steps[step], shown, &story);
            }
        } else {
            assert!(book.book().is_none(), "{story}");
        }
        if matches!(verdict, Verdict::Lost(_)) {
            resubscribed[number] = true;
        }
    }
    if !book.is_synced() {
        let end = stream.snapshot(venue.steps.len() - 1);
        assert_eq!(end.give(&mut book), Verdict::Synced, "seed {seed}");
    }
}

fn faults() -> impl Strategy<Value = Faults> {
    (
        0.0..0.3,
        0.0..0.1,
        0.0..0.1,
        prop_oneof![Just(0.0), 0.0..0.03],
    )
        .prop_map(|(loss, repeats, swaps, restarts)| Faults {
            loss,
            repeats,
            swaps,
            restarts,
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_readable_chained_book_is_the_venues(seed: u64, lines in 1_usize..=3, faults in faults()) {
        run(seed, Scheme::Chain, true, lines, faults);
    }

    #[test]
    fn a_readable_chained_book_with_checksums_is_the_venues(seed: u64, lines in 1_usize..=2, faults in faults()) {
        run(seed, Scheme::ChainWithChecksum, true, lines, faults);
    }

    #[test]
    fn a_readable_book_with_okx_checksums_alone_is_the_venues(seed: u64, faults in faults()) {
        run(seed, Scheme::ChainWithChecksum, false, 1, faults);
    }

    #[test]
    fn a_readable_counted_book_is_the_venues(seed: u64, faults in faults()) {
        run(seed, Scheme::Counter, true, 1, faults);
    }

    #[test]
    fn a_readable_book_with_kraken_checksums_is_the_venues(seed: u64, faults in faults()) {
        run(seed, Scheme::KrakenChecksum, false, 1, faults);
    }

    #[test]
    fn an_unverifiable_book_is_the_venues_while_nothing_is_lost(seed: u64) {
        let none = Faults { loss: 0.0, repeats: 0.0, swaps: 0.0, restarts: 0.0 };
        run(seed, Scheme::Unverifiable, false, 1, none);
    }

    #[test]
    fn an_unverifiable_book_with_losses_is_never_readable_crossed(seed: u64, loss in 0.0..0.5) {
        let mut random = fastrand::Rng::with_seed(seed);
        let venue = Venue::new(&mut random, 300, 12);
        let stream = Stream { scheme: Scheme::Unverifiable, with_ids: false, venue: &venue, numbers: &vec![0; 300] };
        let mut book = SyncedBook::new(Scheme::Unverifiable, None);
        let faults = Faults { loss, repeats: 0.1, swaps: 0.1, restarts: 0.0 };
        for sent in stream.line(&mut random, 0, faults) {
            let verdict = sent.give(&mut book);
            prop_assert!(book.book().is_none_or(|book| !book.is_crossed()));
            if matches!(verdict, Verdict::Lost(_)) {
                prop_assert!(book.book().is_none());
                stream.snapshot(sent.step).give(&mut book);
            }
        }
    }
}

/// Two connections that lose nothing bring every message once, whichever is ahead.
#[test]
fn two_chained_connections_are_merged_without_a_gap() {
    for seed in 0..30 {
        let mut random = fastrand::Rng::with_seed(seed);
        let venue = Venue::new(&mut random, 300, 12);
        let numbers = numbers(&mut random, Scheme::Chain, 300, 0.02);
        let stream = Stream {
            scheme: Scheme::Chain,
            with_ids: true,
            venue: &venue,
            numbers: &numbers,
        };
        let none = Faults {
            loss: 0.0,
            repeats: 0.0,
            swaps: 0.0,
            restarts: 0.0,
        };
        let mut ahead = stream.line(&mut random, 0, none).into_iter();
        let from = random.usize(0..150);
        let behind = stream.line(&mut random, from, none);
        let mut book = SyncedBook::new(Scheme::Chain, None);
        let mut applied = 0;
        let mut take = |sent: Sent| match sent.give(&mut book) {
            Verdict::Applied | Verdict::Synced => applied += 1,
            Verdict::Duplicate => {}
            other => panic!("{other:?} at step {}, seed {seed}", sent.step),
        };
        for sent in behind {
            let lead = random.usize(0..10);
            while ahead.len() > 0 && 300 - ahead.len() < sent.step + lead {
                take(ahead.next().unwrap());
            }
            take(sent);
        }
        ahead.for_each(take);
        assert_eq!(applied, 300, "seed {seed}");
    }
}
