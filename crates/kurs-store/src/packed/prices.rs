//! Value, bid, ask and observation time of one row, exact to the last trailing zero.
//!
//! ```text
//! flags      1 byte, see FLAG_*
//! bid        decimal          if FLAG_BID
//! ask        decimal          if FLAG_ASK; with FLAG_SPREAD it is ask - bid, at the bid's scale
//! value      decimal          unless FLAG_MIDDLE: (bid + ask) / 2 without trailing zeros
//! observed   zigzag varint    if FLAG_OBSERVED: received - observed, microseconds
//!
//! ```
//! Decimals and varints are those of `bytes`.
//! A typical row of a streaming venue takes 11 bytes.

use super::bytes::{put_decimal, put_zigzag, take_byte, take_decimal, take_zigzag};
use kurs_core::{Price, Wall};
use rust_decimal::Decimal;

const FLAG_BID: u8 = 1;
const FLAG_ASK: u8 = 2;
const FLAG_SPREAD: u8 = 4;
const FLAG_MIDDLE: u8 = 8;
const FLAG_OBSERVED: u8 = 16;
const FLAGS_KNOWN: u8 = 31;

/// What one row of history says about the price.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Prices {
    pub(crate) value: Price,
    pub(crate) bid: Option<Price>,
    pub(crate) ask: Option<Price>,
    pub(crate) observed_at: Option<Wall>,
}

/// Writes `prices` behind what `out` holds.
pub(crate) fn encode(prices: &Prices, received_at: Wall, out: &mut Vec<u8>) {
    let start = out.len();
    let mut flags = 0;
    out.push(0);
    if let Some(bid) = prices.bid {
        flags |= FLAG_BID;
        put_decimal(out, bid.value());
    }
    if let Some(ask) = prices.ask {
        flags |= FLAG_ASK;
        match prices.bid.and_then(|bid| spread(bid.value(), ask.value())) {
            Some(spread) => {
                flags |= FLAG_SPREAD;
                put_decimal(out, spread);
            }
            None => put_decimal(out, ask.value()),
        }
    }
    let middle = prices
        .bid
        .zip(prices.ask)
        .and_then(|(bid, ask)| middle(bid.value(), ask.value()));
    if middle.is_some_and(|middle| is_same(middle, prices.value.value())) {
        flags |= FLAG_MIDDLE;
    } else {
        put_decimal(out, prices.value.value());
    }
    if let Some(observed_at) = prices.observed_at {
        flags |= FLAG_OBSERVED;
        let behind = i128::from(received_at.0) - i128::from(observed_at.0);
        put_zigzag(out, behind);
    }
    out[start] = flags;
}

/// Reads what [`encode`] wrote; `None` when the bytes are anything else.
pub(crate) fn decode(mut bytes: &[u8], received_at: Wall) -> Option<Prices> {
    let input = &mut bytes;
    let flags = take_byte(input)?;
    if flags & !FLAGS_KNOWN != 0 {
        return None;
    }
    let has = |flag: u8| flags & flag != 0;
    let bid = if has(FLAG_BID) {
        Some(take_decimal(input)?)
    } else {
        None
    };
    let ask = if has(FLAG_ASK) {
        Some(take_decimal(input)?)
    } else {
        None
    };
    let ask = if has(FLAG_SPREAD) {
        Some(bid?.checked_add(ask?)?)
    } else {
        ask
    };
    let value = if has(FLAG_MIDDLE) {
        middle(bid?, ask?)?
    } else {
        take_decimal(input)?
    };
    let observed_at = if has(FLAG_OBSERVED) {
        let behind = take_zigzag(input)?;
        let observed = i128::from(received_at.0).checked_sub(behind)?;
        Some(Wall(i64::try_from(observed).ok()?))
    } else {
        None
    };
    if !input.is_empty() {
        return None;
    }
    let price = |decimal: Decimal| Price::new(decimal).ok();
    Some(Prices {
        value: price(value)?,
        bid: bid.map(price).map_or(Some(None), |bid| bid.map(Some))?,
        ask: ask.map(price).map_or(Some(None), |ask| ask.map(Some))?,
        observed_at,
    })
}

