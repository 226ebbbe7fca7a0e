//! Blocks of history. Those of one series (pair and source) do not overlap, since only rows
//! behind the last packed place are packed; a row that comes late stays a row for good.

use super::super::fault::Fault;
use super::super::names::Names;
use super::super::place::{Place, place as stored_place, read_bytes, read_place};
use super::read;
use crate::HistoryRow;
use crate::packed::rows::{self as packed, ROWS_MAX};
use kurs_core::{Pair, SourceId, UpdateId, Wall};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::HashMap;
use std::time::Duration;

/// A series is packed in blocks that are not full only when its oldest row is that much older
/// than what is to be packed.
pub(in super::super) const LEFTOVER_AGE: Duration = Duration::from_secs(86_400);
/// Blocks that one step of a deletion takes.
const PRUNE_STEP_BLOCKS: usize = 64;

/// The last block that begins at or before a place.
pub(in super::super) const BLOCK_AT: &str = "SELECT first_at, first_shard, first_epoch, first_seq,
            last_at, last_shard, last_epoch, last_seq, block
     FROM history_packed
     WHERE pair = ?1 AND source = ?2
       AND (first_at, first_shard, first_epoch, first_seq) <= (?3, ?4, ?5, ?6)
     ORDER BY first_at DESC, first_shard DESC, first_epoch DESC, first_seq DESC LIMIT 1";

/// Blocks that begin at a place or behind it, and before a time.
pub(super) const BLOCKS_FROM: &str = "SELECT first_at, first_shard, first_epoch, first_seq,
            last_at, last_shard, last_epoch, last_seq, block
     FROM history_packed
     WHERE pair = ?1 AND source = ?2
       AND (first_at, first_shard, first_epoch, first_seq) >= (?3, ?4, ?5, ?6)
       AND first_at < ?7
     ORDER BY first_at, first_shard, first_epoch, first_seq";

/// A block that was opened.
pub(super) struct Block {
    pub(super) rows: Vec<HistoryRow>,
}

impl Block {
    /// Opens the block of a row of [`BLOCK_AT`] or [`BLOCKS_FROM`].
    pub(super) fn read(row: &Row<'_>, pair: Pair, source: SourceId) -> Result<Self, Fault> {
        let corrupt = || Fault::corrupt(format!("a block of {pair} by {source}"));
        let rows = packed::decode(read_bytes(row, 8)?, pair, source).ok_or_else(corrupt)?;
        let place = |row: Option<&HistoryRow>| match row {
            Some(row) => stored_place(row.received_at.0, row.id),
            None => Err(corrupt()),
        };
        let ends = (place(rows.first())?, place(rows.last())?);
        if ends != (read_place(row, 0)?, read_place(row, 4)?) {
            return Err(corrupt());
        }
        Ok(Self { rows })
    }
}

/// Receive time of the last packed row of a series.
pub(super) fn packed_until(
    connection: &Connection,
    series: (i64, i64),
) -> Result<Option<i64>, Fault> {
    Ok(last_packed(connection, series)?.map(|place| place.0))
}

fn last_packed(
    connection: &Connection,
    (pair, source): (i64, i64),
) -> Result<Option<Place>, Fault> {
    connection
        .prepare_cached(
            "SELECT last_at, last_shard, last_epoch, last_seq FROM history_packed
             WHERE pair = ?1 AND source = ?2
             ORDER BY first_at DESC, first_shard DESC, first_epoch DESC, first_seq DESC LIMIT 1",
        )?
        .query_row(params![pair, source], |row| Ok(read_place(row, 0)))
        .optional()?
        .transpose()
}

/// The place from which blocks must be read to see all rows behind `start`; `None` when the
/// series has no such block.
pub(super) fn first_to_read(
    connection: &Connection,
    series: (i64, i64),
    start: Place,
) -> Result<Option<Place>, Fault> {
    if last_packed(connection, series)?.is_none_or(|last| last <= start) {
        return Ok(None);
    }
    let first = connection
        .prepare_cached(BLOCK_AT)?
        .query_row(
            params![series.0, series.1, start.0, start.1, start.2, start.3],
            |row| Ok(read_place(row, 0)),
        )
        .optional()?
        .transpose()?;
    Ok(Some(first.unwrap_or(start)))
}

