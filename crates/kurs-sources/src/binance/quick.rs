//! The two frames that come in numbers, `bookTicker` and `depthUpdate`, read without a JSON
//! parser when they are written exactly as the venue writes them today: parsing JSON was the
//! largest part of what one cost (`docs/benchmarks.md`). Whatever differs in a single byte is
//! left to the parser, so this decides nothing about what is accepted; a test compares the two.

use super::read::book;
use crate::venue::codec::{Said, Symbols};
use kurs_book::{Change, Side};
use kurs_core::Price;
use rust_decimal::Decimal;

/// More digits than this do not fit the fast way of reading a number.
const DIGITS_MAX: usize = 18;

/// Reads a frame, wrapped or bare. `None` leaves the text to the parser; what was added to
/// `changes` by then means nothing.
pub(super) fn frame(text: &str, symbols: &dyn Symbols, changes: &mut Vec<Change>) -> Option<Said> {
    let mut cursor = Cursor(text.as_bytes());
    let wrapped = cursor.skip(br#"{"stream":""#).is_some();
    if wrapped {
        let name = cursor.string()?;
        // The name must be one that the payload is of.
        if !name.ends_with(b"@bookTicker") && !name.ends_with(b"@depth@100ms") {
            return None;
        }
        cursor.skip(br#","data":"#)?;
    }
    let said = if cursor.skip(br#"{"u":"#).is_some() {
        book_ticker(&mut cursor, symbols)?
    } else {
        cursor.skip(br#"{"e":"depthUpdate","E":"#)?;
        depth_update(&mut cursor, symbols, changes)?
    };
    if wrapped {
        cursor.skip(b"}")?;
    }
    cursor.0.is_empty().then_some(said)
}

/// `5,"s":"..","b":"..","B":"..","a":"..","A":".."}`, keys in this order, no blanks.
fn book_ticker(cursor: &mut Cursor<'_>, symbols: &dyn Symbols) -> Option<Said> {
    let id = cursor.integer()?;
    cursor.skip(br#","s":""#)?;
    let symbol = cursor.symbol(symbols)?;
    let mut side = |price_key: &[u8], size_key: &[u8]| {
        cursor.skip(price_key)?;
        let price = cursor.decimal()?;
        cursor.skip(size_key)?;
        let size = cursor.decimal()?;
        Some((price, size))
    };
    let (bid, bid_size) = side(br#","b":""#, br#","B":""#)?;
    let (ask, ask_size) = side(br#","a":""#, br#","A":""#)?;
    cursor.skip(b"}")?;
    let Some(symbol) = symbol else {
        return Some(Said::Other);
    };
    Some(Said::Top {
        symbol,
        bid: (Price::new(bid).ok()?, Some(bid_size)),
        ask: (Price::new(ask).ok()?, Some(ask_size)),
        id: Some(id),
        at: None,
    })
}

/// `1723161255208,"s":"..","U":1,"u":2,"b":[["..",".."]],"a":[]}`.
fn depth_update(
    cursor: &mut Cursor<'_>,
    symbols: &dyn Symbols,
    changes: &mut Vec<Change>,
) -> Option<Said> {
    let event_at = i64::try_from(cursor.integer()?).ok()?;
    cursor.skip(br#","s":""#)?;
    let symbol = cursor.symbol(symbols)?;
    cursor.skip(br#","U":"#)?;
    let first = cursor.integer()?;
    cursor.skip(br#","u":"#)?;
    let last = cursor.integer()?;
    let from = changes.len();
    cursor.skip(br#","b":"#)?;
    cursor.levels(Side::Bid, changes)?;
    cursor.skip(br#","a":"#)?;
    cursor.levels(Side::Ask, changes)?;
    cursor.skip(b"}")?;
    let Some(symbol) = symbol else {
        changes.truncate(from);
        return Some(Said::Other);
    };
    Some(book(symbol, (first, last), event_at, from..changes.len()))
}

/// What is still to be read.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn skip(&mut self, expected: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(expected)?;
        Some(())
    }

    /// Up to the closing quote, which is passed over. A string with an escape, a control
    /// character or anything but ASCII is for the parser to judge.
    fn string(&mut self) -> Option<&'a [u8]> {
        let end = self
            .0
            .iter()
            .position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20 | 0x80..))?;
        let (text, rest) = self.0.split_at_checked(end)?;
        self.0 = rest.strip_prefix(b"\"")?;
        Some(text)
    }

    /// The number of a followed symbol, `Some(None)` for another one.
    fn symbol(&mut self, symbols: &dyn Symbols) -> Option<Option<u32>> {
        let name = std::str::from_utf8(self.string()?).ok()?;
        Some(symbols.find(name))
    }

    /// A JSON integer of at most 18 digits, without a leading zero.
    fn integer(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        let mut length = 0;
        for byte in self.0 {
            if !byte.is_ascii_digit() {
                break;
            }
            value = value.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
            length += 1;
        }
        let has_leading_zero = length > 1 && self.0.first() == Some(&b'0');
        if length == 0 || length > DIGITS_MAX || has_leading_zero {
            return None;
        }
        self.0 = self.0.get(length..)?;
        Some(value)
    }

    /// A decimal number up to its closing quote, which is passed over, every digit kept.
    fn decimal(&mut self) -> Option<Decimal> {
        let mut value = 0_u64;
        let mut point = None;
        let mut end = None;
        for (index, byte) in self.0.iter().enumerate() {
            let digit = byte.wrapping_sub(b'0');
            if digit < 10 {
                value = value.wrapping_mul(10).wrapping_add(u64::from(digit));
            } else if *byte == b'"' {
                end = Some(index);
                break;
            } else if *byte == b'.' && point.is_none() && index > 0 {
                point = Some(index);
            } else {
                return None;
            }
        }
        let end = end?;
        let (digits, decimals) = match point {
            Some(point) => (end - 1, end - point - 1),
            None => (end, 0),
        };
        let ends_in_point = point.is_some() && decimals == 0;
        if digits == 0 || digits > DIGITS_MAX || ends_in_point {
            return None;
        }
        self.0 = self.0.get(end + 1..)?;
        let scale = u32::try_from(decimals).ok()?;
        let low = u32::try_from(value & u64::from(u32::MAX)).ok()?;
        let middle = u32::try_from(value >> 32).ok()?;
        Some(Decimal::from_parts(low, middle, 0, false, scale))
    }

    /// `[["price","size"],...]`.
    fn levels(&mut self, side: Side, changes: &mut Vec<Change>) -> Option<()> {
        self.skip(b"[")?;
        if self.skip(b"]").is_some() {
            return Some(());
        }
        loop {
            self.skip(b"[\"")?;
            let price = Price::new(self.decimal()?).ok()?;
            self.skip(b",\"")?;
            let size = self.decimal()?;
            changes.push(Change { side, price, size });
            if self.skip(b"],").is_none() {
                return self.skip(b"]]");
            }
        }
    }
}
