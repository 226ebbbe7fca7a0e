//! History: append, page, prune.

use super::codec::{self, Prices};
use super::fault::Fault;
use super::names::{self, Names};
use crate::{Cursor, HistoryPage, HistoryQuery, HistoryRow};
use kurs_core::{Epoch, Pair, Seq, SourceId, UpdateId, Wall};
use rusqlite::{Connection, OptionalExtension, Row, Rows, params};

/// Most rows of one page, whatever is asked for.
pub(crate) const PAGE_MAX: u32 = 10_000;

/// Appends rows; those that are there already are passed over.
pub(super) fn append(
    connection: &Connection,
    names: &mut Names,
    rows: &[HistoryRow],
) -> Result<(), Fault> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO history (pair, source, received_at, shard, epoch, seq, price)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING",
    )?;
    let mut price = Vec::with_capacity(64);
    for row in rows {
        let (shard, epoch, seq) = stored_id(row.id)?;
        price.clear();
        let prices = Prices {
            value: row.value,
            bid: row.bid,
            ask: row.ask,
            observed_at: row.observed_at,
        };
        codec::encode(&prices, row.received_at, &mut price);
        insert.execute(params![
            names.pair(connection, row.pair)?,
            names.source(connection, row.source)?,
            row.received_at.0,
            shard,
            epoch,
            seq,
            price,
        ])?;
    }
    Ok(())
}

/// The parts of an id as SQLite can hold them.
pub(super) fn stored_id(id: UpdateId) -> Result<(i64, i64, i64), Fault> {
    let part = |number: u64| {
        i64::try_from(number).map_err(|_| Fault::corrupt(format!("the id {id} is out of range")))
    };
    Ok((i64::from(id.shard), part(id.epoch.0)?, part(id.seq.0)?))
}

/// The id of a row whose columns `first..first + 3` hold its parts.
pub(super) fn read_id(row: &Row<'_>, first: usize) -> Result<UpdateId, Fault> {
    let part = |number: i64| {
        u64::try_from(number).map_err(|_| Fault::corrupt("an id has a negative part"))
    };
    Ok(UpdateId {
        shard: row.get(first)?,
        epoch: Epoch(part(row.get(first + 1)?)?),
        seq: Seq(part(row.get(first + 2)?)?),
    })
}

/// One page. Each source of the pair is a scan of the primary key from where the page starts;
/// the scans are merged, so a page costs its rows and one look-up per source, however many rows
/// other sources have.
pub(super) fn page(connection: &Connection, query: &HistoryQuery) -> Result<HistoryPage, Fault> {
    // One transaction, so that all sources are seen as of one moment.
    connection.execute_batch("BEGIN")?;
    let page = merged(connection, query);
    connection.execute_batch("ROLLBACK")?;
    page
}

fn merged(connection: &Connection, query: &HistoryQuery) -> Result<HistoryPage, Fault> {
    let limit = usize::try_from(query.limit.clamp(1, PAGE_MAX)).unwrap_or(usize::MAX);
    let mut rows = Vec::new();
    let Some(pair) = names::find_pair(connection, query.pair)? else {
        return Ok(HistoryPage { rows, next: None });
    };
    let mut sources = names::all_sources(connection)?;
    sources.retain(|(_, source)| query.source.is_none_or(|wanted| wanted == *source));

    let mut statements = Vec::with_capacity(sources.len());
    for _ in &sources {
        statements.push(connection.prepare_cached(
            "SELECT received_at, shard, epoch, seq, price FROM history
             WHERE pair = ?1 AND source = ?2
               AND (received_at, shard, epoch, seq) > (?3, ?4, ?5, ?6) AND received_at < ?7
             ORDER BY received_at, shard, epoch, seq",
        )?);
    }
    let mut scans = Vec::with_capacity(sources.len());
    for (statement, (number, source)) in statements.iter_mut().zip(&sources) {
        let (received_at, shard, epoch, seq) = start_of(query, *source)?;
        let found = statement.query(params![
            pair,
            number,
            received_at,
            shard,
            epoch,
            seq,
            query.end.0
        ])?;
        let mut scan = Scan {
            pair: query.pair,
            source: *source,
            rows: found,
            head: None,
        };
        scan.advance()?;
        scans.push(scan);
    }
    loop {
        let next = scans
            .iter_mut()
            .filter(|scan| scan.head.is_some())
            .min_by_key(|scan| scan.head.as_ref().map(place));
        let Some(row) = next.map(Scan::take).transpose()?.flatten() else {
            return Ok(HistoryPage { rows, next: None });
        };
        if rows.len() == limit {
            let next = rows.last().map(place);
            return Ok(HistoryPage { rows, next });
        }
        rows.push(row);
    }
}

