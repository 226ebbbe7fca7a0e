//! The symbols of Coinbase, Kraken, Bybit and OKX, each in its venue's word and with its ticks.

use super::Habit;
use super::catalog::SymbolSpec;
use super::reference::hash_name;
use crate::venue::Venue;

/// Prices of a venue stray from the reference by up to so many billionths: 1.1 basis points, so
/// that any two venues stay within three, ticks and spreads included.
const NOISE_E9: i64 = 110_000;

/// Base, quote, decimals of a price, decimals of a size, mean time between changes in
/// milliseconds, widest spread in ticks.
type Row = (&'static str, &'static str, u32, u32, u64, u64);

const COINBASE: [Row; 9] = [
    ("BTC", "USD", 2, 8, 30, 8),
    ("ETH", "USD", 2, 8, 45, 2),
    ("SOL", "USD", 2, 8, 90, 2),
    ("XRP", "USD", 5, 6, 120, 3),
    ("USDT", "USD", 5, 2, 900, 2),
    ("BTC", "EUR", 2, 8, 300, 40),
    ("ETH", "EUR", 2, 8, 500, 6),
    ("ETH", "BTC", 6, 8, 500, 2),
    ("SOL", "EUR", 2, 8, 900, 2),
];

const KRAKEN: [Row; 12] = [
    ("BTC", "USD", 1, 8, 30, 1),
    ("ETH", "USD", 2, 8, 50, 2),
    ("SOL", "USD", 2, 8, 100, 1),
    ("XRP", "USD", 5, 8, 130, 3),
    ("TRX", "USD", 6, 8, 700, 4),
    ("USDT", "USD", 5, 8, 700, 2),
    ("USDC", "USD", 5, 8, 900, 2),
    ("BTC", "EUR", 1, 8, 120, 5),
    ("ETH", "EUR", 2, 8, 250, 6),
    ("USDT", "EUR", 5, 8, 1_200, 3),
    ("EUR", "USD", 5, 8, 900, 4),
    ("ETH", "BTC", 6, 8, 400, 2),
];

const BYBIT: [Row; 9] = [
    ("BTC", "USDT", 1, 6, 25, 1),
    ("ETH", "USDT", 2, 5, 40, 1),
    ("BNB", "USDT", 1, 4, 200, 1),
    ("SOL", "USDT", 2, 3, 80, 1),
    ("XRP", "USDT", 4, 2, 110, 1),
    ("TON", "USDT", 4, 2, 700, 3),
    ("TRX", "USDT", 5, 2, 500, 2),
    ("USDC", "USDT", 4, 2, 900, 1),
    ("ETH", "BTC", 6, 5, 600, 2),
];

const OKX: [Row; 9] = [
    ("BTC", "USDT", 1, 8, 25, 1),
    ("ETH", "USDT", 2, 6, 40, 1),
    ("BNB", "USDT", 1, 5, 220, 1),
    ("SOL", "USDT", 2, 6, 80, 1),
    ("XRP", "USDT", 5, 6, 110, 2),
    ("TON", "USDT", 4, 4, 700, 3),
    ("TRX", "USDT", 5, 2, 500, 2),
    ("USDC", "USDT", 5, 6, 900, 2),
    ("ETH", "BTC", 6, 6, 500, 2),
];

/// What makes a venue's market its own. Binance has [`Habit::BINANCE`].
pub(crate) fn habit(venue: Venue) -> Habit {
    Habit {
        salt: hash_name(venue.as_str()),
        noise_e9: NOISE_E9,
        diffs: false,
        separator: match venue {
            Venue::Kraken => Some('/'),
            Venue::Coinbase | Venue::Okx => Some('-'),
            _ => None,
        },
    }
}

/// The symbols of a venue and `extra` invented ones: `S0001-USD` onwards where prices are in
/// dollars, `S0001USDT` elsewhere. None for a venue that has no listing here.
pub(crate) fn symbols(venue: Venue, extra: usize) -> Vec<SymbolSpec> {
    // A side holds more levels than the venue shows, so that levels enter and leave the window.
    let (rows, levels_max): (&[Row], usize) = match venue {
        Venue::Coinbase => (&COINBASE, 240),
        Venue::Kraken => (&KRAKEN, 240),
        Venue::Bybit => (&BYBIT, 330),
        Venue::Okx => (&OKX, 640),
        _ => return Vec::new(),
    };
    let separator = habit(venue).separator.map(String::from).unwrap_or_default();
    let mut specs: Vec<SymbolSpec> = rows
        .iter()
        .map(|row| spec(row, &separator, levels_max))
        .collect();
    let quote = match venue {
        Venue::Coinbase | Venue::Kraken => "USD",
        _ => "USDT",
    };
    for number in 1..=extra {
        let base = format!("S{number:04}");
        specs.push(SymbolSpec {
            name: format!("{base}{separator}{quote}").into(),
            base: base.into(),
            quote: quote.into(),
            tick_e8: 10_000,
            lot_e8: 1_000_000,
            interval_ms: 1_000,
            spread_ticks: 3,
            size_lots: 20_000,
            levels_max,
        });
    }
    specs
}

