//! Exact prices. A price is read from wire text, computed and printed as a decimal; no binary
//! floating point touches it.

use rust_decimal::{Decimal, RoundingStrategy};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Most significant digits of a number that leaves the server after arithmetic: a JSON number
/// of 15 digits survives a binary double in any client.
pub const PUBLISHED_DIGITS: u32 = 15;

/// One half. Multiplying by it costs a third of dividing by two, and is as exact.
pub const HALF: Decimal = Decimal::from_parts(5, 0, 0, false, 1);

/// A positive exact decimal with up to 28 significant digits: how many units of the quote
/// asset one unit of the base asset costs. Trailing zeros as sent by a venue are kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Price(Decimal);

/// Why a number is not a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PriceError {
    /// Not a decimal number, or more digits than can be held exactly.
    #[error("not an exact decimal number")]
    Malformed,
    /// Zero or negative.
    #[error("a price must be greater than zero")]
    NotPositive,
    /// A computation left the range of 28 significant digits.
    #[error("the result is out of range")]
    OutOfRange,
}

impl Price {
    /// The price of this value.
    ///
    /// # Errors
    /// [`PriceError::NotPositive`] for zero and below.
    pub fn new(value: Decimal) -> Result<Self, PriceError> {
        if value.is_sign_negative() || value.is_zero() {
            return Err(PriceError::NotPositive);
        }
        Ok(Self(value))
    }

    /// Reads a number as a venue writes it: `"54000.01000000"` or, from JSON numbers of rate
    /// services, `1.12e-5`.
    ///
    /// # Errors
    /// [`PriceError::Malformed`] when it is no number or cannot be held exactly,
    /// [`PriceError::NotPositive`] for zero and below.
    pub fn parse(text: &str) -> Result<Self, PriceError> {
        Self::new(parse_decimal(text)?)
    }

    /// The exact value.
    #[must_use]
    pub const fn value(self) -> Decimal {
        self.0
    }

    /// The middle of two prices, exact, without trailing zeros. `pricing.md` section 1, `mid`.
    ///
    /// # Errors
    /// [`PriceError::OutOfRange`] when the sum cannot be held.
    pub fn mid(bid: Self, ask: Self) -> Result<Self, PriceError> {
        let sum = bid.0.checked_add(ask.0).ok_or(PriceError::OutOfRange)?;
        let half = sum.checked_mul(HALF).ok_or(PriceError::OutOfRange)?;
        Self::new(half.normalize())
    }

    /// The product of two prices: `BTC-USDT` times `USDT-USD` is `BTC-USD`.
    ///
    /// # Errors
    /// [`PriceError::OutOfRange`] when it cannot be held or vanishes.
    pub fn times(self, other: Self) -> Result<Self, PriceError> {
        let product = self.0.checked_mul(other.0).ok_or(PriceError::OutOfRange)?;
        Self::new(product).map_err(|_| PriceError::OutOfRange)
    }

    /// The price of the inverse pair, to 28 significant digits.
    ///
    /// # Errors
    /// [`PriceError::OutOfRange`] when it cannot be held or vanishes.
    pub fn inverse(self) -> Result<Self, PriceError> {
        let quotient = Decimal::ONE
            .checked_div(self.0)
            .ok_or(PriceError::OutOfRange)?;
        Self::new(quotient).map_err(|_| PriceError::OutOfRange)
    }

    /// Rounded half-even to [`PUBLISHED_DIGITS`] significant digits, without trailing zeros:
    /// the form in which a computed price leaves the server.
    #[must_use]
    pub fn published(self) -> Self {
        Self(round_published(self.0))
    }

    /// Without trailing zeros.
    #[must_use]
    pub fn normalized(self) -> Self {
        Self(self.0.normalize())
    }
}

/// Rounds a computed number to [`PUBLISHED_DIGITS`] significant digits, half-even, and drops
/// trailing zeros.
#[must_use]
pub fn round_published(value: Decimal) -> Decimal {
    let rounded = value
        .round_sf_with_strategy(PUBLISHED_DIGITS, RoundingStrategy::MidpointNearestEven)
        .unwrap_or(value);
    rounded.normalize()
}

/// Reads a decimal number, exponent form included, exactly or not at all.
///
/// # Errors
/// [`PriceError::Malformed`] when it is no number or would have to be rounded.
pub fn parse_decimal(text: &str) -> Result<Decimal, PriceError> {
    if text.len() > 64 {
        return Err(PriceError::Malformed);
    }
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    let (Some(first), Some(last)) = (digits.first(), digits.last()) else {
        return Err(PriceError::Malformed);
    };
    if !first.is_ascii_digit() || !last.is_ascii_digit() {
        return Err(PriceError::Malformed);
    }
    for byte in digits {
        match byte {
            b'0'..=b'9' | b'.' => {}
            b'e' | b'E' => return parse_scientific(text),
            _ => return Err(PriceError::Malformed),
        }
    }
    Decimal::from_str_exact(text).map_err(|_| PriceError::Malformed)
}

