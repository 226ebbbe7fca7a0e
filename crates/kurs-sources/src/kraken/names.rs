//! The venue's several names for one pair. WebSocket v2 says `BTC/USD`. REST calls the assets
//! XBT and XDG, takes `XBTUSD`, calls the pair `XBT/USD` in its listing (`wsname`) and answers
//! under `XXBTZUSD`: assets of its first years carry an X (coins) or a Z (money) in front,
//! either side by itself (`USDTZUSD`), later ones nothing (`SOLUSD`).

/// Assets that carry a prefix in keys of answers. The list is closed: none was added in years.
const PREFIXED: [(&str, &str); 17] = [
    ("X", "ETC"),
    ("X", "ETH"),
    ("X", "LTC"),
    ("X", "MLN"),
    ("X", "REP"),
    ("X", "XBT"),
    ("X", "XDG"),
    ("X", "XLM"),
    ("X", "XMR"),
    ("X", "XRP"),
    ("X", "ZEC"),
    ("Z", "AUD"),
    ("Z", "CAD"),
    ("Z", "EUR"),
    ("Z", "GBP"),
    ("Z", "JPY"),
    ("Z", "USD"),
];

/// Quote assets by which a name without a separator is split. One ends with another only in
/// `PYUSD` and its like: the longest that fits is meant.
const QUOTES: [&str; 17] = [
    "AUD", "CAD", "CHF", "DAI", "ETH", "EUR", "EURC", "EURT", "GBP", "JPY", "PYUSD", "RLUSD",
    "USD", "USDC", "USDT", "XBT", "XDG",
];

/// REST's word for an asset.
fn rest_asset(asset: &str) -> &str {
    match asset {
        "BTC" => "XBT",
        "DOGE" => "XDG",
        other => other,
    }
}

/// WebSocket v2's word for an asset.
fn ws_asset(asset: &str) -> &str {
    match asset {
        "XBT" => "BTC",
        "XDG" => "DOGE",
        other => other,
    }
}

/// The symbol for a name with a separator, of whichever interface: `XBT/USD` is `BTC/USD`.
pub(super) fn symbol(wsname: &str) -> Option<String> {
    let (base, quote) = wsname.split_once('/')?;
    Some(format!("{}/{}", ws_asset(base), ws_asset(quote)))
}

/// The name under which REST is asked for a symbol: `XBTUSD`, or, for the rare quote asset by
/// which that could not be split again, `ABC/XYZ`.
pub(super) fn asked(symbol: &str) -> String {
    let Some((base, quote)) = symbol.split_once('/') else {
        return symbol.to_owned();
    };
    let (base, quote) = (rest_asset(base), rest_asset(quote));
    let joined = format!("{base}{quote}");
    if split(&joined) == Some((base, quote)) {
        joined
    } else {
        format!("{base}/{quote}")
    }
}

/// The two assets of a name under which REST was asked.
fn split(asked: &str) -> Option<(&str, &str)> {
    if let Some(parts) = asked.split_once('/') {
        return Some(parts);
    }
    let quote = QUOTES
        .iter()
        .filter(|quote| asked.len() > quote.len() && asked.ends_with(**quote))
        .max_by_key(|quote| quote.len())?;
    Some((asked.strip_suffix(quote)?, quote))
}

/// The symbol and every key under which REST may answer when asked by this name, the likelier
/// first; `None` for a name that [`asked`] does not make.
pub(super) fn answered(asked: &str) -> Option<(String, Vec<String>)> {
    let (base, quote) = split(asked)?;
    let symbol = format!("{}/{}", ws_asset(base), ws_asset(quote));
    let mut keys = vec![format!("{base}{quote}")];
    for left in [prefixed(base), Some(base.to_owned())] {
        for right in [prefixed(quote), Some(quote.to_owned())] {
            if let (Some(left), Some(right)) = (&left, right) {
                keys.push(format!("{left}{right}"));
            }
        }
    }
    keys.push(format!("{base}/{quote}"));
    keys.push(symbol.clone());
    keys.push(symbol.replace('/', ""));
    Some((symbol, keys))
}

fn prefixed(asset: &str) -> Option<String> {
    let (prefix, _) = PREFIXED.iter().find(|(_, known)| *known == asset)?;
    Some(format!("{prefix}{asset}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn coins_that_rest_calls_otherwise_are_translated() {
        assert_eq!(symbol("XBT/USD").as_deref(), Some("BTC/USD"));
        assert_eq!(symbol("ETH/XBT").as_deref(), Some("ETH/BTC"));
        assert_eq!(symbol("XDG/EUR").as_deref(), Some("DOGE/EUR"));
        assert_eq!(symbol("SOL/USD").as_deref(), Some("SOL/USD"));
        assert_eq!(symbol("XBTUSD.d"), None);
    }

    #[test]
    fn rest_is_asked_by_names_that_can_be_split_again() {
        for (symbol, name) in [
            ("BTC/USD", "XBTUSD"),
            ("DOGE/BTC", "XDGXBT"),
            ("USDT/USD", "USDTUSD"),
            ("BTC/USDT", "XBTUSDT"),
            ("PYUSD/USD", "PYUSDUSD"),
            ("BTC/PYUSD", "XBTPYUSD"),
            ("A/UST", "A/UST"),
            // TUSD is no quote there, so ATUSD would be taken for AT in USD.
            ("A/TUSD", "A/TUSD"),
        ] {
            assert_eq!(asked(symbol), name);
            assert_eq!(answered(name).unwrap().0, symbol);
        }
    }

    #[test]
    fn every_known_form_of_a_key_leads_back() {
        for (symbol, key) in [
            ("BTC/USD", "XXBTZUSD"),
            ("ETH/EUR", "XETHZEUR"),
            ("ETH/BTC", "XETHXXBT"),
            ("SOL/USD", "SOLUSD"),
            ("USDT/USD", "USDTZUSD"),
            ("BTC/USDT", "XBTUSDT"),
            ("DOGE/USD", "XDGUSD"),
            ("EUR/USD", "ZEURZUSD"),
            ("SOL/BTC", "SOLXBT"),
            ("BTC/CHF", "XBTCHF"),
            ("BTC/USD", "BTC/USD"),
            ("BTC/USD", "XBT/USD"),
        ] {
            let (found, keys) = answered(&asked(symbol)).unwrap();
            assert_eq!(found, symbol);
            assert!(keys.iter().any(|known| known == key), "{key}: {keys:?}");
        }
    }

    proptest! {
        #[test]
        fn any_pair_leads_back_to_itself(base in "[A-Z0-9]{1,8}", quote in "[A-Z0-9]{1,8}") {
            prop_assume!(!["XBT", "XDG"].contains(&&*base) && !["XBT", "XDG"].contains(&&*quote));
            let symbol = format!("{base}/{quote}");
            prop_assert_eq!(answered(&asked(&symbol)).unwrap().0, symbol);
        }
    }
}
