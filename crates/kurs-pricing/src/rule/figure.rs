//! What a part of a rule comes to.

use crate::marks::Marks;
use crate::votes::{self, Ballot};
use kurs_core::price::HALF;
use kurs_core::rate::Depeg;
use kurs_core::{Leg, Mono, Price, Wall};
use rust_decimal::Decimal;
use std::sync::Arc;

/// A price on its way through a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// The number; greater than zero.
    pub value: Decimal,
    /// Bid and ask; `None` when one of the prices in it has none.
    pub sides: Option<(Decimal, Decimal)>,
    /// Half-width of what is known, if it is.
    pub confidence: Option<Decimal>,
    /// Until when it may be used.
    pub valid_until: Mono,
    /// The same on the wall clock, for display.
    pub expires_at: Wall,
    /// When the oldest price in it was observed; `None` without any price.
    pub observed_at: Option<Wall>,
    /// Why it is not to be trusted, if so.
    pub doubt: Option<Arc<str>>,
    /// The markets in it.
    pub legs: Vec<Leg>,
    /// Stablecoins in it that are not worth their dollar.
    pub depegs: Vec<Depeg>,
    /// Whether simulated or replayed prices are in it.
    pub marks: Marks,
}

impl Figure {
    /// A plain number: always true.
    #[must_use]
    pub const fn number(value: Decimal) -> Self {
        Self {
            value,
            sides: Some((value, value)),
            confidence: None,
            valid_until: Mono(u64::MAX),
            expires_at: Wall::MAX,
            observed_at: None,
            doubt: None,
            legs: Vec::new(),
            depegs: Vec::new(),
            marks: Marks {
                is_simulated: false,
                is_replayed: false,
            },
        }
    }

    /// The number as a price.
    #[must_use]
    pub fn price(&self) -> Option<Price> {
        Price::new(self.value).ok()
    }

    /// The confidence relative to the value.
    fn relative(&self) -> Option<Decimal> {
        self.confidence?.checked_div(self.value)
    }

    /// 1 / it: bid and ask change sides.
    #[must_use]
    pub fn inverse(mut self) -> Option<Self> {
        let relative = self.relative();
        let one_over = |number: Decimal| Decimal::ONE.checked_div(number);
        self.value = one_over(self.value)?;
        self.sides = match self.sides {
            Some((bid, ask)) => Some((one_over(ask)?, one_over(bid)?)),
            None => None,
        };
        self.confidence = relative.and_then(|relative| relative.checked_mul(self.value));
        for leg in &mut self.legs {
            leg.inverted = !leg.inverted;
        }
        self.checked()
    }

    /// The product: relative confidences add up.
    #[must_use]
    pub fn times(self, other: Self) -> Option<Self> {
        let value = self.value.checked_mul(other.value)?;
        let sides = match (self.sides, other.sides) {
            (Some((bid, ask)), Some((other_bid, other_ask))) => {
                Some((bid.checked_mul(other_bid)?, ask.checked_mul(other_ask)?))
            }
            _ => None,
        };
        let confidence =
            sum(self.relative(), other.relative()).and_then(|relative| relative.checked_mul(value));
        self.joined(other, value, sides, confidence)
    }

    /// The quotient.
    #[must_use]
    pub fn over(self, other: Self) -> Option<Self> {
        // Not by way of 1 / other: one rounding less.
        let value = self.value.checked_div(other.value)?;
        let sides = match (self.sides, other.sides) {
            (Some((bid, ask)), Some((other_bid, other_ask))) => {
                Some((bid.checked_div(other_ask)?, ask.checked_div(other_bid)?))
            }
            _ => None,
        };
        let confidence =
            sum(self.relative(), other.relative()).and_then(|relative| relative.checked_mul(value));
        let mut other = other;
        for leg in &mut other.legs {
            leg.inverted = !leg.inverted;
        }
        self.joined(other, value, sides, confidence)
    }

    /// The sum.
    #[must_use]
    pub fn plus(self, other: Self) -> Option<Self> {
        let value = self.value.checked_add(other.value)?;
        let sides = match (self.sides, other.sides) {
            (Some((bid, ask)), Some((other_bid, other_ask))) => {
                Some((bid.checked_add(other_bid)?, ask.checked_add(other_ask)?))
            }
            _ => None,
        };
        let confidence = sum(self.confidence, other.confidence);
        self.joined(other, value, sides, confidence)
    }

