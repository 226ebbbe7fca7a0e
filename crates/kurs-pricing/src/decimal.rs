//! Arithmetic on exact decimals that never panics and never leaves the decimal system. What
//! cannot be held saturates or is `None`, so that one absurd number spoils no other.

use kurs_core::price::HALF;
use rust_decimal::Decimal;

/// Terms of the exponential series; 10/3 needs some 45 to vanish below 28 digits.
const TERMS_MAX: u32 = 120;
/// Greatest exponent of [`exp_negative`].
const EXPONENT_MAX: Decimal = Decimal::from_parts(16, 0, 0, false, 0);
/// Newton's method doubles its digits each round.
const ROOT_ROUNDS_MAX: u32 = 200;

/// The distance of two numbers; [`Decimal::MAX`] when it cannot be held.
#[must_use]
pub fn distance(left: Decimal, right: Decimal) -> Decimal {
    left.checked_sub(right)
        .map_or(Decimal::MAX, |difference| difference.abs())
}

/// The middle of two numbers of one sign, exact as far as 28 digits go, never outside of them.
#[must_use]
pub fn middle(low: Decimal, high: Decimal) -> Decimal {
    // Half of the width is added: the sum of both may be more than can be held.
    high.checked_sub(low)
        .and_then(|width| width.checked_mul(HALF))
        .and_then(|half| low.checked_add(half))
        .map_or(low, |middle| {
            middle.clamp(low.min(high), low.max(high)).normalize()
        })
}

/// The median of numbers in order: the one in the middle, or the middle of the two there.
#[must_use]
pub fn median_of_sorted(sorted: &[Decimal]) -> Option<Decimal> {
    let at = sorted.len() / 2;
    let high = *sorted.get(at)?;
    if sorted.len() % 2 == 1 {
        return Some(high);
    }
    let low = *sorted.get(at.checked_sub(1)?)?;
    Some(middle(low, high))
}

/// The median of numbers in any order.
#[must_use]
pub fn median(numbers: impl IntoIterator<Item = Decimal>) -> Option<Decimal> {
    let mut sorted: Vec<Decimal> = numbers.into_iter().collect();
    sorted.sort_unstable();
    median_of_sorted(&sorted)
}

/// A product; [`Decimal::MAX`] when it cannot be held.
#[must_use]
pub fn times_or_max(left: Decimal, right: Decimal) -> Decimal {
    left.checked_mul(right).unwrap_or(Decimal::MAX)
}

/// e to the power of minus `exponent`, for exponents from 0 to 16, to some 26 digits: the
/// reciprocal of the series of positive terms, so that nothing cancels out.
#[must_use]
pub fn exp_negative(exponent: Decimal) -> Option<Decimal> {
    if exponent.is_sign_negative() || exponent > EXPONENT_MAX {
        return None;
    }
    let mut term = Decimal::ONE;
    let mut sum = Decimal::ONE;
    for number in 1..=TERMS_MAX {
        term = term
            .checked_mul(exponent)?
            .checked_div(Decimal::from(number))?;
        let next = sum.checked_add(term)?;
        if term.is_zero() || next == sum {
            break;
        }
        sum = next;
    }
    Decimal::ONE.checked_div(sum)
}

/// The square root, to about 27 digits; `None` below zero.
#[must_use]
pub fn square_root(number: Decimal) -> Option<Decimal> {
    if number.is_zero() {
        return Some(Decimal::ZERO);
    }
    if number.is_sign_negative() {
        return None;
    }
    // From above, Newton's steps only fall until the last digit.
    let mut root = number.max(Decimal::ONE);
    for _ in 0..ROOT_ROUNDS_MAX {
        let next = middle(number.checked_div(root)?, root);
        if next >= root {
            break;
        }
        root = next;
    }
    Some(root)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn the_exponential_is_right_to_25_digits() {
        for (exponent, expect) in [
            ("0", "1"),
            ("1", "0.3678794411714423215955237702"),
            ("0.5", "0.6065306597126334236037995349"),
            // 2/3 and 10/3, the ends of what depth weights need.
            (
                "0.6666666666666666666666666667",
                "0.5134171190325920268719864261",
            ),
            (
                "3.3333333333333333333333333333",
                "0.0356739933472523976044384802",
            ),
        ] {
            let found = exp_negative(decimal(exponent)).unwrap();
            let wrong = distance(found, decimal(expect));
            assert!(
                wrong < decimal("0.0000000000000000000000002"),
                "{exponent}: {found}"
            );
        }
        assert_eq!(exp_negative(decimal("-1")), None);
        assert_eq!(exp_negative(decimal("17")), None);
    }

    #[test]
    fn the_median_of_an_even_count_is_the_middle_of_two() {
        let of = |texts: &[&str]| median(texts.iter().map(|text| decimal(text)));
        assert_eq!(of(&["3", "1", "2"]), Some(decimal("2")));
        assert_eq!(of(&["100", "100.02"]), Some(decimal("100.01")));
        assert_eq!(of(&[]), None);
        assert_eq!(median([Decimal::MAX, Decimal::MAX]), Some(Decimal::MAX));
    }

    proptest! {
        #[test]
        fn a_root_squared_is_the_number_again(mantissa in 1_i64..i64::MAX, scale in 0_u32..18) {
            let number = Decimal::new(mantissa, scale);
            let root = square_root(number).unwrap();
            let back = root.checked_mul(root).unwrap();
            let allowed = times_or_max(number, decimal("0.00000000000000000001"))
                .max(decimal("0.000000000000000000000001"));
            prop_assert!(distance(back, number) <= allowed, "{} -> {}", number, root);
        }
    }
}
