//! Blocks of published events. Those of one pair do not overlap, since only events behind the
//! last packed place are packed; an event that comes late stays a row for good.

use super::super::fault::Fault;
use super::super::place::{Place, place as stored_place, read_bytes, read_place};
use super::{first_millisecond, read};
use crate::Published;
use crate::packed::events::{self as packed, EVENTS_MAX, Events};
use kurs_core::{Pair, UpdateId, Wall};
use rusqlite::{Connection, OptionalExtension, Row, Rows, params};
use std::collections::HashMap;
use std::time::Duration;

/// As for received rates: see `history::blocks`.
const LEFTOVER_AGE: Duration = Duration::from_secs(86_400);
/// Blocks that one step of a deletion takes.
const PRUNE_STEP_BLOCKS: usize = 64;

/// The last block that begins at or before a place.
pub(in super::super) const BLOCK_AT: &str = "SELECT first_at, first_shard, first_epoch, first_seq,
            last_at, last_shard, last_epoch, last_seq, block
     FROM published_packed
     WHERE pair = ?1 AND (first_at, first_shard, first_epoch, first_seq) <= (?2, ?3, ?4, ?5)
     ORDER BY first_at DESC, first_shard DESC, first_epoch DESC, first_seq DESC LIMIT 1";

/// Blocks that begin at a place or behind it, and before a time.
pub(super) const BLOCKS_FROM: &str = "SELECT first_at, first_shard, first_epoch, first_seq,
            last_at, last_shard, last_epoch, last_seq, block
     FROM published_packed
     WHERE pair = ?1 AND (first_at, first_shard, first_epoch, first_seq) >= (?2, ?3, ?4, ?5)
       AND first_at < ?6
     ORDER BY first_at, first_shard, first_epoch, first_seq";

fn corrupt(pair: Pair) -> Fault {
    Fault::corrupt(format!("a block of what was published of {pair}"))
}

/// Opens the block of a row of [`BLOCK_AT`] or [`BLOCKS_FROM`].
fn open(row: &Row<'_>, pair: Pair) -> Result<Events, Fault> {
    let events = Events::open(read_bytes(row, 8)?, pair).ok_or_else(|| corrupt(pair))?;
    let place = |place: Option<&(Wall, UpdateId)>| match place {
        Some((time, id)) => stored_place(time.unix_ms(), *id),
        None => Err(corrupt(pair)),
    };
    let ends = (
        place(events.places().first())?,
        place(events.places().last())?,
    );
    if ends != (read_place(row, 0)?, read_place(row, 4)?) {
        return Err(corrupt(pair));
    }
    Ok(events)
}

fn last_packed(connection: &Connection, pair: i64) -> Result<Option<Place>, Fault> {
    connection
        .prepare_cached(
            "SELECT last_at, last_shard, last_epoch, last_seq FROM published_packed
             WHERE pair = ?1
             ORDER BY first_at DESC, first_shard DESC, first_epoch DESC, first_seq DESC LIMIT 1",
        )?
        .query_row([pair], |row| Ok(read_place(row, 0)))
        .optional()?
        .transpose()
}

/// The place from which blocks must be read to see all events behind `start`; `None` when the
/// pair has no such block.
pub(super) fn first_to_read(
    connection: &Connection,
    pair: i64,
    start: Place,
) -> Result<Option<Place>, Fault> {
    if last_packed(connection, pair)?.is_none_or(|last| last <= start) {
        return Ok(None);
    }
    let first = connection
        .prepare_cached(BLOCK_AT)?
        .query_row(params![pair, start.0, start.1, start.2, start.3], |row| {
            Ok(read_place(row, 0))
        })
        .optional()?
        .transpose()?;
    Ok(Some(first.unwrap_or(start)))
}

/// Packed events, one by one.
pub(super) struct Unpacking<'a> {
    blocks: Rows<'a>,
    pair: Pair,
    /// What was read last, or where the page starts.
    behind: Place,
    end: i64,
    opened: Option<(Events, usize)>,
}

impl<'a> Unpacking<'a> {
    pub(super) fn new(blocks: Rows<'a>, pair: Pair, start: Place, end: i64) -> Self {
        Self {
            blocks,
            pair,
            behind: start,
            end,
            opened: None,
        }
    }

    pub(super) fn next(&mut self) -> Result<Option<Published>, Fault> {
        loop {
            while let Some((events, index)) = &mut self.opened {
                let Some((time, id)) = events.places().get(*index).copied() else {
                    break;
                };
                let place = stored_place(time.unix_ms(), id)?;
                if place.0 >= self.end {
                    return Ok(None);
                }
                let at = *index;
                *index += 1;
                if place > self.behind {
                    self.behind = place;
                    let event = events.get(at).ok_or_else(|| corrupt(self.pair))?;
                    return Ok(Some(event));
                }
            }
            let Some(row) = self.blocks.next()? else {
                return Ok(None);
            };
            self.opened = Some((open(row, self.pair)?, 0));
        }
    }
}