/// Rows of one source, one by one.
struct Scan<'a> {
    pair: Pair,
    source: SourceId,
    rows: Rows<'a>,
    head: Option<HistoryRow>,
}

impl Scan<'_> {
    fn take(&mut self) -> Result<Option<HistoryRow>, Fault> {
        let taken = self.head.take();
        self.advance()?;
        Ok(taken)
    }

    fn advance(&mut self) -> Result<(), Fault> {
        if let Some(row) = self.rows.next()? {
            self.head = Some(read(row, self.pair, self.source)?);
        }
        Ok(())
    }
}

fn read(row: &Row<'_>, pair: Pair, source: SourceId) -> Result<HistoryRow, Fault> {
    let received_at = Wall(row.get(0)?);
    let id = read_id(row, 1)?;
    let bytes = row
        .get_ref(4)?
        .as_blob()
        .map_err(|error| Fault::corrupt(error.to_string()))?;
    let prices = codec::decode(bytes, received_at)
        .ok_or_else(|| Fault::corrupt(format!("the price of {pair} by {source}, id {id}")))?;
    Ok(HistoryRow {
        pair,
        source,
        id,
        value: prices.value,
        bid: prices.bid,
        ask: prices.ask,
        observed_at: prices.observed_at,
        received_at,
    })
}

/// Where a row stands in the order of a page.
fn place(row: &HistoryRow) -> Cursor {
    Cursor {
        received_at: row.received_at,
        source: row.source,
        id: row.id,
    }
}

/// The scan of `source` begins after this place.
fn start_of(query: &HistoryQuery, source: SourceId) -> Result<(i64, i64, i64, i64), Fault> {
    const BEFORE_ALL_IDS: i64 = -1;
    let from_start = (query.start.0, BEFORE_ALL_IDS, 0, 0);
    let Some(after) = query.after.filter(|after| after.received_at >= query.start) else {
        return Ok(from_start);
    };
    Ok(match source.cmp(&after.source) {
        std::cmp::Ordering::Less => (after.received_at.0, i64::MAX, 0, 0),
        std::cmp::Ordering::Equal => {
            let (shard, epoch, seq) = stored_id(after.id)?;
            (after.received_at.0, shard, epoch, seq)
        }
        std::cmp::Ordering::Greater => (after.received_at.0, BEFORE_ALL_IDS, 0, 0),
    })
}

/// Rows of one source of one pair that are to go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outdated {
    pair: i64,
    source: i64,
}

/// Which sources of which pairs have rows received before `before`.
pub(super) fn outdated(connection: &Connection, before: Wall) -> Result<Vec<Outdated>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT p.id, s.id FROM pairs p CROSS JOIN sources s
         WHERE EXISTS (SELECT 1 FROM history h
                       WHERE h.pair = p.id AND h.source = s.id AND h.received_at < ?1)",
    )?;
    let mut rows = statement.query([before.0])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(Outdated {
            pair: row.get(0)?,
            source: row.get(1)?,
        });
    }
    Ok(found)
}

/// Deletes the oldest rows, about `at_most` of them (rows received at the same moment go
/// together). Returns how many went.
pub(super) fn prune_step(
    connection: &Connection,
    outdated: Outdated,
    before: Wall,
    at_most: usize,
) -> Result<usize, Fault> {
    let Outdated { pair, source } = outdated;
    let offset = i64::try_from(at_most.saturating_sub(1)).unwrap_or(i64::MAX);
    let last_of_step: Option<i64> = connection
        .prepare_cached(
            "SELECT received_at FROM history
             WHERE pair = ?1 AND source = ?2 AND received_at < ?3
             ORDER BY received_at LIMIT 1 OFFSET ?4",
        )?
        .query_row(params![pair, source, before.0, offset], |row| row.get(0))
        .optional()?;
    let up_to = last_of_step.unwrap_or(i64::MAX);
    Ok(connection
        .prepare_cached(
            "DELETE FROM history
             WHERE pair = ?1 AND source = ?2 AND received_at < ?3 AND received_at <= ?4",
        )?
        .execute(params![pair, source, before.0, up_to])?)
}
