//! A bookTicker written exactly as the venue writes it today, read without a JSON parser: these
//! frames come in numbers, and parsing JSON was the largest part of what one cost
//! (`docs/benchmarks.md`). Whatever differs in a single byte is left to the parser, so this
//! decides nothing about what is accepted; a test compares the two.

use super::wire::BookTicker;
use std::borrow::Cow;

/// Reads `{"u":..,"s":"..","b":"..","B":"..","a":"..","A":".."}`, keys in this order, no blanks,
/// nothing after it. `None` leaves the text to the parser.
pub(super) fn book_ticker(text: &str) -> Option<BookTicker<'_>> {
    let (update_id, rest) = number(text.strip_prefix(r#"{"u":"#)?)?;
    let (symbol, rest) = string(rest.strip_prefix(r#","s":""#)?)?;
    let (bid, rest) = string(rest.strip_prefix(r#","b":""#)?)?;
    let (_, rest) = string(rest.strip_prefix(r#","B":""#)?)?;
    let (ask, rest) = string(rest.strip_prefix(r#","a":""#)?)?;
    let (_, rest) = string(rest.strip_prefix(r#","A":""#)?)?;
    (rest == "}").then_some(BookTicker {
        update_id,
        symbol: Cow::Borrowed(symbol),
        bid: Cow::Borrowed(bid),
        ask: Cow::Borrowed(ask),
    })
}

/// The same inside the wrapper of a combined stream, after its `{"stream":"`.
pub(super) fn wrapped_book_ticker(text: &str) -> Option<BookTicker<'_>> {
    let (name, rest) = string(text)?;
    if !name.ends_with("@bookTicker") {
        return None;
    }
    let data = rest.strip_prefix(r#","data":"#)?.strip_suffix('}')?;
    book_ticker(data)
}

/// A JSON string up to its closing quote. One with an escape or a control character is for the
/// parser to judge.
fn string(text: &str) -> Option<(&str, &str)> {
    let end = text
        .bytes()
        .position(|byte| byte == b'"' || byte == b'\\' || byte < 0x20)?;
    let rest = text.get(end..)?.strip_prefix('"')?;
    Some((text.get(..end)?, rest))
}

/// A JSON integer of at most 19 digits, without a leading zero.
fn number(text: &str) -> Option<(u64, &str)> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit())?;
    let digits = text.get(..end)?;
    if digits.is_empty() || digits.len() > 19 || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    Some((digits.parse().ok()?, text.get(end..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(text: &str) -> Option<BookTicker<'_>> {
        serde_json::from_str(text).ok()
    }

    #[test]
    fn what_the_venue_writes_is_read_quickly_and_as_the_parser_reads_it() {
        let text = r#"{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000","B":"3.78826000","a":"61837.64000000","A":"1.54698000"}"#;
        let quick = book_ticker(text);
        assert!(quick.is_some());
        assert_eq!(quick, parsed(text));
        let wrapped = format!(r#"btcusdt@bookTicker","data":{text}}}"#);
        assert_eq!(wrapped_book_ticker(&wrapped), parsed(text));
    }

    #[test]
    fn what_differs_is_left_to_the_parser() {
        for text in [
            r#"{"u":05,"s":"X","b":"1","B":"1","a":"2","A":"1"}"#,
            r#"{"u":-5,"s":"X","b":"1","B":"1","a":"2","A":"1"}"#,
            r#"{"u":5, "s":"X","b":"1","B":"1","a":"2","A":"1"}"#,
            r#"{"s":"X","u":5,"b":"1","B":"1","a":"2","A":"1"}"#,
            r#"{"u":5,"s":"\u0058","b":"1","B":"1","a":"2","A":"1"}"#,
            r#"{"u":5,"s":"X","b":"1","B":"1","a":"2","A":"1"} "#,
            r#"{"u":5,"s":"X","b":"1","B":"1","a":"2","A":"1"}}"#,
            r#"{"u":5,"s":"X","b":"1","B":"1","a":"2"}"#,
            "",
        ] {
            assert_eq!(book_ticker(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_read_that_the_parser_reads_otherwise(
            head in r#"[{]"u":[0-9]{0,21},"s":"[^"]{0,6}""#,
            bid in "[0-9.eE+\\\\\"-]{0,8}",
            tail in r#","B":"[0-9.]{0,4}","a":"[^"]{0,8}","A":"[0-9]{0,3}"[}]{0,2}"#,
        ) {
            let text = format!(r#"{head},"b":"{bid}"{tail}"#);
            if let Some(quick) = book_ticker(&text) {
                prop_assert_eq!(Some(quick), parsed(&text));
            }
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = (book_ticker(&text), wrapped_book_ticker(&text));
        }
    }
}