/// `Decimal::from_scientific` rounds what does not fit; this moves the point in the text, so
/// that the exact parser sees every digit.
fn parse_scientific(text: &str) -> Result<Decimal, PriceError> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).ok_or(PriceError::Malformed)?;
    let exponent: i32 = exponent.parse().map_err(|_| PriceError::Malformed)?;
    let value = parse_decimal_plain(mantissa)?;
    if value.is_zero() {
        return Ok(value);
    }
    let scale = i32::try_from(value.scale()).map_err(|_| PriceError::Malformed)?;
    let moved = scale.checked_sub(exponent).ok_or(PriceError::Malformed)?;
    if (0..=28).contains(&moved) {
        let mut result = value;
        let scale = u32::try_from(moved).map_err(|_| PriceError::Malformed)?;
        result.set_scale(scale).map_err(|_| PriceError::Malformed)?;
        return Ok(result);
    }
    if !(-28..0).contains(&moved) {
        return Err(PriceError::Malformed);
    }
    let mut result = value;
    result.set_scale(0).map_err(|_| PriceError::Malformed)?;
    for _ in 0..-moved {
        result = result
            .checked_mul(Decimal::TEN)
            .ok_or(PriceError::Malformed)?;
    }
    Ok(result)
}

fn parse_decimal_plain(text: &str) -> Result<Decimal, PriceError> {
    if text.bytes().any(|byte| byte == b'e' || byte == b'E') {
        return Err(PriceError::Malformed);
    }
    parse_decimal(text)
}

impl fmt::Display for Price {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl fmt::Debug for Price {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl FromStr for Price {
    type Err = PriceError;

    fn from_str(text: &str) -> Result<Self, PriceError> {
        Self::parse(text)
    }
}

impl serde::Serialize for Price {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Price {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl schemars::JsonSchema for Price {
    fn schema_name() -> Cow<'static, str> {
        "Price".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^[0-9]+(\\.[0-9]+)?$",
            "description": "exact decimal without exponent: units of the quote asset for one unit of the base asset",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn price(text: &str) -> Price {
        Price::parse(text).unwrap()
    }

    #[test]
    fn digits_of_a_venue_are_kept_as_sent() {
        assert_eq!(price("54000.01000000").to_string(), "54000.01000000");
    }

    #[test]
    fn exponents_of_rate_services_are_read_exactly() {
        assert_eq!(price("1.12e-5").to_string(), "0.0000112");
        assert_eq!(price("2.2e15").to_string(), "2200000000000000");
        assert_eq!(price("1E3").to_string(), "1000");
    }

    #[test]
    fn what_is_not_a_positive_exact_number_is_refused() {
        for text in [
            "",
            ".",
            "1.",
            ".5",
            "abc",
            "NaN",
            "inf",
            "1_000",
            "+1",
            "0x10",
            "1e308",
            "1e-300",
            "1e1e1",
            "1,5",
            " 1",
            "12345678901234567890123456789012345",
            "0.00000000000000000000000000001",
        ] {
            assert_eq!(Price::parse(text), Err(PriceError::Malformed), "{text:?}");
        }
        for text in ["0", "0.00", "-1", "-0.5", "0e5", "-1e2"] {
            assert_eq!(Price::parse(text), Err(PriceError::NotPositive), "{text:?}");
        }
    }

    #[test]
    fn mid_is_the_middle_of_the_best_levels() {
        assert_eq!(
            Price::mid(price("100.00"), price("100.10"))
                .unwrap()
                .to_string(),
            "100.05"
        );
        assert_eq!(
            Price::mid(price("100"), price("100.01"))
                .unwrap()
                .to_string(),
            "100.005"
        );
    }

    #[test]
    fn path_product_of_the_golden_vector() {
        let product = price("60000.00").times(price("0.9990")).unwrap();
        let product = product.times(price("90.50")).unwrap();
        assert_eq!(product.published().to_string(), "5424570");
    }

    #[test]
    fn published_prices_have_fifteen_digits_rounded_half_even() {
        assert_eq!(
            price("3").inverse().unwrap().published().to_string(),
            "0.333333333333333"
        );
        assert_eq!(price("100.0000000000005").published().to_string(), "100");
        assert_eq!(
            price("100.0000000000015").published().to_string(),
            "100.000000000002"
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = Price::parse(&text);
        }

        #[test]
        fn json_keeps_every_digit(whole in 1_u64.., fraction in "[0-9]{0,8}") {
            let text = if fraction.is_empty() { whole.to_string() } else { format!("{whole}.{fraction}") };
            let parsed = price(&text);
            let json = serde_json::to_string(&parsed).unwrap();
            prop_assert_eq!(&json, &format!("\"{text}\""));
            prop_assert_eq!(serde_json::from_str::<Price>(&json).unwrap(), parsed);
        }

        #[test]
        fn twice_the_inverse_is_the_same_published_price(mantissa in 1_u64..1_000_000_000_000, scale in 0_u32..9) {
            let value = Price::new(Decimal::new(i64::try_from(mantissa).unwrap(), scale)).unwrap();
            let back = value.inverse().unwrap().inverse().unwrap();
            prop_assert_eq!(back.published(), value.published());
        }
    }
}
