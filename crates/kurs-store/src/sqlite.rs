//! [`SqliteStore`]: the embedded default, one file, nothing to set up.
//!
//! | module | what it holds |
//! |---|---|
//! | `connection` | opening, pragmas, whose file it is |
//! | `writer` | the one writing thread: group commit, answers after the commit |
//! | `readers` | connections that only read |
//! | `migrate` | the schema, version by version |
//! | `batch` | what is written together |
//! | `lease` | who may write |
//! | `history`, `published`, `states`, `candles`, `gaps`, `books`, `official`, `current`, `facts`, `keys`, `settings`, `alerts`, `names` | the statements |
//! | [`backup`] | a copy while it is written to, and the way back |
//! | `place` | ids and places as SQLite holds them |
//! | `upkeep` | packing and deletion, in small steps |
//! | `fault` | what SQLite says, in the words of the caller |
//!
//! A second process on the same file works: write-ahead logging lets one write while others
//! read, writers take turns for up to [`SqliteOptions::busy_timeout`], numbers of names never
//! change, and the epoch decides whose current rate stays.

mod alerts;
pub mod backup;
mod batch;
mod books;
mod candles;
mod connection;
mod current;
mod facts;
mod fault;
mod gaps;
mod history;
mod keys;
mod lease;
mod migrate;
mod names;
mod official;
mod place;
mod published;
mod readers;
mod settings;
mod states;
mod turn;
mod upkeep;
mod writer;

#[cfg(test)]
mod tests;

use crate::model::salvage::no_fence;
use crate::{
    AlertStore, AuditEntry, AuditQuery, AuditRecord, Batch, Beat, BookSnapshot, Candle,
    CandleQuery, Claim, CurrentRates, Fence, Gap, GapQuery, HistoryPage, HistoryQuery, HistoryRow,
    Leases, OfficialQuery, OfficialVersion, Outdated, Packing, PriceState, Published,
    PublishedPage, PublishedQuery, Salvaged, SchemaState, SettingsChange, SnapshotQuery, Store,
    StoreError, StoredKey, StoredKeys, StoredSettings,
};
use async_trait::async_trait;
use connection::Place;
use fault::Fault;
use kurs_core::{Epoch, Pair, TrackedSymbol, Wall};
use readers::Readers;
use rusqlite::Connection;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use turn::Turn;
use writer::Writer;

/// Limits of a [`SqliteStore`].
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// How long a writer waits while another process writes.
    pub busy_timeout: Duration,
    /// After how long a query is ended.
    pub statement_limit: Duration,
    /// Queries that run at the same time.
    pub readers_max: usize,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            busy_timeout: Duration::from_secs(5),
            statement_limit: Duration::from_secs(5),
            readers_max: 4,
        }
    }
}

/// The store in one SQLite file, or in memory.
#[derive(Debug)]
pub struct SqliteStore {
    writer: Writer,
    /// `None` in memory, where the one connection is all there is.
    readers: Option<Readers>,
    options: SqliteOptions,
    schema_is_right: Arc<AtomicBool>,
    turn: Turn,
}

impl SqliteStore {
    /// Opens a file, which is made (readable by its owner only) if there is none, or
    /// `:memory:`. Blocks for as long as the disk takes. The schema is left as it is: see
    /// [`Store::migrate`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it cannot be opened, [`StoreError::Corrupt`] when it is
    /// no database or that of another program.
    pub fn open(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self, StoreError> {
        let place = Place::of(path.as_ref());
        let opened = connection::create(&place, &options).map_err(|fault| fault.tell())?;
        let schema_is_right = Arc::new(AtomicBool::new(false));
        let turn = Turn::of(match &place {
            Place::Memory => None,
            Place::File(path) => Some(path),
        });
        let readers = match place {
            Place::Memory => None,
            Place::File(_) => Some(Readers::new(
                place.clone(),
                options.clone(),
                Arc::clone(&schema_is_right),
            )),
        };
        let writer = Writer::start(opened, place, options.clone(), Arc::clone(&schema_is_right))?;
        Ok(Self {
            writer,
            readers,
            options,
            schema_is_right,
            turn,
        })
    }

    async fn read<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        match &self.readers {
            Some(readers) => readers.run(false, query).await,
            None => self.writer.alone(query).await,
        }
    }

