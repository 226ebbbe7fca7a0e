//! Texts that every part reads. Included by the fuzz targets and by `kurs-core/tests/corpus.rs`.

use kurs_core::price::parse_decimal;
use kurs_core::{Asset, Pair, PairParser, Price, Wall};

/// A fuzz target and what it does with its input.
pub type Target = (&'static str, fn(&[u8]));

/// All targets of this file.
pub const TARGETS: [Target; 2] = [("pair", pair), ("price", price)];

const DIGITS_28: i128 = 10_i128.pow(28);

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// A pair in any spelling.
pub fn pair(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    if let Ok(pair) = Pair::parse(text) {
        assert_eq!(Pair::parse(&pair.to_string()), Ok(pair));
        assert_eq!(pair.inverse().inverse(), pair);
        let _ = pair.canonical();
    }
    let known = ["BTC", "USDT", "USD", "RUB"].map(|name| Asset::parse(name).expect("an asset"));
    if let Ok(pair) = PairParser::new(known).parse(text) {
        assert_ne!(pair.base, pair.quote);
    }
}

/// A decimal number and a time.
pub fn price(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    if let Ok(price) = Price::parse(text) {
        assert_eq!(Price::parse(&price.to_string()), Ok(price));
        assert!(price.published().to_string().len() <= 64);
        // Of 28 digits every one counts; the last of 29 may be lost in a sum.
        if let Ok(mid) = Price::mid(price, price)
            && price.value().mantissa() < DIGITS_28
        {
            assert_eq!(mid, price.normalized());
        }
        let _ = (price.inverse(), price.times(price));
    }
    let _ = parse_decimal(text);
    if let Ok(wall) = text.parse::<Wall>() {
        let printed: Wall = wall.to_string().parse().expect("what was printed");
        assert_eq!(printed.unix_ms(), wall.unix_ms());
    }
}
