//! Received rates: stored, paged, and the last ones at a moment. Pages merge plain rows and blocks
//! by place, so nobody can tell which is which.

mod insert;

use super::blocks;
use super::fault::Fault;
use super::late::{self, Kind};
use super::names::{self, Names};
use super::pool::{query, query_opt};
use super::types::{StoredId, Time, read_id, read_price, read_price_if_any, read_time};
use crate::{Cursor, HistoryPage, HistoryQuery, HistoryRow};
use deadpool_postgres::{Client, Transaction};
use kurs_core::{Pair, SourceId, UpdateId, Wall};
use std::cmp::Ordering;
use std::collections::{HashSet, VecDeque};
use tokio_postgres::Row;

/// Most rows of one page, whatever is asked for.
const PAGE_MAX: u32 = 10_000;
/// Rows of one statement.
const CHUNK_ROWS: usize = 10_000;

/// The identity of a row, in the order of the key. Everybody inserts in this order, so that two
/// who store the same rows at once wait for each other instead of for ever.
type Key = (i32, i32, Wall, UpdateId);

/// Adds rows; those that are there already, packed or not, are passed over. Where the rows are
/// `believed_new`, one that is there among the plain ones fails the transaction with a collision
/// instead: to look for it beforehand costs every row some of the speed.
pub(super) async fn insert(
    transaction: &Client,
    names: &Names,
    rows: &[HistoryRow],
    horizon: Wall,
    believed_new: bool,
) -> Result<(), Fault> {
    let mut keyed = Vec::with_capacity(rows.len());
    for row in rows {
        let (pair, source) = (names.pair(row.pair)?, names.source(row.source)?);
        keyed.push(((pair, source, row.received_at, row.id), row));
    }
    keyed.sort_unstable_by_key(|(key, _)| *key);
    let late: Vec<Key> = keyed
        .iter()
        .map(|(key, _)| *key)
        .filter(|(_, _, received_at, _)| *received_at < horizon)
        .collect();
    if let (false, Some(any)) = (late.is_empty(), rows.first()) {
        late::take_turn(transaction, Kind::History).await?;
        let packed = packed_already(transaction, &late, any).await?;
        keyed.retain(|(key, _)| !packed.contains(key));
    }
    if believed_new {
        return insert::copy(transaction, &keyed).await;
    }
    for chunk in keyed.chunks(CHUNK_ROWS) {
        insert::pass_over(transaction, chunk).await?;
    }
    Ok(())
}

/// Which of these rows lie in blocks.
async fn packed_already(
    transaction: &Client,
    late: &[Key],
    any: &HistoryRow,
) -> Result<HashSet<Key>, Fault> {
    const COVERING: &str = "
        SELECT pair, source, block FROM history_packed
        WHERE (pair, source, last_at, number) IN (
            SELECT b.pair, b.source, b.last_at, b.number
            FROM unnest($1::int[], $2::int[], $3::timestamptz[]) AS l (pair, source, at)
            JOIN history_packed b ON b.pair = l.pair AND b.source = l.source
                AND b.last_at >= l.at AND b.first_at <= l.at)";
    let wanted: HashSet<&Key> = late.iter().collect();
    let mut moments: Vec<(i32, i32, Wall)> = late
        .iter()
        .map(|(pair, source, at, _)| (*pair, *source, *at))
        .collect();
    moments.dedup();
    let mut found = HashSet::new();
    for chunk in moments.chunks(CHUNK_ROWS) {
        let pairs: Vec<i32> = chunk.iter().map(|(pair, _, _)| *pair).collect();
        let sources: Vec<i32> = chunk.iter().map(|(_, source, _)| *source).collect();
        let times: Vec<Time> = chunk.iter().map(|(_, _, at)| Time(*at)).collect();
        for row in query(transaction, COVERING, &[&pairs, &sources, &times]).await? {
            let (pair, source): (i32, i32) = (row.try_get(0)?, row.try_get(1)?);
            // Only their places matter, so whose rows they are called does not.
            for packed in blocks::decode_rows(any.pair, any.source, row.try_get(2)?)? {
                let key = (pair, source, packed.received_at, packed.id);
                if wanted.contains(&key) {
                    found.insert(key);
                }
            }
        }
    }
    Ok(found)
}

