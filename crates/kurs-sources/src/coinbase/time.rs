//! Times of the venue.

use kurs_core::Wall;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};
use std::fmt;

/// A time that may be missing, of another type, or nonsense: the venue has sent year 1.
pub(super) struct Time(pub(super) Option<Wall>);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl Visitor<'_> for Any {
            type Value = Time;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a time")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
                Ok(Time(parse_time(text)))
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Time, E> {
                Ok(Time(None))
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<Time, E> {
                Ok(Time(None))
            }

            fn visit_u64<E: Error>(self, _: u64) -> Result<Time, E> {
                Ok(Time(None))
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<Time, E> {
                Ok(Time(None))
            }

            fn visit_unit<E: Error>(self) -> Result<Time, E> {
                Ok(Time(None))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

/// Reads `2021-04-17T16:43:37.123456Z`. Times before 1970 are none.
fn parse_time(text: &str) -> Option<Wall> {
    let at: Wall = micros_of_usual(text).or_else(|| text.parse().ok())?;
    (at.0 > 0).then_some(at)
}

/// The usual writing, six digits behind the point: the whole second is read by the general
/// parser from a copy on the stack, since that parser allocates for a fraction.
fn micros_of_usual(text: &str) -> Option<Wall> {
    let (second, fraction) = text.strip_suffix('Z')?.split_once('.')?;
    if fraction.len() != 6 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut whole = *b"0000-00-00T00:00:00Z";
    whole
        .get_mut(..19)
        .filter(|head| head.len() == second.len())?
        .copy_from_slice(second.as_bytes());
    let whole: Wall = std::str::from_utf8(&whole).ok()?.parse().ok()?;
    let micros: i64 = fraction.parse().ok()?;
    Some(Wall(whole.0.saturating_add(micros)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_writing_of_a_time_is_read_as_any_other() {
        for text in [
            "2021-04-17T16:43:37.123456Z",
            "1999-12-31T23:59:59.000001Z",
            "2024-02-29T00:00:00.999999Z",
        ] {
            assert_eq!(micros_of_usual(text), text.parse().ok());
            assert!(parse_time(text).is_some());
        }
        for text in [
            "2021-04-17T16:43:37.12Z",
            "2021-04-17T16:43:37Z",
            "2021-04-17 16:43:37.123456Z",
            "2021-02-30T16:43:37.123456Z",
            "2021-04-17T16:43:37.+12345Z",
            "1.000000Z",
            ".000000Z",
            "\u{e9}021-04-17T16:43:3.123456Z",
        ] {
            assert_eq!(micros_of_usual(text), None, "{text}");
        }
        assert!(parse_time("2021-04-17T16:43:37.12Z").is_some());
        assert_eq!(parse_time("0001-01-01T00:00:00.000000Z"), None);
    }
}