    /// The difference; `None` when nothing is left.
    #[must_use]
    pub fn minus(self, other: Self) -> Option<Self> {
        let value = self.value.checked_sub(other.value)?;
        let sides = match (self.sides, other.sides) {
            (Some((bid, ask)), Some((other_bid, other_ask))) => {
                Some((bid.checked_sub(other_ask)?, ask.checked_sub(other_bid)?))
            }
            _ => None,
        };
        let confidence = sum(self.confidence, other.confidence);
        self.joined(other, value, sides, confidence)
    }

    /// Bid and ask a share around the value.
    #[must_use]
    pub fn around(mut self, share: Decimal) -> Option<Self> {
        let width = self.value.checked_mul(share)?;
        self.sides = Some((
            self.value.checked_sub(width)?,
            self.value.checked_add(width)?,
        ));
        self.checked()
    }

    /// Value and sides by a rule over several, such as the least; everything else is theirs
    /// together, the confidence by their votes.
    #[must_use]
    pub fn of_all(
        figures: Vec<Self>,
        pick: impl Fn(Vec<Decimal>) -> Option<Decimal>,
    ) -> Option<Self> {
        if figures.len() == 1 {
            return figures.into_iter().next();
        }
        let value = pick(figures.iter().map(|figure| figure.value).collect())?;
        let sides: Option<Vec<(Decimal, Decimal)>> =
            figures.iter().map(|figure| figure.sides).collect();
        let sides = match sides {
            Some(sides) => {
                let (bids, asks) = sides.into_iter().unzip();
                Some((pick(bids)?, pick(asks)?))
            }
            None => None,
        };
        let confidence = votes::count(figures.iter().map(Self::ballot)).map(|(_, width)| width);
        let mut figures = figures.into_iter();
        let mut all = figures.next()?;
        for figure in figures {
            let valid_until = all.valid_until.min(figure.valid_until);
            all = all.joined(figure, value, sides, confidence)?;
            all.valid_until = valid_until;
        }
        (all.value, all.sides, all.confidence) = (value, sides, confidence);
        all.checked()
    }

    /// Its votes about the value.
    #[must_use]
    pub fn ballot(&self) -> Ballot {
        match self.sides {
            Some((low, high)) => Ballot {
                low,
                value: self.value,
                high,
            },
            None => Ballot::around(self.value, self.confidence.unwrap_or_default()),
        }
    }

    fn joined(
        mut self,
        other: Self,
        value: Decimal,
        sides: Option<(Decimal, Decimal)>,
        confidence: Option<Decimal>,
    ) -> Option<Self> {
        (self.value, self.sides, self.confidence) = (value, sides, confidence);
        self.valid_until = self.valid_until.min(other.valid_until);
        self.expires_at = self.expires_at.min(other.expires_at);
        self.observed_at = match (self.observed_at, other.observed_at) {
            (Some(left), Some(right)) => Some(left.min(right)),
            (left, right) => left.or(right),
        };
        self.doubt = self.doubt.or(other.doubt);
        self.legs.extend(other.legs);
        for depeg in other.depegs {
            if !self.depegs.contains(&depeg) {
                self.depegs.push(depeg);
            }
        }
        self.marks = self.marks.and(other.marks);
        self.checked()
    }

    /// Nothing but positive numbers goes on; sides that are none are left out.
    pub(super) fn checked(mut self) -> Option<Self> {
        let is_positive = |number: Decimal| !number.is_sign_negative() && !number.is_zero();
        if !is_positive(self.value) {
            return None;
        }
        self.sides = self.sides.filter(|(bid, _)| is_positive(*bid));
        Some(self)
    }

    /// Half of what is between bid and ask.
    #[must_use]
    pub fn half_spread(sides: Option<(Decimal, Decimal)>) -> Option<Decimal> {
        let (bid, ask) = sides?;
        Some(ask.checked_sub(bid)?.checked_mul(HALF)?.normalize())
    }
}

/// The sum of what is known.
fn sum(left: Option<Decimal>, right: Option<Decimal>) -> Option<Decimal> {
    match (left, right) {
        (Some(left), Some(right)) => left.checked_add(right),
        (left, right) => left.or(right),
    }
}
