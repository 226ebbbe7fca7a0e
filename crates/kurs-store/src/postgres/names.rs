//! Pairs and sources as the small numbers that rows carry.

use super::fault::Fault;
use super::pool::{execute, query, query_opt};
use deadpool_postgres::GenericClient;
use kurs_core::{Pair, SourceId};
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Numbers that are known already. A number never changes once it is committed.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    pairs: HashMap<Pair, i32>,
    sources: HashMap<SourceId, i32>,
}

/// The numbers known to this process, shared by its connections.
#[derive(Debug, Default)]
pub(super) struct KnownNames(Mutex<Arc<Names>>);

impl Names {
    pub(super) fn pair(&self, pair: Pair) -> Result<i32, Fault> {
        let known = self.pairs.get(&pair).copied();
        known.ok_or_else(|| Fault::corrupt(format!("{pair} has no number")))
    }

    pub(super) fn source(&self, source: SourceId) -> Result<i32, Fault> {
        let known = self.sources.get(&source).copied();
        known.ok_or_else(|| Fault::corrupt(format!("{source} has no number")))
    }
}

impl KnownNames {
    /// Forgets everything: behind a new connection there may be another database, such as one
    /// that was brought back from a backup.
    pub(super) fn forget(&self) {
        *self.0.lock() = Arc::default();
    }

    /// Numbers of at least these, given out to those that have none.
    pub(super) async fn numbers(
        &self,
        client: &impl GenericClient,
        pairs: impl IntoIterator<Item = Pair>,
        sources: impl IntoIterator<Item = SourceId>,
    ) -> Result<Arc<Names>, Fault> {
        let known = Arc::clone(&self.0.lock());
        let new_pairs: BTreeSet<Pair> = pairs
            .into_iter()
            .filter(|pair| !known.pairs.contains_key(pair))
            .collect();
        let new_sources: BTreeSet<SourceId> = sources
            .into_iter()
            .filter(|source| !known.sources.contains_key(source))
            .collect();
        if new_pairs.is_empty() && new_sources.is_empty() {
            return Ok(known);
        }
        let pair_names: Vec<String> = new_pairs.iter().map(ToString::to_string).collect();
        let source_names: Vec<String> = new_sources.iter().map(ToString::to_string).collect();
        let pair_numbers = give_out(client, &PAIRS, &pair_names).await?;
        let source_numbers = give_out(client, &SOURCES, &source_names).await?;
        let mut names = Names::clone(&known);
        names.pairs.extend(
            new_pairs
                .iter()
                .zip(&pair_names)
                .filter_map(|(pair, name)| pair_numbers.get(name).map(|number| (*pair, *number))),
        );
        names.sources.extend(
            new_sources
                .iter()
                .zip(&source_names)
                .filter_map(|(source, name)| {
                    source_numbers.get(name).map(|number| (*source, *number))
                }),
        );
        let names = Arc::new(names);
        *self.0.lock() = Arc::clone(&names);
        Ok(names)
    }
}

struct Table {
    find: &'static str,
    insert: &'static str,
}

const PAIRS: Table = Table {
    find: "SELECT name, id FROM pairs WHERE name = ANY ($1)",
    insert: "INSERT INTO pairs (name) SELECT * FROM unnest($1::text[]) ON CONFLICT DO NOTHING",
};
const SOURCES: Table = Table {
    find: "SELECT name, id FROM sources WHERE name = ANY ($1)",
    insert: "INSERT INTO sources (name) SELECT * FROM unnest($1::text[]) ON CONFLICT DO NOTHING",
};

/// The numbers of these names, which are in order: two at once then wait for each other instead
/// of for ever. Looks first, since an insert that finds a name uses a number up.
async fn give_out(
    client: &impl GenericClient,
    table: &Table,
    names: &[String],
) -> Result<HashMap<String, i32>, Fault> {
    let mut numbers = HashMap::new();
    if names.is_empty() {
        return Ok(numbers);
    }
    for may_insert in [true, false] {
        for row in query(client, table.find, &[&names]).await? {
            numbers.insert(row.try_get(0)?, row.try_get(1)?);
        }
        let missing: Vec<&String> = names
            .iter()
            .filter(|name| !numbers.contains_key(*name))
            .collect();
        if missing.is_empty() || !may_insert {
            break;
        }
        execute(client, table.insert, &[&missing]).await?;
    }
    Ok(numbers)
}

/// The number of a pair, if it has one.
pub(super) async fn find_pair(
    client: &impl GenericClient,
    pair: Pair,
) -> Result<Option<i32>, Fault> {
    let sql = "SELECT id FROM pairs WHERE name = $1";
    let row = query_opt(client, sql, &[&pair.to_string()]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// The number of a source, if it has one.
pub(super) async fn find_source(
    client: &impl GenericClient,
    source: SourceId,
) -> Result<Option<i32>, Fault> {
    let sql = "SELECT id FROM sources WHERE name = $1";
    let row = query_opt(client, sql, &[&source.as_str()]).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

/// All sources with their numbers, by name.
pub(super) async fn all_sources(
    client: &impl GenericClient,
) -> Result<Vec<(i32, SourceId)>, Fault> {
    let mut sources = Vec::new();
    for row in query(client, "SELECT id, name FROM sources", &[]).await? {
        sources.push((row.try_get(0)?, read_source(row.try_get(1)?)?));
    }
    sources.sort_by_key(|(_, source)| *source);
    Ok(sources)
}

/// A pair by its stored name.
pub(super) fn read_pair(name: &str) -> Result<Pair, Fault> {
    Pair::parse(name).map_err(|error| Fault::corrupt(format!("pair {name:?}: {error}")))
}

/// A source by its stored name.
pub(super) fn read_source(name: &str) -> Result<SourceId, Fault> {
    SourceId::parse(name).map_err(|error| Fault::corrupt(format!("source {name:?}: {error}")))
}