/// One page, as of one moment: `transaction` sees one state of the database.
pub(super) async fn page(
    transaction: &Transaction<'_>,
    wanted: &HistoryQuery,
) -> Result<HistoryPage, Fault> {
    let limit = usize::try_from(wanted.limit.clamp(1, PAGE_MAX)).unwrap_or(usize::MAX);
    let mut rows: Vec<HistoryRow> = Vec::new();
    let Some(pair) = names::find_pair(transaction, wanted.pair).await? else {
        return Ok(HistoryPage { rows, next: None });
    };
    let mut sources = names::all_sources(transaction).await?;
    sources.retain(|(_, source)| wanted.source.is_none_or(|only| only == *source));
    let mut scans = Vec::with_capacity(sources.len() + 1);
    for (number, source) in &sources {
        scans.push(BlockScan::new(wanted, pair, *number, *source));
    }
    let mut hot = plain_rows(transaction, wanted, pair, &sources, limit).await?;
    loop {
        let mut first: Option<(Cursor, usize)> = None;
        for (index, scan) in scans.iter_mut().enumerate() {
            let place = scan.peek(transaction).await?;
            first = [first, place.map(|place| (place, index))]
                .into_iter()
                .flatten()
                .min();
        }
        let taken = match (hot.front().map(place), first) {
            (Some(plain), Some((packed, index))) if packed < plain => scans[index].take(),
            (None, Some((_, index))) => scans[index].take(),
            _ => hot.pop_front(),
        };
        let Some(row) = taken else {
            return Ok(HistoryPage { rows, next: None });
        };
        if rows.len() == limit {
            let next = rows.last().map(place);
            return Ok(HistoryPage { rows, next });
        }
        rows.push(row);
    }
}

/// Where a row stands in the order of a page.
fn place(row: &HistoryRow) -> Cursor {
    Cursor {
        received_at: row.received_at,
        source: row.source,
        id: row.id,
    }
}

/// The rows of `source` that are wanted come after this place.
fn start_of(wanted: &HistoryQuery, source: SourceId) -> Result<(Wall, StoredId), Fault> {
    let Some(after) = wanted
        .after
        .filter(|after| after.received_at >= wanted.start)
    else {
        return Ok((wanted.start, StoredId::FIRST));
    };
    Ok(match source.cmp(&after.source) {
        Ordering::Less => (after.received_at, StoredId::LAST),
        Ordering::Equal => (after.received_at, StoredId::of(after.id)?),
        Ordering::Greater => (after.received_at, StoredId::FIRST),
    })
}

/// The first rows that are not packed, one more than a page holds.
async fn plain_rows(
    transaction: &Transaction<'_>,
    wanted: &HistoryQuery,
    pair: i32,
    sources: &[(i32, SourceId)],
    limit: usize,
) -> Result<VecDeque<HistoryRow>, Fault> {
    // Each source is a scan of the key from where the page starts.
    const PLAIN: &str = "
        SELECT s.place, h.received_at, h.shard, h.epoch, h.seq, h.value, h.bid, h.ask,
            h.observed_at
        FROM unnest($2::int[], $3::timestamptz[], $4::int[], $5::bigint[], $6::bigint[])
            WITH ORDINALITY AS s (source, at, shard, epoch, seq, place)
        CROSS JOIN LATERAL (
            SELECT * FROM history
            WHERE pair = $1 AND source = s.source
                AND received_at >= s.at AND received_at < $7
                AND (received_at, shard, epoch, seq) > (s.at, s.shard, s.epoch, s.seq)
            ORDER BY received_at, shard, epoch, seq LIMIT $8) h
        ORDER BY h.received_at, s.place, h.shard, h.epoch, h.seq LIMIT $8";
    let (mut numbers, mut times) = (Vec::new(), Vec::new());
    let (mut shards, mut epochs, mut seqs) = (Vec::new(), Vec::new(), Vec::new());
    for (number, source) in sources {
        let (at, id) = start_of(wanted, *source)?;
        numbers.push(*number);
        times.push(Time(at));
        shards.push(id.shard);
        epochs.push(id.epoch);
        seqs.push(id.seq);
    }
    let limit = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let end = Time(wanted.end);
    let rows = query(
        transaction,
        PLAIN,
        &[
            &pair, &numbers, &times, &shards, &epochs, &seqs, &end, &limit,
        ],
    )
    .await?;
    let mut found = VecDeque::with_capacity(rows.len());
    for row in rows {
        let place: i64 = row.try_get(0)?;
        let source = usize::try_from(place - 1)
            .ok()
            .and_then(|place| sources.get(place));
        let (_, source) = source.ok_or_else(|| Fault::corrupt("a row of no source"))?;
        found.push_back(read(&row, wanted.pair, *source)?);
    }
    Ok(found)
}

/// A row whose columns from the second on are `received_at, shard, epoch, seq, value, bid, ask,
/// observed_at`.
pub(super) fn read(row: &Row, pair: Pair, source: SourceId) -> Result<HistoryRow, Fault> {
    Ok(HistoryRow {
        pair,
        source,
        received_at: read_time(row, 1)?,
        id: read_id(row, 2)?,
        value: read_price(row, 5)?,
        bid: read_price_if_any(row, 6)?,
        ask: read_price_if_any(row, 7)?,
        observed_at: row.try_get::<_, Option<Time>>(8)?.map(|time| time.0),
    })
}