/// The last packed row received at or before `at`, if it is behind `behind`.
pub(super) fn last_row(
    connection: &Connection,
    series: (i64, i64),
    (pair, source): (Pair, SourceId),
    at: Wall,
    behind: Option<(Wall, UpdateId)>,
) -> Result<Option<HistoryRow>, Fault> {
    let behind = behind
        .map(|(time, id)| stored_place(time.0, id))
        .transpose()?;
    let mut statement = connection.prepare_cached(BLOCK_AT)?;
    let mut found = statement.query(params![series.0, series.1, at.0, i64::MAX, 0, 0])?;
    let Some(block) = found.next()? else {
        return Ok(None);
    };
    let last = read_place(block, 4)?;
    if behind.is_some_and(|behind| behind > last) {
        return Ok(None);
    }
    let rows = Block::read(block, pair, source)?.rows;
    let row = rows.into_iter().rfind(|row| row.received_at <= at);
    match (row, behind) {
        (Some(row), Some(behind)) => {
            let is_later = stored_place(row.received_at.0, row.id)? > behind;
            Ok(is_later.then_some(row))
        }
        (row, _) => Ok(row),
    }
}

/// Most blocks that are kept open at once, of about 128 KiB each.
const OPENED_MAX: usize = 64;

/// Looks for rows in blocks. Repeated rows come in their order, so the block of each series that
/// was opened last is kept.
#[derive(Default)]
pub(super) struct Packed {
    opened: HashMap<(i64, i64), Vec<(Wall, UpdateId)>>,
}

impl Packed {
    /// Whether a row is in a block of its series already: same receive time, same id.
    pub(super) fn holds(
        &mut self,
        connection: &Connection,
        series: (i64, i64),
        row: &HistoryRow,
    ) -> Result<bool, Fault> {
        let wanted = (row.received_at, row.id);
        if let Some(places) = self.opened.get(&series)
            && places.first().is_some_and(|first| *first <= wanted)
            && places.last().is_some_and(|last| wanted <= *last)
        {
            return Ok(places.binary_search(&wanted).is_ok());
        }
        let place = stored_place(row.received_at.0, row.id)?;
        let mut statement = connection.prepare_cached(BLOCK_AT)?;
        let mut found = statement.query(params![
            series.0, series.1, place.0, place.1, place.2, place.3
        ])?;
        let Some(block) = found.next()? else {
            return Ok(false);
        };
        if place > read_place(block, 4)? {
            return Ok(false);
        }
        let places = packed::places(read_bytes(block, 8)?)
            .ok_or_else(|| Fault::corrupt(format!("a block of {} by {}", row.pair, row.source)))?;
        let is_there = places.binary_search(&wanted).is_ok();
        if self.opened.len() >= OPENED_MAX {
            self.opened.clear();
        }
        self.opened.insert(series, places);
        Ok(is_there)
    }
}

