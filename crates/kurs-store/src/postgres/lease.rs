//! Who may write. Every step is one statement, decided by the server's clock: see
//! `migrations/postgres/0002_leases.sql`.

use super::fault::Fault;
use super::pool::{execute, query, query_opt};
use super::types::Time;
use crate::model::salvage::{Ended, Standing};
use crate::{Beat, Claim, Fence, Lease, Leases, LivingWriter};
use deadpool_postgres::Client;
use kurs_core::{Epoch, Wall};
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::Row;

fn number(number: u64) -> Result<i64, Fault> {
    i64::try_from(number).map_err(|_| Fault::corrupt(format!("{number} is out of range")))
}

fn microseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn read_epoch(row: &Row, column: usize) -> Result<Epoch, Fault> {
    u64::try_from(row.try_get::<_, i64>(column)?)
        .map(Epoch)
        .map_err(|_| Fault::corrupt("a negative epoch"))
}

/// A fence as `kurs_fence` takes it.
pub(super) fn fence_parts(fence: Option<Fence>) -> Result<(Option<i32>, Option<i64>), Fault> {
    Ok(match fence {
        None => (None, None),
        Some(fence) => (Some(i32::from(fence.shard)), Some(number(fence.epoch.0)?)),
    })
}

/// Takes a lease, if it is free.
pub(super) async fn claim(client: &Client, claim: &Claim) -> Result<Option<Epoch>, Fault> {
    let sql = "SELECT kurs_claim($1, $2, $3, $4, $5, $6)";
    let heard = claim.heard.filter(|id| id.shard == claim.shard);
    let heard_epoch = heard.map(|id| number(id.epoch.0)).transpose()?;
    let heard_seq = heard.map(|id| number(id.seq.0)).transpose()?;
    let claimed = query_opt(
        client,
        sql,
        &[
            &i32::from(claim.shard),
            &&*claim.writer,
            &microseconds(claim.ttl),
            &heard_epoch,
            &heard_seq,
            &claim.is_alone,
        ],
    )
    .await;
    let row = match claimed {
        // Somebody is at it, who claims it or commits under it.
        Err(fault) if fault.is_locked_out() => return Ok(None),
        claimed => claimed?.ok_or_else(|| Fault::corrupt("no answer to a claim"))?,
    };
    match row.try_get::<_, Option<i64>>(0)? {
        None => Ok(None),
        Some(_) => Ok(Some(read_epoch(&row, 0)?)),
    }
}

/// Makes leases last again, and tells how all stand.
pub(super) async fn renew(client: &Client, beat: &Beat) -> Result<Leases, Fault> {
    let sql = "SELECT shard, epoch, writer, is_ready, is_released, heir, left_us
               FROM kurs_renew($1, $2, $3, $4, $5)";
    let shards: Vec<i32> = beat.held.iter().map(|held| held.shard.into()).collect();
    let mut epochs = Vec::with_capacity(beat.held.len());
    for held in &beat.held {
        epochs.push(number(held.epoch.0)?);
    }
    let (writer, ttl) = (&*beat.writer, microseconds(beat.ttl));
    let rows = query(
        client,
        sql,
        &[&writer, &ttl, &beat.is_ready, &shards, &epochs],
    )
    .await?;
    let mut leases = Leases::default();
    for row in rows {
        let writer: Arc<str> = row.try_get::<_, &str>(2)?.into();
        let Some(shard) = row.try_get::<_, Option<i32>>(0)? else {
            leases.writers.push(LivingWriter {
                name: writer,
                is_ready: row.try_get(3)?,
            });
            continue;
        };
        let left_us: i64 = row.try_get(6)?;
        leases.shards.push(Lease {
            shard: u16::try_from(shard).map_err(|_| Fault::corrupt("a shard out of range"))?,
            epoch: read_epoch(&row, 1)?,
            writer,
            is_released: row.try_get(4)?,
            heir: row.try_get::<_, Option<&str>>(5)?.map(Arc::from),
            left: Duration::from_micros(u64::try_from(left_us).unwrap_or(0)),
        });
    }
    Ok(leases)
}

/// Makes one lease last again; false when the epoch is not the present one, or was given back.
pub(super) async fn extend(client: &Client, fence: Fence, ttl: Duration) -> Result<bool, Fault> {
    let sql = "UPDATE lease
               SET expires_at = clock_timestamp() + $3::bigint * interval '1 microsecond'
               WHERE shard = $1 AND epoch = $2 AND NOT is_released";
    let (shard, epoch) = fence_parts(Some(fence))?;
    Ok(execute(client, sql, &[&shard, &epoch, &microseconds(ttl)]).await? > 0)
}

/// Gives a lease back; false when the epoch is not the present one.
pub(super) async fn release(
    client: &Client,
    fence: Fence,
    heir: Option<&str>,
) -> Result<bool, Fault> {
    let sql = "SELECT kurs_release($1, $2, $3)";
    let (shard, epoch) = fence_parts(Some(fence))?;
    let row = query_opt(client, sql, &[&shard, &epoch, &heir]).await?;
    let row = row.ok_or_else(|| Fault::corrupt("no answer to a release"))?;
    Ok(row.try_get(0)?)
}

/// A Writer is not among the living any more.
pub(super) async fn leave(client: &Client, writer: &str) -> Result<(), Fault> {
    execute(client, "DELETE FROM writers WHERE name = $1", &[&writer]).await?;
    Ok(())
}

/// How the epoch of a fence stands.
pub(super) async fn standing(client: &Client, fence: Fence) -> Result<Standing, Fault> {
    let sql = "
        SELECT coalesce(l.epoch = f.epoch AND NOT l.is_released, false), e.heard_seq, e.ended_at
        FROM (SELECT $1::int AS shard, $2::bigint AS epoch) f
        LEFT JOIN lease l ON l.shard = f.shard
        LEFT JOIN ended_epochs e ON e.shard = f.shard AND e.epoch = f.epoch";
    let (shard, epoch) = fence_parts(Some(fence))?;
    let row = query_opt(client, sql, &[&shard, &epoch]).await?;
    let row = row.ok_or_else(|| Fault::corrupt("no answer to a question of one row"))?;
    if row.try_get(0)? {
        return Ok(Standing::Present);
    }
    let heard_seq: Option<i64> = row.try_get(1)?;
    let ended_at: Option<Time> = row.try_get(2)?;
    Ok(Standing::Past(ended_at.map(|at| Ended {
        heard_seq: heard_seq.map(|seq| u64::try_from(seq).unwrap_or(0)),
        at: Wall(at.0.0),
    })))
}
