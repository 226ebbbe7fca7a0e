//! Tracked symbols, how far is recorded, and single facts.

use super::fault::Fault;
use super::lease::fence_parts;
use super::names;
use super::pool::{execute, query, query_opt};
use super::settings::{Note, noted};
use super::types::{Time, read_time};
use crate::{AuditEntry, Fence, model::batch::Recorded};
use deadpool_postgres::{Client, GenericClient};
use kurs_core::{TrackedSymbol, Wall};
use tokio_postgres::types::ToSql;

/// The terms under which the current rates were made.
pub(super) async fn terms(client: &Client) -> Result<Option<String>, Fault> {
    let row = query_opt(client, "SELECT value FROM meta WHERE name = 'terms'", &[]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Replaces the terms.
pub(super) async fn save_terms(
    client: &Client,
    terms: &str,
    fence: Option<Fence>,
) -> Result<(), Fault> {
    let sql = "INSERT INTO meta (name, value) SELECT 'terms', $1 WHERE kurs_fence($2, $3)
               ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    let (shard, epoch) = fence_parts(fence)?;
    let saved = execute(client, sql, &[&terms, &shard, &epoch]).await;
    saved.map_err(|fault| fault.under(fence))?;
    Ok(())
}

/// Keeps how far a shard is recorded, unless it is recorded further.
pub(super) async fn record_until(transaction: &Client, recorded: Recorded) -> Result<(), Fault> {
    let sql = "INSERT INTO recorded AS old (shard, until) VALUES ($1, $2)
               ON CONFLICT (shard) DO UPDATE SET until = excluded.until
               WHERE excluded.until > old.until";
    execute(
        transaction,
        sql,
        &[&i32::from(recorded.shard), &Time(recorded.until)],
    )
    .await?;
    Ok(())
}

/// How far the shard is recorded that is furthest behind among those that were not given back.
pub(super) async fn recorded_until(client: &Client) -> Result<Option<Wall>, Fault> {
    let sql = "SELECT coalesce(
                   min(r.until) FILTER (WHERE l.is_released IS NOT TRUE), max(r.until))
               FROM recorded r LEFT JOIN lease l ON l.shard = r.shard";
    let row = query_opt(client, sql, &[]).await?;
    let until = row
        .map(|row| row.try_get::<_, Option<Time>>(0))
        .transpose()?
        .flatten();
    Ok(until.map(|time| time.0))
}

/// How far one shard is recorded.
pub(super) async fn shard_recorded_until(
    client: &Client,
    shard: u16,
) -> Result<Option<Wall>, Fault> {
    let sql = "SELECT until FROM recorded WHERE shard = $1";
    let row = query_opt(client, sql, &[&i32::from(shard)]).await?;
    let until = row.map(|row| row.try_get::<_, Time>(0)).transpose()?;
    Ok(until.map(|time| time.0))
}

/// Tracked symbols, oldest first.
pub(super) async fn tracked(client: &Client) -> Result<Vec<TrackedSymbol>, Fault> {
    let sql = "SELECT symbol, pair, added_at FROM tracked ORDER BY added_at, symbol COLLATE \"C\"";
    let mut symbols = Vec::new();
    for row in query(client, sql, &[]).await? {
        symbols.push(TrackedSymbol {
            symbol: row.try_get::<_, &str>(0)?.into(),
            pair: names::read_pair(row.try_get(1)?)?,
            added_at: read_time(&row, 2)?,
        });
    }
    Ok(symbols)
}

/// Adds a tracked symbol; false when it was there.
pub(super) async fn track(
    client: &Client,
    symbol: &TrackedSymbol,
    entry: Option<&AuditEntry>,
    fence: Option<Fence>,
) -> Result<bool, Fault> {
    let sql = format!(
        "WITH added AS (
             INSERT INTO tracked (symbol, pair, added_at)
             SELECT $1, $2, $3 WHERE kurs_fence($4, $5)
             ON CONFLICT DO NOTHING RETURNING symbol),
         {}
         SELECT EXISTS (SELECT FROM added)",
        noted("added", 6)
    );
    let (shard, epoch) = fence_parts(fence)?;
    let (name, pair, at) = (
        &*symbol.symbol,
        symbol.pair.to_string(),
        Time(symbol.added_at),
    );
    let note = Note::of(entry);
    let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&name, &pair, &at, &shard, &epoch];
    parameters.extend(note.parameters());
    let added = query_opt(client, &sql, &parameters).await;
    let row = added.map_err(|fault| fault.under(fence))?;
    Ok(row.map(|row| row.try_get(0)).transpose()?.unwrap_or(false))
}

/// Adds the first symbols.
async fn add_all(client: &impl GenericClient, symbols: &[TrackedSymbol]) -> Result<(), Fault> {
    let sql = "INSERT INTO tracked (symbol, pair, added_at)
               SELECT u.* FROM unnest($1::text[], $2::text[], $3::timestamptz[]) u
               ON CONFLICT DO NOTHING";
    let names: Vec<&str> = symbols.iter().map(|symbol| &*symbol.symbol).collect();
    let pairs: Vec<String> = symbols
        .iter()
        .map(|symbol| symbol.pair.to_string())
        .collect();
    let times: Vec<Time> = symbols.iter().map(|symbol| Time(symbol.added_at)).collect();
    execute(client, sql, &[&names, &pairs, &times]).await?;
    Ok(())
}

/// Removes a tracked symbol; false when it was not there.
pub(super) async fn untrack(
    client: &Client,
    symbol: &str,
    entry: Option<&AuditEntry>,
    fence: Option<Fence>,
) -> Result<bool, Fault> {
    // The fence is looked at even if there is nothing to remove.
    let sql = format!(
        "WITH fence AS MATERIALIZED (SELECT kurs_fence($2, $3) AS holds),
         gone AS (DELETE FROM tracked WHERE symbol = $1 RETURNING symbol),
         {}
         SELECT holds, EXISTS (SELECT FROM gone) FROM fence",
        noted("gone", 4)
    );
    let (shard, epoch) = fence_parts(fence)?;
    let note = Note::of(entry);
    let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&symbol, &shard, &epoch];
    parameters.extend(note.parameters());
    let removed = query_opt(client, &sql, &parameters).await;
    let row = removed.map_err(|fault| fault.under(fence))?;
    Ok(row.map(|row| row.try_get(1)).transpose()?.unwrap_or(false))
}

/// Puts the first symbols in, once in the life of a database.
pub(super) async fn seed(client: &mut Client, symbols: &[TrackedSymbol]) -> Result<bool, Fault> {
    let transaction = client.transaction().await?;
    let sql = "INSERT INTO meta (name, value) VALUES ('seeded', 'true') ON CONFLICT DO NOTHING";
    if execute(&transaction, sql, &[]).await? == 0 {
        return Ok(false);
    }
    add_all(&transaction, symbols).await?;
    transaction.commit().await?;
    Ok(true)
}