/// Whether a series has rows received before `before` that are not packed, or (`or_packed`)
/// that are.
pub(in super::super) fn has_rows_before(
    connection: &Connection,
    before: Wall,
    or_packed: bool,
) -> Result<Vec<(i64, i64)>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT p.id, s.id FROM pairs p CROSS JOIN sources s
         WHERE EXISTS (SELECT 1 FROM history h
                       WHERE h.pair = p.id AND h.source = s.id AND h.received_at < ?1)
            OR ?2 AND EXISTS (SELECT 1 FROM history_packed b
                       WHERE b.pair = p.id AND b.source = s.id AND b.first_at < ?1)",
    )?;
    let found = statement.query_map(params![before.0, or_packed], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Moves the oldest rows of a series behind the last packed place into one block. Returns how
/// many; 0 when there are not enough yet.
pub(in super::super) fn pack_step(
    connection: &Connection,
    names: &mut Names,
    series: (i64, i64),
    (pair, source): (Pair, SourceId),
    before: Wall,
) -> Result<usize, Fault> {
    let from = last_packed(connection, series)?.unwrap_or((i64::MIN, -1, 0, 0));
    let mut rows: Vec<HistoryRow> = Vec::new();
    {
        let mut statement = connection.prepare_cached(
            "SELECT received_at, shard, epoch, seq, price FROM history
             WHERE pair = ?1 AND source = ?2
               AND (received_at, shard, epoch, seq) > (?3, ?4, ?5, ?6) AND received_at < ?7
             ORDER BY received_at, shard, epoch, seq LIMIT ?8",
        )?;
        let mut found = statement.query(params![
            series.0,
            series.1,
            from.0,
            from.1,
            from.2,
            from.3,
            before.0,
            i64::try_from(ROWS_MAX).unwrap_or(i64::MAX)
        ])?;
        while let Some(row) = found.next()? {
            rows.push(read(row, pair, source)?);
        }
    }
    let (Some(oldest), Some(newest)) = (rows.first(), rows.last()) else {
        return Ok(0);
    };
    if rows.len() < ROWS_MAX && before.since(oldest.received_at) < LEFTOVER_AGE {
        return Ok(0);
    }
    let first = stored_place(oldest.received_at.0, oldest.id)?;
    let last = stored_place(newest.received_at.0, newest.id)?;
    let block = packed::encode(&rows)
        .ok_or_else(|| Fault::corrupt(format!("rows of {pair} by {source} make no block")))?;
    connection
        .prepare_cached(
            "INSERT INTO history_packed (pair, source,
                 first_at, first_shard, first_epoch, first_seq,
                 last_at, last_shard, last_epoch, last_seq, row_count, block)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        )?
        .execute(params![
            series.0,
            series.1,
            first.0,
            first.1,
            first.2,
            first.3,
            last.0,
            last.1,
            last.2,
            last.3,
            i64::try_from(rows.len()).unwrap_or(i64::MAX),
            block
        ])?;
    connection
        .prepare_cached(
            "DELETE FROM history WHERE pair = ?1 AND source = ?2
               AND (received_at, shard, epoch, seq) >= (?3, ?4, ?5, ?6)
               AND (received_at, shard, epoch, seq) <= (?7, ?8, ?9, ?10)",
        )?
        .execute(params![
            series.0, series.1, first.0, first.1, first.2, first.3, last.0, last.1, last.2, last.3
        ])?;
    // Looked up again when it is needed: this may yet be undone.
    names.forget_packed();
    Ok(rows.len())
}

/// Deletes the oldest rows of a series, about `at_most` of them (rows received at the same moment
/// go together), and the oldest blocks that are outdated as a whole. Returns how many rows went,
/// and whether that was all.
pub(in super::super) fn prune_step(
    connection: &Connection,
    (pair, source): (i64, i64),
    before: Wall,
    at_most: usize,
) -> Result<(usize, bool), Fault> {
    let offset = i64::try_from(at_most.saturating_sub(1)).unwrap_or(i64::MAX);
    let last_of_step: Option<i64> = connection
        .prepare_cached(
            "SELECT received_at FROM history
             WHERE pair = ?1 AND source = ?2 AND received_at < ?3
             ORDER BY received_at LIMIT 1 OFFSET ?4",
        )?
        .query_row(params![pair, source, before.0, offset], |row| row.get(0))
        .optional()?;
    let up_to = last_of_step.unwrap_or(i64::MAX);
    let mut gone = connection
        .prepare_cached(
            "DELETE FROM history
             WHERE pair = ?1 AND source = ?2 AND received_at < ?3 AND received_at <= ?4",
        )?
        .execute(params![pair, source, before.0, up_to])?;
    if gone >= at_most {
        return Ok((gone, false));
    }
    let mut blocks = 0;
    let mut delete = connection.prepare_cached(
        "DELETE FROM history_packed WHERE rowid IN (
             SELECT rowid FROM history_packed
             WHERE pair = ?1 AND source = ?2 AND first_at < ?3 AND last_at < ?3
             ORDER BY first_at LIMIT ?4)
         RETURNING row_count",
    )?;
    let step = i64::try_from(PRUNE_STEP_BLOCKS).unwrap_or(i64::MAX);
    let mut found = delete.query(params![pair, source, before.0, step])?;
    while let Some(row) = found.next()? {
        blocks += 1;
        let count: u32 = row.get(0)?;
        gone = gone.saturating_add(usize::try_from(count).unwrap_or(usize::MAX));
    }
    Ok((gone, blocks < PRUNE_STEP_BLOCKS))
}
