//! Current rates, tracked symbols, the epoch, how far is recorded, and single facts.

use super::fault::Fault;
use super::names::{self, Names};
use super::pool::{execute, query, query_opt};
use super::types::{StoredId, Time, read_id, read_time};
use crate::{StoredRate, model::batch::Recorded};
use deadpool_postgres::{Client, GenericClient, Transaction};
use kurs_core::{Epoch, Pair, TrackedSymbol, UpdateId, Wall};
use std::collections::BTreeMap;

/// Replaces current rates unless the stored one has a greater id.
pub(super) async fn save_current(
    transaction: &Transaction<'_>,
    names: &Names,
    rates: &[StoredRate],
) -> Result<(), Fault> {
    const UPSERT: &str = "
        INSERT INTO current_rates AS old (pair, shard, epoch, seq, rate)
        SELECT u.pair, u.shard, u.epoch, u.seq, u.rate::json
        FROM unnest($1::int[], $2::int[], $3::bigint[], $4::bigint[], $5::text[])
            AS u (pair, shard, epoch, seq, rate)
        ON CONFLICT (pair) DO UPDATE
        SET shard = excluded.shard, epoch = excluded.epoch, seq = excluded.seq,
            rate = excluded.rate
        WHERE (excluded.shard, excluded.epoch, excluded.seq) >= (old.shard, old.epoch, old.seq)";
    // The last of those with the greatest id; one statement takes a pair once.
    let mut newest: BTreeMap<i32, &StoredRate> = BTreeMap::new();
    for stored in rates {
        let pair = names.pair(stored.rate.pair)?;
        if newest
            .get(&pair)
            .is_none_or(|other: &&StoredRate| other.id <= stored.id)
        {
            newest.insert(pair, stored);
        }
    }
    let (mut pairs, mut texts) = (Vec::new(), Vec::new());
    let (mut shards, mut epochs, mut seqs) = (Vec::new(), Vec::new(), Vec::new());
    for (pair, stored) in newest {
        let id = StoredId::of(stored.id)?;
        pairs.push(pair);
        shards.push(id.shard);
        epochs.push(id.epoch);
        seqs.push(id.seq);
        texts.push(
            serde_json::to_string(&stored.rate).map_err(|error| {
                Fault::corrupt(format!("rate of {}: {error}", stored.rate.pair))
            })?,
        );
    }
    execute(
        transaction,
        UPSERT,
        &[&pairs, &shards, &epochs, &seqs, &texts],
    )
    .await?;
    Ok(())
}

/// All current rates, by pair.
pub(super) async fn load_current(client: &Client) -> Result<Vec<StoredRate>, Fault> {
    let sql = "SELECT c.rate::text, c.shard, c.epoch, c.seq
               FROM current_rates c JOIN pairs p ON p.id = c.pair ORDER BY p.name";
    let mut rates = Vec::new();
    for row in query(client, sql, &[]).await? {
        let rate = serde_json::from_str(row.try_get(0)?)
            .map_err(|error| Fault::corrupt(format!("a current rate: {error}")))?;
        let id: UpdateId = read_id(&row, 1)?;
        rates.push(StoredRate { id, rate });
    }
    Ok(rates)
}

/// Removes the current rates of these pairs.
pub(super) async fn drop_current(client: &Client, pairs: &[Pair]) -> Result<(), Fault> {
    let sql = "DELETE FROM current_rates
               WHERE pair IN (SELECT id FROM pairs WHERE name = ANY ($1))";
    let names: Vec<String> = pairs.iter().map(ToString::to_string).collect();
    execute(client, sql, &[&names]).await?;
    Ok(())
}

/// The terms under which the current rates were made.
pub(super) async fn terms(client: &Client) -> Result<Option<String>, Fault> {
    let row = query_opt(client, "SELECT value FROM meta WHERE name = 'terms'", &[]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// Replaces the terms.
pub(super) async fn save_terms(client: &Client, terms: &str) -> Result<(), Fault> {
    let sql = "INSERT INTO meta (name, value) VALUES ('terms', $1)
               ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    execute(client, sql, &[&terms]).await?;
    Ok(())
}

/// The epoch of a new Writer of a shard.
pub(super) async fn begin_epoch(client: &Client, shard: u16) -> Result<Epoch, Fault> {
    let sql = "INSERT INTO lease AS old (shard, epoch) VALUES ($1, 1)
               ON CONFLICT (shard) DO UPDATE SET epoch = old.epoch + 1 RETURNING epoch";
    let row = query_opt(client, sql, &[&i32::from(shard)]).await?;
    let epoch: i64 = row.ok_or_else(|| Fault::corrupt("no epoch"))?.try_get(0)?;
    u64::try_from(epoch)
        .map(Epoch)
        .map_err(|_| Fault::corrupt("a negative epoch"))
}

/// Keeps how far a shard is recorded, unless it is recorded further.
pub(super) async fn record_until(
    transaction: &Transaction<'_>,
    recorded: Recorded,
) -> Result<(), Fault> {
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

/// How far the shard is recorded that is furthest behind.
pub(super) async fn recorded_until(client: &Client) -> Result<Option<Wall>, Fault> {
    let row = query_opt(client, "SELECT min(until) FROM recorded", &[]).await?;
    let until = row
        .map(|row| row.try_get::<_, Option<Time>>(0))
        .transpose()?
        .flatten();
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

/// Adds tracked symbols; returns how many were not there.
pub(super) async fn track(
    client: &impl GenericClient,
    symbols: &[TrackedSymbol],
) -> Result<u64, Fault> {
    let sql = "INSERT INTO tracked (symbol, pair, added_at)
               SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[])
               ON CONFLICT DO NOTHING";
    let names: Vec<&str> = symbols.iter().map(|symbol| &*symbol.symbol).collect();
    let pairs: Vec<String> = symbols
        .iter()
        .map(|symbol| symbol.pair.to_string())
        .collect();
    let times: Vec<Time> = symbols.iter().map(|symbol| Time(symbol.added_at)).collect();
    execute(client, sql, &[&names, &pairs, &times]).await
}

/// Removes a tracked symbol; false when it was not there.
pub(super) async fn untrack(client: &Client, symbol: &str) -> Result<bool, Fault> {
    Ok(execute(client, "DELETE FROM tracked WHERE symbol = $1", &[&symbol]).await? > 0)
}

/// Puts the first symbols in, once in the life of a database.
pub(super) async fn seed(client: &mut Client, symbols: &[TrackedSymbol]) -> Result<bool, Fault> {
    let transaction = client.transaction().await?;
    let sql = "INSERT INTO meta (name, value) VALUES ('seeded', 'true') ON CONFLICT DO NOTHING";
    if execute(&transaction, sql, &[]).await? == 0 {
        return Ok(false);
    }
    track(&transaction, symbols).await?;
    transaction.commit().await?;
    Ok(true)
}
