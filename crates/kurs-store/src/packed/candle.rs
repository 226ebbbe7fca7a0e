//! The four prices of a candle, exact to the last trailing zero.
//!
//! ```text
//! 1 byte: scale + 32 * zeros, common to all four
//! varint: mantissa of open / 10^zeros
//! zigzag: high, low and close, each less open
//!
//! or, where they have no common scale
//!
//! 1 byte: 255
//! decimal: open, high, low, close
//! ```

use super::bytes::{
    put_decimal, put_varint, put_zigzag, take_byte, take_decimal, take_varint, take_zigzag,
};
use kurs_core::Price;
use rust_decimal::Decimal;

const NO_COMMON_SCALE: u8 = 255;
const ZEROS_MAX: u32 = 7;

/// Open, high, low and close.
pub(crate) type Prices = [Price; 4];

pub(crate) fn encode(prices: &Prices) -> Vec<u8> {
    let mut out = Vec::with_capacity(16);
    let scale = prices[0].value().scale();
    if prices.iter().any(|price| price.value().scale() != scale) {
        out.push(NO_COMMON_SCALE);
        for price in prices {
            put_decimal(&mut out, price.value());
        }
        return out;
    }
    let mut mantissas = prices.map(|price| price.value().mantissa());
    let mut zeros = 0;
    while zeros < ZEROS_MAX && mantissas.iter().all(|mantissa| mantissa % 10 == 0) {
        mantissas = mantissas.map(|mantissa| mantissa / 10);
        zeros += 1;
    }
    out.push(u8::try_from(scale | (zeros << 5)).unwrap_or_default());
    let [open, rest @ ..] = mantissas;
    put_varint(&mut out, open.unsigned_abs());
    for mantissa in rest {
        put_zigzag(&mut out, mantissa - open);
    }
    out
}

/// Reads what [`encode`] wrote; `None` when the bytes are anything else.
pub(crate) fn decode(mut bytes: &[u8]) -> Option<Prices> {
    let input = &mut bytes;
    let head = take_byte(input)?;
    let mut values = [Decimal::ZERO; 4];
    if head == NO_COMMON_SCALE {
        for value in &mut values {
            *value = take_decimal(input)?;
        }
    } else {
        let (scale, zeros) = (u32::from(head) & 31, u32::from(head) >> 5);
        let open = i128::try_from(take_varint(input)?).ok()?;
        let mut mantissas = [open; 4];
        for mantissa in mantissas.iter_mut().skip(1) {
            *mantissa = mantissa.checked_add(take_zigzag(input)?)?;
        }
        for (value, mantissa) in values.iter_mut().zip(mantissas) {
            let mantissa = mantissa.checked_mul(10_i128.pow(zeros))?;
            *value = Decimal::try_from_i128_with_scale(mantissa, scale).ok()?;
        }
    }
    if !input.is_empty() {
        return None;
    }
    let price = |value: Decimal| Price::new(value).ok();
    let [open, high, low, close] = values;
    Some([price(open)?, price(high)?, price(low)?, price(close)?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packed::test_values::any_price;
    use proptest::prelude::*;

    fn price(text: &str) -> Price {
        Price::parse(text).unwrap()
    }

    #[test]
    fn bytes_that_were_written_once_are_read_for_ever() {
        let usual = ["54000.0100", "54001.2300", "53999.0000", "54000.0000"].map(price);
        let bytes = encode(&usual);
        assert_eq!(bytes, [68, 193, 203, 201, 2, 244, 1, 201, 1, 1]);
        assert_eq!(decode(&bytes), Some(usual));
    }

    proptest! {
        #[test]
        fn every_candle_survives_with_all_its_digits(
            apart in [any_price(), any_price(), any_price(), any_price()],
            shape in 0..2,
        ) {
            let prices = if shape == 0 { apart } else { [apart[0]; 4] };
            let read = decode(&encode(&prices)).unwrap();
            prop_assert_eq!(read.map(|price| price.to_string()), prices.map(|price| price.to_string()));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = decode(&bytes);
        }
    }
}
