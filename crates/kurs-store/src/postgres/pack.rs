//! Moves old rows into blocks, one block per transaction.

use super::fault::Fault;
use super::late::{self, Kind};
use super::names;
use super::partitions::{self, Drop, KnownPartitions, Parent};
use super::pool::{execute, query, query_opt};
use super::types::{StoredId, Time, read_id, read_time};
use super::{history, published};
use crate::Packing;
use crate::packed::events::{self, EVENTS_MAX};
use crate::packed::rows::{self, ROWS_MAX};
use deadpool_postgres::{Client, Transaction};
use kurs_core::{Pair, SourceId, UpdateId, Wall};

/// Rows that are older than this by the time they may be packed do not wait for a full block.
const DAY_US: i64 = 86_400_000_000;

/// The last packed place of a series, and the number of its last block.
struct PackedTo {
    at: Wall,
    id: StoredId,
    number: i64,
}

impl PackedTo {
    const NOTHING: Self = Self {
        at: Wall(i64::MIN),
        id: StoredId::FIRST,
        number: 0,
    };
}

/// Packs everything before `before` that fills a block or is a day older.
pub(super) async fn pack(
    client: &mut Client,
    known: &KnownPartitions,
    before: Wall,
) -> Result<Packing, Fault> {
    let mut packing = Packing::default();
    late::move_horizon(client, Kind::History, before).await?;
    for series in series_of_rows(client, before).await? {
        loop {
            let moved = pack_rows(client, known, &series, before).await?;
            packing.rows += u64::try_from(moved).unwrap_or(0);
            if moved < ROWS_MAX {
                break;
            }
        }
    }
    late::move_horizon(client, Kind::Published, before).await?;
    for (number, pair) in pairs_of_events(client, before).await? {
        loop {
            let moved = pack_events(client, known, number, pair, before).await?;
            packing.published += u64::try_from(moved).unwrap_or(0);
            if moved == 0 {
                break;
            }
        }
    }
    // What was emptied needs no vacuum when it is gone.
    for parent in [Parent::History, Parent::Published] {
        partitions::drop_before(client, parent, before, &[], Drop::Empty).await?;
    }
    known.forget();
    Ok(packing)
}

struct Series {
    pair_number: i32,
    source_number: i32,
    pair: Pair,
    source: SourceId,
}

async fn series_of_rows(client: &Client, before: Wall) -> Result<Vec<Series>, Fault> {
    let sql = "SELECT p.id, s.id, p.name, s.name FROM pairs p CROSS JOIN sources s
               WHERE EXISTS (SELECT FROM history h
                             WHERE h.pair = p.id AND h.source = s.id AND h.received_at < $1)";
    let mut series = Vec::new();
    for row in query(client, sql, &[&Time(before)]).await? {
        series.push(Series {
            pair_number: row.try_get(0)?,
            source_number: row.try_get(1)?,
            pair: names::read_pair(row.try_get(2)?)?,
            source: names::read_source(row.try_get(3)?)?,
        });
    }
    Ok(series)
}

async fn pairs_of_events(client: &Client, before: Wall) -> Result<Vec<(i32, Pair)>, Fault> {
    let sql = "SELECT p.id, p.name FROM pairs p
               WHERE EXISTS (SELECT FROM published e WHERE e.pair = p.id AND e.published_at < $1)";
    let mut pairs = Vec::new();
    for row in query(client, sql, &[&Time(before)]).await? {
        pairs.push((row.try_get(0)?, names::read_pair(row.try_get(1)?)?));
    }
    Ok(pairs)
}

fn is_ripe(count: usize, full: usize, oldest: Wall, before: Wall) -> bool {
    count == full || oldest.0 < before.0.saturating_sub(DAY_US)
}

/// What is deleted must be what was packed: nothing may have come between.
fn expect_gone(gone: u64, packed: usize) -> Result<(), Fault> {
    if usize::try_from(gone).is_ok_and(|gone| gone == packed) {
        return Ok(());
    }
    Err(Fault::corrupt(format!(
        "{packed} rows were packed, but {gone} were in their place"
    )))
}