/// Packed rows of one source, block by block.
struct BlockScan {
    pair: Pair,
    source: SourceId,
    pair_number: i32,
    source_number: i32,
    start: Wall,
    end: Wall,
    after: Option<Cursor>,
    rows: VecDeque<HistoryRow>,
    /// The last block that was read; `None` at the end.
    last_block: Option<(Wall, i64)>,
}

impl BlockScan {
    fn new(wanted: &HistoryQuery, pair: i32, number: i32, source: SourceId) -> Self {
        let after = wanted
            .after
            .filter(|after| after.received_at >= wanted.start);
        let start = after.map_or(wanted.start, |after| after.received_at);
        Self {
            pair: wanted.pair,
            source,
            pair_number: pair,
            source_number: number,
            start: wanted.start,
            end: wanted.end,
            after,
            rows: VecDeque::new(),
            last_block: Some((start, -1)),
        }
    }

    fn take(&mut self) -> Option<HistoryRow> {
        self.rows.pop_front()
    }

    /// The place of the next row.
    async fn peek(&mut self, transaction: &Transaction<'_>) -> Result<Option<Cursor>, Fault> {
        const NEXT: &str = "
            SELECT first_at, last_at, number, block FROM history_packed
            WHERE pair = $1 AND source = $2 AND last_at >= $3 AND (last_at, number) > ($3, $4)
            ORDER BY last_at, number LIMIT 1";
        while self.rows.is_empty() {
            let Some((last_at, number)) = self.last_block else {
                return Ok(None);
            };
            let series = (self.pair_number, self.source_number);
            let parameters = (Time(last_at), number);
            let found = query_opt(
                transaction,
                NEXT,
                &[&series.0, &series.1, &parameters.0, &parameters.1],
            )
            .await?;
            let Some(block) = found else {
                self.last_block = None;
                return Ok(None);
            };
            if read_time(&block, 0)? >= self.end {
                self.last_block = None;
                return Ok(None);
            }
            self.last_block = Some((read_time(&block, 1)?, block.try_get(2)?));
            let rows = blocks::decode_rows(self.pair, self.source, block.try_get(3)?)?;
            let (start, end, after) = (self.start, self.end, self.after);
            self.rows.extend(rows.into_iter().filter(|row| {
                row.received_at >= start
                    && row.received_at < end
                    && after.is_none_or(|after| place(row) > after)
            }));
        }
        Ok(self.rows.front().map(place))
    }
}

/// The last row of each source received at or before `at`, by source.
pub(super) async fn last_rows(
    transaction: &Transaction<'_>,
    pair: Pair,
    at: Wall,
) -> Result<Vec<HistoryRow>, Fault> {
    const PLAIN: &str = "
        SELECT s.place, h.received_at, h.shard, h.epoch, h.seq, h.value, h.bid, h.ask,
            h.observed_at, t.last_at
        FROM unnest($2::int[]) WITH ORDINALITY AS s (source, place)
        LEFT JOIN history_packed_to t ON t.pair = $1 AND t.source = s.source
        LEFT JOIN LATERAL (
            SELECT * FROM history WHERE pair = $1 AND source = s.source AND received_at <= $3
            ORDER BY received_at DESC, shard DESC, epoch DESC, seq DESC LIMIT 1) h ON true
        ORDER BY s.place";
    const BLOCK: &str = "
        SELECT block FROM history_packed WHERE pair = $1 AND source = $2 AND first_at <= $3
        ORDER BY first_at DESC, number DESC LIMIT 1";
    let Some(number) = names::find_pair(transaction, pair).await? else {
        return Ok(Vec::new());
    };
    let sources = names::all_sources(transaction).await?;
    let numbers: Vec<i32> = sources.iter().map(|(number, _)| *number).collect();
    let plain = query(transaction, PLAIN, &[&number, &numbers, &Time(at)]).await?;
    let mut found = Vec::new();
    for (row, (source_number, source)) in plain.iter().zip(&sources) {
        let is_plain = row.try_get::<_, Option<Time>>(1)?.is_some();
        let mut last = if is_plain {
            Some(read(row, pair, *source)?)
        } else {
            None
        };
        let packed_to = row.try_get::<_, Option<Time>>(9)?.map(|time| time.0);
        let may_be_packed =
            packed_to.is_some_and(|to| last.as_ref().is_none_or(|row| row.received_at <= to));
        if may_be_packed {
            let block = query_opt(transaction, BLOCK, &[&number, source_number, &Time(at)]).await?;
            if let Some(block) = block {
                let rows = blocks::decode_rows(pair, *source, block.try_get(0)?)?;
                let packed = rows.into_iter().rfind(|row| row.received_at <= at);
                last = [last, packed].into_iter().flatten().max_by_key(place);
            }
        }
        found.extend(last);
    }
    Ok(found)
}
