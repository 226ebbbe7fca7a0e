//! What an asset is worth in USD. A pure function of seed, asset and time: no walk has to be
//! replayed to know a price, and every venue that asks gets the same one.

use rust_decimal::Decimal;

/// Reference prices.
#[derive(Debug, Clone, Copy)]
pub struct Reference {
    seed: u64,
    start_hour: u64,
}

/// Crypto assets: name, USD for one in units of 1e-8, and how lively the price is in percent.
/// USDT hangs near one dollar and is never pinned to it.
const CRYPTO: [(&str, i64, i64); 9] = [
    ("BTC", 6_400_000_000_000, 100),
    ("ETH", 310_000_000_000, 130),
    ("BNB", 58_000_000_000, 110),
    ("SOL", 15_000_000_000, 180),
    ("XRP", 60_000_000, 170),
    ("TON", 520_000_000, 200),
    ("TRX", 16_500_000, 120),
    ("USDC", 100_000_000, 2),
    ("USDT", 100_000_000, 5),
];

/// Fiat currencies: name and units for one USD, in units of 1e-6.
const FIAT: [(&str, i64); 56] = [
    ("AED", 3_672_500),
    ("AMD", 388_000_000),
    ("AUD", 1_520_000),
    ("AZN", 1_700_000),
    ("BDT", 119_500_000),
    ("BHD", 376_900),
    ("BOB", 6_910_000),
    ("BRL", 5_430_000),
    ("BYN", 3_270_000),
    ("CAD", 1_372_000),
    ("CHF", 861_000),
    ("CNY", 7_130_000),
    ("CZK", 22_840_000),
    ("DKK", 6_790_000),
    ("DZD", 133_900_000),
    ("EGP", 48_600_000),
    ("ETB", 112_500_000),
    ("EUR", 910_000),
    ("GBP", 769_000),
    ("GEL", 2_690_000),
    ("HKD", 7_790_000),
    ("HUF", 358_500_000),
    ("IDR", 15_420_000_000),
    ("ILS", 3_710_000),
    ("INR", 83_900_000),
    ("IRR", 1_400_000_000_000),
    ("ISK", 137_200_000),
    ("JPY", 144_600_000),
    ("KGS", 84_900_000),
    ("KRW", 1_336_000_000),
    ("KZT", 481_000_000),
    ("MDL", 17_450_000),
    ("MXN", 19_610_000),
    ("MYR", 4_310_000),
    ("NGN", 1_585_000_000),
    ("NOK", 10_540_000),
    ("NZD", 1_606_000),
    ("OMR", 385_000),
    ("PHP", 56_300_000),
    ("PLN", 3_880_000),
    ("QAR", 3_640_000),
    ("RON", 4_528_000),
    ("RSD", 106_500_000),
    ("RUB", 91_200_000),
    ("SAR", 3_752_000),
    ("SEK", 10_280_000),
    ("SGD", 1_303_000),
    ("THB", 34_010_000),
    ("TJS", 10_620_000),
    ("TMT", 3_500_000),
    ("TRY", 34_050_000),
    ("UAH", 41_300_000),
    ("UZS", 12_640_000_000),
    ("VND", 24_870_000_000),
    ("XDR", 742_000),
    ("ZAR", 17_830_000),
];

/// The liveliness of assets that nobody knows.
const UNKNOWN_LIVELY: i64 = 150;

/// Noise is counted in billionths of the price.
const BILLION: i64 = 1_000_000_000;

/// Turns any two numbers into one that looks like chance (the public-domain splitmix64 mixer).
pub(crate) const fn mix(a: u64, b: u64) -> u64 {
    let mut x = a ^ b.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A number for a name.
pub(crate) fn hash_name(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        mix(hash, u64::from(byte))
    })
}

/// A value between -`amplitude` and `amplitude` that wanders smoothly with time: straight lines
/// between chance values `period` apart.
pub(super) fn wander(key: u64, time: u64, period: u64, amplitude: i64) -> i64 {
    let at = |knot: u64| {
        let span = amplitude.unsigned_abs().saturating_mul(2).saturating_add(1);
        i64::try_from(mix(key ^ period, knot) % span).unwrap_or(0) - amplitude
    };
    let (knot, into) = (time / period, time % period);
    let (from, to) = (at(knot), at(knot.wrapping_add(1)));
    let into = i128::from(into);
    let moved = i128::from(to - from) * into / i128::from(period.max(1));
    from + i64::try_from(moved).unwrap_or(0)
}

impl Reference {
    /// The reference prices of a seed. Step 0 lies in `start_hour` (hours since 1970): fiat
    /// assets of an exchange begin where the rate services stand at that hour.
    #[must_use]
    pub const fn new(seed: u64, start_hour: u64) -> Self {
        Self { seed, start_hour }
    }

