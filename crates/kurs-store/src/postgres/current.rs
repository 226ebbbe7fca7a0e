//! Current rates, whose validity the server's clock counts down.

use super::fault::Fault;
use super::lease::fence_parts;
use super::names::Names;
use super::pool::{execute, query};
use super::types::{StoredId, Time, read_id, read_time};
use crate::model::current::{OVERLAP, left_microseconds, newest};
use crate::{CurrentRate, CurrentRates, Fence, StoredRate};
use deadpool_postgres::Client;
use kurs_core::{Pair, Wall};

/// Replaces current rates unless the stored one is of the same shard and has a greater id.
pub(super) async fn save(
    transaction: &Client,
    names: &Names,
    rates: &[CurrentRate],
) -> Result<(), Fault> {
    const UPSERT: &str = "
        INSERT INTO current_rates AS old (pair, shard, epoch, seq, rate, valid_until, stored_at)
        SELECT u.pair, u.shard, u.epoch, u.seq, u.rate::json,
            clock_timestamp() + u.left_us * interval '1 microsecond', clock_timestamp()
        FROM unnest($1::int[], $2::int[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[])
            AS u (pair, shard, epoch, seq, rate, left_us)
        ON CONFLICT (pair) DO UPDATE
        SET shard = excluded.shard, epoch = excluded.epoch, seq = excluded.seq,
            rate = excluded.rate, valid_until = excluded.valid_until,
            stored_at = excluded.stored_at
        WHERE old.shard <> excluded.shard
            OR (excluded.epoch, excluded.seq) >= (old.epoch, old.seq)";
    let (mut pairs, mut texts, mut lefts) = (Vec::new(), Vec::new(), Vec::new());
    let (mut shards, mut epochs, mut seqs) = (Vec::new(), Vec::new(), Vec::new());
    // One statement takes a pair once. By pair, as everybody does: two at once wait for each
    // other instead of for ever.
    let mut keyed = Vec::new();
    for current in newest(rates) {
        keyed.push((names.pair(current.stored.rate.pair)?, current));
    }
    keyed.sort_unstable_by_key(|(pair, _)| *pair);
    for (pair, current) in keyed {
        let id = StoredId::of(current.stored.id)?;
        let rate = &current.stored.rate;
        pairs.push(pair);
        shards.push(id.shard);
        epochs.push(id.epoch);
        seqs.push(id.seq);
        texts.push(
            serde_json::to_string(rate)
                .map_err(|error| Fault::corrupt(format!("rate of {}: {error}", rate.pair)))?,
        );
        lefts.push(left_microseconds(current.left));
    }
    execute(
        transaction,
        UPSERT,
        &[&pairs, &shards, &epochs, &seqs, &texts, &lefts],
    )
    .await?;
    Ok(())
}

/// Current rates that were stored after `since`, by pair, or all of them.
pub(super) async fn changed(client: &Client, since: Option<Wall>) -> Result<CurrentRates, Fault> {
    // Times are those at which statements began: what a transaction wrote that was not yet
    // committed then is younger than `OVERLAP`. After a clock went back everything counts as
    // changed.
    const CHANGED: &str = "
        SELECT m.now, c.name, c.rate, c.shard, c.epoch, c.seq, c.valid_until
        FROM (SELECT now() AS now) m LEFT JOIN LATERAL (
            SELECT p.name, r.rate::text AS rate, r.shard, r.epoch, r.seq, r.valid_until
            FROM current_rates r JOIN pairs p ON p.id = r.pair
            WHERE $1::timestamptz IS NULL OR r.stored_at > $2 OR $1 > m.now) c ON true
        ORDER BY c.name";
    let from = since.map(|since| Time(Wall(since.0.saturating_sub(OVERLAP))));
    let mut changed = CurrentRates::default();
    for row in query(client, CHANGED, &[&since.map(Time), &from]).await? {
        let now = read_time(&row, 0)?;
        changed.until = Some(now);
        let Some(text) = row.try_get::<_, Option<&str>>(2)? else {
            continue;
        };
        let rate: kurs_core::Rate = serde_json::from_str(text)
            .map_err(|error| Fault::corrupt(format!("a current rate: {error}")))?;
        let valid_until = row.try_get::<_, Option<Time>>(6)?;
        let left = valid_until.map_or_else(|| rate.expires_at(), |until| until.0);
        changed.rates.push(CurrentRate {
            left: left.since(now),
            stored: StoredRate {
                id: read_id(&row, 3)?,
                rate,
            },
        });
    }
    Ok(changed)
}

/// Removes the current rates of these pairs.
pub(super) async fn drop_pairs(
    client: &Client,
    pairs: &[Pair],
    fence: Option<Fence>,
) -> Result<(), Fault> {
    let sql = "WITH fence AS MATERIALIZED (SELECT kurs_fence($2, $3) AS holds),
               gone AS (DELETE FROM current_rates
                   WHERE pair IN (SELECT id FROM pairs WHERE name = ANY ($1)))
               SELECT holds FROM fence";
    let names: Vec<String> = pairs.iter().map(ToString::to_string).collect();
    let (shard, epoch) = fence_parts(fence)?;
    let dropped = query(client, sql, &[&names, &shard, &epoch]).await;
    dropped.map_err(|fault| fault.under(fence))?;
    Ok(())
}