/// Moves the next block of rows of a series; returns how many.
async fn pack_rows(
    client: &mut Client,
    known: &KnownPartitions,
    series: &Series,
    before: Wall,
) -> Result<usize, Fault> {
    const NEXT: &str = "
        SELECT 0, received_at, shard, epoch, seq, value, bid, ask, observed_at FROM history
        WHERE pair = $1 AND source = $2 AND received_at >= $3 AND received_at < $7
            AND (received_at, shard, epoch, seq) > ($3, $4, $5, $6)
        ORDER BY received_at, shard, epoch, seq LIMIT $8";
    const STORE: &str = "
        INSERT INTO history_packed (pair, source, first_at, last_at, number, row_count, block)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
    const DELETE: &str = "
        DELETE FROM history
        WHERE pair = $1 AND source = $2 AND received_at >= $3 AND received_at <= $7
            AND (received_at, shard, epoch, seq) > ($3, $4, $5, $6)
            AND (received_at, shard, epoch, seq) <= ($7, $8, $9, $10)";
    const MARK: &str = "
        INSERT INTO history_packed_to (pair, source, last_at, shard, epoch, seq, number)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (pair, source) DO UPDATE
        SET last_at = excluded.last_at, shard = excluded.shard, epoch = excluded.epoch,
            seq = excluded.seq, number = excluded.number";
    let transaction = client.transaction().await?;
    late::take_turn(&transaction, Kind::History).await?;
    let (pair, source) = (series.pair_number, series.source_number);
    let to = rows_packed_to(&transaction, pair, source).await?;
    let from = Time(to.at);
    let full = i64::try_from(ROWS_MAX).unwrap_or(i64::MAX);
    let found = query(
        &transaction,
        NEXT,
        &[
            &pair,
            &source,
            &from,
            &to.id.shard,
            &to.id.epoch,
            &to.id.seq,
            &Time(before),
            &full,
        ],
    )
    .await?;
    let mut next = Vec::with_capacity(found.len());
    for row in &found {
        next.push(history::read(row, series.pair, series.source)?);
    }
    let (Some(first), Some(last)) = (next.first(), next.last()) else {
        return Ok(0);
    };
    if !is_ripe(next.len(), ROWS_MAX, first.received_at, before) {
        return Ok(0);
    }
    let block = rows::encode(&next).ok_or_else(|| {
        Fault::corrupt(format!(
            "rows of {} by {} make no block",
            series.pair, series.source
        ))
    })?;
    let (first_at, last_at) = (Time(first.received_at), Time(last.received_at));
    let id = StoredId::of(last.id)?;
    let number = to.number.saturating_add(1);
    let count = i32::try_from(next.len()).unwrap_or(i32::MAX);
    known
        .make(&transaction, [(Parent::HistoryPacked, last.received_at)])
        .await?;
    execute(
        &transaction,
        STORE,
        &[&pair, &source, &first_at, &last_at, &number, &count, &block],
    )
    .await?;
    let gone = execute(
        &transaction,
        DELETE,
        &[
            &pair,
            &source,
            &from,
            &to.id.shard,
            &to.id.epoch,
            &to.id.seq,
            &last_at,
            &id.shard,
            &id.epoch,
            &id.seq,
        ],
    )
    .await?;
    expect_gone(gone, next.len())?;
    execute(
        &transaction,
        MARK,
        &[
            &pair, &source, &last_at, &id.shard, &id.epoch, &id.seq, &number,
        ],
    )
    .await?;
    transaction.commit().await?;
    Ok(next.len())
}

async fn rows_packed_to(
    transaction: &Transaction<'_>,
    pair: i32,
    source: i32,
) -> Result<PackedTo, Fault> {
    let sql = "SELECT last_at, shard, epoch, seq, number FROM history_packed_to
               WHERE pair = $1 AND source = $2";
    packed_to(
        query_opt(transaction, sql, &[&pair, &source])
            .await?
            .as_ref(),
    )
}

fn packed_to(row: Option<&tokio_postgres::Row>) -> Result<PackedTo, Fault> {
    let Some(row) = row else {
        return Ok(PackedTo::NOTHING);
    };
    Ok(PackedTo {
        at: read_time(row, 0)?,
        id: StoredId::of(read_id(row, 1)?)?,
        number: row.try_get(4)?,
    })
}