fn spec(row: &Row, separator: &str, levels_max: usize) -> SymbolSpec {
    let (base, quote, price_decimals, size_decimals, interval_ms, spread_ticks) = *row;
    let step = |decimals: u32| 10_u64.pow(8_u32.saturating_sub(decimals));
    let lot_e8 = step(size_decimals);
    SymbolSpec {
        name: format!("{base}{separator}{quote}").into(),
        base: base.into(),
        quote: quote.into(),
        tick_e8: step(price_decimals),
        lot_e8,
        interval_ms,
        spread_ticks,
        size_lots: typical_size_e8(base) / lot_e8,
        levels_max,
    }
}

/// A typical size on a level, in units of 1e-8.
fn typical_size_e8(base: &str) -> u64 {
    let hundredths = match base {
        "BTC" => 60,
        "ETH" => 500,
        "BNB" => 900,
        "SOL" => 5_000,
        "XRP" | "TON" => 900_000,
        "TRX" => 3_000_000,
        _ => 2_000_000,
    };
    hundredths * 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::reference::Reference;
    use crate::market::{Market, symbol::Top};
    use rust_decimal::Decimal;

    const EXCHANGES: [Venue; 4] = [Venue::Coinbase, Venue::Kraken, Venue::Bybit, Venue::Okx];

    fn middle(top: &Top) -> Decimal {
        (top.bid.0 + top.ask.0) / Decimal::TWO
    }

    #[test]
    fn prices_of_one_pair_differ_between_venues_and_stay_within_three_basis_points() {
        let reference = Reference::new(5, 0);
        let mut markets: Vec<Market> = EXCHANGES
            .iter()
            .map(|venue| Market::of(reference, 100, habit(*venue), symbols(*venue, 0)))
            .collect();
        markets.push(Market::new(reference, 100, 0));
        let limit: Decimal = "0.0003".parse().unwrap();
        let mut different = 0;
        for second in 1..=120 {
            for market in &mut markets {
                market.advance_to(second * 500, &mut Vec::new());
            }
            for (base, quote) in [
                ("BTC", "USD"),
                ("BTC", "USDT"),
                ("ETH", "USDT"),
                ("ETH", "BTC"),
            ] {
                let prices: Vec<Decimal> = markets
                    .iter()
                    .flat_map(Market::symbols)
                    .filter(|symbol| &*symbol.spec.base == base && &*symbol.spec.quote == quote)
                    .map(|symbol| middle(&symbol.top().unwrap()))
                    .collect();
                assert!(prices.len() >= 2);
                let (low, high) = (prices.iter().min().unwrap(), prices.iter().max().unwrap());
                // Binance's tick of ETHBTC alone is two basis points.
                if (base, quote) != ("ETH", "BTC") {
                    assert!((high - low) / low < limit, "{base}-{quote} {prices:?}");
                }
                different += usize::from(high != low);
            }
        }
        assert!(different > 400, "{different}");
    }

    #[test]
    fn the_same_seed_tells_the_same_story_and_every_venue_its_own() {
        let tops = |venue, pieces: &[u64]| -> Vec<Top> {
            let reference = Reference::new(5, 0);
            let mut market = Market::of(reference, 100, habit(venue), symbols(venue, 2));
            for step in pieces {
                market.advance_to(*step, &mut Vec::new());
            }
            market.symbols().filter_map(|symbol| symbol.top()).collect()
        };
        let at_once = tops(Venue::Okx, &[5_000]);
        assert_eq!(at_once, tops(Venue::Okx, &[10, 20, 1_234, 4_990, 5_000]));
        assert_eq!(at_once.len(), 11);
        assert_ne!(at_once, tops(Venue::Bybit, &[5_000]));
    }

    #[test]
    fn a_listing_has_the_words_and_the_precision_of_its_venue() {
        let of = |venue, name: &str| {
            let found = symbols(venue, 1)
                .into_iter()
                .find(|spec| &*spec.name == name);
            let spec = found.unwrap_or_else(|| panic!("{venue} has no {name}"));
            (spec.price_decimals(), spec.size_decimals())
        };
        assert_eq!(of(Venue::Coinbase, "BTC-USD"), (2, 8));
        assert_eq!(of(Venue::Kraken, "BTC/USD"), (1, 8));
        assert_eq!(of(Venue::Bybit, "BTCUSDT"), (1, 6));
        assert_eq!(of(Venue::Okx, "ETH-BTC"), (6, 6));
        assert_eq!(of(Venue::Kraken, "S0001/USD"), (4, 2));
        assert_eq!(of(Venue::Bybit, "S0001USDT"), (4, 2));
    }
}
