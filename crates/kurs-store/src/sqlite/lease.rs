//! Who may write. Every step is part of one transaction of the one writing connection; the time
//! is that of this machine.

use super::fault::Fault;
use super::place::{now, stored_number};
use crate::model::salvage::{Ended, Standing};
use crate::{Beat, Claim, Fence, Lease, Leases, LivingWriter, StoreError};
use kurs_core::{Epoch, Wall};
use rusqlite::{Connection, OptionalExtension, params};
use std::sync::Arc;
use std::time::Duration;

/// How long a Writer is remembered that does not live any more, microseconds.
const DEAD_FOR: i64 = 60_000_000;
/// In the place of the end of an epoch of which everything belongs to the history.
const NEVER: i64 = i64::MAX;

/// A lease as it is stored.
struct Held {
    epoch: i64,
    expires_at: Wall,
    is_released: bool,
    heir: Option<String>,
}

impl Held {
    fn of(connection: &Connection, shard: u16) -> Result<Option<Self>, Fault> {
        Ok(connection
            .prepare_cached(
                "SELECT epoch, expires_at, is_released, heir FROM lease WHERE shard = ?1",
            )?
            .query_row([shard], |row| {
                Ok(Self {
                    epoch: row.get(0)?,
                    expires_at: Wall(row.get(1)?),
                    is_released: row.get(2)?,
                    heir: row.get(3)?,
                })
            })
            .optional()?)
    }

    fn is_free(&self, claim: &Claim, now: Wall) -> bool {
        let is_for_claimant = || {
            self.heir
                .as_deref()
                .is_none_or(|heir| heir == &*claim.writer)
        };
        claim.is_alone || self.expires_at <= now || (self.is_released && is_for_claimant())
    }
}

fn end(
    connection: &Connection,
    shard: u16,
    epoch: i64,
    heard_seq: Option<i64>,
    ended_at: i64,
) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT INTO ended_epochs (shard, epoch, heard_seq, ended_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![shard, epoch, heard_seq, ended_at])?;
    Ok(())
}

/// Takes a lease, if it is free.
pub(super) fn claim(connection: &Connection, claim: &Claim) -> Result<Option<Epoch>, Fault> {
    let now = now();
    let mut epoch = 1;
    if let Some(held) = Held::of(connection, claim.shard)? {
        if !held.is_free(claim, now) {
            return Ok(None);
        }
        let heard = claim.heard.filter(|id| id.shard == claim.shard);
        let heard_seq = match heard {
            Some(id) if !claim.is_alone && stored_number(id.epoch.0)? == held.epoch => {
                Some(stored_number(id.seq.0)?)
            }
            _ => None,
        };
        let ended_at = if claim.is_alone { NEVER } else { now.0 };
        end(connection, claim.shard, held.epoch, heard_seq, ended_at)?;
        epoch = held.epoch.saturating_add(1);
    }
    connection
        .prepare_cached(
            "INSERT INTO lease (shard, epoch, writer, expires_at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (shard) DO UPDATE
             SET epoch = excluded.epoch, writer = excluded.writer,
                 expires_at = excluded.expires_at, is_released = 0, heir = NULL",
        )?
        .execute(params![
            claim.shard,
            epoch,
            &*claim.writer,
            now.plus(claim.ttl).0
        ])?;
    read_epoch(epoch).map(Some)
}

fn read_epoch(epoch: i64) -> Result<Epoch, Fault> {
    u64::try_from(epoch)
        .map(Epoch)
        .map_err(|_| Fault::corrupt("a negative epoch"))
}

/// Makes leases last again, and tells how all stand.
pub(super) fn renew(connection: &Connection, beat: &Beat) -> Result<Leases, Fault> {
    let now = now();
    let until = now.plus(beat.ttl).0;
    connection
        .prepare_cached(
            "INSERT INTO writers (name, is_ready, expires_at) VALUES (?1, ?2, ?3)
             ON CONFLICT (name) DO UPDATE
             SET is_ready = excluded.is_ready, expires_at = excluded.expires_at",
        )?
        .execute(params![&*beat.writer, beat.is_ready, until])?;
    let mut keep = connection.prepare_cached(
        "UPDATE lease SET expires_at = ?3 WHERE shard = ?1 AND epoch = ?2 AND NOT is_released",
    )?;
    for held in &beat.held {
        keep.execute(params![held.shard, stored_number(held.epoch.0)?, until])?;
    }
    let dead = now.0.saturating_sub(DEAD_FOR);
    connection
        .prepare_cached("DELETE FROM writers WHERE expires_at < ?1")?
        .execute([dead])?;
    Ok(Leases {
        shards: leases(connection, now)?,
        writers: living(connection, now)?,
    })
}

