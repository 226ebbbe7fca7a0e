//! Captures of other recorders: whose line it is, over which connection it came, and which
//! symbols occur, none of which they say in so many words.

use kurs_core::{Asset, Pair, PairParser};
use std::collections::HashMap;

/// Parts of host names, and whose they are.
const HOSTS: [(&str, &str); 11] = [
    ("binance", "binance"),
    ("coinbase", "coinbase"),
    ("kraken", "kraken"),
    ("bybit", "bybit"),
    ("okx.", "okx"),
    ("okex.", "okx"),
    ("coingecko", "coingecko"),
    ("openexchangerates", "openexchangerates"),
    ("ecb.europa", "ecb"),
    ("frankfurter", "ecb"),
    ("cbr.ru", "cbr"),
];

/// Ends of paths, and whose they are: some recorders note no host with REST answers.
const PATHS: [(&str, &str); 6] = [
    ("/api/v3/depth", "binance"),
    ("/ticker/bookTicker", "binance"),
    ("/simple/price", "coingecko"),
    ("/latest.json", "openexchangerates"),
    ("eurofxref-daily.xml", "ecb"),
    ("XML_daily.asp", "cbr"),
];

/// The members that hold a venue's word for a symbol.
const MEMBERS: [&str; 5] = [
    "\"s\":",
    "\"symbol\":",
    "\"instId\":",
    "\"product_id\":",
    "symbol=",
];

/// Symbols looked at in one frame.
const SYMBOLS_PER_FRAME: usize = 64;
/// Longest symbol.
const SYMBOL_BYTES_MAX: usize = 32;
/// Symbols that are remembered; more are passed over.
const SYMBOLS_MAX: usize = 5_000;

/// What symbols that are written in one word end in, beyond the assets that are known anyway.
const QUOTES: [&str; 24] = [
    "FDUSD", "USDT", "USDC", "BUSD", "TUSD", "USDP", "USD1", "USD", "EUR", "RUB", "TRY", "GBP",
    "JPY", "BRL", "AUD", "UAH", "PLN", "RON", "ARS", "MXN", "BTC", "ETH", "BNB", "DAI",
];

/// The source that a URL belongs to.
#[must_use]
pub fn source_of(url: &str) -> Option<&'static str> {
    let rest = url.split("://").nth(1).unwrap_or(url);
    let host = rest.split(['/', '?']).next().unwrap_or(rest);
    let by_host = HOSTS.iter().find(|(part, _)| host.contains(part));
    let path = base_of(url);
    let known = by_host.or_else(|| PATHS.iter().find(|(end, _)| path.ends_with(end)));
    known.map(|(_, name)| *name)
}

/// Which connection each URL has at present.
#[derive(Debug, Default)]
pub struct Connections {
    by_url: HashMap<String, u64>,
    last: u64,
}

/// URLs that are told apart.
const URLS_MAX: usize = 1_000;

impl Connections {
    /// A connection was opened; the number of the one that it replaces.
    pub fn open(&mut self, url: &str) -> Option<u64> {
        self.last += 1;
        self.name(url, self.last)
    }

    /// The connection that a frame came over; frames before any are of connection 1.
    pub fn of(&mut self, url: &str) -> u64 {
        if let Some(number) = self.by_url.get(base_of(url)) {
            return *number;
        }
        self.last = self.last.max(1);
        let _ = self.name(url, self.last);
        self.last
    }

    fn name(&mut self, url: &str, number: u64) -> Option<u64> {
        if self.by_url.len() >= URLS_MAX {
            self.by_url.clear();
        }
        self.by_url.insert(base_of(url).to_owned(), number)
    }

    /// Every connection below this is closed.
    #[must_use]
    pub fn oldest_open(&self) -> u64 {
        self.by_url.values().min().copied().unwrap_or(1)
    }
}

/// The URL without its query, which some recorders note only when opening.
fn base_of(url: &str) -> &str {
    url.split('?').next().unwrap_or(url)
}

/// The symbols that have occurred, by the venue's word.
#[derive(Debug, Default)]
pub struct Symbols {
    known: HashMap<String, Option<Pair>>,
    parser: PairParser,
}

