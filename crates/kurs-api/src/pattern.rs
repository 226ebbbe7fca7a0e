//! The forms that text in a request may have. Each is stated twice, as a pattern for
//! `openapi.json` and as the code that accepts it; a test holds the two together.

use kurs_store::Interval;

/// One accepted form of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// An asset: `BTC`.
    Asset,
    /// A pair in any spelling: `BTC-USD`, `btc/usd`, `BTCUSDT`, `bitcoin-usd`.
    Pair,
    /// One or more pairs between commas.
    Pairs,
    /// Any texts between commas, at least one character: each is judged on its own.
    Listing,
    /// A source: `binance`.
    Source,
    /// A decimal number greater than zero.
    Amount,
    /// A symbol: `BTCUSDT`.
    Symbol,
    /// A time with its offset.
    Time,
    /// An opaque place in a list.
    Cursor,
    /// The length of a candle.
    Interval,
    /// The number of an update.
    Seq,
    /// A key of the configuration: `sources.binance.enabled`.
    Setting,
    /// Any text of one line.
    Line,
    /// The id of an API key.
    KeyId,
    /// A file of the web page: `kurs.css`.
    File,
    /// The colours of a picture.
    Theme,
    /// How values are drawn in a picture.
    Drawing,
}

const ASSET: &str = "[A-Za-z0-9]{1,16}";
/// CoinGecko ids that hold a dash themselves.
const DASHED_IDS: [&str; 2] = ["usd-coin", "the-open-network"];