/// The middle as it is stored. It must never change, whatever the fair price of pricing
/// becomes: rows that were written rely on it.
pub(super) fn middle(bid: Decimal, ask: Decimal) -> Option<Decimal> {
    Some(bid.checked_add(ask)?.checked_div(Decimal::TWO)?.normalize())
}

/// `ask - bid` when adding it to the bid gives back the ask with the same digits.
fn spread(bid: Decimal, ask: Decimal) -> Option<Decimal> {
    if bid.scale() != ask.scale() || ask < bid {
        return None;
    }
    let spread = ask.checked_sub(bid)?;
    let restored = bid.checked_add(spread)?;
    is_same(restored, ask).then_some(spread)
}

/// Equal with all trailing zeros.
pub(super) fn is_same(one: Decimal, other: Decimal) -> bool {
    one == other && one.scale() == other.scale()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packed::test_values::any_price;
    use proptest::prelude::*;

    fn price(text: &str) -> Price {
        Price::parse(text).unwrap()
    }

    fn encoded(prices: &Prices, received_at: Wall) -> Vec<u8> {
        let mut out = Vec::new();
        encode(prices, received_at, &mut out);
        out
    }

    fn digits(prices: &Prices) -> Vec<Option<String>> {
        [Some(prices.value), prices.bid, prices.ask]
            .iter()
            .map(|price| price.map(|price| price.to_string()))
            .collect()
    }

    #[test]
    fn bytes_that_were_written_once_are_read_for_ever() {
        let prices = Prices {
            value: price("54000.015"),
            bid: Some(price("54000.01000000")),
            ask: Some(price("54000.02000000")),
            observed_at: Some(Wall(1_000_000)),
        };
        let bytes = encoded(&prices, Wall(1_100_000));
        assert_eq!(bytes, [31, 200, 193, 203, 201, 2, 200, 1, 192, 154, 12]);
        assert_eq!(decode(&bytes, Wall(1_100_000)), Some(prices));
    }

    #[test]
    fn cut_or_foreign_bytes_are_refused() {
        let prices = Prices {
            value: price("1.10"),
            bid: Some(price("1.0")),
            ask: None,
            observed_at: Some(Wall(5)),
        };
        let bytes = encoded(&prices, Wall(9));
        for length in 0..bytes.len() {
            assert_eq!(decode(&bytes[..length], Wall(9)), None, "{length} bytes");
        }
        assert_eq!(decode(&[bytes.as_slice(), &[0]].concat(), Wall(9)), None);
        assert_eq!(decode(&[0xff; 40], Wall(9)), None);
    }

    fn any_prices() -> impl Strategy<Value = Prices> {
        let observed = prop_oneof![
            Just(None),
            (Wall::MIN.0..=Wall::MAX.0).prop_map(|at| Some(Wall(at))),
            any::<i64>().prop_map(|at| Some(Wall(at))),
        ];
        (
            any_price(),
            proptest::option::of(any_price()),
            proptest::option::of(any_price()),
            observed,
            0..3,
        )
            .prop_map(|(value, bid, ask, observed_at, shape)| {
                let value = match (shape, bid.zip(ask)) {
                    (0, Some((bid, ask))) => Price::mid(bid, ask).unwrap_or(value),
                    _ => value,
                };
                // A tight spread at the bid's own scale, as streams have it.
                let near = |bid: Price| {
                    let step = Decimal::new(1, bid.value().scale());
                    bid.value()
                        .checked_add(step)
                        .and_then(|ask| Price::new(ask).ok())
                };
                let ask = if shape == 1 { bid.and_then(near) } else { ask };
                Prices {
                    value,
                    bid,
                    ask,
                    observed_at,
                }
            })
    }

    proptest! {
        #[test]
        fn every_row_survives_with_all_its_digits(prices in any_prices(), received_at in any::<i64>()) {
            let bytes = encoded(&prices, Wall(received_at));
            let read = decode(&bytes, Wall(received_at)).unwrap();
            prop_assert_eq!(read, prices);
            prop_assert_eq!(digits(&read), digits(&prices));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = decode(&bytes, Wall(0));
        }
    }
}
