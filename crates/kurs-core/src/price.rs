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

/// A positive exact decimal: how many units of the quote asset one unit of the base asset costs.
/// It holds every number of up to 28 significant digits, and of 29 those whose digits are not
/// above 79228162514264337593543950335; at most 28 of them after the point. Trailing zeros as
/// sent by a venue are kept.
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
    /// A computation left the range of what can be held.
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

    /// The middle of two prices, without trailing zeros. `pricing.md` section 1, `mid`. Exact
    /// for prices whose sum has at most 28 digits, 27 of them after the point: all that venues
    /// write. Beyond that it may be rounded in the last digit that can be held, and is never
    /// below the lower or above the higher price.
    ///
    /// # Errors
    /// [`PriceError::OutOfRange`] when a step cannot be held. Two prices always have a middle,
    /// so this is not to be expected.
    #[inline]
    pub fn mid(bid: Self, ask: Self) -> Result<Self, PriceError> {
        let scale = bid.0.scale().max(ask.0.scale());
        // A smaller scale than the operands' is how a rounded result shows.
        let exact = bid
            .0
            .checked_add(ask.0)
            .filter(|sum| sum.scale() == scale)
            .and_then(|sum| sum.checked_mul(HALF))
            .filter(|half| half.scale() == scale + 1);
        match exact {
            Some(half) => Self::new(half.normalize()),
            None => Self::rounded_mid(bid.0.min(ask.0), bid.0.max(ask.0)),
        }
    }

    /// Half of the width is added, since the sum of both may be more than can be held.
    #[cold]
    fn rounded_mid(low: Decimal, high: Decimal) -> Result<Self, PriceError> {
        let width = high.checked_sub(low).ok_or(PriceError::OutOfRange)?;
        let half = width.checked_mul(HALF).ok_or(PriceError::OutOfRange)?;
        let mid = low.checked_add(half).ok_or(PriceError::OutOfRange)?;
        Self::new(mid.clamp(low, high).normalize())
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

/// What a [`Decimal`] is in text, for schemas only: unlike a [`Price`] it may be zero or negative.
#[derive(Debug)]
pub struct DecimalText;

impl schemars::JsonSchema for DecimalText {
    fn schema_name() -> Cow<'static, str> {
        "Decimal".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "pattern": "^-?[0-9]+(\\.[0-9]+)?$",
            "description": "exact decimal without exponent",
        })
    }
}

#[cfg(test)]
mod tests;
