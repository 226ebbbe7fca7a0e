//! A block of received rates: up to [`ROWS_MAX`] rows of one pair and source, in the order of
//! their places (receive time, id).
//!
//! ```text
//! 1 byte     1: this form
//! varint     number of rows
//! deltas     receive time
//! ids
//! chunk      flags, a byte per row: see FLAG_*
//! observed   1 byte: 0 microseconds, 1 milliseconds; numbers: receive less observation time
//! bid, ask   unit of both with the scales of the bids, then of the asks;
//!            deltas: bid; deltas: ask, less the bid of the row if it has one
//! value      unit and scales; deltas. None of a row whose value is the middle of bid and ask
//! sized      odd rows, behind each other: varint length, bytes of `prices`
//! ```
//! Each column holds only what rows have, in their order. A row whose numbers do not fit the unit
//! that serves most is odd: its prices stand apart, in the form of a single row.

use super::bytes::{put_count, put_varint, take_byte, take_bytes, take_count};
use super::columns::{Sink, Spring};
use super::decimals::{Scales, Unit};
use super::prices::{self, Prices};
use crate::HistoryRow;
use kurs_core::{Pair, Price, SourceId, UpdateId, Wall};
use rust_decimal::Decimal;

/// Most rows of one block.
pub const ROWS_MAX: usize = 4_096;

const FORM: u8 = 1;
/// A higher level takes several times as long and saves less than a hundredth.
const LEVEL: i32 = 3;
/// Most bytes of an odd row with its length.
const ODD_MAX: usize = 96;

const FLAG_BID: u8 = 1;
const FLAG_ASK: u8 = 2;
const FLAG_MIDDLE: u8 = 4;
const FLAG_OBSERVED: u8 = 8;
const FLAG_ODD: u8 = 16;

const MICROSECONDS: u8 = 0;
const MILLISECONDS: u8 = 1;

/// The block of these rows, all of one pair and source. `None` when there are none or too many,
/// or when they are not in ascending order of their places.
#[must_use]
pub fn encode(rows: &[HistoryRow]) -> Option<Vec<u8>> {
    let is_ascending = rows
        .windows(2)
        .all(|pair| place(&pair[0]) < place(&pair[1]));
    if rows.is_empty() || rows.len() > ROWS_MAX || !is_ascending {
        return None;
    }
    let side = |row: &HistoryRow| [row.bid, row.ask].map(|price| price.map(Price::value));
    let sides = Unit::of(rows.iter().flat_map(side).flatten());
    let values = Unit::of(
        rows.iter()
            .filter(|row| !is_middle(row))
            .map(|row| row.value.value()),
    );
    let flags: Vec<u8> = rows
        .iter()
        .map(|row| flags_of(row, sides, values))
        .collect();

    let mut sink = Sink::new(LEVEL);
    sink.out.push(FORM);
    put_count(&mut sink.out, rows.len());
    let times: Vec<i64> = rows.iter().map(|row| row.received_at.0).collect();
    sink.deltas(&times);
    let ids: Vec<UpdateId> = rows.iter().map(|row| row.id).collect();
    sink.ids(&ids);
    sink.chunk(&flags);
    put_observed(&mut sink, rows, &flags);
    put_sides(&mut sink, rows, &flags, sides);
    put_values(&mut sink, rows, &flags, values);
    put_odd(&mut sink, rows, &flags);
    Some(sink.out)
}

fn place(row: &HistoryRow) -> (Wall, UpdateId) {
    (row.received_at, row.id)
}

fn is_middle(row: &HistoryRow) -> bool {
    row.bid
        .zip(row.ask)
        .and_then(|(bid, ask)| prices::middle(bid.value(), ask.value()))
        .is_some_and(|middle| prices::is_same(middle, row.value.value()))
}

