//! [`PostgresStore`]: the store in a PostgreSQL database (14 or later).
//!
//! | module | what it holds |
//! |---|---|
//! | [`PostgresUrl`] | the address, understood |
//! | `pool`, `tls` | connections: bounded, encrypted, with time limits |
//! | `migrate` | the schema, version by version |
//! | `partitions` | partitions by time, made ahead and dropped |
//! | `batch`, `transaction` | everything of a batch in one transaction, which ends at its fence |
//! | `lease` | who may write |
//! | `history`, `published` | the two great tables: plain rows and blocks, read as one |
//! | `late` | what may be packed already |
//! | `pack`, `blocks`, `prune` | old rows into blocks; outdated ones away |
//! | `candles`, `current`, `kept`, `facts`, `keys`, `settings`, `alerts`, `names` | the other tables |
//! | `types` | times and exact decimals in binary form |
//! | `fault` | what PostgreSQL says, in the words of the caller |
//!
//! Every call takes a connection of its own, so calls run side by side and the server gathers
//! their commits. Several processes may write to one database: rows are known by their ids, the
//! epoch decides whose current rate stays, and numbers of names never change.

mod address;
mod alerts;
mod batch;
mod blocks;
mod candles;
mod current;
mod facts;
mod fault;
mod history;
mod kept;
mod keys;
mod late;
mod lease;
mod migrate;
mod names;
mod pack;
mod partitions;
mod pool;
mod prune;
mod published;
mod settings;
mod tls;
mod transaction;
mod types;

pub use address::PostgresUrl;

use crate::model::salvage::no_fence;
use crate::{
    AlertStore, AuditEntry, AuditQuery, AuditRecord, Batch, Beat, BookSnapshot, Candle,
    CandleQuery, Claim, CurrentRates, Fence, Gap, GapQuery, HistoryPage, HistoryQuery, HistoryRow,
    Leases, OfficialQuery, OfficialVersion, Outdated, Packing, PriceState, Published,
    PublishedPage, PublishedQuery, Salvaged, SchemaState, SettingsChange, SnapshotQuery, Store,
    StoreError, StoredKey, StoredKeys, StoredSettings,
};
use async_trait::async_trait;
use deadpool_postgres::{Client, Object, Pool, Transaction};
use fault::Fault;
use kurs_core::{Epoch, Pair, TrackedSymbol, Wall};
use migrate::MIGRATIONS;
use names::KnownNames;
use partitions::KnownPartitions;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio_postgres::IsolationLevel;
use transaction::Limits;

/// A call of some statements may take this many times the limit of one.
const STATEMENTS: u32 = 4;
/// Longest time for migrating, packing or deleting; each step of them has limits of its own.
const MAINTENANCE_LIMIT: Duration = Duration::from_secs(3_600);

/// How long the server waits for a lock on a lease.
const LEASE_LOCK: Duration = Duration::from_secs(1);

/// Limits of a [`PostgresStore`].
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// Most connections at a time.
    pub max_connections: usize,
    /// How long making a connection may take.
    pub connect_timeout: Duration,
    /// After how long a statement is ended, and how long a free connection is waited for.
    pub statement_timeout: Duration,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            max_connections: 8,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(5),
        }
    }
}

/// The store in a PostgreSQL database.
pub struct PostgresStore {
    url: PostgresUrl,
    pool: Pool,
    options: PostgresOptions,
    names: Arc<KnownNames>,
    partitions: KnownPartitions,
    schema_is_right: AtomicBool,
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PostgresStore")
            .field("url", &self.url)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Runs `$work` on a connection `$client` of the store, within a limit of time.
macro_rules! on_connection {
    ($store:expr, $limit:expr, |$client:ident| $work:expr) => {{
        let mut connection = $store.connection().await?;
        let outcome = {
            let $client: &mut Client = &mut connection;
            pool::within($limit, $work).await
        };
        $store.settle(connection, outcome).await
    }};
}

use on_connection;

/// The same for several queries that see one state of the database.
macro_rules! on_snapshot {
    ($store:expr, |$transaction:ident| $work:expr) => {
        on_connection!($store, $store.call_limit(), |client| async {
            let $transaction = snapshot(client).await?;
            let answer = $work.await?;
            $transaction.rollback().await?;
            Ok(answer)
        })
    };
}

impl PostgresStore {
    /// A store at this address. Connects when it is first used; the schema is left as it is: see
    /// [`Store::migrate`].
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the certificates cannot be read that the address asks
    /// for.
    pub fn new(url: PostgresUrl, options: PostgresOptions) -> Result<Self, StoreError> {
        let names = Arc::new(KnownNames::default());
        let pool = pool::open(&url, &options, &names)?;
        Ok(Self {
            url,
            pool,
            options,
            names,
            partitions: KnownPartitions::default(),
            schema_is_right: AtomicBool::new(false),
        })
    }