    /// The fiat currencies that have a rate, USD not among them.
    pub fn fiats() -> impl Iterator<Item = &'static str> {
        FIAT.iter().map(|(name, _)| *name)
    }

    /// How lively the price of a crypto asset is, in percent of Bitcoin's.
    pub(super) fn liveliness(asset: &str) -> i64 {
        let known = CRYPTO.iter().find(|(name, ..)| *name == asset);
        known.map_or(UNKNOWN_LIVELY, |(.., lively)| *lively)
    }

    fn key(&self, name: &str) -> u64 {
        mix(self.seed, hash_name(name))
    }

    /// USD for one unit of a crypto asset at a step (virtual milliseconds), 8 decimals; assets
    /// nobody knows get an invented price of their own. Fiat: see [`Reference::fiat_live`].
    #[must_use]
    pub fn crypto_usd(&self, asset: &str, step: u64) -> Decimal {
        let key = self.key(asset);
        let known = CRYPTO.iter().find(|(name, ..)| *name == asset);
        let (base, lively) = known.map_or_else(
            || {
                (
                    i64::try_from(mix(key, 1) % 100_000_000_000).unwrap_or(0) + 1_000_000,
                    UNKNOWN_LIVELY,
                )
            },
            |(_, base, lively)| (*base, *lively),
        );
        let noise = wander(key, step, 7_200_000, 80_000 * lively)
            + wander(key, step, 60_000, 6_000 * lively)
            + wander(key, step, 4_000, 700 * lively)
            + wander(key, step, 300, 60 * lively);
        let value = i128::from(base) * i128::from(BILLION + noise) / i128::from(BILLION);
        Decimal::from_i128_with_scale(value, 8)
    }

    /// Units of a fiat currency for one USD as fixed on a day (days since 1970), 12 decimals:
    /// what banks publish. `None` for a currency nobody knows.
    #[must_use]
    pub fn fiat_fix(&self, currency: &str, day: u64) -> Option<Decimal> {
        self.fiat(currency, day.wrapping_mul(24))
    }

    /// The same by the hour (hours since 1970): what rate services publish during the day. Its
    /// value at a day's first hour is that day's fix.
    #[must_use]
    pub fn fiat_live(&self, currency: &str, hour: u64) -> Option<Decimal> {
        self.fiat(currency, hour)
    }

    fn fiat(&self, currency: &str, hour: u64) -> Option<Decimal> {
        if currency == "USD" {
            return Some(Decimal::ONE);
        }
        let (_, base) = FIAT.iter().find(|(name, _)| *name == currency)?;
        let noise = wander(self.key(currency), hour, 24 * 30, 9_000_000)
            + wander(self.key(currency), hour, 24 * 3, 2_000_000);
        let value = i128::from(*base) * i128::from(BILLION + noise) / 1_000;
        Some(Decimal::from_i128_with_scale(value, 12))
    }

    /// USD for one unit of any asset of an exchange: crypto, or fiat such as the EUR of EURUSDT.
    #[must_use]
    pub fn usd(&self, asset: &str, step: u64) -> Decimal {
        match self.fiat_live(asset, self.start_hour) {
            Some(per_usd) => {
                let noise = wander(self.key(asset), step, 30_000, 40_000);
                let still = Decimal::ONE.checked_div(per_usd).unwrap_or(Decimal::ONE);
                let factor = Decimal::from_i128_with_scale(i128::from(BILLION + noise), 9);
                still.checked_mul(factor).unwrap_or(still)
            }
            None => self.crypto_usd(asset, step),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tether_stays_near_the_dollar_and_is_not_the_dollar() {
        let reference = Reference::new(3, 0);
        let low: Decimal = "0.9995".parse().unwrap();
        let high: Decimal = "1.0005".parse().unwrap();
        let mut seen = std::collections::BTreeSet::new();
        for minute in 0..2_000 {
            let price = reference.crypto_usd("USDT", minute * 60_000);
            assert!((low..=high).contains(&price), "{price}");
            seen.insert(price);
        }
        assert!(seen.len() > 1_000);
    }

    #[test]
    fn a_fix_is_the_first_live_value_of_its_day() {
        let reference = Reference::new(3, 0);
        assert_eq!(
            reference.fiat_fix("RUB", 20_000),
            reference.fiat_live("RUB", 480_000)
        );
        assert_eq!(reference.fiat_fix("XXX", 20_000), None);
    }

    #[test]
    fn another_seed_is_another_market() {
        let price = |seed| Reference::new(seed, 0).crypto_usd("BTC", 1_000);
        assert_eq!(price(1), price(1));
        assert_ne!(price(1), price(2));
    }
}