impl Symbols {
    /// Pairs that occur in this text for the first time.
    pub fn new_in(&mut self, text: &str) -> Vec<Pair> {
        let mut found = Vec::new();
        for member in MEMBERS {
            for (at, _) in text.match_indices(member).take(SYMBOLS_PER_FRAME) {
                let rest = text.get(at + member.len()..).unwrap_or_default();
                let Some(symbol) = word(rest) else { continue };
                if self.known.contains_key(symbol) || self.known.len() >= SYMBOLS_MAX {
                    continue;
                }
                let pair = self.pair_of(symbol);
                self.known.insert(symbol.to_owned(), pair);
                found.extend(pair.filter(|pair| !found.contains(pair)));
            }
        }
        found
    }

    fn pair_of(&self, symbol: &str) -> Option<Pair> {
        if let Ok(pair) = self.parser.parse(symbol) {
            return Some(pair.canonical());
        }
        // `HNTUSD` is HNT in USD rather than HN in TUSD.
        let split = |least: usize| {
            QUOTES.iter().find_map(|quote| {
                let base = symbol.strip_suffix(quote)?;
                let base = Asset::parse(base).ok().filter(|_| base.len() >= least)?;
                Pair::of(base, Asset::parse(quote).ok()?).ok()
            })
        };
        split(3).or_else(|| split(1))
    }
}

/// The word at the start of what follows a member.
fn word(rest: &str) -> Option<&str> {
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('"').unwrap_or(rest);
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || "-/_.".contains(letter);
    let end = rest.find(|letter| !is_part(letter)).unwrap_or(rest.len());
    rest.get(..end)
        .filter(|word| (3..=SYMBOL_BYTES_MAX).contains(&word.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_tell_their_source() {
        for (url, expect) in [
            (
                "wss://stream.binance.us:9443/stream?streams=x",
                Some("binance"),
            ),
            ("wss://ws.okex.com:8443/ws/v5/public", Some("okx")),
            (
                "https://api.coingecko.com/api/v3/simple/price",
                Some("coingecko"),
            ),
            ("http://127.0.0.1:9000/binance", None),
            ("derived from v1", None),
            (
                "GET /api/v3/depth?symbol=BTCUSDT&limit=1000 (inferred)",
                Some("binance"),
            ),
        ] {
            assert_eq!(source_of(url), expect, "{url}");
        }
    }

    #[test]
    fn every_opening_begins_a_connection() {
        let mut connections = Connections::default();
        assert_eq!(connections.of("wss://a/x"), 1);
        assert_eq!(connections.open("wss://a/x?streams=1"), Some(1));
        assert_eq!(connections.of("wss://a/x"), 2);
        assert_eq!(connections.open("wss://b/x"), None);
        assert_eq!(
            (connections.of("wss://a/x"), connections.of("wss://b/x")),
            (2, 3)
        );
        assert_eq!(connections.open("wss://a/x"), Some(2));
        assert_eq!(
            (connections.of("wss://a/x"), connections.oldest_open()),
            (4, 3)
        );
    }

    #[test]
    fn symbols_of_every_venue_are_found_once() {
        let mut symbols = Symbols::default();
        let mut check = |text: &str, expect: &[&str]| {
            let found: Vec<String> = symbols.new_in(text).iter().map(Pair::to_string).collect();
            assert_eq!(found, expect, "{text}");
        };
        check(r#"{"u":1,"s":"BTCUSDT","b":"1"}"#, &["BTC-USDT"]);
        check(r#"{"u":2,"s":"BTCUSDT","b":"1"}"#, &[]);
        check(r#"{"u":2,"s":"SWRVBUSD"}"#, &["SWRV-BUSD"]);
        check(r#"{"u":2,"s":"HNTUSD"}"#, &["HNT-USD"]);
        check(
            r#"{"data":[{"symbol":"ETH/USD"},{"symbol": "SOL/USD"}]}"#,
            &["ETH-USD", "SOL-USD"],
        );
        check(
            r#"{"arg":{"channel":"books","instId":"BTC-USDC"}}"#,
            &["BTC-USDC"],
        );
        check(r#"{"type":"ticker","product_id":"BTC-EUR"}"#, &["BTC-EUR"]);
        check(
            "GET /api/v3/depth?symbol=TRXUSDT&limit=1000 (inferred)",
            &["TRX-USDT"],
        );
        check(r#"{"s":"","symbol":"x","s":{"a":1},"symbol":"#, &[]);
    }
}
