//! Deletes what is outdated: whole partitions are dropped, the rest goes in small steps.

use super::fault::Fault;
use super::partitions::{self, Drop, KnownPartitions, Parent};
use super::pool::{execute, query};
use super::types::{StoredId, Time, read_time};
use super::{blocks, names, published};
use crate::packed::{events, rows};
use crate::{Interval, Outdated, Published};
use deadpool_postgres::Client;
use kurs_core::Wall;

/// Rows that one step deletes.
const STEP_ROWS: i64 = 5_000;

/// Deletes it. Returns how many rows went, about.
pub(super) async fn prune(
    client: &mut Client,
    known: &KnownPartitions,
    outdated: Outdated,
) -> Result<u64, Fault> {
    let mut gone: u64 = 0;
    if let Some(before) = outdated.rows {
        gone = gone.saturating_add(prune_rows(client, before).await?);
        gone = gone.saturating_add(in_steps(client, STATES, before).await?);
    }
    if let Some(before) = outdated.published {
        gone = gone.saturating_add(prune_published(client, before).await?);
    }
    for (interval, before) in Interval::ALL.into_iter().zip(outdated.candles) {
        if let Some(before) = before {
            gone = gone.saturating_add(prune_candles(client, interval, before).await?);
        }
    }
    if let Some(before) = outdated.books {
        gone = gone.saturating_add(drop_outdated(client, Parent::Books, before).await?);
        gone = gone.saturating_add(by_series(client, &BOOKS, before).await?);
    }
    if let Some(before) = outdated.gaps {
        gone = gone.saturating_add(in_steps(client, GAPS, before).await?);
    }
    if let Some(before) = outdated.audit {
        gone = gone.saturating_add(in_steps(client, AUDIT, before).await?);
    }
    known.forget();
    Ok(gone)
}

async fn drop_outdated(client: &Client, parent: Parent, before: Wall) -> Result<u64, Fault> {
    partitions::drop_before(client, parent, before, &[], Drop::Outdated).await
}

/// The last one of each series stays: it says what held at that moment.
const STATES: &str = "
    DELETE FROM price_states WHERE ctid = ANY (ARRAY(
        SELECT c.ctid FROM price_states c
        WHERE c.at < $1 AND EXISTS (
            SELECT FROM price_states n
            WHERE n.pair = c.pair AND n.source = c.source AND n.at < $1
                AND (n.at, n.shard, n.epoch, n.seq) > (c.at, c.shard, c.epoch, c.seq))
        LIMIT $2))";
const GAPS: &str = "
    DELETE FROM gaps WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM gaps WHERE began < $1 AND ended < $1 LIMIT $2))";

const AUDIT: &str = "
    DELETE FROM audit WHERE ctid = ANY (ARRAY(SELECT ctid FROM audit WHERE at < $1 LIMIT $2))";

/// Runs a statement until it finds less than a step.
async fn in_steps(client: &Client, sql: &str, before: Wall) -> Result<u64, Fault> {
    let mut gone: u64 = 0;
    loop {
        let step = execute(client, sql, &[&Time(before), &STEP_ROWS]).await?;
        gone = gone.saturating_add(step);
        if i64::try_from(step).unwrap_or(i64::MAX) < STEP_ROWS {
            return Ok(gone);
        }
    }
}

/// Statements for one series, which the keys begin with.
struct BySeries {
    series: &'static str,
    delete: &'static str,
}

const HISTORY: BySeries = BySeries {
    series: "SELECT p.id, s.id FROM pairs p CROSS JOIN sources s
             WHERE EXISTS (SELECT FROM history t
                           WHERE t.pair = p.id AND t.source = s.id AND t.received_at < $1)",
    delete: "DELETE FROM history
             WHERE pair = $1 AND source = $2 AND received_at < $3 AND received_at <= coalesce((
                 SELECT received_at FROM history
                 WHERE pair = $1 AND source = $2 AND received_at < $3
                 ORDER BY received_at OFFSET $4::bigint - 1 LIMIT 1), $3)",
};
const BOOKS: BySeries = BySeries {
    series: "SELECT p.id, s.id FROM pairs p CROSS JOIN sources s
             WHERE EXISTS (SELECT FROM books t
                           WHERE t.pair = p.id AND t.source = s.id AND t.at < $1)",
    delete: "DELETE FROM books
             WHERE pair = $1 AND source = $2 AND at < $3 AND at <= coalesce((
                 SELECT at FROM books WHERE pair = $1 AND source = $2 AND at < $3
                 ORDER BY at OFFSET $4::bigint - 1 LIMIT 1), $3)",
};

