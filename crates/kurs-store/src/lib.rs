//! The store is the truth: current rates for cold starts, the history of every rate received,
//! tracked symbols, settings with the log of their changes, and the epoch of the Writer.
//!
//! | module | what it holds |
//! |---|---|
//! | [`alerts`] | [`AlertStore`]: alerts, deliveries, chats |
//! | [`model`] | rows and queries |
//! | [`packed`] | rows as bytes: small, exact, the same in every database |
//! | [`config`] | [`StoreConfig`], [`open`], [`prepare`] |
//! | [`spool`] | [`spool::Spool`]: batches that wait on disk while the store is away |
//! | [`postgres`] | [`postgres::PostgresStore`], a PostgreSQL database |
//! | [`sqlite`] | [`sqlite::SqliteStore`], the embedded default |
//! | `conformance` | what every [`Store`] must do, as a suite (feature `conformance`) |

pub mod alerts;
pub mod config;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
pub mod model;
pub mod packed;
pub mod postgres;
pub mod spool;
pub mod sqlite;

pub use alerts::AlertStore;
pub use config::{StoreConfig, StoreUrl, StoreUrlError, open, prepare};
pub use model::alert::{
    ALERT_SHARD, AlertAdded, AlertStep, Delivery, DeliveryStanding, DueDelivery, NewAlert,
    StoredAlert, StoredAlerts, StoredChat,
};
pub use model::audit::{AuditEntry, AuditQuery, AuditRecord};
pub use model::batch::{Batch, Recorded};
pub use model::candle::{Candle, CandleQuery, Interval, IntervalError, Origin};
pub use model::key::{StoredKey, StoredKeys};
pub use model::lease::{Beat, Claim, Fence, Lease, Leases, LivingWriter, Salvaged};
pub use model::official::{OfficialQuery, OfficialRate, OfficialVersion};
pub use model::published::{Published, PublishedEvent, PublishedPage, PublishedQuery};
pub use model::retention::{Outdated, Packing, Retention};
pub use model::setting::{SettingsChange, StoredSetting, StoredSettings};
pub use model::snapshot::{BookSnapshot, SnapshotQuery};
pub use model::state::{Gap, GapQuery, PriceState};
pub use model::{
    CurrentRate, CurrentRates, Cursor, HistoryPage, HistoryQuery, HistoryRow, SchemaState,
    StoredRate,
};

use async_trait::async_trait;
use kurs_core::{Epoch, Pair, TrackedSymbol, Wall};
use std::sync::Arc;

/// Keeps what must outlive the process. One suite of conformance tests holds for every
/// implementation. A call that returned `Ok` is durable.
#[async_trait]
pub trait Store: Send + Sync {
    /// Brings the schema to this program's version. Idempotent, forward only, safe when run by
    /// many at once. Returns the versions before and after.
    async fn migrate(&self) -> Result<SchemaState, StoreError>;

    /// Names of the steps that [`Store::migrate`] would take, in order. Changes nothing, not even
    /// an empty store.
    async fn pending(&self) -> Result<Vec<String>, StoreError>;

    /// The schema version found and the one this program needs.
    async fn schema(&self) -> Result<SchemaState, StoreError>;

    /// Takes the lease of a shard if it is free: never held, run out on the store's clock, or
    /// given back (to this Writer, if to anyone). Then the epoch grows by one and is returned, and
    /// the former epoch is closed as [`Claim::heard`] says. `None`: another Writer holds it.
    async fn claim(&self, claim: Claim) -> Result<Option<Epoch>, StoreError>;

    /// Says that a Writer lives, and makes its leases last again: those whose epoch is still the
    /// present one, run out or not, and not given back. Tells how all leases stand afterwards.
    async fn renew(&self, beat: Beat) -> Result<Leases, StoreError>;

    /// Gives a lease back, at best to an heir, who alone may take it while it would have lasted.
    /// The epoch is closed: everything of it belongs to the history. False when the epoch is not
    /// the present one any more, and nothing was changed.
    async fn release(&self, fence: Fence, heir: Option<Arc<str>>) -> Result<bool, StoreError>;

    /// A Writer does not count as living any more; its leases stay as they are.
    async fn leave(&self, writer: &str) -> Result<(), StoreError>;

    /// Stores a batch: all of it, or nothing. What is there already is passed over, so a repeated
    /// batch does no harm. A batch with a [`Batch::fence`] is refused with [`StoreError::Fenced`]
    /// when that is not the present epoch of its shard.
    async fn write(&self, batch: Batch) -> Result<(), StoreError>;

    /// Stores what of a batch of an ended epoch belongs to the history: events and states that had
    /// been heard when the next Writer took over, rows received before. The batch must have a
    /// [`Batch::fence`]; under the present epoch it is written as by [`Store::write`].
    async fn salvage(&self, batch: Batch) -> Result<Salvaged, StoreError>;

