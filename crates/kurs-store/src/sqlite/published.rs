//! What kurs published: append, pages, the last events at a moment.
//!
//! | module | what it holds |
//! |---|---|
//! | `blocks` | old events, many to a block |

mod blocks;

pub(super) use blocks::{pack_step, pairs_before, prune_step};

use super::fault::Fault;
use super::history::PAGE_MAX;
use super::names::{self, Names};
use super::place::{Place, as_of_one_moment, before_all_of, place, read_id, stored_id};
use crate::{Published, PublishedEvent, PublishedPage, PublishedQuery};
use blocks::{Known, Unpacking};
use kurs_core::{Pair, Wall};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Adds events; those that are there already are passed over, in a block as well.
pub(super) fn append(
    connection: &Connection,
    names: &mut Names,
    events: &[Published],
) -> Result<(), Fault> {
    if events.is_empty() {
        return Ok(());
    }
    let mut insert = connection.prepare_cached(
        "INSERT INTO published (pair, published_at, shard, epoch, seq, event)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
    )?;
    let mut known = Known::default();
    for published in events {
        let (shard, epoch, seq) = stored_id(published.id)?;
        let pair = names.pair(connection, published.pair)?;
        if known.holds(connection, pair, published)? {
            continue;
        }
        let event = serde_json::to_string(&published.event)
            .map_err(|error| Fault::corrupt(format!("event of {}: {error}", published.pair)))?;
        insert.execute(params![
            pair,
            published.published_at.unix_ms(),
            shard,
            epoch,
            seq,
            event,
        ])?;
    }
    Ok(())
}

/// One page of what was published of a pair, as of one moment, so that an event is seen once
/// while it moves into a block.
pub(super) fn page(
    connection: &Connection,
    query: &PublishedQuery,
) -> Result<PublishedPage, Fault> {
    as_of_one_moment(connection, |connection| merged(connection, query))
}

fn merged(connection: &Connection, query: &PublishedQuery) -> Result<PublishedPage, Fault> {
    let limit = usize::try_from(query.limit.clamp(1, PAGE_MAX)).unwrap_or(usize::MAX);
    let mut events: Vec<Published> = Vec::new();
    let Some(pair) = names::find_pair(connection, query.pair)? else {
        return Ok(PublishedPage { events, next: None });
    };
    let start = match query.after {
        Some((at, id)) if at >= query.start => place(at.unix_ms(), id)?,
        _ => before_all_of(first_millisecond(query.start)),
    };
    let end = first_millisecond(query.end);

    let mut statement = connection.prepare_cached(
        "SELECT published_at, shard, epoch, seq, event FROM published
         WHERE pair = ?1 AND (published_at, shard, epoch, seq) > (?2, ?3, ?4, ?5)
           AND published_at < ?6
         ORDER BY published_at, shard, epoch, seq",
    )?;
    let mut hot = statement.query(params![pair, start.0, start.1, start.2, start.3, end])?;
    let mut next_hot = || -> Result<Option<Published>, Fault> {
        hot.next()?.map(|row| read(row, query.pair)).transpose()
    };
    let mut blocks = connection.prepare_cached(blocks::BLOCKS_FROM)?;
    let mut packed = match blocks::first_to_read(connection, pair, start)? {
        Some(first) => {
            let blocks = blocks.query(params![pair, first.0, first.1, first.2, first.3, end])?;
            Some(Unpacking::new(blocks, query.pair, start, end))
        }
        None => None,
    };
    let mut next_packed = || match &mut packed {
        Some(packed) => packed.next(),
        None => Ok(None),
    };

    let stands = |event: &Published| (event.published_at, event.id);
    let (mut one, mut other) = (next_hot()?, next_packed()?);
    loop {
        let is_packed_next = match (&one, &other) {
            (None, None) => return Ok(PublishedPage { events, next: None }),
            (Some(hot), Some(packed)) => stands(packed) < stands(hot),
            (hot, _) => hot.is_none(),
        };
        if events.len() == limit {
            let next = events.last().map(stands);
            return Ok(PublishedPage { events, next });
        }
        let event = if is_packed_next {
            std::mem::replace(&mut other, next_packed()?)
        } else {
            std::mem::replace(&mut one, next_hot()?)
        };
        events.extend(event);
    }
}

/// The last event of every pair at or before `at`, by pair. Two look-ups per pair.
pub(super) fn at(connection: &Connection, at: Wall) -> Result<Vec<Published>, Fault> {
    as_of_one_moment(connection, |connection| {
        let at_ms = at.unix_ms();
        let mut found = Vec::new();
        for (number, pair) in names::all_pairs(connection)? {
            let hot = connection
                .prepare_cached(LAST_HOT)?
                .query_row(params![number, at_ms], |row| Ok(read(row, pair)))
                .optional()?
                .transpose()?;
            let behind: Option<Place> = hot
                .as_ref()
                .map(|event| place(event.published_at.unix_ms(), event.id))
                .transpose()?;
            // A block is opened only when its events may be later.
            let packed = blocks::last_event(connection, number, pair, at_ms, behind)?;
            found.extend(packed.or(hot));
        }
        found.sort_by_key(|published| published.pair);
        Ok(found)
    })
}

/// The last event of a pair at a moment.
pub(super) const LAST_HOT: &str = "SELECT published_at, shard, epoch, seq, event FROM published
     WHERE pair = ?1 AND published_at <= ?2
     ORDER BY published_at DESC, shard DESC, epoch DESC, seq DESC LIMIT 1";

fn read(row: &Row<'_>, pair: Pair) -> Result<Published, Fault> {
    let text = row
        .get_ref(4)?
        .as_str()
        .map_err(|error| Fault::corrupt(error.to_string()))?;
    let event: PublishedEvent = serde_json::from_str(text)
        .map_err(|error| Fault::corrupt(format!("an event of {pair}: {error}")))?;
    Ok(Published {
        id: read_id(row, 1)?,
        pair,
        published_at: Wall::from_unix_ms(row.get(0)?),
        event,
    })
}

/// The first millisecond that is not before `time`.
fn first_millisecond(time: Wall) -> i64 {
    let millisecond = time.unix_ms();
    if Wall::from_unix_ms(millisecond) == time {
        millisecond
    } else {
        millisecond.saturating_add(1)
    }
}

#[cfg(test)]
pub(super) use blocks::BLOCK_AT;
