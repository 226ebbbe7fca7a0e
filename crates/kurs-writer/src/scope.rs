//! Which pairs the sources of one Writer follow. With three Writers and more, those of the shards
//! that it leads or stands by for; what prices of all shards are made of is followed by all.

use crate::shards::Shards;
use kurs_core::{Asset, Mono, Pair};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a pair is followed that somebody asked about.
const WANTED_FOR: Duration = Duration::from_secs(60);
/// Pairs that are followed because somebody asked, at most.
const WANTED_MAX: usize = 64;

/// The shards whose pairs are followed; `None`: all of them.
pub type Part = Option<BTreeSet<u16>>;

/// Says which pairs are followed.
#[derive(Debug, Default)]
pub struct Scope {
    shards: Shards,
    /// Markets that begin with one of these carry prices of all shards on.
    money: BTreeSet<Asset>,
    /// Pairs that policies name: followed whatever is tracked.
    named: BTreeSet<Pair>,
    part: Part,
    /// Pairs of other shards that somebody asked about, and until when they are followed.
    wanted: BTreeMap<Pair, Mono>,
}

impl Scope {
    /// Everything is followed.
    #[must_use]
    pub fn new(shards: Shards, money: &[Asset], named: &[Pair]) -> Self {
        Self {
            shards,
            money: money.iter().copied().collect(),
            named: named.iter().copied().collect(),
            part: None,
            wanted: BTreeMap::new(),
        }
    }

    /// From now on only pairs of this part are followed, and what all need.
    pub fn set_part(&mut self, part: Part) {
        self.part = part;
    }

    /// Somebody asks about a pair of another shard.
    pub fn want(&mut self, now: Mono, pair: Pair) {
        self.wanted.insert(pair, now.plus(WANTED_FOR));
        if self.wanted.len() > WANTED_MAX
            && let Some((oldest, _)) = self.wanted.iter().min_by_key(|(_, until)| **until)
        {
            let oldest = *oldest;
            self.wanted.remove(&oldest);
        }
    }

    /// Pairs that nobody asks about any more are forgotten; true when there were any.
    pub fn forget(&mut self, now: Mono) -> bool {
        let before = self.wanted.len();
        self.wanted.retain(|_, until| now < *until);
        self.wanted.len() < before
    }

    /// What is followed when these pairs are tracked, in order.
    pub fn of(&self, tracked: impl Iterator<Item = Pair>) -> Vec<Pair> {
        let pairs = tracked.filter(|pair| self.has(*pair));
        let pairs: BTreeSet<Pair> = pairs.chain(self.named.iter().copied()).collect();
        pairs.into_iter().collect()
    }

    fn has(&self, pair: Pair) -> bool {
        let Some(part) = &self.part else {
            return true;
        };
        let is_of = |asset| part.contains(&self.shards.of_asset(asset));
        // A market of two coins may be turned around for the other one.
        self.money.contains(&pair.base)
            || is_of(pair.base)
            || (!self.money.contains(&pair.quote) && is_of(pair.quote))
            || self.wanted.contains_key(&pair)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(text: &str) -> Pair {
        Pair::parse(text).unwrap()
    }

    fn shards() -> Shards {
        Shards::new(8, BTreeSet::new())
    }

    fn scope() -> Scope {
        let money = ["USD", "USDT"].map(|code| Asset::parse(code).unwrap());
        Scope::new(shards(), &money, &[pair("XRP-USDC")])
    }

    fn only(asset: &str) -> Part {
        let asset = Asset::parse(asset).unwrap();
        Some(BTreeSet::from([shards().of_asset(asset)]))
    }

    #[test]
    fn a_part_of_the_pairs_is_followed_with_everything_that_its_prices_are_made_of() {
        let tracked = ["BTC-USDT", "ETH-USDT", "ETH-BTC", "USDT-USD"].map(pair);
        let mut scope = scope();
        assert_eq!(scope.of(tracked.into_iter()).len(), 5);
        scope.set_part(only("BTC"));
        let followed = scope.of(tracked.into_iter());
        let mut expected = ["BTC-USDT", "ETH-BTC", "USDT-USD", "XRP-USDC"].map(pair);
        expected.sort_unstable();
        assert_eq!(followed, expected);
    }

    #[test]
    fn a_pair_that_somebody_asks_about_is_followed_for_a_minute_and_many_do_not_pile_up() {
        let mut scope = scope();
        scope.set_part(only("BTC"));
        let eth = pair("ETH-USDT");
        scope.want(Mono(0), eth);
        assert!(scope.of([eth].into_iter()).contains(&eth));
        assert!(!scope.forget(Mono(59_000_000_000)));
        assert!(scope.forget(Mono(60_000_000_000)));
        assert!(!scope.of([eth].into_iter()).contains(&eth));
        for n in 0..1_000_u64 {
            scope.want(Mono(n), pair(&format!("A{n}-USDT")));
        }
        assert_eq!(scope.wanted.len(), WANTED_MAX);
        assert!(scope.wanted.contains_key(&pair("A999-USDT")));
    }
}
