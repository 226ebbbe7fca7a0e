//! A store that can be told to fail.

use async_trait::async_trait;
use kurs_core::{Epoch, Pair, TrackedSymbol, Wall};
use kurs_store::sqlite::{SqliteOptions, SqliteStore};
use kurs_store::*;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::watch;

/// What the store does with writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// Does not answer.
    Hangs,
    /// Refuses.
    Away,
    /// Stores, and then says that it failed.
    LosesAnswers,
    /// Says that the rows make no sense.
    Refuses,
    /// Says that this row makes no sense.
    RefusesRow(u64),
}

pub(crate) struct MoodyStore {
    pub(crate) inner: SqliteStore,
    mood: watch::Sender<Mood>,
    pub(crate) appends: AtomicU64,
    pub(crate) saves: AtomicU64,
    /// Rows in the order in which they were stored first, with the events before them.
    pub(crate) order: Mutex<Vec<u64>>,
    /// Events likewise.
    pub(crate) events: Mutex<Vec<u64>>,
}

impl MoodyStore {
    pub(crate) async fn new() -> Arc<Self> {
        let inner = SqliteStore::open(":memory:", SqliteOptions::default()).unwrap();
        inner.migrate().await.unwrap();
        let (mood, _) = watch::channel(Mood::Well);
        Arc::new(Self {
            inner,
            mood,
            appends: AtomicU64::new(0),
            saves: AtomicU64::new(0),
            order: Mutex::default(),
            events: Mutex::default(),
        })
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    async fn mood(&self) -> Mood {
        let mut mood = self.mood.subscribe();
        *mood.wait_for(|mood| *mood != Mood::Hangs).await.unwrap()
    }

    async fn keep(&self, batch: Batch) -> Result<(), StoreError> {
        let rows: Vec<u64> = batch.rows.iter().map(|row| row.id.seq.0).collect();
        let events: Vec<u64> = batch.published.iter().map(|one| one.id.seq.0).collect();
        self.inner.write(batch).await?;
        note(&self.order, rows);
        note(&self.events, events);
        Ok(())
    }

    /// All stored events of the pair.
    pub(crate) async fn published_seqs(&self) -> Vec<u64> {
        let mut query = PublishedQuery {
            pair: Pair::parse("BTC-USDT").unwrap(),
            start: Wall::MIN,
            end: Wall::MAX,
            limit: 1_000,
            after: None,
        };
        let mut seqs = Vec::new();
        loop {
            let page = self.inner.published(query.clone()).await.unwrap();
            seqs.extend(page.events.iter().map(|event| event.id.seq.0));
            match page.next {
                Some(next) => query.after = Some(next),
                None => return seqs,
            }
        }
    }

    pub(crate) async fn seqs(&self) -> Vec<u64> {
        let mut query = HistoryQuery {
            pair: Pair::parse("BTC-USDT").unwrap(),
            source: None,
            start: Wall::MIN,
            end: Wall::MAX,
            limit: 1_000,
            after: None,
        };
        let mut seqs = Vec::new();
        loop {
            let page = self.inner.history(query.clone()).await.unwrap();
            seqs.extend(page.rows.iter().map(|row| row.id.seq.0));
            match page.next {
                Some(next) => query.after = Some(next),
                None => return seqs,
            }
        }
    }
}

/// Remembers what comes for the first time.
fn note(seen: &Mutex<Vec<u64>>, seqs: Vec<u64>) {
    let mut seen = seen.lock();
    for seq in seqs {
        // Nearly always the newest of all.
        if seen.last().is_none_or(|last| *last < seq) || !seen.contains(&seq) {
            seen.push(seq);
        }
    }
}

pub(crate) fn away() -> StoreError {
    StoreError::Unavailable("it is away".to_owned())
}

#[async_trait]
impl Store for MoodyStore {
    async fn write(&self, batch: Batch) -> Result<(), StoreError> {
        let brings_rows = !batch.rows.is_empty();
        if brings_rows {
            self.appends.fetch_add(1, Ordering::SeqCst);
        } else {
            self.saves.fetch_add(1, Ordering::SeqCst);
        }
        match self.mood().await {
            Mood::Away => return Err(away()),
            Mood::Refuses if brings_rows => return Err(StoreError::Corrupt("no sense".to_owned())),
            Mood::RefusesRow(seq) if batch.rows.iter().any(|row| row.id.seq.0 == seq) => {
                return Err(StoreError::Corrupt("no sense".to_owned()));
            }
            Mood::LosesAnswers if brings_rows => {
                self.keep(batch).await?;
                return Err(away());
            }
            _ => {}
        }
        self.keep(batch).await
    }

