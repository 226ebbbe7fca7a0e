//! How large a picture is.

use crate::chart::ChartError;
use std::ops::RangeInclusive;

/// Width and height of a picture, pixels; always within the bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    width: u32,
    height: u32,
}

impl Size {
    /// Widths that can be asked for, pixels.
    pub const WIDTHS: RangeInclusive<u32> = 160..=2_000;
    /// Heights that can be asked for, pixels.
    pub const HEIGHTS: RangeInclusive<u32> = 120..=1_500;

    /// A size within the bounds.
    ///
    /// # Errors
    /// [`ChartError::Size`] outside of them.
    pub fn new(width: u32, height: u32) -> Result<Self, ChartError> {
        if !Self::WIDTHS.contains(&width) || !Self::HEIGHTS.contains(&height) {
            return Err(ChartError::Size);
        }
        Ok(Self { width, height })
    }

    /// Width, pixels.
    #[must_use]
    pub const fn width(self) -> u32 {
        self.width
    }

    /// Height, pixels.
    #[must_use]
    pub const fn height(self) -> u32 {
        self.height
    }
}

impl Default for Size {
    fn default() -> Self {
        Self {
            width: 960,
            height: 540,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_outside_the_bounds_is_refused() {
        assert!(Size::new(160, 120).is_ok() && Size::new(2_000, 1_500).is_ok());
        for (width, height) in [(159, 500), (2_001, 500), (500, 119), (500, 1_501)] {
            assert_eq!(Size::new(width, height), Err(ChartError::Size));
        }
    }
}