    async fn read_any_schema<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, Fault> + Send + 'static,
    {
        match &self.readers {
            Some(readers) => readers.run(true, query).await,
            None => self.writer.maintenance(query).await,
        }
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn talk(&self) -> &dyn AlertStore {
        self
    }

    async fn migrate(&self) -> Result<SchemaState, StoreError> {
        let timeout = self.options.busy_timeout;
        let state = self
            .writer
            .maintenance(move |connection| {
                migrate::migrate(connection, migrate::MIGRATIONS, timeout)
            })
            .await?;
        self.schema_is_right
            .store(true, std::sync::atomic::Ordering::Release);
        Ok(state)
    }

    async fn pending(&self) -> Result<Vec<String>, StoreError> {
        self.read_any_schema(|connection| migrate::pending(connection, migrate::MIGRATIONS))
            .await
    }

    async fn schema(&self) -> Result<SchemaState, StoreError> {
        self.read_any_schema(|connection| {
            let needed = migrate::needed(migrate::MIGRATIONS);
            Ok(SchemaState {
                found: migrate::found(connection)?,
                needed,
            })
        })
        .await
    }

    async fn claim(&self, claim: Claim) -> Result<Option<Epoch>, StoreError> {
        self.turn.take()?;
        self.writer
            .grouped(1, move |connection, _| lease::claim(connection, &claim))
            .await
    }

    async fn renew(&self, beat: Beat) -> Result<Leases, StoreError> {
        self.writer
            .grouped(1, move |connection, _| lease::renew(connection, &beat))
            .await
    }

    async fn release(&self, fence: Fence, heir: Option<Arc<str>>) -> Result<bool, StoreError> {
        self.writer
            .grouped(1, move |connection, _| {
                lease::release(connection, fence, heir.as_deref())
            })
            .await
    }

    async fn leave(&self, writer: &str) -> Result<(), StoreError> {
        let writer = writer.to_owned();
        self.writer
            .grouped(1, move |connection, _| lease::leave(connection, &writer))
            .await
    }

    async fn write(&self, batch: Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.writer
            .grouped(batch.len().max(1), move |connection, names| {
                batch::write(connection, names, &batch)
            })
            .await
    }

    async fn salvage(&self, batch: Batch) -> Result<Salvaged, StoreError> {
        let fence = batch.fence.ok_or_else(no_fence)?;
        self.writer
            .grouped(batch.len().max(1), move |connection, names| {
                let standing = lease::standing(connection, fence)?;
                let (kept, salvaged) = batch.salvageable(fence, standing);
                batch::write(connection, names, &kept)?;
                Ok(salvaged)
            })
            .await
    }

    async fn changed_current(&self, since: Option<Wall>) -> Result<CurrentRates, StoreError> {
        self.read(move |connection| current::changed(connection, since))
            .await
    }

    async fn drop_current(&self, pairs: Vec<Pair>, fence: Option<Fence>) -> Result<(), StoreError> {
        if pairs.is_empty() {
            return Ok(());
        }
        self.writer
            .grouped(pairs.len(), move |connection, _| {
                lease::check(connection, fence)?;
                current::drop_pairs(connection, &pairs)
            })
            .await
    }

    async fn terms(&self) -> Result<Option<String>, StoreError> {
        self.read(facts::terms).await
    }

    async fn save_terms(&self, terms: String, fence: Option<Fence>) -> Result<(), StoreError> {
        self.writer
            .grouped(1, move |connection, _| {
                lease::check(connection, fence)?;
                facts::save_terms(connection, &terms)
            })
            .await
    }

    async fn history(&self, query: HistoryQuery) -> Result<HistoryPage, StoreError> {
        self.read(move |connection| history::page(connection, &query))
            .await
    }

    async fn last_rows(&self, pair: Pair, at: Wall) -> Result<Vec<HistoryRow>, StoreError> {
        self.read(move |connection| history::last_rows(connection, pair, at))
            .await
    }

    async fn published(&self, query: PublishedQuery) -> Result<PublishedPage, StoreError> {
        self.read(move |connection| published::page(connection, &query))
            .await
    }

    async fn published_at(&self, at: Wall) -> Result<Vec<Published>, StoreError> {
        self.read(move |connection| published::at(connection, at))
            .await
    }

    async fn recorded_until(&self) -> Result<Option<Wall>, StoreError> {
        self.read(facts::recorded_until).await
    }

    async fn shard_recorded_until(&self, shard: u16) -> Result<Option<Wall>, StoreError> {
        self.read(move |connection| facts::shard_recorded_until(connection, shard))
            .await
    }

    async fn states_at(&self, pair: Pair, at: Wall) -> Result<Vec<PriceState>, StoreError> {
        self.read(move |connection| states::at(connection, pair, at))
            .await
    }

    async fn candles(&self, query: CandleQuery) -> Result<Vec<Candle>, StoreError> {
        self.read(move |connection| candles::find(connection, &query))
            .await
    }

    async fn gaps(&self, query: GapQuery) -> Result<Vec<Gap>, StoreError> {
        self.read(move |connection| gaps::find(connection, &query))
            .await
    }

    async fn books(&self, query: SnapshotQuery) -> Result<Vec<BookSnapshot>, StoreError> {
        self.read(move |connection| books::find(connection, &query))
            .await
    }

    async fn official(&self, query: OfficialQuery) -> Result<Vec<OfficialVersion>, StoreError> {
        self.read(move |connection| official::find(connection, &query))
            .await
    }

    async fn pack(&self, before: Wall) -> Result<Packing, StoreError> {
        self.pack_before(before).await
    }

    async fn prune(&self, outdated: Outdated) -> Result<u64, StoreError> {
        self.prune_outdated(outdated).await
    }

    async fn tracked(&self) -> Result<Vec<TrackedSymbol>, StoreError> {
        self.read(facts::tracked).await
    }

    async fn track_noted(
        &self,
        symbol: TrackedSymbol,
        entry: Option<AuditEntry>,
        fence: Option<Fence>,
    ) -> Result<bool, StoreError> {
        self.writer
            .grouped(1, move |connection, _| {
                lease::check(connection, fence)?;
                let is_new = facts::track(connection, &symbol)?;
                settings::note_if(connection, is_new, entry.as_ref())
            })
            .await
    }

    async fn untrack_noted(
        &self,
        symbol: &str,
        entry: Option<AuditEntry>,
        fence: Option<Fence>,
    ) -> Result<bool, StoreError> {
        let symbol = symbol.to_owned();
        self.writer
            .grouped(1, move |connection, _| {
                lease::check(connection, fence)?;
                let is_gone = facts::untrack(connection, &symbol)?;
                settings::note_if(connection, is_gone, entry.as_ref())
            })
            .await
    }

    async fn seed(&self, symbols: Vec<TrackedSymbol>) -> Result<bool, StoreError> {
        self.writer
            .grouped(1, move |connection, _| facts::seed(connection, &symbols))
            .await
    }

    async fn key_version(&self) -> Result<u64, StoreError> {
        self.read(keys::version).await
    }

    async fn keys(&self) -> Result<StoredKeys, StoreError> {
        self.read(keys::all).await
    }

    async fn add_key_noted(
        &self,
        key: StoredKey,
        entry: Option<AuditEntry>,
    ) -> Result<bool, StoreError> {
        self.writer
            .grouped(1, move |connection, _| {
                let is_new = keys::add(connection, &key)?;
                settings::note_if(connection, is_new, entry.as_ref())
            })
            .await
    }

    async fn replace_key_noted(
        &self,
        id: &str,
        by: StoredKey,
        until: Wall,
        entry: Option<AuditEntry>,
    ) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.writer
            .grouped(2, move |connection, _| {
                let is_replaced = keys::replace(connection, &id, &by, until)?;
                settings::note_if(connection, is_replaced, entry.as_ref())
            })
            .await
    }

