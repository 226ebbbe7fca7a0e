//! The levels of an order book, exact to the last trailing zero.
//!
//! ```text
//! twice, for bids and asks:
//!   varint      number of levels; nothing more of a side without any
//!   1 byte      scale of the prices; 255 where they have no common one
//!   per level
//!     zigzag    mantissa of the price less that of the level before
//!               (or decimal, where there is no common scale)
//!     1 byte    scale of the quantity + 32 * zeros
//!     zigzag    mantissa of the quantity / 10^zeros
//! ```

use super::bytes::{
    put_count, put_decimal, put_zigzag, take_byte, take_count, take_decimal, take_zigzag,
};
use kurs_core::Price;
use rust_decimal::Decimal;

/// Most levels of one side that are read.
const LEVELS_MAX: usize = 10_000;
const NO_COMMON_SCALE: u8 = 255;
const ZEROS_MAX: u32 = 7;

/// Price and quantity, best first.
pub(crate) type Levels = Vec<(Price, Decimal)>;

/// `None` for a side that is too long to be read again.
pub(crate) fn encode(bids: &Levels, asks: &Levels) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(8 * (bids.len() + asks.len()) + 8);
    for side in [bids, asks] {
        if side.len() > LEVELS_MAX {
            return None;
        }
        put_count(&mut out, side.len());
        let Some((first, _)) = side.first() else {
            continue;
        };
        let scale = first.value().scale();
        let is_common = side.iter().all(|(price, _)| price.value().scale() == scale);
        out.push(if is_common {
            u8::try_from(scale).unwrap_or(NO_COMMON_SCALE)
        } else {
            NO_COMMON_SCALE
        });
        let mut before = 0;
        for (price, quantity) in side {
            if is_common {
                let mantissa = price.value().mantissa();
                put_zigzag(&mut out, mantissa - before);
                before = mantissa;
            } else {
                put_decimal(&mut out, price.value());
            }
            put_signed(&mut out, *quantity);
        }
    }
    Some(out)
}

/// Reads what [`encode`] wrote; `None` when the bytes are anything else.
pub(crate) fn decode(mut bytes: &[u8]) -> Option<(Levels, Levels)> {
    let input = &mut bytes;
    let (bids, asks) = (take_side(input)?, take_side(input)?);
    input.is_empty().then_some((bids, asks))
}

fn take_side(input: &mut &[u8]) -> Option<Levels> {
    let count = take_count(input, LEVELS_MAX)?;
    // Each level takes three bytes at least, so the bytes bound the memory as well.
    let mut side = Vec::with_capacity(count.min(input.len() / 3));
    if count == 0 {
        return Some(side);
    }
    let scale = take_byte(input)?;
    let mut before = 0_i128;
    for _ in 0..count {
        let price = if scale == NO_COMMON_SCALE {
            take_decimal(input)?
        } else {
            before = before.checked_add(take_zigzag(input)?)?;
            Decimal::try_from_i128_with_scale(before, u32::from(scale)).ok()?
        };
        side.push((Price::new(price).ok()?, take_signed(input)?));
    }
    Some(side)
}

fn put_signed(out: &mut Vec<u8>, value: Decimal) {
    let mut mantissa = value.mantissa();
    let mut zeros = 0;
    while zeros < ZEROS_MAX && mantissa != 0 && mantissa % 10 == 0 {
        mantissa /= 10;
        zeros += 1;
    }
    out.push(u8::try_from(value.scale() | (zeros << 5)).unwrap_or_default());
    put_zigzag(out, mantissa);
}

fn take_signed(input: &mut &[u8]) -> Option<Decimal> {
    let head = u32::from(take_byte(input)?);
    let mantissa = take_zigzag(input)?.checked_mul(10_i128.pow(head >> 5))?;
    Decimal::try_from_i128_with_scale(mantissa, head & 31).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packed::test_values::any_price;
    use proptest::prelude::*;

    fn text(levels: &Levels) -> Vec<String> {
        levels
            .iter()
            .map(|(price, quantity)| format!("{price} {quantity}"))
            .collect()
    }

    #[test]
    fn bytes_that_were_written_once_are_read_for_ever() {
        let level =
            |price: &str, quantity: &str| (Price::parse(price).unwrap(), quantity.parse().unwrap());
        let bids = vec![level("10.02", "1.500"), level("10.01", "0")];
        let bytes = encode(&bids, &Vec::new()).unwrap();
        assert_eq!(bytes, [2, 2, 212, 15, 67, 30, 1, 0, 0, 0]);
        assert_eq!(decode(&bytes), Some((bids, Vec::new())));
    }

    fn any_side() -> impl Strategy<Value = Levels> {
        let quantity = (any::<i64>(), 0_u32..=28).prop_map(|(m, scale)| Decimal::new(m, scale));
        proptest::collection::vec((any_price(), quantity), 0..20)
    }

    proptest! {
        #[test]
        fn every_book_survives_with_all_its_digits(bids in any_side(), asks in any_side()) {
            let read = decode(&encode(&bids, &asks).unwrap()).unwrap();
            prop_assert_eq!((text(&read.0), text(&read.1)), (text(&bids), text(&asks)));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }
    }
}