    fn call_limit(&self) -> Duration {
        self.options.statement_timeout * STATEMENTS
    }

    /// The server waits at most a second for a lock on a lease.
    fn lease_limit(&self) -> Duration {
        self.options.statement_timeout + LEASE_LOCK
    }

    /// A connection to a database with the schema that this program works with.
    async fn connection(&self) -> Result<Object, StoreError> {
        let connection = pool::take(&self.pool).await?;
        if self.schema_is_right.load(Ordering::Acquire) {
            return Ok(connection);
        }
        let client: &Client = &connection;
        let checked = pool::within(self.call_limit(), migrate::check(client, MIGRATIONS)).await;
        match checked {
            Ok(()) => {
                self.schema_is_right.store(true, Ordering::Release);
                Ok(connection)
            }
            Err(fault) => {
                self.discard_if_broken(connection, &fault);
                Err(fault.tell())
            }
        }
    }

    fn discard_if_broken(&self, connection: Object, fault: &Fault) {
        if fault.breaks_connection() {
            drop(Object::take(connection));
            // Behind the next connection there may be another server, or an older backup.
            self.partitions.forget();
            self.names.forget();
            self.schema_is_right.store(false, Ordering::Release);
        }
    }

    /// Gives the connection back, or away when it is broken, and tells the caller.
    async fn settle<T>(
        &self,
        connection: Object,
        outcome: Result<T, Fault>,
    ) -> Result<T, StoreError> {
        let fault = match outcome {
            Ok(answer) => return Ok(answer),
            Err(fault) => fault,
        };
        let fault = if fault.doubts_schema() {
            let client: &Client = &connection;
            self.schema_is_right.store(false, Ordering::Release);
            migrate::explain(client, fault, MIGRATIONS).await
        } else {
            fault
        };
        self.discard_if_broken(connection, &fault);
        Err(fault.tell())
    }

    /// A connection, whatever the schema.
    async fn on_any_schema<T>(
        &self,
        connection: Object,
        outcome: Result<T, Fault>,
    ) -> Result<T, StoreError> {
        match outcome {
            Ok(answer) => Ok(answer),
            Err(fault) => {
                self.discard_if_broken(connection, &fault);
                Err(fault.tell())
            }
        }
    }
}

/// A transaction that sees one state of the database, and changes nothing.
async fn snapshot(client: &mut Client) -> Result<Transaction<'_>, Fault> {
    let builder = client.build_transaction();
    let builder = builder
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true);
    Ok(builder.start().await?)
}

#[async_trait]
impl Store for PostgresStore {
    fn talk(&self) -> &dyn AlertStore {
        self
    }

    async fn migrate(&self) -> Result<SchemaState, StoreError> {
        let mut connection = pool::take(&self.pool).await?;
        let migrated = {
            let client: &mut Client = &mut connection;
            pool::within(MAINTENANCE_LIMIT, migrate::migrate(client, MIGRATIONS)).await
        };
        let state = self.on_any_schema(connection, migrated).await?;
        self.schema_is_right.store(true, Ordering::Release);
        Ok(state)
    }

    async fn pending(&self) -> Result<Vec<String>, StoreError> {
        let connection = pool::take(&self.pool).await?;
        let pending = {
            let client: &Client = &connection;
            pool::within(self.call_limit(), migrate::pending(client, MIGRATIONS)).await
        };
        self.on_any_schema(connection, pending).await
    }

    async fn schema(&self) -> Result<SchemaState, StoreError> {
        let connection = pool::take(&self.pool).await?;
        let found = {
            let client: &Client = &connection;
            pool::within(self.call_limit(), migrate::found(client)).await
        };
        let found = self.on_any_schema(connection, found).await?;
        Ok(SchemaState {
            found,
            needed: migrate::needed(MIGRATIONS),
        })
    }

    async fn claim(&self, claim: Claim) -> Result<Option<Epoch>, StoreError> {
        on_connection!(self, self.lease_limit(), |client| lease::claim(
            client, &claim
        ))
    }

