//! Storing in SQLite: kurs, and what a bare client does with the same pragmas.

use super::contest::Contestant;
use anyhow::{Context as _, Result};
use kurs_core::Price;
use kurs_store::sqlite::{SqliteOptions, SqliteStore};
use kurs_store::{Batch, HistoryRow, Store as _};
use rusqlite::{Connection, params};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

/// An open store with its schema.
pub(super) fn open(runtime: &Runtime, path: &Path) -> Result<SqliteStore> {
    let store = SqliteStore::open(path, SqliteOptions::default())?;
    runtime.block_on(store.migrate())?;
    Ok(store)
}

/// kurs, one batch after the other.
pub(super) struct Kurs {
    runtime: Arc<Runtime>,
    store: SqliteStore,
}

impl Kurs {
    pub(super) const NAME: &str = "kurs";

    pub(super) fn new(runtime: &Arc<Runtime>, file: &Path) -> Result<Self> {
        Ok(Self {
            runtime: Arc::clone(runtime),
            store: open(runtime, file)?,
        })
    }
}

impl Contestant for Kurs {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn write(&mut self, batches: Vec<Vec<HistoryRow>>) -> Result<Duration> {
        let begin = Instant::now();
        self.runtime.block_on(async {
            for rows in batches {
                self.store.write(Batch::of_rows(rows)).await?;
            }
            anyhow::Ok(())
        })?;
        Ok(begin.elapsed())
    }
}

/// A plain table with a column for each field, prices as text.
pub(super) struct Bare {
    name: &'static str,
    connection: Connection,
    pairs: HashMap<kurs_core::Pair, i64>,
    sources: HashMap<kurs_core::SourceId, i64>,
}

impl Bare {
    pub(super) const ONE_KEY: &str = "bare rusqlite, one key";
    pub(super) const TWO_KEYS: &str = "bare rusqlite, with a key by id as well";

    /// `name` is one of the two.
    pub(super) fn new(name: &'static str, file: &Path) -> Result<Self> {
        let connection = Connection::open(file)?;
        let mode: String =
            connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get(0))?;
        anyhow::ensure!(mode == "wal", "no write-ahead log");
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "wal_autocheckpoint", 4_000)?;
        connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
        connection.execute_batch(
            "CREATE TABLE ticks (
                pair INTEGER NOT NULL, source INTEGER NOT NULL, received_at INTEGER NOT NULL,
                shard INTEGER NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL,
                value TEXT NOT NULL, bid TEXT, ask TEXT, observed_at INTEGER,
                PRIMARY KEY (pair, source, received_at, shard, epoch, seq)
            ) STRICT, WITHOUT ROWID;",
        )?;
        if name == Self::TWO_KEYS {
            connection.execute_batch(
                "CREATE UNIQUE INDEX ticks_id ON ticks (pair, source, shard, epoch, seq)",
            )?;
        }
        Ok(Self {
            name,
            connection,
            pairs: HashMap::new(),
            sources: HashMap::new(),
        })
    }
}

impl Contestant for Bare {
    fn name(&self) -> &str {
        self.name
    }

    fn write(&mut self, batches: Vec<Vec<HistoryRow>>) -> Result<Duration> {
        let text = |price: Price| price.value().to_string();
        let begin = Instant::now();
        for rows in batches {
            let transaction = self.connection.transaction()?;
            let mut insert = transaction.prepare_cached(
                "INSERT INTO ticks VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?;
            for row in &rows {
                let next = i64::try_from(self.pairs.len())?;
                let pair = *self.pairs.entry(row.pair).or_insert(next);
                let next = i64::try_from(self.sources.len())?;
                let source = *self.sources.entry(row.source).or_insert(next);
                insert.execute(params![
                    pair,
                    source,
                    row.received_at.0,
                    row.id.shard,
                    i64::try_from(row.id.epoch.0)?,
                    i64::try_from(row.id.seq.0)?,
                    text(row.value),
                    row.bid.map(text),
                    row.ask.map(text),
                    row.observed_at.map(|at| at.0),
                ])?;
            }
            drop(insert);
            transaction.commit().context("cannot commit")?;
        }
        Ok(begin.elapsed())
    }
}
