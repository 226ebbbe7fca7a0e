//! Pairs: `BTC-RUB` is how many RUB one BTC costs.

use crate::asset::Asset;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// A pair, base first: the value of `BTC-RUB` is the number of RUB for one BTC.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pair {
    /// The asset that is priced.
    pub base: Asset,
    /// The asset the price is counted in.
    pub quote: Asset,
}

/// Why a text is not a pair.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PairError {
    /// Not of a form that is understood at all.
    #[error("a pair is written BASE-QUOTE, such as BTC-USD")]
    Malformed,
    /// Written without a separator, and no known asset ends or starts it.
    #[error("{0} cannot be split into two known assets; write BASE-QUOTE")]
    Unsplittable(String),
    /// Both sides are the same asset.
    #[error("base and quote are the same asset")]
    SameAsset,
}

impl Pair {
    /// The pair of two assets.
    #[must_use]
    pub const fn new(base: Asset, quote: Asset) -> Self {
        Self { base, quote }
    }

    /// Parses `BTC-USD`, `BTC/USD` or `BTC_USD` in any case.
    ///
    /// # Errors
    /// [`PairError::Malformed`] for anything else, [`PairError::SameAsset`] for `BTC-BTC`.
    pub fn parse(text: &str) -> Result<Self, PairError> {
        let (base, quote) = text
            .split_once(['-', '/', '_'])
            .ok_or(PairError::Malformed)?;
        Self::of(
            Asset::parse(base).map_err(|_| PairError::Malformed)?,
            Asset::parse(quote).map_err(|_| PairError::Malformed)?,
        )
    }

    /// The pair of two different assets.
    ///
    /// # Errors
    /// [`PairError::SameAsset`] when they are the same.
    pub fn of(base: Asset, quote: Asset) -> Result<Self, PairError> {
        if base == quote {
            return Err(PairError::SameAsset);
        }
        Ok(Self { base, quote })
    }

    /// `USD-BTC` for `BTC-USD`.
    #[must_use]
    pub const fn inverse(self) -> Self {
        Self {
            base: self.quote,
            quote: self.base,
        }
    }

    /// The pair it is priced as: network aliases replaced by their asset.
    #[must_use]
    pub fn canonical(self) -> Self {
        Self {
            base: self.base.canonical(),
            quote: self.quote.canonical(),
        }
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}", self.base, self.quote)
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for Pair {
    type Err = PairError;

    fn from_str(text: &str) -> Result<Self, PairError> {
        Self::parse(text)
    }
}

impl serde::Serialize for Pair {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Pair {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Pair {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Pair".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[A-Z0-9]{1,16}-[A-Z0-9]{1,16}$",
            "description": "BASE-QUOTE: the value is the number of QUOTE for one BASE",
        })
    }
}

/// CoinGecko's names of the assets kurs prices by default, so that `bitcoin-usd` is understood.
pub const COINGECKO_IDS: [(&str, &str); 9] = [
    ("bitcoin", "BTC"),
    ("ethereum", "ETH"),
    ("tether", "USDT"),
    ("usd-coin", "USDC"),
    ("binancecoin", "BNB"),
    ("solana", "SOL"),
    ("ripple", "XRP"),
    ("the-open-network", "TON"),
    ("tron", "TRX"),
];

/// Assets that are always known, so that `BTCUSDT` can be split before any source has spoken.
const FIRST_ASSETS: [&str; 24] = [
    "BTC", "ETH", "USDT", "USDC", "BNB", "SOL", "XRP", "TON", "TRX", "ADA", "DOGE", "LTC", "DOT",
    "FDUSD", "BUSD", "DAI", "USD", "EUR", "RUB", "GBP", "JPY", "CNY", "TRY", "CHF",
];

/// Understands every spelling of a pair that users send: `BTC-USD`, `btc/usd`, `BTC_USD`,
/// `BTCUSDT` (split against known assets) and CoinGecko ids (`bitcoin-usd`, `bitcoin-tether`).
#[derive(Debug, Clone)]
pub struct PairParser {
    assets: BTreeSet<Asset>,
}

impl Default for PairParser {
    fn default() -> Self {
        Self::new([])
    }
}

impl PairParser {
    /// A parser that knows the common assets, the network aliases and `more`.
    pub fn new(more: impl IntoIterator<Item = Asset>) -> Self {
        let mut assets: BTreeSet<Asset> = FIRST_ASSETS
            .iter()
            .filter_map(|name| Asset::parse(name).ok())
            .collect();
        assets.extend(Asset::network_aliases().map(|(alias, _)| alias));
        assets.extend(more);
        Self { assets }
    }

    /// Makes further assets known.
    pub fn learn(&mut self, more: impl IntoIterator<Item = Asset>) {
        self.assets.extend(more);
    }