    async fn revoke_key_noted(
        &self,
        id: &str,
        at: Wall,
        entry: Option<AuditEntry>,
    ) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.writer
            .grouped(1, move |connection, _| {
                let revoked = keys::revoke(connection, &id, at)?;
                settings::note_if(connection, revoked == keys::Revoked::Now, entry.as_ref())?;
                Ok(revoked != keys::Revoked::Unknown)
            })
            .await
    }

    async fn note_key_use(&self, uses: Vec<(Arc<str>, Wall)>) -> Result<(), StoreError> {
        if uses.is_empty() {
            return Ok(());
        }
        self.writer
            .grouped(uses.len(), move |connection, _| {
                keys::note_use(connection, &uses)
            })
            .await
    }

    async fn settings_version(&self) -> Result<u64, StoreError> {
        self.read(settings::version).await
    }

    async fn settings(&self) -> Result<StoredSettings, StoreError> {
        self.read(settings::all).await
    }

    async fn change_settings(
        &self,
        change: SettingsChange,
        fence: Option<Fence>,
    ) -> Result<Option<u64>, StoreError> {
        let rows = change.set.len() + change.unset.len() + change.entries.len();
        self.writer
            .grouped(rows.max(1), move |connection, _| {
                lease::check(connection, fence)?;
                settings::change(connection, &change)
            })
            .await
    }

    async fn note_audit(&self, entry: AuditEntry) -> Result<(), StoreError> {
        self.writer
            .grouped(1, move |connection, _| settings::note(connection, &entry))
            .await
    }

    async fn audit(&self, query: AuditQuery) -> Result<Vec<AuditRecord>, StoreError> {
        self.read(move |connection| settings::audit(connection, &query))
            .await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.read(|connection| {
            // Reads the first page of the file, unlike `SELECT 1`.
            connection.pragma_query_value(None, "schema_version", |row| row.get::<_, i64>(0))?;
            Ok(())
        })
        .await
    }
}
