//! Times and exact decimals in PostgreSQL's binary form, and what else rows are made of.

use super::fault::Fault;
use bytes::{BufMut, BytesMut};
use kurs_core::{Epoch, Price, Seq, UpdateId, Wall};
use rust_decimal::Decimal;
use std::error::Error;
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, accepts, to_sql_checked};

/// 2000-01-01T00:00:00Z, where PostgreSQL's times begin, in microseconds since 1970.
const POSTGRES_BEGIN_US: i64 = 946_684_800_000_000;
/// 4714-11-24 BC, the first moment that `timestamptz` can hold. The last one is later than any of
/// ours.
const FIRST_US: i64 = -211_813_488_000_000_000;

/// A time as `timestamptz`. One that it cannot hold becomes `-infinity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Time(pub(super) Wall);

impl ToSql for Time {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let since_2000 = self.0.0.saturating_sub(POSTGRES_BEGIN_US);
        out.put_i64(match since_2000 {
            ..FIRST_US => i64::MIN,
            _ => since_2000,
        });
        Ok(IsNull::No)
    }

    accepts!(TIMESTAMPTZ);
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Time {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        let since_2000 = i64::from_be_bytes(raw.try_into()?);
        Ok(Self(Wall(since_2000.saturating_add(POSTGRES_BEGIN_US))))
    }

    accepts!(TIMESTAMPTZ);
}

/// Decimal digits of one group of `numeric`.
const GROUP_DIGITS: u32 = 4;
const GROUP: u128 = 10_000;
/// More groups than a decimal of ours can have.
const GROUPS_MAX: usize = 16;

/// An exact decimal as `numeric`, with its trailing zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number(pub(super) Decimal);

impl From<Price> for Number {
    fn from(price: Price) -> Self {
        Self(price.value())
    }
}

impl ToSql for Number {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let scale = self.0.scale();
        let mut rest = self.0.mantissa().unsigned_abs();
        // Groups stand at fixed distances from the point, so the last one is filled with zeros.
        let groups_behind_point = scale.div_ceil(GROUP_DIGITS);
        let missing = groups_behind_point * GROUP_DIGITS - scale;
        let mut groups = [0_u16; GROUPS_MAX];
        let mut count = 0;
        let mut push = |group: u128| {
            groups[count] = u16::try_from(group).unwrap_or_default();
            count += 1;
        };
        if missing > 0 {
            // The mantissa times 10^missing may be more than can be held: its last group alone.
            let part = 10_u128.pow(GROUP_DIGITS - missing);
            push(rest % part * 10_u128.pow(missing));
            rest /= part;
        }
        while rest > 0 {
            push(rest % GROUP);
            rest /= GROUP;
        }
        let weight = i64::try_from(count)? - i64::from(groups_behind_point) - 1;
        let groups = &groups[..count];
        let trailing = groups.iter().take_while(|group| **group == 0).count();
        let leading = groups.iter().rev().take_while(|group| **group == 0).count();
        let kept = groups.get(trailing..count - leading).unwrap_or_default();
        let weight = if kept.is_empty() {
            0
        } else {
            weight - i64::try_from(leading)?
        };
        out.put_i16(i16::try_from(kept.len())?);
        out.put_i16(i16::try_from(weight)?);
        out.put_u16(if self.0.is_sign_negative() && !kept.is_empty() {
            NEGATIVE
        } else {
            0
        });
        out.put_i16(i16::try_from(scale)?);
        for group in kept.iter().rev() {
            out.put_u16(*group);
        }
        Ok(IsNull::No)
    }

    accepts!(NUMERIC);
    to_sql_checked!();
}

const NEGATIVE: u16 = 0x4000;

impl<'a> FromSql<'a> for Number {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        read_numeric(raw)
            .map(Self)
            .ok_or_else(|| "a number that cannot be held exactly".into())
    }

    accepts!(NUMERIC);
}

fn read_numeric(raw: &[u8]) -> Option<Decimal> {
    let word = |at: usize| Some(u16::from_be_bytes(raw.get(at..at + 2)?.try_into().ok()?));
    let count = usize::from(word(0)?);
    let weight = i32::from(word(2)?.cast_signed());
    let sign = word(4)?;
    let scale = u32::from(word(6)?);
    if (sign != 0 && sign != NEGATIVE) || scale > 28 || count > GROUPS_MAX {
        return None;
    }
    if raw.len() != 8 + 2 * count {
        return None;
    }
    // Digits from the first group down to as many behind the point as the scale says.
    let mut mantissa: i128 = 0;
    let last = -i32::try_from(scale.div_ceil(GROUP_DIGITS)).ok()?;
    let cut = scale.div_ceil(GROUP_DIGITS) * GROUP_DIGITS - scale;
    for place in (last..=weight).rev() {
        let index = usize::try_from(weight - place).ok()?;
        let group = if index < count {
            word(8 + 2 * index)?
        } else {
            0
        };
        if u128::from(group) >= GROUP {
            return None;
        }
        let mut group = i128::from(group);
        let mut digits = GROUP_DIGITS;
        if place == last && cut > 0 {
            let part = 10_i128.pow(cut);
            if group % part != 0 {
                return None;
            }
            group /= part;
            digits -= cut;
        }
        mantissa = mantissa
            .checked_mul(10_i128.pow(digits))?
            .checked_add(group)?;
    }
    // Groups behind what the scale shows would be lost.
    let shown = usize::try_from(weight - last + 1).unwrap_or(0);
    if count > shown {
        return None;
    }
    let mantissa = if sign == NEGATIVE {
        -mantissa
    } else {
        mantissa
    };
    Decimal::try_from_i128_with_scale(mantissa, scale).ok()
}