    /// True when the asset is known.
    #[must_use]
    pub fn knows(&self, asset: Asset) -> bool {
        self.assets.contains(&asset)
    }

    /// Parses any accepted spelling.
    ///
    /// # Errors
    /// [`PairError`] naming what is wrong.
    pub fn parse(&self, text: &str) -> Result<Pair, PairError> {
        if text.len() > 64 {
            return Err(PairError::Malformed);
        }
        if let Some(pair) = Self::parse_coingecko(text) {
            return pair;
        }
        match Pair::parse(text) {
            Err(PairError::Malformed) if Asset::parse(text).is_ok() => self.split(text),
            other => other,
        }
    }

    /// `bitcoin-usd`, `the-open-network-usd-coin`: ids may hold dashes themselves, so every
    /// separator is tried, the last one first.
    fn parse_coingecko(text: &str) -> Option<Result<Pair, PairError>> {
        let by_id = |text: &str| {
            let mut ids = COINGECKO_IDS.iter();
            let (_, asset) = ids.find(|(id, _)| id.eq_ignore_ascii_case(text))?;
            Asset::parse(asset).ok()
        };
        let mut separators = text.rmatch_indices(['-', '/', '_']);
        separators.find_map(|(at, separator)| {
            let base = text.get(..at)?;
            let quote = text.get(at + separator.len()..)?;
            let (base_id, quote_id) = (by_id(base), by_id(quote));
            if base_id.is_none() && quote_id.is_none() {
                return None;
            }
            let base = base_id.or_else(|| Asset::parse(base).ok())?;
            let quote = quote_id.or_else(|| Asset::parse(quote).ok())?;
            Some(Pair::of(base, quote))
        })
    }

    /// `BTCUSDT`: both sides must be known; of several splits the one with the longer quote
    /// wins, since quotes come from a short list that venues share.
    fn split(&self, text: &str) -> Result<Pair, PairError> {
        for at in 1..text.len() {
            let (base, quote) = text.split_at(at);
            if let (Ok(base), Ok(quote)) = (Asset::parse(base), Asset::parse(quote))
                && self.knows(base)
                && self.knows(quote)
            {
                return Pair::of(base, quote);
            }
        }
        Err(PairError::Unsplittable(text.to_ascii_uppercase()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expect: &str) {
        let parsed = PairParser::default().parse(text);
        assert_eq!(
            parsed.map(|pair| pair.to_string()),
            Ok(expect.to_owned()),
            "{text}"
        );
    }

    #[test]
    fn every_documented_spelling_gives_base_dash_quote() {
        for text in [
            "BTC-USD",
            "btc-usd",
            "BTC/USD",
            "BTC_USD",
            "BTCUSD",
            "bitcoin-usd",
        ] {
            check(text, "BTC-USD");
        }
        check("BTCUSDT", "BTC-USDT");
        check("ethusdttrc", "ETH-USDTTRC");
        check("USDTTRC-RUB", "USDTTRC-RUB");
        check("the-open-network-usd", "TON-USD");
        check("usd-coin/rub", "USDC-RUB");
        check("bitcoin-tether", "BTC-USDT");
        check("btc-tether", "BTC-USDT");
        check("USD_usd-coin", "USD-USDC");
        check("the-open-network-usd-coin", "TON-USDC");
    }

    #[test]
    fn malformed_pairs_are_refused() {
        let parser = PairParser::default();
        for text in [
            "",
            "-",
            "BTC-",
            "-USD",
            "BTC--USD",
            "BTC-USD-X",
            "BTC USD",
            "bitcoin-",
            "a/b/c",
        ] {
            assert!(parser.parse(text).is_err(), "{text:?} was accepted");
        }
        assert_eq!(parser.parse("BTC-BTC"), Err(PairError::SameAsset));
        assert_eq!(
            parser.parse("QQQWWW"),
            Err(PairError::Unsplittable("QQQWWW".into()))
        );
    }

    #[test]
    fn a_learned_asset_can_be_split_off() {
        let mut parser = PairParser::default();
        assert!(parser.parse("NEWUSDT").is_err());
        parser.learn([Asset::parse("NEW").unwrap()]);
        assert_eq!(parser.parse("NEWUSDT").unwrap().to_string(), "NEW-USDT");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = PairParser::default().parse(&text);
        }

        #[test]
        fn what_is_printed_is_parsed_again(base in "[A-Z0-9]{1,16}", quote in "[A-Z0-9]{1,16}") {
            prop_assume!(base != quote);
            let pair = Pair::parse(&format!("{base}-{quote}")).unwrap();
            prop_assert_eq!(Pair::parse(&pair.to_string()).unwrap(), pair);
            prop_assert_eq!(pair.inverse().inverse(), pair);
        }
    }
}
