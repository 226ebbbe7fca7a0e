//! What every store does alike with current rates.

use crate::CurrentRate;
use kurs_core::Pair;
use std::collections::BTreeMap;
use std::time::Duration;

/// What is stored takes at most so long to be seen, microseconds: an answer to what changed since
/// a moment begins so much before it.
pub(crate) const OVERLAP: i64 = 5_000_000;

/// Longer validities than a hundred years are cut.
const LEFT_MAX: i64 = 100 * 366 * 86_400 * 1_000_000;

/// What is left of a validity in microseconds, as any store can add it to a time.
pub(crate) fn left_microseconds(left: Duration) -> i64 {
    i64::try_from(left.as_micros()).map_or(LEFT_MAX, |left| left.min(LEFT_MAX))
}

/// The one of each pair that stays when they are stored one after another.
pub(crate) fn newest(rates: &[CurrentRate]) -> impl Iterator<Item = &CurrentRate> {
    let mut newest: BTreeMap<Pair, &CurrentRate> = BTreeMap::new();
    for rate in rates {
        newest
            .entry(rate.stored.rate.pair)
            .and_modify(|stays| {
                let (old, new) = (stays.stored.id, rate.stored.id);
                if old.shard != new.shard || old <= new {
                    *stays = rate;
                }
            })
            .or_insert(rate);
    }
    newest.into_values()
}