fn flags_of(row: &HistoryRow, sides: Unit, values: Unit) -> u8 {
    let is_middle = is_middle(row);
    let has_fit_sides = [row.bid, row.ask]
        .into_iter()
        .flatten()
        .all(|price| sides.fits(price.value()));
    if !has_fit_sides || !(is_middle || values.fits(row.value.value())) {
        return FLAG_ODD;
    }
    let mut flags = 0;
    for (flag, is_set) in [
        (FLAG_BID, row.bid.is_some()),
        (FLAG_ASK, row.ask.is_some()),
        (FLAG_MIDDLE, is_middle),
        (FLAG_OBSERVED, row.observed_at.is_some()),
    ] {
        if is_set {
            flags |= flag;
        }
    }
    flags
}

/// Rows that have all of `flag` and are not odd.
fn having<'a>(
    rows: &'a [HistoryRow],
    flags: &'a [u8],
    flag: u8,
) -> impl Iterator<Item = &'a HistoryRow> {
    rows.iter()
        .zip(flags)
        .filter(move |(_, flags)| **flags & flag == flag)
        .map(|(row, _)| row)
}

fn put_observed(sink: &mut Sink, rows: &[HistoryRow], flags: &[u8]) {
    let times = || {
        having(rows, flags, FLAG_OBSERVED)
            .filter_map(|row| Some((row.received_at.0, row.observed_at?.0)))
    };
    let is_coarse = times().all(|(_, observed)| observed.rem_euclid(1_000) == 0);
    let behind: Vec<i64> = times()
        .map(|(received, observed)| {
            if is_coarse {
                received.div_euclid(1_000) - observed.div_euclid(1_000)
            } else {
                received.wrapping_sub(observed)
            }
        })
        .collect();
    sink.out.push(if is_coarse {
        MILLISECONDS
    } else {
        MICROSECONDS
    });
    sink.signed(&behind);
}

fn put_sides(sink: &mut Sink, rows: &[HistoryRow], flags: &[u8], unit: Unit) {
    let bids: Vec<Decimal> = having(rows, flags, FLAG_BID)
        .filter_map(|row| Some(row.bid?.value()))
        .collect();
    let asks: Vec<Decimal> = having(rows, flags, FLAG_ASK)
        .filter_map(|row| Some(row.ask?.value()))
        .collect();
    unit.put(sink, &bids);
    unit.put(sink, &asks);
    let counted: Vec<i64> = bids.iter().filter_map(|bid| unit.count(*bid)).collect();
    sink.deltas(&counted);
    let counted: Vec<i64> = having(rows, flags, FLAG_ASK)
        .filter_map(|row| {
            let bid = row.bid.and_then(|bid| unit.count(bid.value()));
            // Both are positive.
            Some(unit.count(row.ask?.value())? - bid.unwrap_or(0))
        })
        .collect();
    sink.deltas(&counted);
}

fn put_values(sink: &mut Sink, rows: &[HistoryRow], flags: &[u8], unit: Unit) {
    let values: Vec<Decimal> = rows
        .iter()
        .zip(flags)
        .filter(|(_, flags)| **flags & (FLAG_ODD | FLAG_MIDDLE) == 0)
        .map(|(row, _)| row.value.value())
        .collect();
    unit.put(sink, &values);
    let counted: Vec<i64> = values
        .iter()
        .filter_map(|value| unit.count(*value))
        .collect();
    sink.deltas(&counted);
}

fn put_odd(sink: &mut Sink, rows: &[HistoryRow], flags: &[u8]) {
    let (mut odd, mut one) = (Vec::new(), Vec::new());
    for row in having(rows, flags, FLAG_ODD) {
        one.clear();
        let parts = Prices {
            value: row.value,
            bid: row.bid,
            ask: row.ask,
            observed_at: row.observed_at,
        };
        prices::encode(&parts, row.received_at, &mut one);
        put_varint(&mut odd, u128::try_from(one.len()).unwrap_or_default());
        odd.extend(&one);
    }
    sink.sized(&odd);
}

/// Receive time and id of each row of a block, ascending and never empty. `None` when the bytes
/// are no block; whether the rest of them is sound is not looked at.
#[must_use]
pub fn places(bytes: &[u8]) -> Option<Vec<(Wall, UpdateId)>> {
    take_places(&mut Spring::new(bytes)?)
}