/// The last packed event at or before `at_ms`, if it is behind `behind`.
pub(super) fn last_event(
    connection: &Connection,
    number: i64,
    pair: Pair,
    at_ms: i64,
    behind: Option<Place>,
) -> Result<Option<Published>, Fault> {
    let mut statement = connection.prepare_cached(BLOCK_AT)?;
    let mut found = statement.query(params![number, at_ms, i64::MAX, 0, 0])?;
    let Some(block) = found.next()? else {
        return Ok(None);
    };
    let last = read_place(block, 4)?;
    if behind.is_some_and(|behind| behind > last) {
        return Ok(None);
    }
    let events = open(block, pair)?;
    let index = events
        .places()
        .partition_point(|(time, _)| time.unix_ms() <= at_ms);
    let Some(index) = index.checked_sub(1) else {
        return Ok(None);
    };
    let event = events.get(index).ok_or_else(|| corrupt(pair))?;
    let place = stored_place(event.published_at.unix_ms(), event.id)?;
    Ok(behind.is_none_or(|behind| place > behind).then_some(event))
}

/// Most blocks that are kept open at once.
const OPENED_MAX: usize = 1_000;

/// Looks for events in blocks. Each pair's last packed place is kept, and the places of the block
/// that was opened last.
#[derive(Default)]
pub(super) struct Known {
    packed: HashMap<i64, Option<Place>>,
    opened: HashMap<i64, Vec<(Wall, UpdateId)>>,
}

impl Known {
    /// Whether an event is in a block of its pair already: same time, same id.
    pub(super) fn holds(
        &mut self,
        connection: &Connection,
        pair: i64,
        event: &Published,
    ) -> Result<bool, Fault> {
        let at_ms = event.published_at.unix_ms();
        let last = match self.packed.get(&pair) {
            Some(last) => *last,
            None => {
                let last = last_packed(connection, pair)?;
                self.packed.insert(pair, last);
                last
            }
        };
        if last.is_none_or(|last| at_ms > last.0) {
            return Ok(false);
        }
        let wanted = (Wall::from_unix_ms(at_ms), event.id);
        if let Some(places) = self.opened.get(&pair)
            && places.first().is_some_and(|first| *first <= wanted)
            && places.last().is_some_and(|last| wanted <= *last)
        {
            return Ok(places.binary_search(&wanted).is_ok());
        }
        let place = stored_place(at_ms, event.id)?;
        let mut statement = connection.prepare_cached(BLOCK_AT)?;
        let mut found = statement.query(params![pair, place.0, place.1, place.2, place.3])?;
        let Some(block) = found.next()? else {
            return Ok(false);
        };
        if place > read_place(block, 4)? {
            return Ok(false);
        }
        let places = packed::places(read_bytes(block, 8)?).ok_or_else(|| corrupt(event.pair))?;
        let is_there = places.binary_search(&wanted).is_ok();
        if self.opened.len() >= OPENED_MAX {
            self.opened.clear();
        }
        self.opened.insert(pair, places);
        Ok(is_there)
    }
}