/// Moves the next block of events of a pair; returns how many.
async fn pack_events(
    client: &mut Client,
    known: &KnownPartitions,
    number: i32,
    pair: Pair,
    before: Wall,
) -> Result<usize, Fault> {
    const TO: &str =
        "SELECT last_at, shard, epoch, seq, number FROM published_packed_to WHERE pair = $1";
    const NEXT: &str = "
        SELECT published_at, shard, epoch, seq, event::text FROM published
        WHERE pair = $1 AND published_at >= $2 AND published_at < $6
            AND (published_at, shard, epoch, seq) > ($2, $3, $4, $5)
        ORDER BY published_at, shard, epoch, seq LIMIT $7";
    let transaction = client.transaction().await?;
    late::take_turn(&transaction, Kind::Published).await?;
    let to = packed_to(query_opt(&transaction, TO, &[&number]).await?.as_ref())?;
    let full = i64::try_from(EVENTS_MAX).unwrap_or(i64::MAX);
    let (from, end) = (Time(to.at), Time(before));
    let found = query(
        &transaction,
        NEXT,
        &[
            &number,
            &from,
            &to.id.shard,
            &to.id.epoch,
            &to.id.seq,
            &end,
            &full,
        ],
    )
    .await?;
    let mut next = Vec::with_capacity(found.len());
    for row in &found {
        next.push(published::read(row, pair)?);
    }
    let Some(first_at) = next.first().map(|first| first.published_at) else {
        return Ok(0);
    };
    if !is_ripe(next.len(), EVENTS_MAX, first_at, before) {
        return Ok(0);
    }
    // Long explanations make fewer events a block.
    let mut block = events::encode(&next);
    while block.is_none() && next.len() > 1 {
        next.truncate(next.len() / 2);
        block = events::encode(&next);
    }
    let last = next.last().map(|last| (last.published_at, last.id));
    let (Some(block), Some(last)) = (block, last) else {
        return Err(Fault::corrupt(format!("events of {pair} make no block")));
    };
    known
        .make(&transaction, [(Parent::PublishedPacked, last.0)])
        .await?;
    move_events(
        &transaction,
        number,
        &to,
        &block,
        (first_at, last),
        next.len(),
    )
    .await?;
    transaction.commit().await?;
    Ok(next.len())
}

async fn move_events(
    transaction: &Transaction<'_>,
    pair: i32,
    to: &PackedTo,
    block: &[u8],
    (first_at, last): (Wall, (Wall, UpdateId)),
    count: usize,
) -> Result<(), Fault> {
    const STORE: &str = "
        INSERT INTO published_packed (pair, first_at, last_at, number, row_count, block)
        VALUES ($1, $2, $3, $4, $5, $6)";
    const DELETE: &str = "
        DELETE FROM published
        WHERE pair = $1 AND published_at >= $2 AND published_at <= $6
            AND (published_at, shard, epoch, seq) > ($2, $3, $4, $5)
            AND (published_at, shard, epoch, seq) <= ($6, $7, $8, $9)";
    const MARK: &str = "
        INSERT INTO published_packed_to (pair, last_at, shard, epoch, seq, number)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (pair) DO UPDATE
        SET last_at = excluded.last_at, shard = excluded.shard, epoch = excluded.epoch,
            seq = excluded.seq, number = excluded.number";
    let (first_at, last_at, id) = (Time(first_at), Time(last.0), StoredId::of(last.1)?);
    let number = to.number.saturating_add(1);
    let rows = i32::try_from(count).unwrap_or(i32::MAX);
    execute(
        transaction,
        STORE,
        &[&pair, &first_at, &last_at, &number, &rows, &block],
    )
    .await?;
    let gone = execute(
        transaction,
        DELETE,
        &[
            &pair,
            &Time(to.at),
            &to.id.shard,
            &to.id.epoch,
            &to.id.seq,
            &last_at,
            &id.shard,
            &id.epoch,
            &id.seq,
        ],
    )
    .await?;
    expect_gone(gone, count)?;
    execute(
        transaction,
        MARK,
        &[&pair, &last_at, &id.shard, &id.epoch, &id.seq, &number],
    )
    .await?;
    Ok(())
}
