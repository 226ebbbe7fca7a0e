//! Batches taken apart and put together. A batch may be written in other pieces than it was made
//! in: everything in it has an identity.

use crate::{Batch, Recorded};

/// Takes a batch apart: what is never shed (published events, gaps, official rates), and what may
/// be (received rows, states, candles, books). Current rates are in none of them: only the newest
/// count, and the Writer has them. How far the shard is recorded goes with the second, which is
/// written after the first, unless that is empty.
#[must_use]
pub fn split(batch: Batch) -> (Batch, Batch) {
    let mut kept = Batch {
        published: batch.published,
        gaps: batch.gaps,
        official: batch.official,
        fence: batch.fence,
        ..Batch::default()
    };
    let mut raw = Batch {
        rows: batch.rows,
        states: batch.states,
        candles: batch.candles,
        books: batch.books,
        fence: batch.fence,
        ..Batch::default()
    };
    if raw.is_empty() {
        kept.recorded_until = batch.recorded_until;
    } else {
        raw.recorded_until = batch.recorded_until;
    }
    (kept, raw)
}

/// Puts one batch behind another, which is of the same fence or empty.
pub fn join(to: &mut Batch, from: Batch) {
    to.fence = to.fence.or(from.fence);
    to.rows.extend(from.rows);
    to.published.extend(from.published);
    to.states.extend(from.states);
    to.candles.extend(from.candles);
    to.gaps.extend(from.gaps);
    to.books.extend(from.books);
    to.official.extend(from.official);
    to.recorded_until = later(to.recorded_until, from.recorded_until);
    to.current.extend(from.current);
}

/// The later of two. A process writes for one shard.
fn later(one: Option<Recorded>, other: Option<Recorded>) -> Option<Recorded> {
    one.into_iter()
        .chain(other)
        .max_by_key(|recorded| recorded.until)
}

/// Two halves of a batch, each in order. Of one that holds a single thing the second has none.
#[must_use]
pub fn halve(mut batch: Batch) -> (Batch, Batch) {
    let mut first = batch.len().div_ceil(2);
    let second = Batch {
        rows: behind(&mut batch.rows, &mut first),
        published: behind(&mut batch.published, &mut first),
        states: behind(&mut batch.states, &mut first),
        candles: behind(&mut batch.candles, &mut first),
        gaps: behind(&mut batch.gaps, &mut first),
        books: behind(&mut batch.books, &mut first),
        official: behind(&mut batch.official, &mut first),
        current: behind(&mut batch.current, &mut first),
        // Only when all of it is stored.
        recorded_until: batch.recorded_until.take(),
        fence: batch.fence,
    };
    (batch, second)
}

/// Leaves at most `first` things and gives the others; `first` becomes what is left of it.
fn behind<T>(things: &mut Vec<T>, first: &mut usize) -> Vec<T> {
    let stays = things.len().min(*first);
    *first -= stays;
    things.split_off(stays)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::{row, source};
    use kurs_core::{Pair, Wall};

    #[test]
    fn halves_hold_everything_and_end_at_single_things() {
        let mut whole = Batch::of_rows((0..3).map(|seq| row("binance", seq, 1)).collect());
        whole.gaps.push(crate::Gap {
            source: source("binance"),
            pair: Pair::parse("BTC-USDT").unwrap(),
            began: Wall(1),
            ended: None,
            why: "silence".into(),
            is_filled: false,
        });
        let mut pieces = vec![whole.clone()];
        while pieces.iter().any(|piece| piece.len() > 1) {
            pieces = pieces
                .into_iter()
                .flat_map(|piece| <[Batch; 2]>::from(halve(piece)))
                .collect();
        }
        let mut again = Batch::default();
        for piece in pieces {
            join(&mut again, piece);
        }
        assert_eq!(again, whole);
        let (kept, raw) = split(whole);
        assert_eq!((kept.len(), raw.len()), (1, 3));
    }
}