/// Pairs with events before `before` that are not packed, or (`or_packed`) that are.
pub(in super::super) fn pairs_before(
    connection: &Connection,
    before: Wall,
    or_packed: bool,
) -> Result<Vec<i64>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT p.id FROM pairs p
         WHERE EXISTS (SELECT 1 FROM published e WHERE e.pair = p.id AND e.published_at < ?1)
            OR ?2 AND EXISTS (SELECT 1 FROM published_packed b
                              WHERE b.pair = p.id AND b.first_at < ?1)",
    )?;
    let before = first_millisecond(before);
    let found = statement.query_map(params![before, or_packed], |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Moves the oldest events of a pair behind the last packed place into one block. Returns how
/// many; 0 when there are not enough yet.
pub(in super::super) fn pack_step(
    connection: &Connection,
    number: i64,
    pair: Pair,
    before: Wall,
) -> Result<usize, Fault> {
    let from = last_packed(connection, number)?.unwrap_or((i64::MIN, -1, 0, 0));
    let mut events: Vec<Published> = Vec::new();
    {
        let mut statement = connection.prepare_cached(
            "SELECT published_at, shard, epoch, seq, event FROM published
             WHERE pair = ?1 AND (published_at, shard, epoch, seq) > (?2, ?3, ?4, ?5)
               AND published_at < ?6
             ORDER BY published_at, shard, epoch, seq LIMIT ?7",
        )?;
        let mut found = statement.query(params![
            number,
            from.0,
            from.1,
            from.2,
            from.3,
            first_millisecond(before),
            i64::try_from(EVENTS_MAX).unwrap_or(i64::MAX)
        ])?;
        while let Some(row) = found.next()? {
            events.push(read(row, pair)?);
        }
    }
    let Some(oldest) = events.first() else {
        return Ok(0);
    };
    if events.len() < EVENTS_MAX && before.since(oldest.published_at) < LEFTOVER_AGE {
        return Ok(0);
    }
    // Very long events fill a block sooner; one that is longer than a block stays a row, and
    // what is behind it as well.
    let block = loop {
        if let Some(block) = packed::encode(&events) {
            break block;
        }
        if events.len() <= 1 {
            return Ok(0);
        }
        events.truncate(events.len() / 2);
    };
    let place = |event: Option<&Published>| match event {
        Some(event) => stored_place(event.published_at.unix_ms(), event.id),
        None => Err(corrupt(pair)),
    };
    let (first, last) = (place(events.first())?, place(events.last())?);
    connection
        .prepare_cached(
            "INSERT INTO published_packed (pair,
                 first_at, first_shard, first_epoch, first_seq,
                 last_at, last_shard, last_epoch, last_seq, row_count, block)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            number,
            first.0,
            first.1,
            first.2,
            first.3,
            last.0,
            last.1,
            last.2,
            last.3,
            i64::try_from(events.len()).unwrap_or(i64::MAX),
            block
        ])?;
    connection
        .prepare_cached(
            "DELETE FROM published WHERE pair = ?1
               AND (published_at, shard, epoch, seq) >= (?2, ?3, ?4, ?5)
               AND (published_at, shard, epoch, seq) <= (?6, ?7, ?8, ?9)",
        )?
        .execute(params![
            number, first.0, first.1, first.2, first.3, last.0, last.1, last.2, last.3
        ])?;
    Ok(events.len())
}

/// Deletes the oldest events of a pair before `before`, about `at_most`, and the oldest blocks
/// that are outdated as a whole. The last event before `before` stays: it is what was served at
/// that moment. Returns how many events went, and whether that was all.
pub(in super::super) fn prune_step(
    connection: &Connection,
    pair: i64,
    before: Wall,
    at_most: usize,
) -> Result<(usize, bool), Fault> {
    let before = first_millisecond(before);
    let Some(kept) = last_before(connection, pair, before)? else {
        return Ok((0, true));
    };
    let step = i64::try_from(at_most).unwrap_or(i64::MAX);
    let mut gone = connection
        .prepare_cached(
            "DELETE FROM published WHERE rowid IN (
                 SELECT rowid FROM published
                 WHERE pair = ?1 AND (published_at, shard, epoch, seq) < (?2, ?3, ?4, ?5)
                 ORDER BY published_at LIMIT ?6)",
        )?
        .execute(params![pair, kept.0, kept.1, kept.2, kept.3, step])?;
    if gone >= at_most {
        return Ok((gone, false));
    }
    let mut blocks = 0;
    let mut delete = connection.prepare_cached(
        "DELETE FROM published_packed WHERE rowid IN (
             SELECT rowid FROM published_packed
             WHERE pair = ?1 AND first_at < ?2
               AND (last_at, last_shard, last_epoch, last_seq) < (?3, ?4, ?5, ?6)
             ORDER BY first_at LIMIT ?7)
         RETURNING row_count",
    )?;
    let step = i64::try_from(PRUNE_STEP_BLOCKS).unwrap_or(i64::MAX);
    let mut found = delete.query(params![pair, before, kept.0, kept.1, kept.2, kept.3, step])?;
    while let Some(row) = found.next()? {
        blocks += 1;
        let count: u32 = row.get(0)?;
        gone = gone.saturating_add(usize::try_from(count).unwrap_or(usize::MAX));
    }
    Ok((gone, blocks < PRUNE_STEP_BLOCKS))
}

/// The place of the last event before `before_ms`, or of one shortly before it in a block that
/// stays anyway.
fn last_before(connection: &Connection, pair: i64, before_ms: i64) -> Result<Option<Place>, Fault> {
    let hot = connection
        .prepare_cached(
            "SELECT published_at, shard, epoch, seq FROM published
             WHERE pair = ?1 AND published_at < ?2
             ORDER BY published_at DESC, shard DESC, epoch DESC, seq DESC LIMIT 1",
        )?
        .query_row(params![pair, before_ms], |row| Ok(read_place(row, 0)))
        .optional()?
        .transpose()?;
    let packed = connection
        .prepare_cached(BLOCK_AT)?
        .query_row(params![pair, before_ms, -1, 0, 0], |row| {
            Ok(read_place(row, 0).and_then(|first| Ok((first, read_place(row, 4)?))))
        })
        .optional()?
        .transpose()?
        .map(|(first, last)| if last.0 < before_ms { last } else { first });
    Ok(hot.max(packed))
}
