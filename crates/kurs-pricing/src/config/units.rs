//! Values as policies write them: percentages, spans of time, exact numbers, days.

use kurs_core::price::parse_decimal;
use kurs_core::{Price, Wall};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;
use thiserror::Error;

const HUNDRED: Decimal = Decimal::ONE_HUNDRED;

/// A share, written `0.5%`. Exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Percent(Decimal);

/// A length of time, written `500ms`, `60s`, `5m` or `2h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

/// An exact number greater than zero, written as a number or as a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exact(Decimal);

/// A day, written `2026-12-31`; as the end of something it is over when the day is, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(Wall);

/// What a value should look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UnitError {
    /// No percentage.
    #[error("a percentage is written 0.5%, from 0% to below 100%")]
    Percent,
    /// No span of time.
    #[error("a time is written 500ms, 60s, 5m or 2h")]
    Span,
    /// No number.
    #[error("an exact number greater than zero, such as 80.5, with at most 28 digits")]
    Exact,
    /// No day.
    #[error("a day is written 2026-12-31")]
    Day,
}

impl Percent {
    /// From hundredths of a percent: `of_basis_points(50)` is 0.5 %.
    #[must_use]
    pub const fn of_basis_points(points: u32) -> Self {
        Self(Decimal::from_parts(points, 0, 0, false, 4))
    }

    /// The share: 0.005 for 0.5 %.
    #[must_use]
    pub const fn fraction(self) -> Decimal {
        self.0
    }

    /// The number before the sign: 0.5 for 0.5 %.
    #[must_use]
    pub fn number(self) -> Decimal {
        self.0.checked_mul(HUNDRED).unwrap_or(self.0).normalize()
    }

    /// The percentage with this number before the sign.
    #[must_use]
    pub fn of_number(number: Decimal) -> Option<Self> {
        let fraction = number.checked_div(HUNDRED)?.normalize();
        let is_share = !fraction.is_sign_negative() && fraction < Decimal::ONE;
        is_share.then_some(Self(fraction))
    }
}

impl FromStr for Percent {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let number = text.strip_suffix('%').ok_or(UnitError::Percent)?.trim_end();
        let number = parse_decimal(number).map_err(|_| UnitError::Percent)?;
        Self::of_number(number).ok_or(UnitError::Percent)
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}%", self.number())
    }
}

impl FromStr for Span {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u32 = number.parse().map_err(|_| UnitError::Span)?;
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err(UnitError::Span),
        };
        Ok(Self(Duration::from_millis(u64::from(number) * unit_ms)))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.as_millis();
        if ms.is_multiple_of(1_000) {
            write!(formatter, "{}s", ms / 1_000)
        } else {
            write!(formatter, "{ms}ms")
        }
    }
}

impl Exact {
    /// Five.
    pub const FIVE: Self = Self(Decimal::from_parts(5, 0, 0, false, 0));

    /// The number.
    #[must_use]
    pub const fn value(self) -> Decimal {
        self.0
    }
}

impl FromStr for Exact {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        Price::parse(text)
            .map(|price| Self(price.value()))
            .map_err(|_| UnitError::Exact)
    }
}

impl fmt::Display for Exact {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl Day {
    /// When the day is over, in UTC.
    #[must_use]
    pub fn end(self) -> Wall {
        self.0.plus(Duration::from_secs(86_400))
    }
}

impl FromStr for Day {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Self, UnitError> {
        let is_day = text.len() == 10 && text.is_ascii();
        if !is_day {
            return Err(UnitError::Day);
        }
        format!("{text}T00:00:00Z")
            .parse()
            .map(Self)
            .map_err(|_| UnitError::Day)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        formatter.write_str(text.get(..10).unwrap_or(&text))
    }
}

/// Serde as text, and the schema of a text of this form.
macro_rules! written_as_text {
    ($name:ident, $schema:literal, $pattern:literal, $words:literal) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = Cow::<'de, str>::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                $schema.into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "pattern": $pattern,
                    "description": $words,
                })
            }
        }
    };
}

written_as_text!(
    Percent,
    "Percent",
    "^[0-9]+(\\.[0-9]+)? *%$",
    "A percentage, such as 0.5%."
);
written_as_text!(
    Span,
    "Span",
    "^[0-9]+(ms|s|m|h)$",
    "A length of time, such as 60s or 5m."
);
written_as_text!(
    Day,
    "Day",
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    "A day, such as 2026-12-31."
);

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl serde::de::Visitor<'_> for Reader {
            type Value = Exact;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an exact number greater than zero")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Exact, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Exact, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Exact, E> {
                self.visit_str(&number.to_string())
            }

            // The shortest text of a number is what was written, up to 15 digits. With more
            // digits it may not be, and is refused: those have to be written as a text.
            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Exact, E> {
                let text = number.to_string();
                let digits = text.bytes().filter(u8::is_ascii_digit).count();
                if digits > 15 {
                    return Err(E::custom("so many digits are written in quotes"));
                }
                self.visit_str(&text)
            }
        }
        from.deserialize_any(Reader)
    }
}

impl JsonSchema for Exact {
    fn schema_name() -> Cow<'static, str> {
        "Exact".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "anyOf": [
                { "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)?$" },
                { "type": "number", "exclusiveMinimum": 0 },
            ],
            "description": "An exact number greater than zero.",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_exact_and_below_one() {
        let percent: Percent = "0.5%".parse().unwrap();
        assert_eq!(percent.fraction().to_string(), "0.005");
        assert_eq!(percent.to_string(), "0.5%");
        assert_eq!(percent, Percent::of_basis_points(50));
        for text in ["0.5", "-1%", "100%", "%", "1e400%", "half"] {
            assert_eq!(text.parse::<Percent>(), Err(UnitError::Percent), "{text}");
        }
    }

    #[test]
    fn spans_days_and_numbers_are_read_as_written() {
        assert_eq!("60s".parse::<Span>().unwrap().0, Duration::from_secs(60));
        assert_eq!("2h".parse::<Span>().unwrap().to_string(), "7200s");
        assert_eq!("500ms".parse::<Span>().unwrap().to_string(), "500ms");
        for text in ["60", "s", "-1s", "99999999999s", "1 s"] {
            assert_eq!(text.parse::<Span>(), Err(UnitError::Span), "{text}");
        }
        let day: Day = "2026-12-31".parse().unwrap();
        assert_eq!(day.end().to_string(), "2027-01-01T00:00:00.000Z");
        assert_eq!(day.to_string(), "2026-12-31");
        for text in ["2026-02-30", "31.12.2026", "2026-12-31T"] {
            assert_eq!(text.parse::<Day>(), Err(UnitError::Day), "{text}");
        }
        let exact = |json: &str| serde_json::from_str::<Exact>(json).map(|exact| exact.to_string());
        assert_eq!(exact("80.5").unwrap(), "80.5");
        assert_eq!(exact("\"80.50\"").unwrap(), "80.50");
        assert_eq!(exact("5").unwrap(), "5");
        for text in ["0", "-1", "\"x\"", "0.12345678901234567", "1e300", "true"] {
            assert!(exact(text).is_err(), "{text}");
        }
    }
}
