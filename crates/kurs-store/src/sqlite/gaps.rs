//! Gaps: when nothing usable came.

use super::fault::Fault;
use super::names::{self, Names};
use crate::{Gap, GapQuery};
use kurs_core::{SourceId, Wall};
use rusqlite::{Connection, params};

/// Most gaps of one answer.
const LIMIT_MAX: u32 = 10_000;

/// Stores gaps; each replaces what is stored of the same source, pair and begin.
pub(super) fn replace(
    connection: &Connection,
    names: &mut Names,
    gaps: &[Gap],
) -> Result<(), Fault> {
    if gaps.is_empty() {
        return Ok(());
    }
    let mut upsert = connection.prepare_cached(
        "INSERT INTO gaps (pair, source, began, ended, why, is_filled)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (pair, source, began) DO UPDATE
         SET ended = excluded.ended, why = excluded.why, is_filled = excluded.is_filled",
    )?;
    for gap in gaps {
        upsert.execute(params![
            names.pair(connection, gap.pair)?,
            names.source(connection, gap.source)?,
            gap.began.0,
            gap.ended.map(|ended| ended.0),
            &*gap.why,
            gap.is_filled,
        ])?;
    }
    Ok(())
}

/// Gaps that overlap a span, by begin, source and pair.
pub(super) fn find(connection: &Connection, query: &GapQuery) -> Result<Vec<Gap>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT p.name, s.name, g.began, g.ended, g.why, g.is_filled
         FROM gaps g INDEXED BY gaps_began
         CROSS JOIN pairs p ON p.id = g.pair CROSS JOIN sources s ON s.id = g.source
         WHERE g.began < ?1 AND (g.ended IS NULL OR g.ended >= ?2)
           AND (?3 IS NULL OR p.name = ?3) AND (?4 IS NULL OR s.name = ?4)
         ORDER BY g.began, s.name, p.name LIMIT ?5",
    )?;
    let mut rows = statement.query(params![
        query.end.0,
        query.start.0,
        query.pair.map(|pair| pair.to_string()),
        query.source.map(|source| source.to_string()),
        query.limit.clamp(1, LIMIT_MAX),
    ])?;
    let mut gaps = Vec::new();
    while let Some(row) = rows.next()? {
        let (pair, source): (String, String) = (row.get(0)?, row.get(1)?);
        let why: String = row.get(4)?;
        gaps.push(Gap {
            source: SourceId::parse(&source)
                .map_err(|error| Fault::corrupt(format!("source {source:?}: {error}")))?,
            pair: names::read_pair(&pair)?,
            began: Wall(row.get(2)?),
            ended: row.get::<_, Option<i64>>(3)?.map(Wall),
            why: why.into(),
            is_filled: row.get(5)?,
        });
    }
    Ok(gaps)
}

/// Deletes about `at_most` gaps that ended before `before`. Returns how many went.
pub(super) fn prune_step(
    connection: &Connection,
    before: Wall,
    at_most: usize,
) -> Result<usize, Fault> {
    let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
    Ok(connection
        .prepare_cached(
            "DELETE FROM gaps WHERE (pair, source, began) IN (
                 SELECT pair, source, began FROM gaps INDEXED BY gaps_began
                 WHERE began < ?1 AND ended < ?1 LIMIT ?2)",
        )?
        .execute(params![before.0, at_most])?)
}