    /// Appends history rows. Rows that are there already (same pair, source, epoch, seq) are
    /// passed over, so a repeated batch does no harm.
    async fn append(&self, rows: Vec<HistoryRow>) -> Result<(), StoreError> {
        self.write(Batch::of_rows(rows)).await
    }

    /// Replaces the current rate of each pair, unless the stored one has a greater id.
    async fn save_current(&self, rates: Vec<CurrentRate>) -> Result<(), StoreError> {
        let batch = Batch {
            current: rates,
            ..Batch::default()
        };
        self.write(batch).await
    }

    /// All current rates, by pair.
    async fn load_current(&self) -> Result<Vec<CurrentRate>, StoreError> {
        Ok(self.changed_current(None).await?.rates)
    }

    /// The current rates that were written since an earlier answer's [`CurrentRates::until`], by
    /// pair; all of them without one. Some may come a second time, none is missed.
    async fn changed_current(&self, since: Option<Wall>) -> Result<CurrentRates, StoreError>;

    /// Removes the current rates of these pairs: nobody stands behind them any more.
    async fn drop_current(&self, pairs: Vec<Pair>, fence: Option<Fence>) -> Result<(), StoreError>;

    /// The terms under which the current rates were made, as the last Writer wrote them down with
    /// [`Store::save_terms`]; `None` before the first.
    async fn terms(&self) -> Result<Option<String>, StoreError>;

    /// Replaces the terms.
    async fn save_terms(&self, terms: String, fence: Option<Fence>) -> Result<(), StoreError>;

    /// One page of history, oldest first.
    async fn history(&self, query: HistoryQuery) -> Result<HistoryPage, StoreError>;

    /// The last row of each source for a pair, received at or before `at`; by source.
    async fn last_rows(&self, pair: Pair, at: Wall) -> Result<Vec<HistoryRow>, StoreError>;

    /// One page of what was published of a pair, oldest first.
    async fn published(&self, query: PublishedQuery) -> Result<PublishedPage, StoreError>;

    /// The last event of every pair published at or before `at` (to the millisecond); by pair.
    async fn published_at(&self, at: Wall) -> Result<Vec<Published>, StoreError>;

    /// Up to when everything published is stored, by the shard that is furthest behind; `None`
    /// before the first word of it. A shard whose Writer has given it back, or that is not among
    /// the present ones any more, holds nobody up. See [`Batch::recorded_until`].
    async fn recorded_until(&self) -> Result<Option<Wall>, StoreError>;

    /// Up to when everything that one shard published is stored.
    async fn shard_recorded_until(&self, shard: u16) -> Result<Option<Wall>, StoreError>;

    /// The last state of each source for a pair at or before `at`; by source.
    async fn states_at(&self, pair: Pair, at: Wall) -> Result<Vec<PriceState>, StoreError>;

    /// Candles of one series, oldest first.
    async fn candles(&self, query: CandleQuery) -> Result<Vec<Candle>, StoreError>;

    /// Gaps, by begin, source and pair.
    async fn gaps(&self, query: GapQuery) -> Result<Vec<Gap>, StoreError>;

    /// Order books of one source and pair, oldest first.
    async fn books(&self, query: SnapshotQuery) -> Result<Vec<BookSnapshot>, StoreError>;

    /// Official rates with all their versions, by day and version.
    async fn official(&self, query: OfficialQuery) -> Result<Vec<OfficialVersion>, StoreError>;

    /// Moves rows received and events published before `before` into compressed blocks, in small
    /// steps, until none is left that fills a block or is a day older. Nothing that a query gives
    /// changes by it.
    async fn pack(&self, before: Wall) -> Result<Packing, StoreError>;

    /// Deletes what is outdated, in small steps or by dropping partitions. Returns how many rows
    /// went, about. Some of it may stay for a while: SQLite lets a block go when all of its rows
    /// are outdated, PostgreSQL cuts it.
    async fn prune(&self, outdated: Outdated) -> Result<u64, StoreError>;

    /// Tracked symbols, oldest first.
    async fn tracked(&self) -> Result<Vec<TrackedSymbol>, StoreError>;

    /// Adds a tracked symbol. False when it was there.
    async fn track(&self, symbol: TrackedSymbol, fence: Option<Fence>) -> Result<bool, StoreError> {
        self.track_noted(symbol, None, fence).await
    }

    /// The same; with it the audit log gets this entry, unless the symbol was there.
    async fn track_noted(
        &self,
        symbol: TrackedSymbol,
        entry: Option<AuditEntry>,
        fence: Option<Fence>,
    ) -> Result<bool, StoreError>;

