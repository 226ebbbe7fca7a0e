//! The small tables: tracked symbols, how far is recorded, single facts.

use super::fault::Fault;
use crate::model::batch::Recorded;
use kurs_core::{Pair, TrackedSymbol, Wall};
use rusqlite::{Connection, OptionalExtension, params};

/// The terms under which the current rates were made.
pub(super) fn terms(connection: &Connection) -> Result<Option<String>, Fault> {
    Ok(connection
        .prepare_cached("SELECT value FROM meta WHERE name = 'terms'")?
        .query_row([], |row| row.get(0))
        .optional()?)
}

/// Replaces the terms.
pub(super) fn save_terms(connection: &Connection, terms: &str) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT INTO meta (name, value) VALUES ('terms', ?1)
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )?
        .execute([terms])?;
    Ok(())
}

/// Keeps the greatest moment of each shard.
pub(super) fn save_recorded(connection: &Connection, recorded: Recorded) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT INTO recorded AS old (shard, until) VALUES (?1, ?2)
             ON CONFLICT (shard) DO UPDATE SET until = max(old.until, excluded.until)",
        )?
        .execute(params![recorded.shard, recorded.until.0])?;
    Ok(())
}

/// The least moment of the shards that were not given back.
pub(super) fn recorded_until(connection: &Connection) -> Result<Option<Wall>, Fault> {
    let least: Option<i64> = connection
        .prepare_cached(
            "SELECT coalesce(min(r.until) FILTER (WHERE l.is_released IS NOT TRUE), max(r.until))
             FROM recorded r LEFT JOIN lease l ON l.shard = r.shard",
        )?
        .query_row([], |row| row.get(0))?;
    Ok(least.map(Wall))
}

/// How far one shard is recorded.
pub(super) fn shard_recorded_until(
    connection: &Connection,
    shard: u16,
) -> Result<Option<Wall>, Fault> {
    let until: Option<i64> = connection
        .prepare_cached("SELECT until FROM recorded WHERE shard = ?1")?
        .query_row([shard], |row| row.get(0))
        .optional()?;
    Ok(until.map(Wall))
}

/// Tracked symbols, oldest first.
pub(super) fn tracked(connection: &Connection) -> Result<Vec<TrackedSymbol>, Fault> {
    let mut statement = connection
        .prepare_cached("SELECT symbol, pair, added_at FROM tracked ORDER BY added_at, symbol")?;
    let mut rows = statement.query([])?;
    let mut symbols = Vec::new();
    while let Some(row) = rows.next()? {
        let symbol: String = row.get(0)?;
        let pair: String = row.get(1)?;
        let pair = Pair::parse(&pair)
            .map_err(|error| Fault::corrupt(format!("tracked symbol {symbol}: {error}")))?;
        symbols.push(TrackedSymbol {
            symbol: symbol.into(),
            pair,
            added_at: Wall(row.get(2)?),
        });
    }
    Ok(symbols)
}

/// Adds a tracked symbol; false when it was there.
pub(super) fn track(connection: &Connection, symbol: &TrackedSymbol) -> Result<bool, Fault> {
    let added = connection
        .prepare_cached(
            "INSERT INTO tracked (symbol, pair, added_at) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        )?
        .execute(params![&*symbol.symbol, symbol.pair.to_string(), symbol.added_at.0])?;
    Ok(added > 0)
}

/// Removes a tracked symbol; false when it was not there.
pub(super) fn untrack(connection: &Connection, symbol: &str) -> Result<bool, Fault> {
    let removed = connection
        .prepare_cached("DELETE FROM tracked WHERE symbol = ?1")?
        .execute([symbol])?;
    Ok(removed > 0)
}

/// Puts the first symbols in, once in the life of a database.
pub(super) fn seed(connection: &Connection, symbols: &[TrackedSymbol]) -> Result<bool, Fault> {
    let first = connection
        .prepare_cached(
            "INSERT INTO meta (name, value) VALUES ('seeded', 'true') ON CONFLICT DO NOTHING",
        )?
        .execute([])?;
    if first == 0 {
        return Ok(false);
    }
    for symbol in symbols {
        track(connection, symbol)?;
    }
    Ok(true)
}