/// Deletes series by series, each along its key, in steps.
async fn by_series(client: &Client, statements: &BySeries, before: Wall) -> Result<u64, Fault> {
    let mut gone: u64 = 0;
    for row in query(client, statements.series, &[&Time(before)]).await? {
        let (pair, source): (i32, i32) = (row.try_get(0)?, row.try_get(1)?);
        let parameters = (Time(before), STEP_ROWS);
        loop {
            let columns: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
                [&pair, &source, &parameters.0, &parameters.1];
            let step = execute(client, statements.delete, &columns).await?;
            gone = gone.saturating_add(step);
            if i64::try_from(step).unwrap_or(i64::MAX) < STEP_ROWS {
                break;
            }
        }
    }
    Ok(gone)
}

async fn prune_rows(client: &Client, before: Wall) -> Result<u64, Fault> {
    const WHOLE: &str = "
        WITH gone AS (
            DELETE FROM history_packed WHERE (pair, source, last_at, number) IN (
                SELECT pair, source, last_at, number FROM history_packed
                WHERE last_at < $1 LIMIT 200)
            RETURNING row_count)
        SELECT coalesce(sum(row_count), 0)::bigint, count(*) FROM gone";
    const CUT: &str = "
        SELECT b.pair, b.source, b.last_at, b.number, p.name, s.name, b.block
        FROM history_packed b JOIN pairs p ON p.id = b.pair JOIN sources s ON s.id = b.source
        WHERE b.first_at < $1 AND b.last_at >= $1 LIMIT 20";
    const SHORTEN: &str = "
        UPDATE history_packed SET first_at = $5, row_count = $6, block = $7
        WHERE pair = $1 AND source = $2 AND last_at = $3 AND number = $4";
    let mut gone = drop_outdated(client, Parent::History, before).await?;
    gone = gone.saturating_add(by_series(client, &HISTORY, before).await?);
    gone = gone.saturating_add(prune_whole_blocks(client, WHOLE, before).await?);
    drop_outdated(client, Parent::HistoryPacked, before).await?;
    loop {
        let cut = query(client, CUT, &[&Time(before)]).await?;
        if cut.is_empty() {
            return Ok(gone);
        }
        for row in cut {
            let (pair, source): (i32, i32) = (row.try_get(0)?, row.try_get(1)?);
            let (last_at, number) = (Time(read_time(&row, 2)?), row.try_get::<_, i64>(3)?);
            let pair_name = names::read_pair(row.try_get(4)?)?;
            let source_name = names::read_source(row.try_get(5)?)?;
            let mut kept = blocks::decode_rows(pair_name, source_name, row.try_get(6)?)?;
            let all = kept.len();
            kept.retain(|row| row.received_at >= before);
            let block = rows::encode(&kept);
            let (Some(block), Some(first)) = (block, kept.first()) else {
                return Err(Fault::corrupt(format!(
                    "a block of {pair_name} by {source_name}"
                )));
            };
            let first_at = Time(first.received_at);
            let count = i32::try_from(kept.len()).unwrap_or(i32::MAX);
            execute(
                client,
                SHORTEN,
                &[&pair, &source, &last_at, &number, &first_at, &count, &block],
            )
            .await?;
            gone = gone.saturating_add(u64::try_from(all - kept.len()).unwrap_or(0));
        }
    }
}

/// Deletes blocks that are outdated wholly, some at a time.
async fn prune_whole_blocks(client: &Client, sql: &str, before: Wall) -> Result<u64, Fault> {
    let mut gone: u64 = 0;
    loop {
        let mut blocks: i64 = 0;
        for row in query(client, sql, &[&Time(before)]).await? {
            gone = gone.saturating_add(u64::try_from(row.try_get::<_, i64>(0)?).unwrap_or(0));
            blocks = row.try_get(1)?;
        }
        if blocks == 0 {
            return Ok(gone);
        }
    }
}

async fn prune_candles(client: &Client, interval: Interval, before: Wall) -> Result<u64, Fault> {
    const SERIES: &str = "
        SELECT p.id, s.id FROM pairs p CROSS JOIN (SELECT id FROM sources UNION ALL SELECT 0) s
        WHERE EXISTS (SELECT FROM candles c
                      WHERE c.pair = p.id AND c.source = s.id AND c.seconds = $2 AND c.start < $1)";
    const DELETE: &str = "
        DELETE FROM candles
        WHERE pair = $1 AND source = $2 AND seconds = $3 AND start < $4 AND start <= coalesce((
            SELECT start FROM candles
            WHERE pair = $1 AND source = $2 AND seconds = $3 AND start < $4
            ORDER BY start OFFSET $5::bigint - 1 LIMIT 1), $4)";
    let parent = match interval {
        Interval::Second => Some(Parent::Seconds),
        Interval::Minute => Some(Parent::Minutes),
        Interval::FiveMinutes => Some(Parent::FiveMinutes),
        Interval::Hour | Interval::Day => None,
    };
    let mut gone = match parent {
        Some(parent) => drop_outdated(client, parent, before).await?,
        None => 0,
    };
    let seconds = i32::try_from(interval.seconds()).unwrap_or(i32::MAX);
    for row in query(client, SERIES, &[&Time(before), &seconds]).await? {
        let (pair, source): (i32, i32) = (row.try_get(0)?, row.try_get(1)?);
        loop {
            let parameters = (Time(before), STEP_ROWS);
            let step = execute(
                client,
                DELETE,
                &[&pair, &source, &seconds, &parameters.0, &parameters.1],
            )
            .await?;
            gone = gone.saturating_add(step);
            if i64::try_from(step).unwrap_or(i64::MAX) < STEP_ROWS {
                break;
            }
        }
    }
    Ok(gone)
}

