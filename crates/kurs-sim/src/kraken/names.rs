//! Kraken's older words: REST keys its results by `XXBTZUSD`, takes `XBTUSD`, and tells the name
//! of the WebSocket v1 as `wsname`. WebSocket v2 says `BTC/USD`.

use crate::market::catalog::SymbolSpec;

/// `XBT` for `BTC`; other assets are called what they are called.
pub(crate) fn old_asset(asset: &str) -> &str {
    match asset {
        "BTC" => "XBT",
        "DOGE" => "XDG",
        other => other,
    }
}

/// `XXBT`, `ZUSD`: the oldest assets have a letter before their name.
pub(crate) fn asset_key(asset: &str) -> String {
    let old = old_asset(asset);
    match asset {
        "BTC" | "ETH" | "XRP" | "LTC" | "DOGE" => format!("X{old}"),
        "USD" | "EUR" | "GBP" | "JPY" | "CAD" => format!("Z{old}"),
        _ => old.to_owned(),
    }
}

/// `XBTUSD`.
pub(crate) fn altname(spec: &SymbolSpec) -> String {
    format!("{}{}", old_asset(&spec.base), old_asset(&spec.quote))
}

/// `XBT/USD`.
pub(crate) fn wsname(spec: &SymbolSpec) -> String {
    format!("{}/{}", old_asset(&spec.base), old_asset(&spec.quote))
}

/// `XXBTZUSD`: the long form only where both assets have one. `USDTZUSD` is the one exception
/// among the listed pairs.
pub(crate) fn pair_key(spec: &SymbolSpec) -> String {
    let (base, quote) = (asset_key(&spec.base), asset_key(&spec.quote));
    let is_old = |key: &str, asset: &str| key.len() == 4 && key != asset;
    let both_old = is_old(&base, &spec.base) && is_old(&quote, &spec.quote);
    if both_old || (&*spec.base == "USDT" && &*spec.quote == "USD") {
        format!("{base}{quote}")
    } else {
        altname(spec)
    }
}

/// Whether a REST client that says `pair` means this symbol.
pub(crate) fn means(pair: &str, spec: &SymbolSpec) -> bool {
    pair == pair_key(spec) || pair == altname(spec) || pair == wsname(spec)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::listings;
    use crate::venue::Venue;

    #[test]
    fn the_keys_are_those_of_the_real_venue() {
        let specs = listings::symbols(Venue::Kraken, 0);
        let key = |name: &str| pair_key(specs.iter().find(|spec| &*spec.name == name).unwrap());
        assert_eq!(key("BTC/USD"), "XXBTZUSD");
        assert_eq!(key("ETH/BTC"), "XETHXXBT");
        assert_eq!(key("BTC/EUR"), "XXBTZEUR");
        assert_eq!(key("SOL/USD"), "SOLUSD");
        assert_eq!(key("USDT/USD"), "USDTZUSD");
        assert_eq!(key("USDC/USD"), "USDCUSD");
        assert_eq!(key("USDT/EUR"), "USDTEUR");
        assert_eq!(key("EUR/USD"), "ZEURZUSD");
    }
}
