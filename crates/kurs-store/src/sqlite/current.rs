//! Current rates, whose validity this machine's clock counts down.

use super::fault::Fault;
use super::names::Names;
use super::place::{now, read_id, stored_id};
use crate::model::current::{OVERLAP, left_microseconds, newest};
use crate::{CurrentRate, CurrentRates, StoredRate};
use kurs_core::{Pair, Rate, Wall};
use rusqlite::{Connection, params};

/// Replaces current rates unless the stored one is of the same shard and has a greater id.
pub(super) fn save(
    connection: &Connection,
    names: &mut Names,
    rates: &[CurrentRate],
) -> Result<(), Fault> {
    let mut upsert = connection.prepare_cached(
        "INSERT INTO current_rates AS old (pair, shard, epoch, seq, rate, valid_until, stored_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (pair) DO UPDATE
         SET shard = excluded.shard, epoch = excluded.epoch, seq = excluded.seq,
             rate = excluded.rate, valid_until = excluded.valid_until,
             stored_at = excluded.stored_at
         WHERE old.shard <> excluded.shard
             OR (excluded.epoch, excluded.seq) >= (old.epoch, old.seq)",
    )?;
    let now = now();
    for current in newest(rates) {
        let StoredRate { id, rate } = &current.stored;
        let pair = names.pair(connection, rate.pair)?;
        let (shard, epoch, seq) = stored_id(*id)?;
        let text = serde_json::to_string(rate)
            .map_err(|error| Fault::corrupt(format!("rate of {}: {error}", rate.pair)))?;
        let valid_until = now.0.saturating_add(left_microseconds(current.left));
        upsert.execute(params![pair, shard, epoch, seq, text, valid_until, now.0])?;
    }
    Ok(())
}

/// Current rates that were stored after `since`, by pair, or all of them.
pub(super) fn changed(connection: &Connection, since: Option<Wall>) -> Result<CurrentRates, Fault> {
    let now = now();
    // After a clock went back everything counts as changed.
    let from = match since {
        Some(since) if since <= now => since.0.saturating_sub(OVERLAP),
        _ => i64::MIN,
    };
    let mut statement = connection.prepare_cached(
        "SELECT c.shard, c.epoch, c.seq, c.rate, c.valid_until
         FROM current_rates c JOIN pairs p ON p.id = c.pair
         WHERE c.stored_at > ?1 ORDER BY p.name",
    )?;
    let mut rows = statement.query([from])?;
    let mut rates = Vec::new();
    while let Some(row) = rows.next()? {
        let text = row
            .get_ref(3)?
            .as_str()
            .map_err(|error| Fault::corrupt(error.to_string()))?;
        let rate: Rate = serde_json::from_str(text)
            .map_err(|error| Fault::corrupt(format!("a current rate: {error}")))?;
        let valid_until: Option<i64> = row.get(4)?;
        let left = valid_until.map_or_else(|| rate.expires_at(), Wall);
        rates.push(CurrentRate {
            left: left.since(now),
            stored: StoredRate {
                id: read_id(row, 0)?,
                rate,
            },
        });
    }
    Ok(CurrentRates {
        rates,
        until: Some(now),
    })
}

/// Removes the current rates of these pairs.
pub(super) fn drop_pairs(connection: &Connection, pairs: &[Pair]) -> Result<(), Fault> {
    let mut delete = connection.prepare_cached(
        "DELETE FROM current_rates WHERE pair = (SELECT id FROM pairs WHERE name = ?1)",
    )?;
    for pair in pairs {
        delete.execute([pair.to_string()])?;
    }
    Ok(())
}
