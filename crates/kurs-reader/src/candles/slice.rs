//! The arithmetic of one slice of time: prices of the legs multiplied.

use kurs_core::{Price, PriceError};
use kurs_store::Candle;

/// Open, high, low and close, in the direction of the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) open: Price,
    pub(super) high: Price,
    pub(super) low: Price,
    pub(super) close: Price,
}

impl Bar {
    /// A leg's candle; the other way round the greatest price comes from the least.
    pub(super) fn of(candle: &Candle, inverted: bool) -> Result<Self, PriceError> {
        if !inverted {
            return Ok(Self {
                open: candle.open,
                high: candle.high,
                low: candle.low,
                close: candle.close,
            });
        }
        Ok(Self {
            open: candle.open.inverse()?,
            high: candle.low.inverse()?,
            low: candle.high.inverse()?,
            close: candle.close.inverse()?,
        })
    }

    /// A price that stood still.
    pub(super) const fn flat(price: Price) -> Self {
        Self {
            open: price,
            high: price,
            low: price,
            close: price,
        }
    }

    /// The product of two legs. Highs need not have met: theirs is the most that it can have
    /// been.
    pub(super) fn times(self, other: Self) -> Result<Self, PriceError> {
        Ok(Self {
            open: self.open.times(other.open)?,
            high: self.high.times(other.high)?,
            low: self.low.times(other.low)?,
            close: self.close.times(other.close)?,
        })
    }

    /// With what is known of its two ends only.
    pub(super) fn ends(self) -> Self {
        Self {
            high: self.open.max(self.close),
            low: self.open.min(self.close),
            ..self
        }
    }

    /// This, and what came after it.
    pub(super) fn then(self, later: Self) -> Self {
        Self {
            open: self.open,
            high: self.high.max(later.high),
            low: self.low.min(later.low),
            close: later.close,
        }
    }

    /// In the form in which computed prices leave the server.
    pub(super) fn published(self) -> Self {
        Self {
            open: self.open.published(),
            high: self.high.published(),
            low: self.low.published(),
            close: self.close.published(),
        }
    }
}
