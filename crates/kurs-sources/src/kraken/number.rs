//! Bare JSON numbers with every digit, and times.
//!
//! The checksum is made of the digits as sent: `0.00005100` read as a binary number, or as a
//! decimal without its last zeros, gives another one.

use crate::levels::Number;
use jiff::Timestamp;
use kurs_core::Wall;
use kurs_core::price::parse_decimal;
use serde_json::value::RawValue;

/// Seconds since 1970 at the start of the year 2000. The venue writes 1970 where it has no
/// time; nothing it ever traded is older than this.
const EARLIEST_SECONDS: i64 = 946_684_800;

/// The number as written; none for whatever else stands there, texts included.
pub(super) fn number(raw: &RawValue) -> Number {
    Number(parse_decimal(raw.get()).ok())
}

/// An RFC 3339 time written as a JSON string; `None` for anything else and for 1970.
pub(super) fn time(raw: &RawValue) -> Option<Wall> {
    let text = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    let timestamp: Timestamp = text.parse().ok()?;
    (timestamp.as_second() >= EARLIEST_SECONDS).then(|| Wall(timestamp.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> Box<RawValue> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn digits_are_kept_as_sent_and_nothing_else_is_a_number() {
        for (text, expect) in [
            ("0.00005100", "0.00005100"),
            ("8750.0000", "8750.0000"),
            ("1e-08", "0.00000001"),
            ("0.00000000", "0.00000000"),
        ] {
            assert_eq!(number(&raw(text)).0.unwrap().to_string(), expect);
        }
        for text in [
            r#""1.5""#,
            "null",
            "true",
            "[1]",
            "1e308",
            "1e-300",
            "0.00000000000000000000000000001",
        ] {
            assert_eq!(number(&raw(text)).0, None, "{text}");
        }
    }

    #[test]
    fn times_are_read_to_the_microsecond_and_1970_is_none() {
        for text in [
            r#""2026-08-24T22:21:58.343688Z""#,
            r#""2026-08-24T22:21:58.343688999Z""#,
            r#""2026-08-25T00:21:58.343688+02:00""#,
        ] {
            let at = time(&raw(text)).unwrap();
            assert_eq!(at.to_string(), "2026-08-24T22:21:58.343Z");
            assert_eq!(at.0 % 1_000, 688);
        }
        for text in [
            r#""1970-01-01T00:00:00Z""#,
            r#""1970-01-01T00:00:00.000000Z""#,
            r#""1999-12-31T23:59:59Z""#,
            r#""""#,
            r#""soon""#,
            "1787612486207",
            "null",
        ] {
            assert_eq!(time(&raw(text)), None, "{text}");
        }
    }
}
