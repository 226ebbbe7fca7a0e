//! The small tables: current rates, tracked symbols, the lease, single facts.

use super::fault::Fault;
use super::names::Names;
use super::place::{read_id, stored_id};
use crate::StoredRate;
use crate::model::batch::Recorded;
use kurs_core::{Epoch, Pair, TrackedSymbol, Wall};
use rusqlite::{Connection, OptionalExtension, params};

/// Keeps the rate with the greatest id of each pair.
pub(super) fn save_current(
    connection: &Connection,
    names: &mut Names,
    rates: &[StoredRate],
) -> Result<(), Fault> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO current_rates AS old (pair, shard, epoch, seq, rate)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (pair) DO UPDATE
         SET shard = excluded.shard, epoch = excluded.epoch, seq = excluded.seq, rate = excluded.rate
         WHERE (excluded.shard, excluded.epoch, excluded.seq) >= (old.shard, old.epoch, old.seq)",
    )?;
    for stored in rates {
        let pair = names.pair(connection, stored.rate.pair)?;
        let (shard, epoch, seq) = stored_id(stored.id)?;
        let rate = serde_json::to_string(&stored.rate)
            .map_err(|error| Fault::corrupt(format!("rate of {}: {error}", stored.rate.pair)))?;
        upsert.execute(params![pair, shard, epoch, seq, rate])?;
    }
    Ok(())
}

/// All current rates, by pair.
pub(super) fn load_current(connection: &Connection) -> Result<Vec<StoredRate>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT c.shard, c.epoch, c.seq, c.rate FROM current_rates c
         JOIN pairs p ON p.id = c.pair ORDER BY p.name",
    )?;
    let mut rows = statement.query([])?;
    let mut rates = Vec::new();
    while let Some(row) = rows.next()? {
        let text = row
            .get_ref(3)?
            .as_str()
            .map_err(|error| Fault::corrupt(error.to_string()))?;
        let rate = serde_json::from_str(text)
            .map_err(|error| Fault::corrupt(format!("a current rate: {error}")))?;
        rates.push(StoredRate {
            id: read_id(row, 0)?,
            rate,
        });
    }
    Ok(rates)
}

/// Removes the current rates of these pairs.
pub(super) fn drop_current(connection: &Connection, pairs: &[Pair]) -> Result<(), Fault> {
    let mut delete = connection.prepare_cached(
        "DELETE FROM current_rates WHERE pair = (SELECT id FROM pairs WHERE name = ?1)",
    )?;
    for pair in pairs {
        delete.execute([pair.to_string()])?;
    }
    Ok(())
}

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

/// The least moment of all shards.
pub(super) fn recorded_until(connection: &Connection) -> Result<Option<Wall>, Fault> {
    let least: Option<i64> = connection
        .prepare_cached("SELECT min(until) FROM recorded")?
        .query_row([], |row| row.get(0))?;
    Ok(least.map(Wall))
}

/// The epoch of a new Writer of a shard.
pub(super) fn begin_epoch(connection: &Connection, shard: u16) -> Result<Epoch, Fault> {
    let epoch: i64 = connection
        .prepare_cached(
            "INSERT INTO lease (shard, epoch) VALUES (?1, 1)
             ON CONFLICT (shard) DO UPDATE SET epoch = epoch + 1 RETURNING epoch",
        )?
        .query_row([shard], |row| row.get(0))?;
    u64::try_from(epoch)
        .map(Epoch)
        .map_err(|_| Fault::corrupt("a negative epoch"))
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