/// Of each pair everything before `before` goes but the last of it: what was served at that
/// moment stays known.
async fn prune_published(client: &mut Client, before: Wall) -> Result<u64, Fault> {
    const DELETE: &str = "
        DELETE FROM published WHERE pair = $1 AND published_at <= $2
            AND (published_at, shard, epoch, seq) < ($2, $3, $4, $5)
            AND published_at <= coalesce((
                SELECT published_at FROM published WHERE pair = $1 AND published_at <= $2
                ORDER BY published_at OFFSET $6::bigint - 1 LIMIT 1), $2)";
    let transaction = client.transaction().await?;
    let kept = published::at(&transaction, Wall(before.0.saturating_sub(1))).await?;
    transaction.commit().await?;
    let client: &Client = client;
    // A partition that holds one of these must not go as a whole.
    let spare: Vec<Time> = kept.iter().map(|event| Time(event.published_at)).collect();
    let what = Drop::Outdated;
    let mut gone = partitions::drop_before(client, Parent::Published, before, &spare, what).await?;
    for event in &kept {
        let Some(pair) = names::find_pair(client, event.pair).await? else {
            continue;
        };
        let (until, id) = (Time(event.published_at), StoredId::of(event.id)?);
        loop {
            let step = execute(
                client,
                DELETE,
                &[&pair, &until, &id.shard, &id.epoch, &id.seq, &STEP_ROWS],
            )
            .await?;
            gone = gone.saturating_add(step);
            if i64::try_from(step).unwrap_or(i64::MAX) < STEP_ROWS {
                break;
            }
        }
        gone = gone.saturating_add(prune_event_blocks(client, pair, event).await?);
    }
    // All blocks of the past went one by one; what is left are empty partitions.
    partitions::drop_before(client, Parent::PublishedPacked, before, &spare, Drop::Empty).await?;
    Ok(gone)
}

/// Deletes what lies before `kept` in the blocks of its pair.
async fn prune_event_blocks(client: &Client, pair: i32, kept: &Published) -> Result<u64, Fault> {
    const WHOLE: &str = "
        WITH gone AS (
            DELETE FROM published_packed WHERE pair = $1 AND last_at < $2 RETURNING row_count)
        SELECT coalesce(sum(row_count), 0)::bigint FROM gone";
    const CUT: &str = "
        SELECT last_at, number, block FROM published_packed
        WHERE pair = $1 AND first_at <= $2 AND last_at >= $2";
    const SHORTEN: &str = "
        UPDATE published_packed SET first_at = $4, row_count = $5, block = $6
        WHERE pair = $1 AND last_at = $2 AND number = $3";
    const DELETE: &str =
        "DELETE FROM published_packed WHERE pair = $1 AND last_at = $2 AND number = $3";
    let until = Time(kept.published_at);
    let mut gone: u64 = 0;
    for row in query(client, WHOLE, &[&pair, &until]).await? {
        gone = gone.saturating_add(u64::try_from(row.try_get::<_, i64>(0)?).unwrap_or(0));
    }
    for row in query(client, CUT, &[&pair, &until]).await? {
        let (last_at, number) = (Time(read_time(&row, 0)?), row.try_get::<_, i64>(1)?);
        let opened = blocks::open_events(kept.pair, row.try_get(2)?)?;
        let places = opened.places();
        let outdated = places.partition_point(|place| *place < (kept.published_at, kept.id));
        if outdated == 0 {
            continue;
        }
        gone = gone.saturating_add(u64::try_from(outdated).unwrap_or(0));
        let mut rest = Vec::with_capacity(places.len() - outdated);
        for index in outdated..places.len() {
            rest.push(blocks::event(&opened, index)?);
        }
        let Some(first) = rest.first() else {
            // Only events that came before the kept one within its millisecond.
            execute(client, DELETE, &[&pair, &last_at, &number]).await?;
            continue;
        };
        let block = events::encode(&rest)
            .ok_or_else(|| Fault::corrupt(format!("a block of events of {}", kept.pair)))?;
        let first_at = Time(first.published_at);
        let count = i32::try_from(rest.len()).unwrap_or(i32::MAX);
        execute(
            client,
            SHORTEN,
            &[&pair, &last_at, &number, &first_at, &count, &block],
        )
        .await?;
    }
    Ok(gone)
}
