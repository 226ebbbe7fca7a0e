//! A book as the clients of a stream see it, in ticks and lots, and the way from one to the next.

use crate::faults::WrongPrice;
use crate::market::symbol::SymbolMarket;
use rust_decimal::Decimal;

/// Price in ticks, size in lots; no lots delete.
pub(crate) type Level = (u64, u64);

/// How the prices of a symbol are poisoned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Poison {
    /// Not at all.
    None,
    /// By a factor above zero: the book stays a book, at other prices.
    Scaled(Decimal),
    /// By anything else, which takes the place of the texts.
    Text(WrongPrice),
}

impl Poison {
    pub(crate) fn of(wrong: Option<WrongPrice>) -> Self {
        match wrong {
            None => Self::None,
            Some(WrongPrice::Factor(factor)) if factor > Decimal::ZERO => Self::Scaled(factor),
            Some(wrong) => Self::Text(wrong),
        }
    }

    const fn factor(&self) -> Option<Decimal> {
        match self {
            Self::Scaled(factor) => Some(*factor),
            _ => None,
        }
    }
}

/// The best levels of a book, best first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) bids: Vec<Level>,
    pub(crate) asks: Vec<Level>,
}

/// What changed between two windows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Diff {
    pub(crate) bids: Vec<Level>,
    pub(crate) asks: Vec<Level>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Bid,
    Ask,
}

impl Window {
    /// The present window of a symbol, scaled if its prices are poisoned.
    pub(crate) fn of(symbol: &SymbolMarket, depth: usize, poison: &Poison) -> Self {
        match poison.factor() {
            None => Self {
                bids: symbol.bids().take(depth).collect(),
                asks: symbol.asks().take(depth).collect(),
            },
            Some(factor) => Self {
                bids: scaled(symbol.bids().take(depth), factor, Side::Bid),
                asks: scaled(symbol.asks().take(depth), factor, Side::Ask),
            },
        }
    }

    /// What leads from this window to the next. `depth`: when given, a level that better ones
    /// have pushed out of so many is not mentioned; the client drops it by itself.
    pub(crate) fn diff_to(&self, next: &Self, cut_by_client: Option<usize>) -> Diff {
        Diff {
            bids: side_diff(&self.bids, &next.bids, Side::Bid, cut_by_client),
            asks: side_diff(&self.asks, &next.asks, Side::Ask, cut_by_client),
        }
    }

    /// A bid above the best ask.
    pub(crate) fn phantom_bid(&self) -> Option<Level> {
        let (ticks, lots) = *self.asks.first()?;
        Some((ticks.saturating_add(ticks / 1_000 + 1), lots))
    }

    /// This window with one more best bid.
    pub(crate) fn with_bid(&self, level: Level, depth: usize) -> Self {
        let mut window = self.clone();
        window.bids.insert(0, level);
        window.bids.truncate(depth);
        window
    }
}

/// Prices times a factor: bids rounded down and asks up, so that the sides never meet.
fn scaled(levels: impl Iterator<Item = Level>, factor: Decimal, side: Side) -> Vec<Level> {
    let mut all: Vec<Level> = Vec::new();
    for (ticks, lots) in levels {
        let exact = Decimal::from(ticks).checked_mul(factor);
        let rounded = exact.map(|price| match side {
            Side::Bid => price.floor(),
            Side::Ask => price.ceil(),
        });
        // What does not fit stands at the end of what can be told.
        let ticks = rounded
            .and_then(|price| {
                u64::try_from(price.trunc().normalize().mantissa())
                    .ok()
                    .filter(|_| price.normalize().scale() == 0)
            })
            .unwrap_or(u64::MAX / 4)
            .clamp(1, u64::MAX / 4);
        match all.last_mut() {
            Some(last) if last.0 == ticks => last.1 = last.1.saturating_add(lots),
            _ => all.push((ticks, lots)),
        }
    }
    all
}

