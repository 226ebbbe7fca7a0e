//! History: append, and the last rows at a moment.
//!
//! | module | what it holds |
//! |---|---|
//! | `page` | pages, merged from rows and blocks of all sources |
//! | `blocks` | old rows, many to a block |

mod blocks;
mod page;

pub(super) use blocks::{has_rows_before, pack_step, prune_step};
pub(super) use page::page;

use super::fault::Fault;
use super::names::{self, Names};
use super::place::{as_of_one_moment, read_bytes, read_id, stored_id};
use crate::HistoryRow;
use crate::packed::prices::{self, Prices};
use blocks::Packed;
use kurs_core::{Pair, SourceId, Wall};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Most rows of one page, whatever is asked for.
pub(crate) const PAGE_MAX: u32 = 10_000;

/// Appends rows; those that are there already are passed over, in a block as well.
pub(super) fn append(
    connection: &Connection,
    names: &mut Names,
    rows: &[HistoryRow],
) -> Result<(), Fault> {
    if rows.is_empty() {
        return Ok(());
    }
    names.look_around(connection)?;
    let mut insert = connection.prepare_cached(
        "INSERT INTO history (pair, source, received_at, shard, epoch, seq, price)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
    )?;
    let mut packed = Packed::default();
    let mut price = Vec::with_capacity(64);
    for row in rows {
        let (shard, epoch, seq) = stored_id(row.id)?;
        let pair = names.pair(connection, row.pair)?;
        let source = names.source(connection, row.source)?;
        let packed_until = match names.packed_until((pair, source)) {
            Some(known) => known,
            None => {
                let found = blocks::packed_until(connection, (pair, source))?;
                names.set_packed_until((pair, source), found);
                found
            }
        };
        if packed_until.is_some_and(|until| row.received_at.0 <= until)
            && packed.holds(connection, (pair, source), row)?
        {
            continue;
        }
        price.clear();
        let parts = Prices {
            value: row.value,
            bid: row.bid,
            ask: row.ask,
            observed_at: row.observed_at,
        };
        prices::encode(&parts, row.received_at, &mut price);
        insert.execute(params![
            pair,
            source,
            row.received_at.0,
            shard,
            epoch,
            seq,
            price,
        ])?;
    }
    Ok(())
}

fn read(row: &Row<'_>, pair: Pair, source: SourceId) -> Result<HistoryRow, Fault> {
    let received_at = Wall(row.get(0)?);
    let id = read_id(row, 1)?;
    let parts = prices::decode(read_bytes(row, 4)?, received_at)
        .ok_or_else(|| Fault::corrupt(format!("the price of {pair} by {source}, id {id}")))?;
    Ok(HistoryRow {
        pair,
        source,
        id,
        value: parts.value,
        bid: parts.bid,
        ask: parts.ask,
        observed_at: parts.observed_at,
        received_at,
    })
}

/// The last row of each source received at or before `at`, by source. Two look-ups per source.
pub(super) fn last_rows(
    connection: &Connection,
    pair: Pair,
    at: Wall,
) -> Result<Vec<HistoryRow>, Fault> {
    as_of_one_moment(connection, |connection| {
        let mut found = Vec::new();
        let Some(number) = names::find_pair(connection, pair)? else {
            return Ok(found);
        };
        for (source_number, source) in names::all_sources(connection)? {
            let series = (number, source_number);
            let hot = last_hot(connection, series, (pair, source), at)?;
            let behind = hot.as_ref().map(|row| (row.received_at, row.id));
            // A block is opened only when its rows may be later.
            let packed = blocks::last_row(connection, series, (pair, source), at, behind)?;
            found.extend(packed.or(hot));
        }
        found.sort_by_key(|row| row.source);
        Ok(found)
    })
}

fn last_hot(
    connection: &Connection,
    (pair_number, source_number): (i64, i64),
    (pair, source): (Pair, SourceId),
    at: Wall,
) -> Result<Option<HistoryRow>, Fault> {
    connection
        .prepare_cached(LAST_HOT)?
        .query_row(params![pair_number, source_number, at.0], |row| {
            Ok(read(row, pair, source))
        })
        .optional()?
        .transpose()
}

/// The last row of a source at a moment.
pub(super) const LAST_HOT: &str = "SELECT received_at, shard, epoch, seq, price FROM history
     WHERE pair = ?1 AND source = ?2 AND received_at <= ?3
     ORDER BY received_at DESC, shard DESC, epoch DESC, seq DESC LIMIT 1";

#[cfg(test)]
pub(super) use blocks::BLOCK_AT;
