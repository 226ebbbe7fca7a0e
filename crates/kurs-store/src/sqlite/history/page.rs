//! Pages of history.

use super::super::fault::Fault;
use super::super::names;
use super::super::place::{
    Place, as_of_one_moment, before_all_of, behind_all_of, place as stored_place,
};
use super::blocks::{self, Block};
use super::{PAGE_MAX, read};
use crate::{Cursor, HistoryPage, HistoryQuery, HistoryRow};
use kurs_core::{Pair, SourceId};
use rusqlite::{Connection, Rows, params};
use std::cmp::Ordering;

/// One page. Each source of the pair is a scan of the primary key from where the page starts,
/// and one of its blocks; the scans are merged, so a page costs its rows and two look-ups per
/// source, however many rows other sources have. All are seen as of one moment, so that a row is
/// seen once while it moves into a block.
pub(in super::super) fn page(
    connection: &Connection,
    query: &HistoryQuery,
) -> Result<HistoryPage, Fault> {
    as_of_one_moment(connection, |connection| merged(connection, query))
}

fn merged(connection: &Connection, query: &HistoryQuery) -> Result<HistoryPage, Fault> {
    let limit = usize::try_from(query.limit.clamp(1, PAGE_MAX)).unwrap_or(usize::MAX);
    let mut rows = Vec::new();
    let Some(pair) = names::find_pair(connection, query.pair)? else {
        return Ok(HistoryPage { rows, next: None });
    };
    let mut sources = names::all_sources(connection)?;
    sources.retain(|(_, source)| query.source.is_none_or(|wanted| wanted == *source));

    let mut statements = Vec::with_capacity(2 * sources.len());
    for (number, source) in &sources {
        let start = start_of(query, *source)?;
        let hot = connection.prepare_cached(
            "SELECT received_at, shard, epoch, seq, price FROM history
             WHERE pair = ?1 AND source = ?2
               AND (received_at, shard, epoch, seq) > (?3, ?4, ?5, ?6) AND received_at < ?7
             ORDER BY received_at, shard, epoch, seq",
        )?;
        statements.push((hot, *number, *source, start, None));
        if let Some(first) = blocks::first_to_read(connection, (pair, *number), start)? {
            let packed = connection.prepare_cached(blocks::BLOCKS_FROM)?;
            statements.push((packed, *number, *source, first, Some(start)));
        }
    }
    let mut scans = Vec::with_capacity(statements.len());
    for (statement, number, source, from, packed_behind) in &mut statements {
        let found = statement.query(params![
            pair,
            *number,
            from.0,
            from.1,
            from.2,
            from.3,
            query.end.0
        ])?;
        let mut scan = Scan {
            pair: query.pair,
            source: *source,
            end: query.end.0,
            rows: found,
            packed: packed_behind.map(|behind| Unpacking {
                behind,
                rows: Vec::new().into_iter(),
            }),
            head: None,
        };
        scan.advance()?;
        if scan.head.is_some() {
            scans.push(scan);
        }
    }
    loop {
        let next = scans
            .iter_mut()
            .filter(|scan| scan.head.is_some())
            .min_by_key(|scan| scan.head.as_ref().map(cursor));
        let Some(row) = next.map(Scan::take).transpose()?.flatten() else {
            return Ok(HistoryPage { rows, next: None });
        };
        if rows.len() == limit {
            let next = rows.last().map(cursor);
            return Ok(HistoryPage { rows, next });
        }
        rows.push(row);
    }
}

/// Rows of one source, one by one.
struct Scan<'a> {
    pair: Pair,
    source: SourceId,
    end: i64,
    rows: Rows<'a>,
    /// `None` where the rows are rows; else they are blocks.
    packed: Option<Unpacking>,
    head: Option<HistoryRow>,
}

/// The block that is being read.
struct Unpacking {
    /// What was read last, or where the page starts.
    behind: Place,
    rows: std::vec::IntoIter<HistoryRow>,
}

impl Scan<'_> {
    fn take(&mut self) -> Result<Option<HistoryRow>, Fault> {
        let taken = self.head.take();
        self.advance()?;
        Ok(taken)
    }

    fn advance(&mut self) -> Result<(), Fault> {
        let Some(unpacking) = &mut self.packed else {
            if let Some(row) = self.rows.next()? {
                self.head = Some(read(row, self.pair, self.source)?);
            }
            return Ok(());
        };
        loop {
            for row in unpacking.rows.by_ref() {
                if row.received_at.0 >= self.end {
                    return Ok(());
                }
                // The first block may begin before the page does. That none begins before the
                // one before it ends is not taken on trust: pages would go round in circles.
                let place = stored_place(row.received_at.0, row.id)?;
                if place > unpacking.behind {
                    unpacking.behind = place;
                    self.head = Some(row);
                    return Ok(());
                }
            }
            let Some(row) = self.rows.next()? else {
                return Ok(());
            };
            unpacking.rows = Block::read(row, self.pair, self.source)?.rows.into_iter();
        }
    }
}

/// Where a row stands in the order of a page.
fn cursor(row: &HistoryRow) -> Cursor {
    Cursor {
        received_at: row.received_at,
        source: row.source,
        id: row.id,
    }
}

/// The scan of `source` begins after this place.
fn start_of(query: &HistoryQuery, source: SourceId) -> Result<Place, Fault> {
    let Some(after) = query.after.filter(|after| after.received_at >= query.start) else {
        return Ok(before_all_of(query.start.0));
    };
    let time = after.received_at.0;
    Ok(match source.cmp(&after.source) {
        Ordering::Less => behind_all_of(time),
        Ordering::Equal => stored_place(time, after.id)?,
        Ordering::Greater => before_all_of(time),
    })
}