    async fn renew(&self, beat: Beat) -> Result<Leases, StoreError> {
        on_connection!(self, self.lease_limit(), |client| lease::renew(
            client, &beat
        ))
    }

    async fn release(&self, fence: Fence, heir: Option<Arc<str>>) -> Result<bool, StoreError> {
        on_connection!(self, self.lease_limit(), |client| lease::release(
            client,
            fence,
            heir.as_deref()
        ))
    }

    async fn leave(&self, writer: &str) -> Result<(), StoreError> {
        on_connection!(self, self.lease_limit(), |client| lease::leave(
            client, writer
        ))
    }

    async fn write(&self, batch: Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        // A thousand rows take some milliseconds; a large batch may take its time.
        let rows = u32::try_from(batch.len()).unwrap_or(u32::MAX);
        let limit = self.call_limit() + Duration::from_millis(1) * rows;
        let limits = Limits::of(batch.fence, rows, self.options.statement_timeout);
        on_connection!(self, limit, |client| batch::write(
            client,
            &self.names,
            &self.partitions,
            &batch,
            limits
        ))
    }

    async fn salvage(&self, batch: Batch) -> Result<Salvaged, StoreError> {
        let fence = batch.fence.ok_or_else(no_fence)?;
        let standing = on_connection!(self, self.call_limit(), |client| lease::standing(
            client, fence
        ))?;
        // What ended stays as it ended; what is present may end meanwhile, and then its fence
        // does not hold.
        let (kept, salvaged) = batch.salvageable(fence, standing);
        self.write(kept).await?;
        Ok(salvaged)
    }

    async fn changed_current(&self, since: Option<Wall>) -> Result<CurrentRates, StoreError> {
        on_connection!(self, self.call_limit(), |client| current::changed(
            client, since
        ))
    }

    async fn drop_current(&self, pairs: Vec<Pair>, fence: Option<Fence>) -> Result<(), StoreError> {
        if pairs.is_empty() {
            return Ok(());
        }
        on_connection!(self, self.call_limit(), |client| current::drop_pairs(
            client, &pairs, fence
        ))
    }

    async fn terms(&self) -> Result<Option<String>, StoreError> {
        on_connection!(self, self.call_limit(), |client| facts::terms(client))
    }

    async fn save_terms(&self, terms: String, fence: Option<Fence>) -> Result<(), StoreError> {
        on_connection!(self, self.call_limit(), |client| facts::save_terms(
            client, &terms, fence
        ))
    }

    async fn history(&self, query: HistoryQuery) -> Result<HistoryPage, StoreError> {
        on_snapshot!(self, |transaction| history::page(&transaction, &query))
    }

    async fn last_rows(&self, pair: Pair, at: Wall) -> Result<Vec<HistoryRow>, StoreError> {
        on_snapshot!(self, |transaction| history::last_rows(
            &transaction,
            pair,
            at
        ))
    }

    async fn published(&self, query: PublishedQuery) -> Result<PublishedPage, StoreError> {
        on_snapshot!(self, |transaction| published::page(&transaction, &query))
    }

    async fn published_at(&self, at: Wall) -> Result<Vec<Published>, StoreError> {
        on_snapshot!(self, |transaction| published::at(&transaction, at))
    }

    async fn recorded_until(&self) -> Result<Option<Wall>, StoreError> {
        on_connection!(self, self.call_limit(), |client| facts::recorded_until(
            client
        ))
    }

    async fn shard_recorded_until(&self, shard: u16) -> Result<Option<Wall>, StoreError> {
        on_connection!(self, self.call_limit(), |client| {
            facts::shard_recorded_until(client, shard)
        })
    }

    async fn states_at(&self, pair: Pair, at: Wall) -> Result<Vec<PriceState>, StoreError> {
        on_connection!(self, self.call_limit(), |client| kept::states_at(
            client, pair, at
        ))
    }

    async fn candles(&self, query: CandleQuery) -> Result<Vec<Candle>, StoreError> {
        on_connection!(self, self.call_limit(), |client| candles::find(
            client, &query
        ))
    }

    async fn gaps(&self, query: GapQuery) -> Result<Vec<Gap>, StoreError> {
        on_connection!(self, self.call_limit(), |client| kept::gaps(client, &query))
    }

    async fn books(&self, query: SnapshotQuery) -> Result<Vec<BookSnapshot>, StoreError> {
        on_connection!(self, self.call_limit(), |client| kept::books(
            client, &query
        ))
    }

