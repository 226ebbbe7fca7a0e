//! Changes of a source's state for a pair.

use super::fault::Fault;
use super::names::{self, Names};
use super::place::{read_id, stored_id};
use crate::PriceState;
use kurs_core::{Pair, SourceState, Wall};
use rusqlite::{Connection, OptionalExtension, params};

/// Adds changes; those that are there already are passed over.
pub(super) fn append(
    connection: &Connection,
    names: &mut Names,
    states: &[PriceState],
) -> Result<(), Fault> {
    if states.is_empty() {
        return Ok(());
    }
    let mut insert = connection.prepare_cached(
        "INSERT INTO price_states (pair, source, at, shard, epoch, seq, state, why)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
    )?;
    for change in states {
        let (shard, epoch, seq) = stored_id(change.id)?;
        insert.execute(params![
            names.pair(connection, change.pair)?,
            names.source(connection, change.source)?,
            change.at.0,
            shard,
            epoch,
            seq,
            change.state.as_str(),
            &*change.why,
        ])?;
    }
    Ok(())
}

/// The last state of each source at or before `at`, by source.
pub(super) fn at(connection: &Connection, pair: Pair, at: Wall) -> Result<Vec<PriceState>, Fault> {
    let mut found = Vec::new();
    let Some(number) = names::find_pair(connection, pair)? else {
        return Ok(found);
    };
    let mut last = connection.prepare_cached(
        "SELECT at, shard, epoch, seq, state, why FROM price_states
         WHERE pair = ?1 AND source = ?2 AND at <= ?3
         ORDER BY at DESC, shard DESC, epoch DESC, seq DESC LIMIT 1",
    )?;
    for (source_number, source) in names::all_sources(connection)? {
        let mut rows = last.query(params![number, source_number, at.0])?;
        if let Some(row) = rows.next()? {
            let state: String = row.get(4)?;
            let why: String = row.get(5)?;
            found.push(PriceState {
                id: read_id(row, 1)?,
                source,
                pair,
                at: Wall(row.get(0)?),
                state: state_of(&state)?,
                why: why.into(),
            });
        }
    }
    found.sort_by_key(|state| state.source);
    Ok(found)
}

fn state_of(word: &str) -> Result<SourceState, Fault> {
    [
        SourceState::Live,
        SourceState::Stale,
        SourceState::Syncing,
        SourceState::Down,
    ]
    .into_iter()
    .find(|state| state.as_str() == word)
    .ok_or_else(|| Fault::corrupt(format!("a state called {word:?}")))
}

/// Deletes about `at_most` changes of one source and pair before `before`. The last one of them
/// stays: it says what held at that moment. Returns how many went.
pub(super) fn prune_step(
    connection: &Connection,
    (pair, source): (i64, i64),
    before: Wall,
    at_most: usize,
) -> Result<usize, Fault> {
    let last: Option<i64> = connection
        .prepare_cached(
            "SELECT at FROM price_states WHERE pair = ?1 AND source = ?2 AND at < ?3
             ORDER BY at DESC LIMIT 1",
        )?
        .query_row(params![pair, source, before.0], |row| row.get(0))
        .optional()?;
    let Some(last) = last else {
        return Ok(0);
    };
    let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
    Ok(connection
        .prepare_cached(
            "DELETE FROM price_states WHERE (pair, source, at, shard, epoch, seq) IN (
                 SELECT pair, source, at, shard, epoch, seq FROM price_states
                 WHERE pair = ?1 AND source = ?2 AND at < ?3 ORDER BY at LIMIT ?4)",
        )?
        .execute(params![pair, source, last, at_most])?)
}