fn side_diff(old: &[Level], new: &[Level], side: Side, cut_by_client: Option<usize>) -> Vec<Level> {
    let better = |a: u64, b: u64| match side {
        Side::Bid => a > b,
        Side::Ask => a < b,
    };
    let pushed_out = |ticks: u64| {
        let full = cut_by_client.is_some_and(|depth| new.len() >= depth);
        full && new.last().is_some_and(|last| better(last.0, ticks))
    };
    let mut changes = Vec::new();
    let (mut old, mut new_left) = (old.iter().peekable(), new.iter().peekable());
    loop {
        match (old.peek(), new_left.peek()) {
            (Some(&&was), Some(&&is)) if was.0 == is.0 => {
                if was.1 != is.1 {
                    changes.push(is);
                }
                old.next();
                new_left.next();
            }
            (Some(&&was), is) if is.is_none_or(|is| better(was.0, is.0)) => {
                if !pushed_out(was.0) {
                    changes.push((was.0, 0));
                }
                old.next();
            }
            (_, Some(&&is)) => {
                changes.push(is);
                new_left.next();
            }
            (_, None) => return changes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn window(bids: &[Level]) -> Window {
        Window {
            bids: bids.to_vec(),
            asks: Vec::new(),
        }
    }

    #[test]
    fn a_level_pushed_out_is_removed_only_for_clients_that_do_not_cut() {
        let old = window(&[(9, 1), (8, 1), (7, 1)]);
        let new = window(&[(10, 2), (9, 1), (8, 5)]);
        assert_eq!(old.diff_to(&new, Some(3)).bids, [(10, 2), (8, 5)]);
        assert_eq!(old.diff_to(&new, None).bids, [(10, 2), (8, 5), (7, 0)]);
        // It comes back when there is room again.
        assert_eq!(new.diff_to(&old, Some(3)).bids, [(10, 0), (8, 1), (7, 1)]);
    }

    #[test]
    fn a_scaled_book_is_a_book() {
        let bids = scaled(
            [(101, 1), (99, 2), (98, 4)].into_iter(),
            "0.1".parse().unwrap(),
            Side::Bid,
        );
        assert_eq!(bids, [(10, 1), (9, 6)]);
        let asks = scaled([(101, 1)].into_iter(), "10".parse().unwrap(), Side::Ask);
        assert_eq!(asks, [(1_010, 1)]);
        let huge = "79000000000000000000000000000".parse().unwrap();
        assert_eq!(
            scaled([(101, 1)].into_iter(), huge, Side::Ask),
            [(u64::MAX / 4, 1)]
        );
    }

    fn levels() -> impl Strategy<Value = Vec<Level>> {
        prop::collection::btree_map(1_u64..40, 1_u64..4, 0..20)
            .prop_map(|levels| levels.into_iter().rev().collect())
    }

    proptest! {
        #[test]
        fn the_client_that_follows_the_diffs_has_the_window(
            books in prop::collection::vec(levels(), 2..8),
            depth in 1_usize..12,
            cuts in any::<bool>(),
        ) {
            let cut = |levels: &Vec<Level>| window(&levels.iter().take(depth).copied().collect::<Vec<_>>());
            let windows: Vec<_> = books.iter().map(cut).collect();
            let mut client: BTreeMap<u64, u64> = windows[0].bids.iter().copied().collect();
            for pair in windows.windows(2) {
                let diff = pair[0].diff_to(&pair[1], cuts.then_some(depth));
                for (ticks, lots) in diff.bids {
                    if lots == 0 {
                        prop_assert!(client.remove(&ticks).is_some(), "orphan delete");
                    } else {
                        client.insert(ticks, lots);
                    }
                }
                while cuts && client.len() > depth {
                    client.pop_first();
                }
                let have: Vec<_> = client.iter().rev().map(|(a, b)| (*a, *b)).collect();
                prop_assert_eq!(&have, &pair[1].bids);
            }
        }
    }
}
