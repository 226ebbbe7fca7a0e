//! Order books from time to time.

use super::fault::Fault;
use super::names::{self, Names};
use crate::packed::book;
use crate::{BookSnapshot, SnapshotQuery};
use kurs_core::Wall;
use rusqlite::{Connection, params};

/// Most books of one answer.
const LIMIT_MAX: u32 = 1_000;

/// Adds books; those that are there already are passed over.
pub(super) fn append(
    connection: &Connection,
    names: &mut Names,
    books: &[BookSnapshot],
) -> Result<(), Fault> {
    if books.is_empty() {
        return Ok(());
    }
    let mut insert = connection.prepare_cached(
        "INSERT INTO books (pair, source, at, levels) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT DO NOTHING",
    )?;
    for snapshot in books {
        let levels = book::encode(&snapshot.bids, &snapshot.asks).ok_or_else(|| {
            Fault::corrupt(format!(
                "the book of {} by {} has too many levels",
                snapshot.pair, snapshot.source
            ))
        })?;
        insert.execute(params![
            names.pair(connection, snapshot.pair)?,
            names.source(connection, snapshot.source)?,
            snapshot.at.0,
            levels,
        ])?;
    }
    Ok(())
}

/// Books of one source and pair, oldest first.
pub(super) fn find(
    connection: &Connection,
    query: &SnapshotQuery,
) -> Result<Vec<BookSnapshot>, Fault> {
    let mut found = Vec::new();
    let series = names::find_pair(connection, query.pair)?
        .zip(names::find_source(connection, query.source)?);
    let Some((pair, source)) = series else {
        return Ok(found);
    };
    let mut statement = connection.prepare_cached(
        "SELECT at, levels FROM books
         WHERE pair = ?1 AND source = ?2 AND at >= ?3 AND at < ?4 ORDER BY at LIMIT ?5",
    )?;
    let limit = query.limit.clamp(1, LIMIT_MAX);
    let mut rows = statement.query(params![pair, source, query.start.0, query.end.0, limit])?;
    while let Some(row) = rows.next()? {
        let bytes = row
            .get_ref(1)?
            .as_blob()
            .map_err(|error| Fault::corrupt(error.to_string()))?;
        let (bids, asks) = book::decode(bytes).ok_or_else(|| {
            Fault::corrupt(format!("a book of {} by {}", query.pair, query.source))
        })?;
        found.push(BookSnapshot {
            source: query.source,
            pair: query.pair,
            at: Wall(row.get(0)?),
            bids,
            asks,
        });
    }
    Ok(found)
}

/// Deletes the oldest books of one pair and source before `before`, at most `at_most`. Returns
/// how many went.
pub(super) fn prune_step(
    connection: &Connection,
    (pair, source): (i64, i64),
    before: Wall,
    at_most: usize,
) -> Result<usize, Fault> {
    let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
    Ok(connection
        .prepare_cached(
            "DELETE FROM books WHERE rowid IN (
                 SELECT rowid FROM books WHERE pair = ?1 AND source = ?2 AND at < ?3
                 ORDER BY at LIMIT ?4)",
        )?
        .execute(params![pair, source, before.0, at_most])?)
}