/// The parts of an id as columns hold them.
pub(super) struct StoredId {
    pub(super) shard: i32,
    pub(super) epoch: i64,
    pub(super) seq: i64,
}

impl StoredId {
    /// Before every id.
    pub(super) const FIRST: Self = Self {
        shard: -1,
        epoch: 0,
        seq: 0,
    };

    /// After every id.
    pub(super) const LAST: Self = Self {
        shard: i32::MAX,
        epoch: 0,
        seq: 0,
    };

    pub(super) fn of(id: UpdateId) -> Result<Self, Fault> {
        let part = |number: u64| {
            i64::try_from(number)
                .map_err(|_| Fault::corrupt(format!("the id {id} is out of range")))
        };
        Ok(Self {
            shard: i32::from(id.shard),
            epoch: part(id.epoch.0)?,
            seq: part(id.seq.0)?,
        })
    }
}

/// The id whose parts are in the columns `first..first + 3`: shard, epoch, seq.
pub(super) fn read_id(row: &Row, first: usize) -> Result<UpdateId, Fault> {
    let shard: i32 = row.try_get(first)?;
    let (epoch, seq): (i64, i64) = (row.try_get(first + 1)?, row.try_get(first + 2)?);
    let wrong = |_| Fault::corrupt("an id is out of range");
    Ok(UpdateId {
        shard: u16::try_from(shard).map_err(wrong)?,
        epoch: Epoch(u64::try_from(epoch).map_err(wrong)?),
        seq: Seq(u64::try_from(seq).map_err(wrong)?),
    })
}

/// A price in a column.
pub(super) fn read_price(row: &Row, column: usize) -> Result<Price, Fault> {
    price(row.try_get(column)?)
}

/// A price in a column that may be empty.
pub(super) fn read_price_if_any(row: &Row, column: usize) -> Result<Option<Price>, Fault> {
    row.try_get::<_, Option<Number>>(column)?
        .map(price)
        .transpose()
}

fn price(number: Number) -> Result<Price, Fault> {
    Price::new(number.0).map_err(|error| Fault::corrupt(format!("price {}: {error}", number.0)))
}

/// A time in a column.
pub(super) fn read_time(row: &Row, column: usize) -> Result<Wall, Fault> {
    Ok(row.try_get::<_, Time>(column)?.0)
}

/// Text without the one character that PostgreSQL cannot hold.
pub(super) fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(number: Decimal) -> BytesMut {
        let mut out = BytesMut::new();
        Number(number).to_sql(&Type::NUMERIC, &mut out).unwrap();
        out
    }

    #[test]
    fn numbers_have_the_bytes_that_postgresql_sends() {
        // SELECT numeric_send(54000.0150::numeric), ...
        let check = |text: &str, expect: &[u16]| {
            let expect: Vec<u8> = expect.iter().flat_map(|word| word.to_be_bytes()).collect();
            assert_eq!(bytes(text.parse().unwrap())[..], expect[..], "{text}");
        };
        check("54000.0150", &[3, 1, 0, 4, 5, 4_000, 150]);
        check("54000.015", &[3, 1, 0, 3, 5, 4_000, 150]);
        check("1.00", &[1, 0, 0, 2, 1]);
        check("0.00001", &[1, 0xfffe, 0, 5, 1_000]);
        check("0", &[0, 0, 0, 0]);
        check("-10000", &[1, 1, NEGATIVE, 0, 1]);
    }

    #[test]
    fn what_cannot_be_held_exactly_is_refused() {
        for words in [
            &[1, 0, 0xc000, 0][..],    // not a number
            &[1, 0, 0, 29, 1][..],     // a longer scale than ours
            &[1, 8, 0, 0, 1][..],      // too great
            &[1, 0, 0, 0][..],         // cut off
            &[1, 0, 0, 0, 10_000][..], // no group
            &[1, 0xffff, 0, 2, 1][..], // digits behind the scale
        ] {
            let raw: Vec<u8> = words
                .iter()
                .flat_map(|word: &u16| word.to_be_bytes())
                .collect();
            assert_eq!(read_numeric(&raw), None, "{words:?}");
        }
    }

    #[test]
    fn a_time_before_all_that_postgresql_can_hold_is_infinite() {
        let sent = |wall: i64| {
            let mut out = BytesMut::new();
            Time(Wall(wall))
                .to_sql(&Type::TIMESTAMPTZ, &mut out)
                .unwrap();
            i64::from_be_bytes(out[..].try_into().unwrap())
        };
        assert_eq!(sent(POSTGRES_BEGIN_US + 5), 5);
        assert_eq!(sent(i64::MIN), i64::MIN);
        assert_eq!(sent(i64::MAX), i64::MAX - POSTGRES_BEGIN_US);
        assert!(sent(Wall::MIN.0) > i64::MIN);
    }

    proptest! {
        #[test]
        fn every_decimal_survives_with_all_its_digits(
            mantissa in -(1_i128 << 96) + 1..1_i128 << 96, scale in 0_u32..=28, shift in 0_u32..96,
        ) {
            let number = Decimal::from_i128_with_scale(mantissa >> shift, scale);
            let read = read_numeric(&bytes(number)).unwrap();
            prop_assert_eq!((read, read.scale()), (number, number.scale()));
        }

        #[test]
        fn no_bytes_panic(raw in proptest::collection::vec(any::<u8>(), 0..60)) {
            let _ = read_numeric(&raw);
        }
    }
}