impl Form {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 17] = [
        Self::Asset,
        Self::Pair,
        Self::Pairs,
        Self::Listing,
        Self::Source,
        Self::Amount,
        Self::Symbol,
        Self::Time,
        Self::Cursor,
        Self::Interval,
        Self::Seq,
        Self::Setting,
        Self::Line,
        Self::KeyId,
        Self::File,
        Self::Theme,
        Self::Drawing,
    ];

    /// The form as an ECMA-262 pattern, anchored on both sides.
    pub(crate) fn pattern(self) -> String {
        let pair = format!(
            "(({ASSET}|{})[-/_]{ASSET}|[A-Za-z0-9]{{2,16}})",
            DASHED_IDS.join("|")
        );
        match self {
            Self::Asset => format!("^{ASSET}$"),
            Self::Pair => format!("^{pair}$"),
            Self::Pairs => format!("^{pair}(,{pair})*$"),
            Self::Listing => "^[\\s\\S]+$".to_owned(),
            Self::Source => "^[A-Za-z0-9_:-]{1,31}$".to_owned(),
            Self::Amount => "^(0*[1-9][0-9]*(\\.[0-9]+)?|0+\\.[0-9]*[1-9][0-9]*)$".to_owned(),
            Self::Symbol => "^[A-Za-z0-9]{2,16}([-/_]?[A-Za-z0-9]{1,16})?$".to_owned(),
            Self::Time => "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,9})?([Zz]|[-+][0-9]{2}:[0-9]{2})$".to_owned(),
            Self::Cursor => "^[A-Za-z0-9_-]{1,200}$".to_owned(),
            Self::Interval => {
                let words = Interval::ALL.map(Interval::as_str);
                format!("^({})$", words.join("|"))
            }
            Self::Seq => "^(0|[1-9][0-9]{0,18})$".to_owned(),
            Self::Setting => "^[A-Za-z0-9_:-]{1,64}(\\.[A-Za-z0-9_:-]{1,64}){0,5}$".to_owned(),
            Self::Theme => "^(light|dark)$".to_owned(),
            Self::Drawing => "^(candles|line)$".to_owned(),
            Self::Line => "^[^\\x00-\\x1F\\x7F]+$".to_owned(),
            Self::KeyId => "^[0-9A-Za-z]{8}$".to_owned(),
            Self::File => "^[a-z-]{1,32}\\.(css|html|js|svg)$".to_owned(),
        }
    }

    /// Longest text of the form.
    pub(crate) const fn length_max(self) -> usize {
        match self {
            Self::Asset => 16,
            Self::Pair => 33,
            // What the longest target leaves room for.
            Self::Pairs | Self::Listing => 7_500,
            Self::Source => 31,
            Self::Amount => 28,
            Self::Symbol => 33,
            Self::Time => 35,
            Self::Cursor => 200,
            Self::Interval => 2,
            Self::Theme => 5,
            Self::Drawing => 7,
            Self::Seq => 19,
            Self::Setting | Self::Line => 256,
            Self::KeyId => 8,
            Self::File => 37,
        }
    }

    /// True when the text is of this form.
    pub(crate) fn accepts(self, text: &str) -> bool {
        // Counted in characters, as `maxLength` is.
        if text.len() > self.length_max() && text.chars().count() > self.length_max() {
            return false;
        }
        match self {
            Self::Asset => is_asset(text),
            Self::Pair => is_pair(text),
            Self::Pairs => text.split(',').all(is_pair),
            Self::Listing => !text.is_empty(),
            Self::Source => {
                !text.is_empty()
                    && text
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b"_:-".contains(&b))
            }
            Self::Amount => is_amount(text),
            Self::Symbol => is_symbol(text),
            Self::Time => is_time(text.as_bytes()),
            Self::Cursor => {
                !text.is_empty()
                    && text
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b))
            }
            Self::Interval => text.parse::<Interval>().is_ok(),
            Self::Theme => matches!(text, "light" | "dark"),
            Self::Drawing => matches!(text, "candles" | "line"),
            Self::Seq => {
                !text.is_empty()
                    && text.bytes().all(|b| b.is_ascii_digit())
                    && (text == "0" || !text.starts_with('0'))
            }
            Self::Setting => {
                text.split('.').count() <= 6
                    && text.split('.').all(|part| {
                        (1..=64).contains(&part.len())
                            && part
                                .bytes()
                                .all(|b| b.is_ascii_alphanumeric() || b"_:-".contains(&b))
                    })
            }
            Self::KeyId => text.parse::<kurs_auth::KeyId>().is_ok(),
            Self::Line => {
                !text.is_empty() && !text.chars().any(|c| matches!(c, '\0'..='\x1F' | '\x7F'))
            }
            Self::File => text.split_once('.').is_some_and(|(name, kind)| {
                (1..=32).contains(&name.len())
                    && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
                    && ["css", "html", "js", "svg"].contains(&kind)
            }),
        }
    }

    /// The form in words.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Asset => "an asset is 1 to 16 letters or digits, such as BTC",
            Self::Pair => "a pair is written BASE-QUOTE, such as BTC-USD",
            Self::Pairs | Self::Listing => {
                "pairs are written BASE-QUOTE with commas between them, such as BTC-USD,ETH-USD"
            }
            Self::Source => {
                "a source name has 1 to 31 letters, digits, dashes, underscores and colons"
            }
            Self::Amount => {
                "an amount is a decimal number greater than zero of at most 28 characters, such as 2.5"
            }
            Self::Symbol => {
                "a symbol is 2 to 32 letters or digits, such as BTCUSDT, also as BTC-USDT or BTC/USDT"
            }
            Self::Time => "a time is written as RFC 3339, such as 2026-11-21T10:00:00Z",
            Self::Cursor => "a cursor is taken as it is from the `next` of an earlier page",
            Self::Interval => "an interval is one of 1s, 1m, 5m, 1h, 1d",
            Self::Seq => "a seq is a whole number, taken as it is from an answer",
            Self::Setting => {
                "a key is written as in the configuration, such as sources.binance.enabled"
            }
            Self::Line => "1 to 256 characters in one line",
            Self::KeyId => {
                "the id of a key is 8 letters or digits, between the second and third _ of the key"
            }
            Self::File => "a file of the page, such as kurs.css",
            Self::Theme => "a theme is light or dark",
            Self::Drawing => "a form is candles or line",
        }
    }
}

fn alphanumeric(text: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn is_asset(text: &str) -> bool {
    alphanumeric(text, 1, 16)
}

fn is_pair(text: &str) -> bool {
    match text.rsplit_once(['-', '/', '_']) {
        Some((base, quote)) => is_asset(quote) && (is_asset(base) || DASHED_IDS.contains(&base)),
        None => alphanumeric(text, 2, 16),
    }
}

fn is_symbol(text: &str) -> bool {
    match text.split_once(['-', '/', '_']) {
        Some((base, quote)) => alphanumeric(base, 2, 16) && is_asset(quote),
        None => alphanumeric(text, 2, 32),
    }
}

fn is_amount(text: &str) -> bool {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (text, None),
    };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    digits(whole)
        && fraction.is_none_or(digits)
        && text.bytes().any(|byte| (b'1'..=b'9').contains(&byte))
}

