//! Pairs and sources as the small numbers that rows carry, and how far each series is packed.

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
    /// Receive time of the last packed row of a series; `None` where nothing is packed.
    packed_until: HashMap<(i64, i64), Option<i64>>,
    /// Changes when another connection wrote.
    data_version: i64,
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

    /// Forgets what another process may have changed. To be called in the transaction that uses
    /// what is known.
    pub(super) fn look_around(&mut self, connection: &Connection) -> Result<(), Fault> {
        let data_version = connection
            .prepare_cached("PRAGMA data_version")?
            .query_row([], |row| row.get(0))?;
        if self.data_version != data_version {
            self.data_version = data_version;
            self.packed_until.clear();
        }
        Ok(())
    }

    /// Receive time of the last packed row of a series, if that is known; `Some(None)` where
    /// nothing is packed.
    pub(super) fn packed_until(&self, series: (i64, i64)) -> Option<Option<i64>> {
        self.packed_until.get(&series).copied()
    }

    pub(super) fn set_packed_until(&mut self, series: (i64, i64), until: Option<i64>) {
        self.packed_until.insert(series, until);
    }

    /// Forgets how far series are packed.
    pub(super) fn forget_packed(&mut self) {
        self.packed_until.clear();
    }

    /// Forgets everything: after a rollback some numbers may never have been.
    pub(super) fn forget(&mut self) {
        self.pairs.clear();
        self.sources.clear();
        self.packed_until.clear();
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

/// The number of a source, if it has one.
pub(super) fn find_source(connection: &Connection, source: SourceId) -> Result<Option<i64>, Fault> {
    Ok(connection
        .prepare_cached("SELECT id FROM sources WHERE name = ?1")?
        .query_row([source.as_str()], |row| row.get(0))
        .optional()?)
}

/// All pairs with their numbers.
pub(super) fn all_pairs(connection: &Connection) -> Result<Vec<(i64, Pair)>, Fault> {
    let mut statement = connection.prepare_cached("SELECT id, name FROM pairs ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut pairs = Vec::new();
    while let Some(row) = rows.next()? {
        let name: String = row.get(1)?;
        pairs.push((row.get(0)?, read_pair(&name)?));
    }
    Ok(pairs)
}

/// The pair of a stored name.
pub(super) fn read_pair(name: &str) -> Result<Pair, Fault> {
    Pair::parse(name).map_err(|error| Fault::corrupt(format!("pair {name:?}: {error}")))
}