    /// Removes a tracked symbol. False when it was not there.
    async fn untrack(&self, symbol: &str, fence: Option<Fence>) -> Result<bool, StoreError> {
        self.untrack_noted(symbol, None, fence).await
    }

    /// The same; with it the audit log gets this entry, unless the symbol was not there.
    async fn untrack_noted(
        &self,
        symbol: &str,
        entry: Option<AuditEntry>,
        fence: Option<Fence>,
    ) -> Result<bool, StoreError>;

    /// Tracks the configured symbols, once in the life of the store: the first call puts them in
    /// and returns true, every later call changes nothing and returns false. Symbols and mark are
    /// written together, so a crash cannot lose them, and a symbol that was removed by hand stays
    /// removed.
    async fn seed(&self, symbols: Vec<TrackedSymbol>) -> Result<bool, StoreError>;

    /// A number that grows with every change of the API keys, so that whoever holds a copy can ask
    /// often whether it is right still. When a key was used is no change.
    async fn key_version(&self) -> Result<u64, StoreError>;

    /// All API keys, those that were revoked or have expired among them.
    async fn keys(&self) -> Result<StoredKeys, StoreError>;

    /// Adds an API key. False when its id was taken, and nothing was changed.
    async fn add_key(&self, key: StoredKey) -> Result<bool, StoreError> {
        self.add_key_noted(key, None).await
    }

    /// The same; with it the audit log gets this entry, unless nothing was changed.
    async fn add_key_noted(
        &self,
        key: StoredKey,
        entry: Option<AuditEntry>,
    ) -> Result<bool, StoreError>;

    /// Adds an API key in the place of another one, which is good until `until` still, or until it
    /// would have ended anyway. False, and nothing was changed, when there is no other one that is
    /// neither revoked nor replaced, or the id of the new one was taken.
    async fn replace_key(&self, id: &str, by: StoredKey, until: Wall) -> Result<bool, StoreError> {
        self.replace_key_noted(id, by, until, None).await
    }

    /// The same; with it the audit log gets this entry, unless nothing was changed.
    async fn replace_key_noted(
        &self,
        id: &str,
        by: StoredKey,
        until: Wall,
        entry: Option<AuditEntry>,
    ) -> Result<bool, StoreError>;

    /// Takes an API key back, for ever. False when there is none; true, without a change, when it
    /// was revoked before.
    async fn revoke_key(&self, id: &str, at: Wall) -> Result<bool, StoreError> {
        self.revoke_key_noted(id, at, None).await
    }

    /// The same; with it the audit log gets this entry, unless nothing was changed.
    async fn revoke_key_noted(
        &self,
        id: &str,
        at: Wall,
        entry: Option<AuditEntry>,
    ) -> Result<bool, StoreError>;

    /// Notes when API keys were used last; an earlier time than the one noted changes nothing.
    async fn note_key_use(&self, uses: Vec<(Arc<str>, Wall)>) -> Result<(), StoreError>;

    /// A number that grows with every change of the settings, so that whoever holds a copy can ask
    /// often whether it is right still.
    async fn settings_version(&self) -> Result<u64, StoreError>;

    /// All settings.
    async fn settings(&self) -> Result<StoredSettings, StoreError>;

    /// Changes settings, and notes it in the audit log: all of it, or nothing. Returns the version
    /// since; `None`, and nothing was changed, when the version is not [`SettingsChange::expected`]
    /// any more: another change came first.
    async fn change_settings(
        &self,
        change: SettingsChange,
        fence: Option<Fence>,
    ) -> Result<Option<u64>, StoreError>;

    /// Adds an entry to the audit log, for a change that was made elsewhere.
    async fn note_audit(&self, entry: AuditEntry) -> Result<(), StoreError>;

    /// Entries of the audit log, newest first.
    async fn audit(&self, query: AuditQuery) -> Result<Vec<AuditRecord>, StoreError>;

    /// What the role `bot` keeps.
    fn talk(&self) -> &dyn AlertStore;

    /// Cheap question whether the store answers.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// What can go wrong, named by what the caller can do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Try again later; serving goes on without the store.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The schema is older or newer than this program: migrate, or use the right program.
    #[error("the store has schema version {found}, this program needs {needed}{hint}", hint = if found < needed { "; run `kurs migrate`" } else { "; it was written by a newer kurs" })]
    Schema {
        /// Version found.
        found: u32,
        /// Version needed.
        needed: u32,
    },
    /// Another Writer has taken over: nothing was written, and nothing more may be.
    #[error("shard {} is written under a later epoch than {}", .0.shard, .0.epoch.0)]
    Fenced(Fence),
    /// A stored value cannot be read; retrying will not help.
    #[error("the store holds something that cannot be read: {0}")]
    Corrupt(String),
}
