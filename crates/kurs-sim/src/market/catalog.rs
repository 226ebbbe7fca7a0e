//! The symbols of the simulated exchange.

use rust_decimal::Decimal;
use std::sync::Arc;

/// What is fixed about a symbol. Prices and sizes are counted in units of 1e-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SymbolSpec {
    /// `BTCUSDT`.
    pub name: Arc<str>,
    /// `BTC`.
    pub base: Arc<str>,
    /// `USDT`.
    pub quote: Arc<str>,
    /// Smallest price step, in 1e-8.
    pub tick_e8: u64,
    /// Smallest size step, in 1e-8.
    pub lot_e8: u64,
    /// Mean time between changes, in virtual milliseconds at 100 % activity.
    pub interval_ms: u64,
    /// The spread is one to this many ticks.
    pub spread_ticks: u64,
    /// Typical size on a level, in lots.
    pub size_lots: u64,
    /// Levels a side of the book holds at most.
    pub levels_max: usize,
}

/// Base, quote, tick, lot, mean interval, widest spread in ticks, typical lots.
type Row = (&'static str, &'static str, u64, u64, u64, u64, u64);

const SYMBOLS: [Row; 20] = [
    ("BTC", "USDT", 1_000_000, 1_000, 25, 1, 150_000),
    ("ETH", "USDT", 1_000_000, 10_000, 40, 1, 80_000),
    ("BNB", "USDT", 1_000_000, 100_000, 120, 2, 20_000),
    ("SOL", "USDT", 1_000_000, 100_000, 80, 1, 90_000),
    ("XRP", "USDT", 10_000, 10_000_000, 110, 1, 200_000),
    ("TON", "USDT", 100_000, 1_000_000, 700, 3, 60_000),
    ("TRX", "USDT", 10_000, 10_000_000, 450, 1, 900_000),
    ("USDC", "USDT", 10_000, 100_000_000, 900, 1, 500_000),
    ("EUR", "USDT", 10_000, 10_000_000, 1_500, 2, 90_000),
    ("BTC", "USDC", 1_000_000, 1_000, 150, 2, 30_000),
    ("ETH", "USDC", 1_000_000, 10_000, 200, 2, 20_000),
    ("BTC", "EUR", 1_000_000, 1_000, 400, 40, 9_000),
    ("ETH", "EUR", 1_000_000, 10_000, 600, 5, 8_000),
    ("ETH", "BTC", 1_000, 10_000, 500, 2, 40_000),
    ("BNB", "BTC", 1_000, 100_000, 1_200, 2, 9_000),
    ("SOL", "BTC", 10, 1_000_000, 1_100, 60, 9_000),
    ("XRP", "BTC", 1, 100_000_000, 1_600, 2, 50_000),
    ("TRX", "BTC", 1, 100_000_000, 3_000, 1, 90_000),
    ("USDT", "TRY", 1_000_000, 100_000_000, 1_400, 2, 9_000),
    ("TON", "BTC", 1, 1_000_000, 4_000, 12, 20_000),
];

/// Levels a side of a Binance book holds at most.
const LEVELS_MAX: usize = 120;

/// Quote assets by which an invented name is split, longest first.
const QUOTES: [&str; 12] = [
    "FDUSD", "USDT", "USDC", "BUSD", "BTC", "ETH", "BNB", "EUR", "TRY", "RUB", "GBP", "USD",
];

impl SymbolSpec {
    /// A made-up spec for a name such as `FOOUSDT`; `None` when the name cannot be one.
    #[must_use]
    pub fn invented(name: &str) -> Option<Self> {
        let (base, quote) = split(name)?;
        Some(Self::made_up(name, base, quote))
    }

    /// The same for a venue that writes `FOO-USDT` or `FOO/USD`.
    #[must_use]
    pub(crate) fn invented_with(name: &str, separator: char) -> Option<Self> {
        let (base, quote) = name.split_once(separator)?;
        let fits = |part: &str| {
            (2..=12).contains(&part.len())
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        };
        (fits(base) && fits(quote)).then(|| Self::made_up(name, base, quote))
    }

    fn made_up(name: &str, base: &str, quote: &str) -> Self {
        Self {
            name: name.into(),
            base: base.into(),
            quote: quote.into(),
            tick_e8: 10_000,
            lot_e8: 1_000_000,
            interval_ms: 1_000,
            spread_ticks: 3,
            size_lots: 20_000,
            levels_max: LEVELS_MAX,
        }
    }

    /// Decimals a price needs.
    #[must_use]
    pub fn price_decimals(&self) -> u32 {
        decimals(self.tick_e8)
    }

    /// Decimals a size needs.
    #[must_use]
    pub fn size_decimals(&self) -> u32 {
        decimals(self.lot_e8)
    }

    /// A price step in the quote asset.
    #[must_use]
    pub fn tick(&self) -> Decimal {
        Decimal::from_i128_with_scale(i128::from(self.tick_e8), 8)
    }

    /// A size step in the base asset.
    #[must_use]
    pub fn lot(&self) -> Decimal {
        Decimal::from_i128_with_scale(i128::from(self.lot_e8), 8)
    }
}

/// Decimals of a step that is counted in 1e-8.
fn decimals(step_e8: u64) -> u32 {
    let mut left = step_e8.max(1);
    let mut decimals = 8;
    while decimals > 0 && left.is_multiple_of(10) {
        left /= 10;
        decimals -= 1;
    }
    decimals
}

/// Splits `BTCUSDT` into base and quote by the known quote assets.
pub(crate) fn split(name: &str) -> Option<(&str, &str)> {
    let fits = (3..=20).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    if !fits {
        return None;
    }
    QUOTES.iter().find_map(|quote| {
        let base = name.strip_suffix(quote)?;
        (!base.is_empty()).then_some((base, *quote))
    })
}

/// The listed symbols and `extra` invented ones, `S0001USDT` onwards.
pub(crate) fn symbols(extra: usize) -> Vec<SymbolSpec> {
    let mut specs = Vec::with_capacity(SYMBOLS.len() + extra);
    for (base, quote, tick_e8, lot_e8, interval_ms, spread_ticks, size_lots) in SYMBOLS {
        specs.push(SymbolSpec {
            name: format!("{base}{quote}").into(),
            base: base.into(),
            quote: quote.into(),
            tick_e8,
            lot_e8,
            interval_ms,
            spread_ticks,
            size_lots,
            levels_max: LEVELS_MAX,
        });
    }
    for number in 1..=extra {
        specs.extend(SymbolSpec::invented(&format!("S{number:04}USDT")));
    }
    specs
}
