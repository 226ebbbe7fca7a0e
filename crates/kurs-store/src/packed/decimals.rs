//! A column of decimals as whole numbers of one unit, exact to the last trailing zero.
//!
//! ```text
//! 1 byte     scale: the unit is 10^-scale, or
//! 1 byte     zeros: 10^zeros of that, where all of them are multiples of it
//! 1 byte     how the scales are kept: 0 all the same, 1 all without trailing zeros, 2 one by one
//!   0: 1 byte, the scale
//!   2: chunk, a byte for each
//! ```
//! The numbers themselves follow, in whatever form the caller finds best.

use super::bytes::take_byte;
use super::columns::{Sink, Spring};
use rust_decimal::Decimal;

const SCALE_MAX: u32 = 28;
const ZEROS_MAX: u32 = 18;

const ALL_SAME: u8 = 0;
const NATURAL: u8 = 1;
const ONE_BY_ONE: u8 = 2;

/// The unit in which a column counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit {
    scale: u32,
    zeros: u32,
}

impl Unit {
    /// The unit in which most of these can be counted.
    pub(super) fn of(decimals: impl Iterator<Item = Decimal> + Clone) -> Self {
        let mut seen = [false; SCALE_MAX as usize + 1];
        for decimal in decimals.clone() {
            if let Some(seen) = seen.get_mut(decimal.scale() as usize) {
                *seen = true;
            }
        }
        let counted = |scale: u32| {
            let unit = Self { scale, zeros: 0 };
            decimals.clone().filter(|one| unit.fits(*one)).count()
        };
        let scale = (0..=SCALE_MAX)
            .filter(|scale| seen[*scale as usize])
            .max_by_key(|scale| counted(*scale))
            .unwrap_or(0);
        let mut unit = Self {
            scale,
            zeros: ZEROS_MAX,
        };
        let whole = Self { scale, zeros: 0 };
        for number in decimals.filter_map(|decimal| whole.count(decimal)) {
            while number % 10_i64.pow(unit.zeros) != 0 {
                unit.zeros -= 1;
            }
        }
        unit
    }

    /// Whether it can be counted.
    pub(super) fn fits(self, decimal: Decimal) -> bool {
        self.count(decimal).is_some()
    }

    /// How many units it is, if it is positive and a whole number of them.
    pub(super) fn count(self, decimal: Decimal) -> Option<i64> {
        let finer = self.scale.checked_sub(decimal.scale())?;
        let number = decimal
            .mantissa()
            .checked_mul(10_i128.checked_pow(finer)?)?;
        let step = 10_i128.pow(self.zeros);
        (number > 0 && number % step == 0)
            .then(|| i64::try_from(number / step).ok())
            .flatten()
    }

    /// Writes the unit and the scales of decimals that fit.
    pub(super) fn put(self, sink: &mut Sink, decimals: &[Decimal]) {
        sink.out.push(u8::try_from(self.scale).unwrap_or_default());
        sink.out.push(u8::try_from(self.zeros).unwrap_or_default());
        let scales: Vec<u8> = decimals
            .iter()
            .map(|decimal| u8::try_from(decimal.scale()).unwrap_or_default())
            .collect();
        match scales.first() {
            Some(first) if scales.iter().all(|scale| scale == first) => {
                sink.out.extend([ALL_SAME, *first]);
            }
            _ if decimals
                .iter()
                .all(|decimal| decimal.scale() == decimal.normalize().scale()) =>
            {
                sink.out.push(NATURAL);
            }
            _ => {
                sink.out.push(ONE_BY_ONE);
                sink.chunk(&scales);
            }
        }
    }
}

/// Unit and scales of a column that is read.
pub(super) struct Scales {
    unit: Unit,
    kind: Kind,
}

enum Kind {
    AllSame(u32),
    Natural,
    OneByOne(Vec<u8>),
}

impl Scales {
    /// Of `count` decimals.
    pub(super) fn take(spring: &mut Spring<'_>, count: usize) -> Option<Self> {
        let scale = u32::from(take_byte(&mut spring.input)?);
        let zeros = u32::from(take_byte(&mut spring.input)?);
        if scale > SCALE_MAX || zeros > ZEROS_MAX {
            return None;
        }
        let kind = match take_byte(&mut spring.input)? {
            ALL_SAME => Kind::AllSame(u32::from(take_byte(&mut spring.input)?)),
            NATURAL => Kind::Natural,
            ONE_BY_ONE => Kind::OneByOne(spring.chunk(count)?),
            _ => return None,
        };
        Some(Self {
            unit: Unit { scale, zeros },
            kind,
        })
    }

    /// The decimal of the column at `index` that counts `number` units.
    pub(super) fn decimal(&self, index: usize, number: i64) -> Option<Decimal> {
        // At most 10^19 times 10^18.
        let number = i128::from(number) * 10_i128.pow(self.unit.zeros);
        let scale = match &self.kind {
            Kind::Natural => {
                let decimal = Decimal::try_from_i128_with_scale(number, self.unit.scale).ok()?;
                return Some(decimal.normalize());
            }
            Kind::AllSame(scale) => *scale,
            Kind::OneByOne(scales) => u32::from(*scales.get(index)?),
        };
        let step = 10_i128.checked_pow(self.unit.scale.checked_sub(scale)?)?;
        if number % step != 0 {
            return None;
        }
        Decimal::try_from_i128_with_scale(number / step, scale).ok()
    }
}