fn is_time(text: &[u8]) -> bool {
    const SHAPE: &[u8] = b"dddd-dd-ddTdd:dd:dd";
    let fits = |text: &[u8], shape: &[u8]| {
        text.len() == shape.len()
            && text.iter().zip(shape).all(|(byte, expect)| match expect {
                b'd' => byte.is_ascii_digit(),
                b'T' => matches!(byte, b'T' | b't'),
                b'+' => matches!(byte, b'+' | b'-'),
                other => byte == other,
            })
    };
    let Some((start, mut rest)) = text.split_at_checked(SHAPE.len()) else {
        return false;
    };
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = fraction
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        if !(1..=9).contains(&length) {
            return false;
        }
        rest = fraction.get(length..).unwrap_or_default();
    }
    fits(start, SHAPE) && (matches!(rest, b"Z" | b"z") || fits(rest, b"+dd:dd"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::string::string_regex;

    /// Any form with a text made from its pattern, which is then cut to the longest length.
    fn text_of_form() -> impl Strategy<Value = (Form, String)> {
        proptest::sample::select(Form::ALL.to_vec()).prop_flat_map(|form| {
            let strategy = string_regex(form.pattern().trim_matches(['^', '$'])).unwrap();
            strategy.prop_map(move |text| (form, text))
        })
    }

    proptest! {
        #[test]
        fn what_matches_the_documented_pattern_is_accepted((form, text) in text_of_form()) {
            prop_assume!(text.chars().count() <= form.length_max());
            prop_assert!(form.accepts(&text), "{form:?} refuses {text:?}");
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            for form in Form::ALL {
                let _ = form.accepts(&text);
            }
        }
    }

    #[test]
    fn what_does_not_match_the_pattern_is_refused() {
        for (form, texts) in [
            (
                Form::Asset,
                ["", "A-B", "ABCDEFGHIJKLMNOPQ", "Ä", " BTC"].as_slice(),
            ),
            (
                Form::Pair,
                &[
                    "",
                    "-",
                    "A--B",
                    "A-B-C",
                    "A",
                    "BTC USD",
                    "bit-coin-usd",
                    ",",
                    "BTC-USD,",
                ],
            ),
            (Form::Pairs, &["", ",", "BTC-USD,,ETH-USD", "BTC-USD,"]),
            (Form::Source, &["", "a b", "a/b"]),
            (
                Form::Amount,
                &[
                    "",
                    "0",
                    "0.0",
                    "-1",
                    "+1",
                    "1.",
                    ".5",
                    "1e3",
                    "1,5",
                    "NaN",
                    "12345678901234567890123456789",
                ],
            ),
            (Form::Listing, &[""]),
            (
                Form::Symbol,
                &["", "B", "BTC/", "BTC--USDT", "BTC/USDT/X", "ÄÖ"],
            ),
            (
                Form::Time,
                &[
                    "",
                    "2026-11-21",
                    "2026-11-21T10:00:00",
                    "2026-11-21T10:00:00.Z",
                    "2026-11-21T10:00:00+03",
                ],
            ),
            (Form::Cursor, &["", "a=b", "a b"]),
            (
                Form::Seq,
                &["", "-1", "+1", "01", "1.0", "12345678901234567890"],
            ),
            (
                Form::Setting,
                &[
                    "",
                    ".",
                    "a.",
                    ".a",
                    "a..b",
                    "a b",
                    "a/b",
                    "ä",
                    "a.b.c.d.e.f.g",
                ],
            ),
            (Form::Line, &["", "a\nb", "\u{0}", "\u{7f}"]),
            (Form::Theme, &["", "Light", "light ", "blue"]),
            (Form::Drawing, &["", "Line", "bars", "lines"]),
            (Form::Interval, &["", "1", "m", "2m", "1M", "1m ", "10m"]),
        ] {
            for text in texts {
                assert!(!form.accepts(text), "{form:?} accepts {text:?}");
            }
        }
    }
}
