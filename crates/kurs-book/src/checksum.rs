//! Checksums as venues compute them, over the digits that they wrote. A decimal keeps its
//! digits, so they need not be kept as text.

use crate::book::Book;
use kurs_core::Level;
use rust_decimal::Decimal;

/// Levels per side in Kraken's checksum.
const KRAKEN_LEVELS: usize = 10;
/// Levels per side in OKX's checksum.
const OKX_LEVELS: usize = 25;

/// CRC32 of the best 10 asks, then the best 10 bids: price and size of each without the point
/// and without leading zeros. `scratch` is used for the text.
pub(crate) fn kraken(book: &Book, scratch: &mut Vec<u8>) -> u32 {
    scratch.clear();
    let asks = book.asks().take(KRAKEN_LEVELS);
    for level in asks.chain(book.bids().take(KRAKEN_LEVELS)) {
        // The digits without point and leading zeros are those of the mantissa.
        write_number(scratch, level.price.value(), 0);
        write_number(scratch, level.size, 0);
    }
    crc32fast::hash(scratch)
}

/// CRC32 of the best 25 levels: bid price, bid size, ask price, ask size, and so on, joined by
/// colons, as written. Where one side has no more levels, the other goes on alone.
pub(crate) fn okx(book: &Book, scratch: &mut Vec<u8>) -> u32 {
    scratch.clear();
    let (mut bids, mut asks) = (book.bids(), book.asks());
    for _ in 0..OKX_LEVELS {
        for level in [bids.next(), asks.next()].into_iter().flatten() {
            write_level(scratch, level);
        }
    }
    // A colon follows every number but the last.
    scratch.pop();
    crc32fast::hash(scratch)
}

fn write_level(text: &mut Vec<u8>, level: Level) {
    for number in [level.price.value(), level.size] {
        write_number(text, number, number.scale() as usize);
        text.push(b':');
    }
}

/// Digits of a mantissa (29 at most), and a zero before the point of a scale of 28.
const DIGITS_MAX: usize = 30;

/// Writes a number that is not negative with its point before the last `decimals` digits;
/// with 0 of them, its digits alone.
fn write_number(text: &mut Vec<u8>, number: Decimal, decimals: usize) {
    let mut digits = [b'0'; DIGITS_MAX];
    let mut start = DIGITS_MAX;
    let mut rest = number.mantissa().unsigned_abs();
    // Division of 128 bits is slow, and nearly all numbers need fewer.
    while rest > u128::from(u64::MAX) {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    let mut rest = rest as u64;
    while rest > 0 {
        start -= 1;
        digits[start] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    // At least one digit before the point.
    start = start.min(DIGITS_MAX - 1 - decimals);
    let point = DIGITS_MAX - decimals;
    text.extend_from_slice(&digits[start..point]);
    if decimals > 0 {
        text.push(b'.');
        text.extend_from_slice(&digits[point..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::update::{Change, Side};
    use kurs_core::{Price, price::parse_decimal};
    use proptest::prelude::*;

    fn book(levels: &[(Side, &str, &str)]) -> Book {
        let mut book = Book::new();
        for (side, price, size) in levels {
            book.set(&Change {
                side: *side,
                price: Price::parse(price).unwrap(),
                size: parse_decimal(size).unwrap(),
            });
        }
        book
    }

    fn plain(text: &str) -> String {
        let number = parse_decimal(text).unwrap();
        let mut written = Vec::new();
        write_number(&mut written, number, number.scale() as usize);
        String::from_utf8(written).unwrap()
    }

    #[test]
    fn kraken_text_has_neither_points_nor_leading_zeros() {
        let mut text = Vec::new();
        let one = book(&[
            (Side::Ask, "45285.2", "0.00100000"),
            (Side::Bid, "0.00500", "1"),
        ]);
        kraken(&one, &mut text);
        assert_eq!(String::from_utf8(text).unwrap(), "4528521000005001");
    }

    #[test]
    fn okx_text_goes_on_with_the_longer_side() {
        let mut text = Vec::new();
        let levels = [
            (Side::Bid, "3366.1", "7"),
            (Side::Ask, "3366.8", "9"),
            (Side::Ask, "3368", "8.0"),
        ];
        okx(&book(&levels), &mut text);
        let expected = "3366.1:7:3366.8:9:3368:8.0";
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }

    #[test]
    fn an_empty_book_has_the_checksum_of_nothing() {
        let mut text = Vec::new();
        assert_eq!(okx(&Book::new(), &mut text), crc32fast::hash(b""));
        assert_eq!(kraken(&Book::new(), &mut text), crc32fast::hash(b""));
    }

    #[test]
    fn numbers_written_with_an_exponent_count_as_if_written_out() {
        assert_eq!(plain("1e-08"), "0.00000001");
        assert_eq!(plain("8.75E+3"), "8750");
        assert_eq!(plain("1.50e-3"), "0.00150");
    }

    proptest! {
        #[test]
        fn a_number_has_the_digits_of_the_wire(text in "(0|[1-9][0-9]{0,12})(\\.[0-9]{1,15})?") {
            prop_assert_eq!(plain(&text), text);
        }

        #[test]
        fn any_decimal_is_written_as_it_prints(parts: (u32, u32, u32), scale in 0_u32..=28) {
            let number = Decimal::from_parts(parts.0, parts.1, parts.2, false, scale);
            let mut written = Vec::new();
            write_number(&mut written, number, scale as usize);
            prop_assert_eq!(String::from_utf8(written).unwrap(), number.to_string());
        }
    }
}
