//! What assets were worth before a demo began: the waves of the live market, and slower ones of
//! hours to weeks. A pure function of seed, asset and time.

use super::reference::{Reference, hash_name, mix, wander};
use kurs_core::{Pair, Wall};
use rust_decimal::Decimal;

/// Length of a wave in milliseconds, and its height in parts of a billion for an asset as lively
/// as Bitcoin.
const WAVES: [(u64, i64); 4] = [
    (2_400_000, 2_500_000),
    (21_600_000, 9_000_000),
    (172_800_000, 25_000_000),
    (1_728_000_000, 90_000_000),
];
const BILLION: i64 = 1_000_000_000;
const HOUR_MS: u64 = 3_600_000;

/// The past of a seed.
#[derive(Debug, Clone, Copy)]
pub struct Past {
    reference: Reference,
    seed: u64,
}

impl Past {
    /// The past of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            reference: Reference::new(seed, 0),
            seed,
        }
    }

    /// What a pair was worth at a moment, on a scale of its own: whoever draws it to the present
    /// multiplies it so that both meet. `None` where that cannot be computed.
    #[must_use]
    pub fn shape(&self, pair: Pair, at: Wall) -> Option<Decimal> {
        let ms = u64::try_from(at.unix_ms()).unwrap_or(0);
        let quote = self.usd(pair.quote.as_str(), ms);
        self.usd(pair.base.as_str(), ms).checked_div(quote)
    }

    /// True when no crypto asset is part of a pair.
    #[must_use]
    pub fn is_fiat(pair: Pair) -> bool {
        let is_fiat = |asset: &str| asset == "USD" || Reference::fiats().any(|fiat| fiat == asset);
        is_fiat(pair.base.as_str()) && is_fiat(pair.quote.as_str())
    }

    /// USD for one unit.
    fn usd(&self, asset: &str, ms: u64) -> Decimal {
        if let Some(per_usd) = self.reference.fiat_live(asset, ms / HOUR_MS) {
            return Decimal::ONE.checked_div(per_usd).unwrap_or(Decimal::ONE);
        }
        let now = self.reference.crypto_usd(asset, ms);
        let lively = Reference::liveliness(asset);
        let key = mix(self.seed ^ 0x70a5_7000, hash_name(asset));
        let waves = WAVES.iter().map(|(length, height)| {
            // What hangs at one dollar has no tides.
            let height = if lively < 10 {
                0
            } else {
                height * lively / 100
            };
            wander(key, ms, *length, height)
        });
        let factor = Decimal::from_i128_with_scale(i128::from(BILLION + waves.sum::<i64>()), 9);
        now.checked_mul(factor).unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Wall = Wall::from_unix_seconds(1_795_305_600);

    fn shape(seed: u64, pair: &str, back_seconds: i64) -> Decimal {
        let at = Wall(NOW.0 - back_seconds * 1_000_000);
        let pair = Pair::parse(pair).unwrap();
        Past::new(seed).shape(pair, at).unwrap()
    }

    #[test]
    fn the_past_is_the_same_however_often_it_is_asked_for_and_another_for_another_seed() {
        for back in [0, 60, 86_400, 30 * 86_400] {
            assert_eq!(shape(1, "BTC-USD", back), shape(1, "BTC-USD", back));
            assert_ne!(shape(1, "BTC-USD", back), shape(2, "BTC-USD", back));
        }
    }

    #[test]
    fn a_day_moves_by_percents_and_a_second_by_next_to_nothing() {
        for pair in ["BTC-USD", "ETH-RUB", "SOL-EUR", "BTC-USDT"] {
            let day: Vec<Decimal> = (0..1_440)
                .map(|minute| shape(1, pair, minute * 60))
                .collect();
            let (least, most) = (day.iter().min().unwrap(), day.iter().max().unwrap());
            let span = (most - least) / least;
            assert!(span > Decimal::new(5, 3), "{pair} moved by {span}");
            assert!(span < Decimal::new(25, 2), "{pair} moved by {span}");
            let second = (shape(1, pair, 0) - shape(1, pair, 1)).abs() / shape(1, pair, 0);
            assert!(second < Decimal::new(2, 3), "{pair} jumped by {second}");
        }
        let peg = (shape(1, "USDT-USD", 0) - Decimal::ONE).abs();
        assert!(peg < Decimal::new(1, 2), "USDT is {peg} off");
    }
}
