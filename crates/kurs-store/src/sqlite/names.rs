//! Pairs and sources as the small numbers that rows carry.

use super::fault::Fault;
use kurs_core::{Pair, SourceId};
use rusqlite::{Connection, OptionalExtension};
use std::collections::HashMap;

/// Numbers that are known already. A number never changes once it is committed, so another
/// process on the same file cannot make an entry wrong.
#[derive(Debug, Default)]
pub(super) struct Names {
    pairs: HashMap<Pair, i64>,
    sources: HashMap<SourceId, i64>,
}

impl Names {
    /// The number of a pair, given out if it has none.
    pub(super) fn pair(&mut self, connection: &Connection, pair: Pair) -> Result<i64, Fault> {
        if let Some(id) = self.pairs.get(&pair) {
            return Ok(*id);
        }
        let name = pair.to_string();
        connection
            .prepare_cached("INSERT INTO pairs (name) VALUES (?1) ON CONFLICT DO NOTHING")?
            .execute([&name])?;
        let id =
            find_pair(connection, pair)?.ok_or_else(|| Fault::corrupt("a pair without number"))?;
        self.pairs.insert(pair, id);
        Ok(id)
    }

    /// The number of a source, given out if it has none.
    pub(super) fn source(
        &mut self,
        connection: &Connection,
        source: SourceId,
    ) -> Result<i64, Fault> {
        if let Some(id) = self.sources.get(&source) {
            return Ok(*id);
        }
        connection
            .prepare_cached("INSERT INTO sources (name) VALUES (?1) ON CONFLICT DO NOTHING")?
            .execute([source.as_str()])?;
        let id = connection
            .prepare_cached("SELECT id FROM sources WHERE name = ?1")?
            .query_row([source.as_str()], |row| row.get(0))?;
        self.sources.insert(source, id);
        Ok(id)
    }

    /// Forgets everything: after a rollback some numbers may never have been.
    pub(super) fn forget(&mut self) {
        self.pairs.clear();
        self.sources.clear();
    }
}

/// The number of a pair, if it has one.
pub(super) fn find_pair(connection: &Connection, pair: Pair) -> Result<Option<i64>, Fault> {
    Ok(connection
        .prepare_cached("SELECT id FROM pairs WHERE name = ?1")?
        .query_row([pair.to_string()], |row| row.get(0))
        .optional()?)
}

/// All sources with their numbers.
pub(super) fn all_sources(connection: &Connection) -> Result<Vec<(i64, SourceId)>, Fault> {
    let mut statement = connection.prepare_cached("SELECT id, name FROM sources ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut sources = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(1)?;
        let source = SourceId::parse(&name)
            .map_err(|error| Fault::corrupt(format!("source {name:?}: {error}")))?;
        sources.push((row.get(0)?, source));
    }
    Ok(sources)
}
