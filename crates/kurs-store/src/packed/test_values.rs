//! Values of the tests.

use kurs_core::Price;
use proptest::prelude::*;
use rust_decimal::Decimal;

/// A price of any scale, with and without trailing zeros.
pub(crate) fn any_price() -> impl Strategy<Value = Price> {
    let digits = prop_oneof![1_i128..1_000_000_000_000, 1_i128..(1 << 95)];
    (digits, 0_u32..=28, 0_u32..9).prop_filter_map("in range", |(mantissa, scale, zeros)| {
        let mantissa = mantissa.checked_mul(10_i128.pow(zeros))?;
        Price::new(Decimal::try_from_i128_with_scale(mantissa, scale).ok()?).ok()
    })
}
