//! What to draw.

use crate::bars::Bars;
use crate::size::Size;
use crate::theme::Theme;
use crate::{draw, raster};
use kurs_core::{Pair, Wall};
use kurs_store::{Candle, Interval};
use rust_decimal::{Decimal, RoundingStrategy};

/// How values are drawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Form {
    /// Open, high, low and close of each.
    #[default]
    Candles,
    /// A line through the closes.
    Line,
}

/// Why there is no picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChartError {
    /// The size is out of bounds.
    #[error("a picture is 160 to 2000 pixels wide and 120 to 1500 high")]
    Size,
    /// More candles than are drawn at once.
    #[error("a picture shows at most {} candles", Chart::CANDLES_MAX)]
    TooMany,
    /// A mistake of the program.
    #[error("the picture cannot be drawn")]
    Drawing,
}

/// A chart of candles.
#[derive(Debug, Clone)]
pub struct Chart<'a> {
    /// What stands at the top, usually the pair as it was asked for.
    pub title: String,
    /// The pair.
    pub pair: Pair,
    /// The candles, all of this interval.
    pub candles: &'a [Candle],
    /// Length of each candle.
    pub interval: Interval,
    /// Candles or a line.
    pub form: Form,
    /// Light or dark.
    pub theme: Theme,
    /// Width and height.
    pub size: Size,
    /// Shown from here on, candles or not; from the first candle on without.
    pub from: Option<Wall>,
    /// Shown up to here, candles or not; to the end of the last candle without.
    pub until: Option<Wall>,
    /// The moment of drawing: a candle that has not ended by then is marked as open.
    pub now: Wall,
    /// The prices are invented, and the picture says so.
    pub is_simulated: bool,
    /// What else is said in small letters: a source, the markets the candles were joined from.
    pub note: String,
}

impl<'a> Chart<'a> {
    /// Most candles of one picture.
    pub const CANDLES_MAX: usize = 10_000;

    /// A chart with nothing chosen.
    #[must_use]
    pub fn new(pair: Pair, candles: &'a [Candle], interval: Interval, now: Wall) -> Self {
        Self {
            title: pair.to_string(),
            pair,
            candles,
            interval,
            form: Form::default(),
            theme: Theme::default(),
            size: Size::default(),
            from: None,
            until: None,
            now,
            is_simulated: false,
            note: String::new(),
        }
    }

    /// The picture as SVG.
    ///
    /// # Errors
    /// [`ChartError::TooMany`] when there are more than [`Chart::CANDLES_MAX`] candles.
    pub fn svg(&self) -> Result<String, ChartError> {
        if self.candles.len() > Self::CANDLES_MAX {
            return Err(ChartError::TooMany);
        }
        Ok(draw::svg(self))
    }

    /// The same picture as PNG. It takes milliseconds of a core: not for the thread that answers.
    ///
    /// # Errors
    /// [`ChartError::TooMany`] as above.
    pub fn png(&self) -> Result<Vec<u8>, ChartError> {
        raster::png(&self.svg()?)
    }
}

/// What the last value is, and how it came from the first one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// With all its digits.
    pub(crate) last: String,
    /// `+12.5 (+0.25 %)`.
    pub(crate) by: String,
    pub(crate) is_fall: bool,
}

impl Change {
    pub(crate) fn over(bars: &Bars) -> Option<Self> {
        let (first, last) = (bars.bars.first()?.open, bars.bars.last()?.close);
        let by = last.checked_sub(first)?;
        let percent = by
            .checked_div(first)
            .and_then(|share| share.checked_mul(Decimal::ONE_HUNDRED));
        let percent = percent.map(|percent| {
            let rounded = percent.round_dp_with_strategy(2, RoundingStrategy::MidpointNearestEven);
            format!(" ({} %)", signed(&format!("{rounded:.2}")))
        });
        Some(Self {
            last: last.to_string(),
            by: format!(
                "{}{}",
                signed(&by.normalize().to_string()),
                percent.unwrap_or_default()
            ),
            is_fall: by.is_sign_negative() && !by.is_zero(),
        })
    }
}

/// A number with its sign, which is no hyphen; zero has none.
fn signed(number: &str) -> String {
    let is_zero = number.bytes().all(|byte| b"-0.".contains(&byte));
    match number.strip_prefix('-') {
        Some(rest) if is_zero => rest.to_owned(),
        Some(rest) => format!("\u{2212}{rest}"),
        None if is_zero => number.to_owned(),
        None => format!("+{number}"),
    }
}

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;
