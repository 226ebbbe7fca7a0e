//! Which part of the pairs an update belongs to. Each part has a lease, an order and a recorder
//! of its own, so that several Writers can share the work.

use kurs_bus::{Body, NoRate};
use kurs_core::{Asset, Pair, SourceId};
use std::collections::BTreeSet;

/// Most shards there can be.
pub const SHARDS_MAX: u16 = 64;
/// The shard that also has everything that is not of one streamed pair: prices of polled sources,
/// the state of the sources, the tracked symbols, the commands of Readers.
pub const LEAD: u16 = 0;

/// How pairs are spread.
#[derive(Debug, Clone, Default)]
pub struct Shards {
    count: u16,
    /// Sources that give a table from time to time and stream nothing.
    polled: BTreeSet<SourceId>,
}

impl Shards {
    /// Spreads over `count` shards, from 1 to [`SHARDS_MAX`]. `polled`: sources that stream
    /// nothing.
    #[must_use]
    pub fn new(count: u16, polled: BTreeSet<SourceId>) -> Self {
        let count = count.clamp(1, SHARDS_MAX);
        Self { count, polled }
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> u16 {
        self.count
    }

    /// True for a source that streams nothing.
    #[must_use]
    pub fn is_polled(&self, source: SourceId) -> bool {
        self.polled.contains(&source)
    }

    /// The shard of a pair: that of its base asset, so that a price and what is made of it over
    /// markets of money (BTC-USDT and BTC-RUB) are in one.
    #[must_use]
    pub fn of_pair(&self, pair: Pair) -> u16 {
        self.of_asset(pair.base)
    }

    /// The shard of an asset.
    #[must_use]
    pub fn of_asset(&self, asset: Asset) -> u16 {
        if self.count <= 1 {
            return LEAD;
        }
        let drawn = mixed(asset.as_str().bytes()) % u64::from(self.count);
        u16::try_from(drawn).unwrap_or(LEAD)
    }

    /// The shard of one source's own price.
    #[must_use]
    pub fn of_price(&self, source: SourceId, pair: Pair) -> u16 {
        if self.is_polled(source) {
            LEAD
        } else {
            self.of_pair(pair)
        }
    }

    /// The shard that a body is published by; of a heartbeat nothing can be said.
    #[must_use]
    pub fn of(&self, body: &Body) -> u16 {
        match body {
            Body::Rate(rate) => self.of_pair(rate.pair),
            Body::Withdrawn(pair) | Body::NoRate(NoRate { pair, .. }) => self.of_pair(*pair),
            Body::SourcePrice(price) => self.of_price(price.source, price.pair),
            Body::SourceStatus(_) | Body::Tracked(_) | Body::Heartbeat(_) | Body::Unknown(_) => {
                LEAD
            }
        }
    }
}

/// A number drawn from a text, the same on every machine and in every version: FNV-1a, whose bits
/// are then mixed because those of short texts differ little.
pub(crate) fn mixed(bytes: impl Iterator<Item = u8>) -> u64 {
    let mut drawn = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    drawn ^= drawn >> 32;
    drawn = drawn.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    drawn ^ (drawn >> 29)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_always_falls_into_the_same_shard_and_no_shard_is_empty() {
        let pair = |text: &str| Pair::parse(text).unwrap();
        let eight = Shards::new(8, BTreeSet::new());
        // Written down: another spreading would mix two orders of the same pair.
        assert_eq!(eight.of_pair(pair("BTC-USDT")), 2);
        assert_eq!(eight.of_pair(pair("ETH-USDT")), 4);
        assert_eq!(
            eight.of_pair(pair("BTC-RUB")),
            eight.of_pair(pair("BTC-USDT"))
        );
        let mut counts = [0_u32; 8];
        for n in 0..800 {
            let shard = eight.of_pair(pair(&format!("A{n}-USDT")));
            counts[usize::from(shard)] += 1;
        }
        assert!(
            counts.iter().all(|count| (60..=140).contains(count)),
            "{counts:?}"
        );
        assert_eq!(
            Shards::new(1, BTreeSet::new()).of_pair(pair("BTC-USDT")),
            LEAD
        );
    }

    #[test]
    fn what_polled_sources_say_belongs_to_the_lead() {
        let cbr = SourceId::parse("cbr").unwrap();
        let shards = Shards::new(64, BTreeSet::from([cbr]));
        let pair = Pair::parse("USD-RUB").unwrap();
        assert_eq!(shards.of_price(cbr, pair), LEAD);
        let binance = SourceId::parse("binance").unwrap();
        assert_eq!(shards.of_price(binance, pair), shards.of_pair(pair));
    }
}