fn take_places(spring: &mut Spring<'_>) -> Option<Vec<(Wall, UpdateId)>> {
    if take_byte(&mut spring.input)? != FORM {
        return None;
    }
    let count = take_count(&mut spring.input, ROWS_MAX)?;
    let times = spring.deltas(count)?;
    let ids = spring.ids(count)?;
    let places: Vec<_> = times.into_iter().map(Wall).zip(ids).collect();
    // Out of order, pages would go round in circles.
    let is_ascending = places.windows(2).all(|pair| pair[0] < pair[1]);
    (is_ascending && !places.is_empty()).then_some(places)
}

/// The rows of a block, in order. `None` when the bytes are no block.
#[must_use]
pub fn decode(bytes: &[u8], pair: Pair, source: SourceId) -> Option<Vec<HistoryRow>> {
    let mut spring = Spring::new(bytes)?;
    let places = take_places(&mut spring)?;
    let count = places.len();
    let flags = spring.chunk(count)?;
    let number_of = |flag: u8| flags.iter().filter(|flags| **flags & flag != 0).count();

    let unit = take_byte(&mut spring.input)?;
    let mut behind = spring.signed(number_of(FLAG_OBSERVED))?.into_iter();
    let (bids, asks) = (number_of(FLAG_BID), number_of(FLAG_ASK));
    let bid_scales = Scales::take(&mut spring, bids)?;
    let ask_scales = Scales::take(&mut spring, asks)?;
    let mut bids = spring.deltas(bids)?.into_iter().enumerate();
    let mut asks = spring.deltas(asks)?.into_iter().enumerate();
    let own_values = flags
        .iter()
        .filter(|flags| **flags & (FLAG_ODD | FLAG_MIDDLE) == 0)
        .count();
    let value_scales = Scales::take(&mut spring, own_values)?;
    let mut values = spring.deltas(own_values)?.into_iter().enumerate();
    let odd = spring.sized(count * ODD_MAX)?;
    let odd = &mut odd.as_slice();

    let mut rows: Vec<HistoryRow> = Vec::with_capacity(count);
    for ((received_at, id), flags) in places.into_iter().zip(flags) {
        let has = |flag: u8| flags & flag != 0;
        let parts = if flags == FLAG_ODD {
            let length = take_count(odd, ODD_MAX)?;
            prices::decode(take_bytes(odd, length)?, received_at)?
        } else if flags < FLAG_ODD {
            let observed_at = match has(FLAG_OBSERVED) {
                true => Some(observed(received_at, unit, behind.next()?)?),
                false => None,
            };
            let bid = match has(FLAG_BID) {
                true => Some(bids.next()?),
                false => None,
            };
            let ask = match has(FLAG_ASK) {
                true => {
                    let (index, over) = asks.next()?;
                    let number = over.wrapping_add(bid.map_or(0, |(_, bid)| bid));
                    Some(ask_scales.decimal(index, number)?)
                }
                false => None,
            };
            let bid = match bid {
                Some((index, number)) => Some(bid_scales.decimal(index, number)?),
                None => None,
            };
            let value = if has(FLAG_MIDDLE) {
                prices::middle(bid?, ask?)?
            } else {
                let (index, number) = values.next()?;
                value_scales.decimal(index, number)?
            };
            Prices {
                value: Price::new(value).ok()?,
                bid: bid.map(Price::new).transpose().ok()?,
                ask: ask.map(Price::new).transpose().ok()?,
                observed_at,
            }
        } else {
            return None;
        };
        rows.push(HistoryRow {
            pair,
            source,
            id,
            value: parts.value,
            bid: parts.bid,
            ask: parts.ask,
            observed_at: parts.observed_at,
            received_at,
        });
    }
    (odd.is_empty() && spring.input.is_empty()).then_some(rows)
}

fn observed(received_at: Wall, unit: u8, behind: i64) -> Option<Wall> {
    match unit {
        MICROSECONDS => Some(Wall(received_at.0.wrapping_sub(behind))),
        MILLISECONDS => {
            let observed = received_at.0.div_euclid(1_000).checked_sub(behind)?;
            Some(Wall(observed.checked_mul(1_000)?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
