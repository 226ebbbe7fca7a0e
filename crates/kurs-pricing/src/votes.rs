//! Confidence of a median: how far the constituents' own votes lie apart. `pricing.md`
//! section 2.3.

use crate::decimal::{distance, median_of_sorted};
use rust_decimal::Decimal;

/// Bid, price and ask of one constituent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ballot {
    /// What it would buy at.
    pub low: Decimal,
    /// Its price.
    pub value: Decimal,
    /// What it would sell at.
    pub high: Decimal,
}

impl Ballot {
    /// The ballot of a price that is known to within `confidence`.
    #[must_use]
    pub fn around(value: Decimal, confidence: Decimal) -> Self {
        Self {
            low: value.checked_sub(confidence).unwrap_or(value),
            value,
            high: value.checked_add(confidence).unwrap_or(value),
        }
    }
}

/// The median of all votes, and the greatest distance from it to their quartiles; `None`
/// without a vote.
#[must_use]
pub fn count(ballots: impl IntoIterator<Item = Ballot>) -> Option<(Decimal, Decimal)> {
    let mut votes: Vec<Decimal> = ballots
        .into_iter()
        .flat_map(|ballot| [ballot.low, ballot.value, ballot.high])
        .collect();
    votes.sort_unstable();
    let median = median_of_sorted(&votes)?;
    let quarter = votes.len() / 4;
    let low = *votes.get(quarter)?;
    let high = *votes.get(votes.len().checked_sub(1 + quarter)?)?;
    let confidence = distance(median, low).max(distance(high, median));
    Some((median, confidence.normalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(votes: &[(i64, i64)], median: &str, confidence: &str) {
        let ballots = votes
            .iter()
            .map(|(value, around)| Ballot::around((*value).into(), (*around).into()));
        let (found, width) = count(ballots).unwrap();
        assert_eq!(
            (found.to_string(), width.to_string()),
            (median.into(), confidence.into())
        );
    }

    #[test]
    fn votes_of_the_golden_vectors() {
        check(&[(101, 1), (110, 10)], "101.5", "8.5");
        check(&[(100, 1), (101, 1), (80, 1)], "100", "19");
    }

    #[test]
    fn the_votes_of_one_source_are_half_its_spread_apart() {
        check(&[(100, 2)], "100", "2");
        assert_eq!(count([]), None);
    }
}
