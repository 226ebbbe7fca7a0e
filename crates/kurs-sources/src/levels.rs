//! Levels of order books as venues write them, `["61837.63","1.5"]`, read in one pass from the
//! JSON text into [`Change`]s: books are most of what a venue sends, so nothing between the
//! two is allocated.

use kurs_book::{Change, Side};
use kurs_core::Price;
use kurs_core::price::parse_decimal;
use rust_decimal::Decimal;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, de};
use std::fmt;

/// A decimal number written as a JSON string; `None` for whatever else stands there. The frame
/// goes on, so that its reader learns whose number it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Number(pub(crate) Option<Decimal>);

impl Number {
    /// The number as a price; `None` for zero and below.
    pub(crate) fn price(self) -> Option<Price> {
        self.0.and_then(|value| Price::new(value).ok())
    }

    /// The number as a size; `None` below zero.
    pub(crate) fn size(self) -> Option<Decimal> {
        self.0
            .filter(|value| value.is_zero() || value.is_sign_positive())
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Number;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a decimal number as text")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Number, E> {
                Ok(Number(parse_decimal(text).ok()))
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<Number, E> {
                Ok(Number(None))
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<Number, E> {
                Ok(Number(None))
            }

            fn visit_u64<E: Error>(self, _: u64) -> Result<Number, E> {
                Ok(Number(None))
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<Number, E> {
                Ok(Number(None))
            }

            fn visit_unit<E: Error>(self) -> Result<Number, E> {
                Ok(Number(None))
            }
        }

        deserializer.deserialize_any(Text)
    }
}

/// Where levels go.
#[derive(Debug)]
pub(crate) struct Sink<'a> {
    /// Readable levels are added here.
    pub(crate) changes: &'a mut Vec<Change>,
    /// Set when a level was no level: a price that is none, a size below zero.
    pub(crate) is_broken: &'a mut bool,
}

impl Sink<'_> {
    /// Takes a level in.
    pub(crate) fn put(&mut self, side: Side, price: Number, size: Number) {
        match (price.price(), size.size()) {
            (Some(price), Some(size)) => self.changes.push(Change { side, price, size }),
            _ => *self.is_broken = true,
        }
    }
}

/// The levels of one side: `[["price","size"],...]`. What follows the size is skipped.
#[derive(Debug)]
pub(crate) struct SideOf<'a> {
    /// Whose levels.
    pub(crate) side: Side,
    /// Where they go.
    pub(crate) sink: Sink<'a>,
}

impl<'de> DeserializeSeed<'de> for SideOf<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for SideOf<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("levels of a book")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut levels: A) -> Result<(), A::Error> {
        while let Some((price, size)) = levels.next_element_seed(PriceAndSize)? {
            self.sink.put(self.side, price, size);
        }
        Ok(())
    }
}

struct PriceAndSize;

impl<'de> DeserializeSeed<'de> for PriceAndSize {
    type Value = (Number, Number);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for PriceAndSize {
    type Value = (Number, Number);

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a price and a size")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut words: A) -> Result<Self::Value, A::Error> {
        let price = next_number(&mut words)?;
        let size = next_number(&mut words)?;
        skip_rest(&mut words)?;
        Ok((price, size))
    }
}

/// The next element, which must be there.
pub(crate) fn next_number<'de, A: SeqAccess<'de>>(words: &mut A) -> Result<Number, A::Error> {
    words
        .next_element()?
        .ok_or_else(|| de::Error::custom("a level without price or size"))
}

/// Skips what a level holds beyond what is read of it.
pub(crate) fn skip_rest<'de, A: SeqAccess<'de>>(words: &mut A) -> Result<(), A::Error> {
    while words.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

/// The first 120 characters of a venue's words.
pub(crate) fn shortened(text: &str) -> String {
    text.chars().take(120).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Result<(), String>, Vec<String>, bool) {
        let (mut changes, mut is_broken) = (Vec::new(), false);
        let side = SideOf {
            side: Side::Bid,
            sink: Sink {
                changes: &mut changes,
                is_broken: &mut is_broken,
            },
        };
        let mut json = serde_json::Deserializer::from_str(text);
        let read = side
            .deserialize(&mut json)
            .map_err(|error| error.to_string());
        let levels = changes
            .iter()
            .map(|change| format!("{}x{}", change.price, change.size))
            .collect();
        (read, levels, is_broken)
    }

    #[test]
    fn digits_of_the_wire_are_kept_and_what_follows_the_size_is_skipped() {
        let (done, levels, is_broken) =
            read(r#"[["1.50","0.00"],["\u0031","2.0",7,{"a":[1]}],["3","4","x"]]"#);
        assert_eq!(done, Ok(()));
        assert_eq!(levels, ["1.50x0.00", "1x2.0", "3x4"]);
        assert!(!is_broken);
    }

    #[test]
    fn a_level_that_is_none_is_told_and_the_others_are_read() {
        for bad in [
            r#"["0","1"]"#,
            r#"["-1","1"]"#,
            r#"["1","-1"]"#,
            r#"["1","0.-10000"]"#,
            r#"["NaN","1"]"#,
            r#"["1e308","1"]"#,
            r#"["","1"]"#,
            r#"[1,2]"#,
            r#"[1.5,null]"#,
            r#"[true,-2]"#,
        ] {
            let (done, levels, is_broken) = read(&format!(r#"[["1","1"],{bad},["2","2"]]"#));
            assert_eq!(done, Ok(()), "{bad}");
            assert_eq!(levels, ["1x1", "2x2"], "{bad}");
            assert!(is_broken, "{bad}");
        }
    }

    #[test]
    fn what_is_no_list_of_levels_is_an_error() {
        for text in [
            "",
            "{}",
            r#"[["1"]]"#,
            "[[]]",
            r#"["1","2"]"#,
            r#"[["1","2"]"#,
        ] {
            assert!(read(text).0.is_err(), "{text}");
        }
    }
}
