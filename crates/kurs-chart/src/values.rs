//! The axis of values. Steps and labels are exact; only places on the picture are rounded.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

/// The values that a picture spans.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Values {
    low: Decimal,
    high: Decimal,
}

/// Steps of the axis within a power of ten.
const STEPS: [Decimal; 4] = [
    Decimal::ONE,
    Decimal::TWO,
    Decimal::from_parts(25, 0, 0, false, 1),
    Decimal::from_parts(5, 0, 0, false, 0),
];

/// A fifteenth of the range is left free above and below.
const MARGIN: Decimal = Decimal::from_parts(15, 0, 0, false, 0);
/// Equal values stand in the middle of half a percent.
const EVEN: Decimal = Decimal::from_parts(400, 0, 0, false, 0);
/// As many powers of ten as a decimal has.
const POWERS: usize = 58;

impl Values {
    /// Around these values.
    pub(crate) fn around(low: Decimal, high: Decimal) -> Self {
        let width = high.checked_sub(low).unwrap_or(Decimal::ZERO);
        let margin = match width.is_zero() {
            true => high.checked_div(EVEN),
            false => width.checked_div(MARGIN),
        };
        let margin = margin.unwrap_or(Decimal::ZERO);
        Self {
            low: low.checked_sub(margin).unwrap_or(low),
            high: high.checked_add(margin).unwrap_or(high),
        }
    }

    fn width(&self) -> Decimal {
        self.high.checked_sub(self.low).unwrap_or(Decimal::ZERO)
    }

    /// How far below the upper edge a value stands, when the axis is this long.
    pub(crate) fn down(&self, value: Decimal, length: i32) -> i32 {
        let place = self
            .high
            .checked_sub(value)
            .and_then(|from_top| from_top.checked_div(self.width()))
            .and_then(|share| share.checked_mul(Decimal::from(length)))
            .and_then(|place| place.round().to_i32());
        // What spans nothing stands in the middle.
        place.map_or(length / 2, |place| place.clamp(0, length))
    }

    /// Round values within the span, about this many, and the digits after the point of all.
    pub(crate) fn ticks(&self, about: i32) -> (Vec<Decimal>, u32) {
        let found = self.step(about).and_then(|step| {
            let first = self.low.checked_div(step)?.ceil().checked_mul(step)?;
            Some((first, step))
        });
        let Some((first, step)) = found else {
            return (Vec::new(), self.high.scale());
        };
        let mut ticks = Vec::new();
        let mut next = Some(first);
        while let Some(tick) = next.filter(|tick| *tick <= self.high) {
            // A bound that no sound step reaches.
            if ticks.len() > 50 {
                break;
            }
            ticks.push(tick);
            next = tick.checked_add(step).filter(|after| *after > tick);
        }
        (ticks, step.normalize().scale())
    }

    fn step(&self, about: i32) -> Option<Decimal> {
        let wanted = self
            .width()
            .checked_div(Decimal::from(about.max(1)))
            .filter(|wanted| !wanted.is_zero())?;
        let mut power = Decimal::ONE;
        for _ in 0..POWERS {
            let greater = power.checked_mul(Decimal::TEN);
            if power > wanted {
                power = power.checked_div(Decimal::TEN)?;
            } else if greater.is_some_and(|greater| greater <= wanted) {
                power = greater?;
            } else {
                break;
            }
        }
        let steps = STEPS.iter().chain([&Decimal::TEN]);
        steps
            .filter_map(|step| power.checked_mul(*step))
            .find(|step| *step >= wanted && !step.is_zero())
    }
}

/// A value with exactly this many digits after the point.
pub(crate) fn label(value: Decimal, scale: u32) -> String {
    let scale = usize::try_from(scale).unwrap_or(0);
    format!("{value:.scale$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    fn labels(low: &str, high: &str, about: i32) -> Vec<String> {
        let (ticks, scale) = Values::around(of(low), of(high)).ticks(about);
        ticks.into_iter().map(|tick| label(tick, scale)).collect()
    }

    #[test]
    fn labels_are_round_and_exact() {
        assert_eq!(
            labels("64310.5", "64388.123", 5),
            ["64320", "64340", "64360", "64380"]
        );
        assert_eq!(labels("1.08150", "1.08190", 4), ["1.0816", "1.0818"]);
        assert_eq!(labels("0.00000001", "0.00000003", 2), ["0.00000002"]);
    }

    #[test]
    fn equal_values_stand_in_the_middle() {
        for text in [
            "1",
            "64000",
            "0.0000000000000000000000000001",
            "79228162514264337593543950",
        ] {
            let values = Values::around(of(text), of(text));
            let place = values.down(of(text), 1_000);
            assert!((400..=600).contains(&place), "{text} stands at {place}");
            assert!(values.ticks(5).0.len() <= 12);
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_the_values_the_axis_holds_them_in_order(
            one in 1_i64.., other in 1_i64.., scale in 0_u32..=28,
        ) {
            let (one, other) = (Decimal::new(one, scale), Decimal::new(other, scale));
            let (low, high) = (one.min(other), one.max(other));
            let values = Values::around(low, high);
            assert!(values.down(high, 1_000) <= values.down(low, 1_000));
            let (ticks, _) = values.ticks(6);
            assert!(ticks.len() <= 14, "{ticks:?}");
            assert!(ticks.is_sorted());
        }
    }
}