    fn talk(&self) -> &dyn AlertStore {
        &self.inner
    }
    async fn migrate(&self) -> Result<SchemaState, StoreError> {
        self.inner.migrate().await
    }
    async fn schema(&self) -> Result<SchemaState, StoreError> {
        self.inner.schema().await
    }
    async fn claim(&self, claim: Claim) -> Result<Option<Epoch>, StoreError> {
        self.inner.claim(claim).await
    }
    async fn renew(&self, beat: Beat) -> Result<Leases, StoreError> {
        self.inner.renew(beat).await
    }
    async fn release(&self, fence: Fence, heir: Option<Arc<str>>) -> Result<bool, StoreError> {
        self.inner.release(fence, heir).await
    }
    async fn leave(&self, writer: &str) -> Result<(), StoreError> {
        self.inner.leave(writer).await
    }
    async fn salvage(&self, batch: Batch) -> Result<Salvaged, StoreError> {
        self.inner.salvage(batch).await
    }
    async fn changed_current(&self, since: Option<Wall>) -> Result<CurrentRates, StoreError> {
        self.inner.changed_current(since).await
    }
    async fn drop_current(&self, pairs: Vec<Pair>, fence: Option<Fence>) -> Result<(), StoreError> {
        self.inner.drop_current(pairs, fence).await
    }
    async fn key_version(&self) -> Result<u64, StoreError> {
        self.inner.key_version().await
    }
    async fn keys(&self) -> Result<StoredKeys, StoreError> {
        self.inner.keys().await
    }
    async fn add_key_noted(
        &self,
        key: StoredKey,
        entry: Option<AuditEntry>,
    ) -> Result<bool, StoreError> {
        self.inner.add_key_noted(key, entry).await
    }
    async fn replace_key_noted(
        &self,
        id: &str,
        by: StoredKey,
        until: Wall,
        entry: Option<AuditEntry>,
    ) -> Result<bool, StoreError> {
        self.inner.replace_key_noted(id, by, until, entry).await
    }
    async fn revoke_key_noted(
        &self,
        id: &str,
        at: Wall,
        entry: Option<AuditEntry>,
    ) -> Result<bool, StoreError> {
        self.inner.revoke_key_noted(id, at, entry).await
    }
    async fn note_key_use(&self, uses: Vec<(Arc<str>, Wall)>) -> Result<(), StoreError> {
        self.inner.note_key_use(uses).await
    }
    async fn terms(&self) -> Result<Option<String>, StoreError> {
        self.inner.terms().await
    }
    async fn save_terms(&self, terms: String, fence: Option<Fence>) -> Result<(), StoreError> {
        self.inner.save_terms(terms, fence).await
    }
    async fn history(&self, query: HistoryQuery) -> Result<HistoryPage, StoreError> {
        self.inner.history(query).await
    }
    async fn last_rows(&self, pair: Pair, at: Wall) -> Result<Vec<HistoryRow>, StoreError> {
        self.inner.last_rows(pair, at).await
    }
    async fn published(&self, query: PublishedQuery) -> Result<PublishedPage, StoreError> {
        self.inner.published(query).await
    }
    async fn published_at(&self, at: Wall) -> Result<Vec<Published>, StoreError> {
        self.inner.published_at(at).await
    }
    async fn recorded_until(&self) -> Result<Option<Wall>, StoreError> {
        self.inner.recorded_until().await
    }

    async fn shard_recorded_until(&self, shard: u16) -> Result<Option<Wall>, StoreError> {
        self.inner.shard_recorded_until(shard).await
    }
    async fn states_at(&self, pair: Pair, at: Wall) -> Result<Vec<PriceState>, StoreError> {
        self.inner.states_at(pair, at).await
    }
    async fn candles(&self, query: CandleQuery) -> Result<Vec<Candle>, StoreError> {
        self.inner.candles(query).await
    }
    async fn gaps(&self, query: GapQuery) -> Result<Vec<Gap>, StoreError> {
        self.inner.gaps(query).await
    }
    async fn books(&self, query: SnapshotQuery) -> Result<Vec<BookSnapshot>, StoreError> {
        self.inner.books(query).await
    }
    async fn official(&self, query: OfficialQuery) -> Result<Vec<OfficialVersion>, StoreError> {
        self.inner.official(query).await
    }
    async fn pack(&self, before: Wall) -> Result<Packing, StoreError> {
        self.inner.pack(before).await
    }
    async fn prune(&self, outdated: Outdated) -> Result<u64, StoreError> {
        self.inner.prune(outdated).await
    }
    async fn pending(&self) -> Result<Vec<String>, StoreError> {
        self.inner.pending().await
    }
    async fn tracked(&self) -> Result<Vec<TrackedSymbol>, StoreError> {
        self.inner.tracked().await
    }
    async fn track_noted(
        &self,
        symbol: TrackedSymbol,
        entry: Option<AuditEntry>,
        fence: Option<Fence>,
    ) -> Result<bool, StoreError> {
        self.inner.track_noted(symbol, entry, fence).await
    }
    async fn untrack_noted(
        &self,
        symbol: &str,
        entry: Option<AuditEntry>,
        fence: Option<Fence>,
    ) -> Result<bool, StoreError> {
        self.inner.untrack_noted(symbol, entry, fence).await
    }
    async fn settings_version(&self) -> Result<u64, StoreError> {
        self.inner.settings_version().await
    }
    async fn settings(&self) -> Result<StoredSettings, StoreError> {
        self.inner.settings().await
    }
    async fn change_settings(
        &self,
        change: SettingsChange,
        fence: Option<Fence>,
    ) -> Result<Option<u64>, StoreError> {
        self.inner.change_settings(change, fence).await
    }
    async fn note_audit(&self, entry: AuditEntry) -> Result<(), StoreError> {
        self.inner.note_audit(entry).await
    }
    async fn audit(&self, query: AuditQuery) -> Result<Vec<AuditRecord>, StoreError> {
        self.inner.audit(query).await
    }
    async fn seed(&self, symbols: Vec<TrackedSymbol>) -> Result<bool, StoreError> {
        self.inner.seed(symbols).await
    }
    async fn ping(&self) -> Result<(), StoreError> {
        self.inner.ping().await
    }
}
