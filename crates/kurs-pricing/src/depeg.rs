//! Stablecoins that are not worth their dollar. A mark on the rate, no judgement of it: the
//! market may be right.

use crate::decimal::distance;
use kurs_core::rate::Depeg;
use kurs_core::{Pair, Price};
use rust_decimal::Decimal;

/// Coins that promise to be worth one dollar.
const STABLECOINS: [&str; 4] = ["USDT", "USDC", "FDUSD", "DAI"];

/// A price further from 1 than this is marked.
pub const DEPEG_BEYOND: Decimal = Decimal::from_parts(1, 0, 0, false, 2);

/// True for a stablecoin against the dollar, either way round.
#[must_use]
pub fn is_peg(pair: Pair) -> bool {
    let is_coin = |name: &str| STABLECOINS.contains(&name);
    match (pair.base.as_str(), pair.quote.as_str()) {
        (coin, "USD") | ("USD", coin) => is_coin(coin),
        _ => false,
    }
}

/// The mark of a market at this price; `None` when it is no stablecoin's against the dollar, or
/// worth its dollar. A Reader calls this for the legs of a cross rate.
#[must_use]
pub fn mark(pair: Pair, value: Price) -> Option<Depeg> {
    if !is_peg(pair) || distance(value.value(), Decimal::ONE) <= DEPEG_BEYOND {
        return None;
    }
    let away = value.value().checked_sub(Decimal::ONE)?;
    let percent = away.checked_mul(Decimal::ONE_HUNDRED)?;
    Some(Depeg {
        pair,
        value,
        percent: percent.round_dp(2).normalize(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pair: &str, value: &str, percent: Option<&str>) {
        let found = mark(Pair::parse(pair).unwrap(), Price::parse(value).unwrap());
        let found = found.map(|depeg| depeg.percent.to_string());
        assert_eq!(found.as_deref(), percent, "{pair} {value}");
    }

    #[test]
    fn a_stablecoin_more_than_a_percent_from_its_dollar_is_marked() {
        check("USDT-USD", "0.99", None);
        check("USDT-USD", "1.01", None);
        check("USDT-USD", "0.9899", Some("-1.01"));
        check("USDC-USD", "0.8774", Some("-12.26"));
        check("DAI-USD", "1.02", Some("2"));
        check("USD-FDUSD", "1.1", Some("10"));
        check("BTC-USD", "60000", None);
        check("USDT-USDC", "0.5", None);
    }
}
