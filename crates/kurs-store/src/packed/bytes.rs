//! Numbers as bytes.
//!
//! ```text
//! varint     7 bits a byte, lowest first; the high bit says that more follow
//! zigzag     varint of 2 * n for n >= 0, of -2 * n - 1 below
//! decimal    1 byte: scale + 32 * zeros, then varint: mantissa / 10^zeros
//! ```

use rust_decimal::Decimal;

/// Most trailing zeros that are counted instead of kept.
const ZEROS_MAX: u32 = 7;

/// Writes the amount of `value`; its sign is lost.
pub(super) fn put_decimal(out: &mut Vec<u8>, value: Decimal) {
    let mut mantissa = value.mantissa().unsigned_abs();
    let mut zeros = 0;
    while zeros < ZEROS_MAX && mantissa != 0 && mantissa.is_multiple_of(10) {
        mantissa /= 10;
        zeros += 1;
    }
    // A scale is at most 28 and zeros at most 7: 5 bits and 3 bits.
    let head = (value.scale() | (zeros << 5)) & 0xff;
    out.push(u8::try_from(head).unwrap_or_default());
    put_varint(out, mantissa);
}

pub(super) fn take_decimal(input: &mut &[u8]) -> Option<Decimal> {
    let head = u32::from(take_byte(input)?);
    let (scale, zeros) = (head & 31, head >> 5);
    let mantissa = take_varint(input)?.checked_mul(10_u128.pow(zeros))?;
    Decimal::try_from_i128_with_scale(i128::try_from(mantissa).ok()?, scale).ok()
}

pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u128) {
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap_or_default() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or_default());
}

pub(super) fn take_varint(input: &mut &[u8]) -> Option<u128> {
    let mut value = 0_u128;
    for shift in (0..126).step_by(7) {
        let byte = take_byte(input)?;
        value |= u128::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A length or count, refused beyond `most`.
pub(super) fn take_count(input: &mut &[u8], most: usize) -> Option<usize> {
    let count = usize::try_from(take_varint(input)?).ok()?;
    (count <= most).then_some(count)
}

pub(super) fn put_count(out: &mut Vec<u8>, count: usize) {
    put_varint(out, u128::try_from(count).unwrap_or(u128::MAX));
}

pub(super) fn put_zigzag(out: &mut Vec<u8>, value: i128) {
    let zigzag = (value << 1) ^ (value >> 127);
    put_varint(out, zigzag.cast_unsigned());
}

pub(super) fn take_zigzag(input: &mut &[u8]) -> Option<i128> {
    let zigzag = take_varint(input)?;
    Some((zigzag >> 1).cast_signed() ^ -((zigzag & 1).cast_signed()))
}

pub(super) fn take_byte(input: &mut &[u8]) -> Option<u8> {
    let (first, rest) = input.split_first()?;
    *input = rest;
    Some(*first)
}

pub(super) fn take_bytes<'a>(input: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = input.split_at_checked(length)?;
    *input = rest;
    Some(taken)
}