    async fn official(&self, query: OfficialQuery) -> Result<Vec<OfficialVersion>, StoreError> {
        on_connection!(self, self.call_limit(), |client| kept::official(
            client, &query
        ))
    }

    async fn pack(&self, before: Wall) -> Result<Packing, StoreError> {
        on_connection!(self, MAINTENANCE_LIMIT, |client| pack::pack(
            client,
            &self.partitions,
            before
        ))
    }

    async fn prune(&self, outdated: Outdated) -> Result<u64, StoreError> {
        on_connection!(self, MAINTENANCE_LIMIT, |client| prune::prune(
            client,
            &self.partitions,
            outdated
        ))
    }

    async fn tracked(&self) -> Result<Vec<TrackedSymbol>, StoreError> {
        on_connection!(self, self.call_limit(), |client| facts::tracked(client))
    }

    async fn track_noted(
        &self,
        symbol: TrackedSymbol,
        entry: Option<AuditEntry>,
        fence: Option<Fence>,
    ) -> Result<bool, StoreError> {
        on_connection!(self, self.call_limit(), |client| facts::track(
            client,
            &symbol,
            entry.as_ref(),
            fence
        ))
    }

    async fn untrack_noted(
        &self,
        symbol: &str,
        entry: Option<AuditEntry>,
        fence: Option<Fence>,
    ) -> Result<bool, StoreError> {
        on_connection!(self, self.call_limit(), |client| facts::untrack(
            client,
            symbol,
            entry.as_ref(),
            fence
        ))
    }

    async fn seed(&self, symbols: Vec<TrackedSymbol>) -> Result<bool, StoreError> {
        on_connection!(self, self.call_limit(), |client| facts::seed(
            client, &symbols
        ))
    }

    async fn key_version(&self) -> Result<u64, StoreError> {
        on_connection!(self, self.call_limit(), |client| keys::version(client))
    }

    async fn keys(&self) -> Result<StoredKeys, StoreError> {
        on_connection!(self, self.call_limit(), |client| keys::all(client))
    }

    async fn add_key_noted(
        &self,
        key: StoredKey,
        entry: Option<AuditEntry>,
    ) -> Result<bool, StoreError> {
        on_connection!(self, self.call_limit(), |client| keys::add(
            client,
            &key,
            entry.as_ref()
        ))
    }

    async fn replace_key_noted(
        &self,
        id: &str,
        by: StoredKey,
        until: Wall,
        entry: Option<AuditEntry>,
    ) -> Result<bool, StoreError> {
        on_connection!(self, self.call_limit(), |client| keys::replace(
            client,
            id,
            &by,
            until,
            entry.as_ref()
        ))
    }

    async fn revoke_key_noted(
        &self,
        id: &str,
        at: Wall,
        entry: Option<AuditEntry>,
    ) -> Result<bool, StoreError> {
        on_connection!(self, self.call_limit(), |client| keys::revoke(
            client,
            id,
            at,
            entry.as_ref()
        ))
    }

    async fn note_key_use(&self, uses: Vec<(Arc<str>, Wall)>) -> Result<(), StoreError> {
        if uses.is_empty() {
            return Ok(());
        }
        on_connection!(self, self.call_limit(), |client| keys::note_use(
            client, &uses
        ))
    }

    async fn settings_version(&self) -> Result<u64, StoreError> {
        on_connection!(self, self.call_limit(), |client| settings::version(client))
    }

    async fn settings(&self) -> Result<StoredSettings, StoreError> {
        on_connection!(self, self.call_limit(), |client| settings::all(client))
    }

    async fn change_settings(
        &self,
        change: SettingsChange,
        fence: Option<Fence>,
    ) -> Result<Option<u64>, StoreError> {
        on_connection!(self, self.call_limit(), |client| settings::change(
            client, &change, fence
        ))
    }

    async fn note_audit(&self, entry: AuditEntry) -> Result<(), StoreError> {
        on_connection!(self, self.call_limit(), |client| settings::note(
            client, &entry
        ))
    }

    async fn audit(&self, query: AuditQuery) -> Result<Vec<AuditRecord>, StoreError> {
        on_connection!(self, self.call_limit(), |client| settings::audit(
            client, &query
        ))
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let connection = pool::take(&self.pool).await?;
        let answer = {
            let client: &Client = &connection;
            pool::within(self.call_limit(), async {
                Ok(client
                    .batch_execute("SELECT 1 FROM pg_catalog.pg_class LIMIT 1")
                    .await?)
            })
            .await
        };
        self.on_any_schema(connection, answer).await
    }
}