fn leases(connection: &Connection, now: Wall) -> Result<Vec<Lease>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT shard, epoch, writer, is_released, heir, expires_at FROM lease ORDER BY shard",
    )?;
    let mut rows = statement.query([])?;
    let mut leases = Vec::new();
    while let Some(row) = rows.next()? {
        leases.push(Lease {
            shard: row.get(0)?,
            epoch: read_epoch(row.get(1)?)?,
            writer: row.get::<_, String>(2)?.into(),
            is_released: row.get(3)?,
            heir: row.get::<_, Option<String>>(4)?.map(Arc::from),
            left: Wall(row.get(5)?).since(now),
        });
    }
    Ok(leases)
}

fn living(connection: &Connection, now: Wall) -> Result<Vec<LivingWriter>, Fault> {
    let mut statement = connection
        .prepare_cached("SELECT name, is_ready FROM writers WHERE expires_at > ?1 ORDER BY name")?;
    let mut rows = statement.query([now.0])?;
    let mut writers = Vec::new();
    while let Some(row) = rows.next()? {
        writers.push(LivingWriter {
            name: row.get::<_, String>(0)?.into(),
            is_ready: row.get(1)?,
        });
    }
    Ok(writers)
}

/// Makes one lease last again; false when the epoch is not the present one, or was given back.
pub(super) fn extend(connection: &Connection, fence: Fence, ttl: Duration) -> Result<bool, Fault> {
    let kept = connection
        .prepare_cached(
            "UPDATE lease SET expires_at = ?3 WHERE shard = ?1 AND epoch = ?2 AND NOT is_released",
        )?
        .execute(params![
            fence.shard,
            stored_number(fence.epoch.0)?,
            now().plus(ttl).0
        ])?;
    Ok(kept > 0)
}

/// Gives a lease back; false when the epoch is not the present one.
pub(super) fn release(
    connection: &Connection,
    fence: Fence,
    heir: Option<&str>,
) -> Result<bool, Fault> {
    let epoch = stored_number(fence.epoch.0)?;
    let changed = connection
        .prepare_cached(
            "UPDATE lease SET is_released = 1, heir = ?3 WHERE shard = ?1 AND epoch = ?2",
        )?
        .execute(params![fence.shard, epoch, heir])?;
    if changed > 0 {
        end(connection, fence.shard, epoch, None, NEVER)?;
    }
    Ok(changed > 0)
}

/// A Writer is not among the living any more.
pub(super) fn leave(connection: &Connection, writer: &str) -> Result<(), Fault> {
    connection
        .prepare_cached("DELETE FROM writers WHERE name = ?1")?
        .execute([writer])?;
    Ok(())
}

/// How the epoch of a fence stands.
pub(super) fn standing(connection: &Connection, fence: Fence) -> Result<Standing, Fault> {
    let epoch = stored_number(fence.epoch.0)?;
    let held = Held::of(connection, fence.shard)?;
    if held.is_some_and(|held| held.epoch == epoch && !held.is_released) {
        return Ok(Standing::Present);
    }
    let ended = connection
        .prepare_cached(
            "SELECT heard_seq, ended_at FROM ended_epochs WHERE shard = ?1 AND epoch = ?2",
        )?
        .query_row(params![fence.shard, epoch], |row| {
            let heard_seq: Option<i64> = row.get(0)?;
            Ok(Ended {
                heard_seq: heard_seq.map(|seq| u64::try_from(seq).unwrap_or(0)),
                at: Wall(row.get(1)?),
            })
        })
        .optional()?;
    Ok(Standing::Past(ended))
}

/// Refuses what is not of the present epoch, in the transaction that writes it.
pub(super) fn check(connection: &Connection, fence: Option<Fence>) -> Result<(), Fault> {
    match fence {
        Some(fence) if standing(connection, fence)? != Standing::Present => {
            Err(Fault::Told(StoreError::Fenced(fence)))
        }
        _ => Ok(()),
    }
}
