//! Promises of the recorder, on a store that can be told to fail.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking; helpers are no test functions"
)]

use async_trait::async_trait;
use kurs_core::{
    Choice, Clock, Epoch, Pair, Price, Rate, RateState, Seq, SourceId, SystemClock, TrackedSymbol,
    UpdateId, Wall,
};
use kurs_store::sqlite::{SqliteOptions, SqliteStore};
use kurs_store::{
    HistoryPage, HistoryQuery, HistoryRow, SchemaState, Store, StoreError, StoredRate,
};
use kurs_writer::recorder::{Left, Recorder, RecorderConfig, RecorderHandle, RecorderHealth};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// What the store does with writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Well,
    /// Does not answer.
    Hangs,
    /// Refuses.
    Away,
    /// Stores, and then says that it failed.
    LosesAnswers,
    /// Says that the rows make no sense.
    Refuses,
}

struct MoodyStore {
    inner: SqliteStore,
    mood: watch::Sender<Mood>,
    appends: AtomicU64,
    saves: AtomicU64,
}

impl MoodyStore {
    async fn new() -> Arc<Self> {
        let inner = SqliteStore::open(":memory:", SqliteOptions::default()).unwrap();
        inner.migrate().await.unwrap();
        let (mood, _) = watch::channel(Mood::Well);
        Arc::new(Self {
            inner,
            mood,
            appends: AtomicU64::new(0),
            saves: AtomicU64::new(0),
        })
    }

    fn set(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    async fn mood(&self) -> Mood {
        let mut mood = self.mood.subscribe();
        *mood.wait_for(|mood| *mood != Mood::Hangs).await.unwrap()
    }

    async fn seqs(&self) -> Vec<u64> {
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

fn away() -> StoreError {
    StoreError::Unavailable("it is away".to_owned())
}

#[async_trait]
impl Store for MoodyStore {
    async fn append(&self, rows: Vec<HistoryRow>) -> Result<(), StoreError> {
        self.appends.fetch_add(1, Ordering::SeqCst);
        match self.mood().await {
            Mood::Away => Err(away()),
            Mood::Refuses => Err(StoreError::Corrupt("no sense".to_owned())),
            Mood::LosesAnswers => self.inner.append(rows).await.and_then(|()| Err(away())),
            Mood::Well | Mood::Hangs => self.inner.append(rows).await,
        }
    }

    async fn save_current(&self, rates: Vec<StoredRate>) -> Result<(), StoreError> {
        self.saves.fetch_add(1, Ordering::SeqCst);
        match self.mood().await {
            Mood::Away => Err(away()),
            _ => self.inner.save_current(rates).await,
        }
    }

    async fn migrate(&self) -> Result<SchemaState, StoreError> {
        self.inner.migrate().await
    }
    async fn schema(&self) -> Result<SchemaState, StoreError> {
        self.inner.schema().await
    }
    async fn begin_epoch(&self, shard: u16) -> Result<Epoch, StoreError> {
        self.inner.begin_epoch(shard).await
    }
    async fn load_current(&self) -> Result<Vec<StoredRate>, StoreError> {
        self.inner.load_current().await
    }
    async fn drop_current(&self, pairs: Vec<Pair>) -> Result<(), StoreError> {
        self.inner.drop_current(pairs).await
    }
    async fn terms(&self) -> Result<Option<String>, StoreError> {
        self.inner.terms().await
    }
    async fn save_terms(&self, terms: String) -> Result<(), StoreError> {
        self.inner.save_terms(terms).await
    }
    async fn history(&self, query: HistoryQuery) -> Result<HistoryPage, StoreError> {
        self.inner.history(query).await
    }
    async fn prune(&self, before: Wall) -> Result<u64, StoreError> {
        self.inner.prune(before).await
    }
    async fn tracked(&self) -> Result<Vec<TrackedSymbol>, StoreError> {
        self.inner.tracked().await
    }
    async fn track(&self, symbol: TrackedSymbol) -> Result<bool, StoreError> {
        self.inner.track(symbol).await
    }
    async fn untrack(&self, symbol: &str) -> Result<bool, StoreError> {
        self.inner.untrack(symbol).await
    }
    async fn seed(&self, symbols: Vec<TrackedSymbol>) -> Result<bool, StoreError> {
        self.inner.seed(symbols).await
    }
    async fn ping(&self) -> Result<(), StoreError> {
        self.inner.ping().await
    }
}

fn id(seq: u64) -> UpdateId {
    UpdateId {
        shard: 0,
        epoch: Epoch(1),
        seq: Seq(seq),
    }
}

fn row(seq: u64) -> HistoryRow {
    HistoryRow {
        pair: Pair::parse("BTC-USDT").unwrap(),
        source: SourceId::parse("binance").unwrap(),
        id: id(seq),
        value: Price::parse("54000.10").unwrap(),
        bid: None,
        ask: None,
        observed_at: None,
        received_at: Wall(i64::try_from(seq).unwrap()),
    }
}

fn rate(pair: &str, seq: u64) -> StoredRate {
    let source = SourceId::parse("binance").unwrap();
    let choice = Choice {
        source,
        since: Wall(0),
        reason: "".into(),
        skipped: Vec::new(),
    };
    let rate = Rate {
        pair: Pair::parse(pair).unwrap(),
        value: Price::parse(&format!("{}", seq + 1)).unwrap(),
        bid: None,
        ask: None,
        confidence: None,
        source,
        state: RateState::Fresh,
        legs: None,
        observed_at: Wall(0),
        published_at: Wall(0),
        valid_for: Duration::from_secs(5),
        evidence: None,
        depeg: None,
        choice: Arc::new(choice),
    };
    StoredRate { id: id(seq), rate }
}

fn quick() -> RecorderConfig {
    RecorderConfig {
        linger_ms: 5,
        retry_max_ms: 10,
        current_every_ms: 50,
        ..RecorderConfig::default()
    }
}

fn start(store: &Arc<MoodyStore>, config: RecorderConfig) -> RecorderHandle {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let store: Arc<dyn Store> = Arc::clone(store) as Arc<dyn Store>;
    let metrics = kurs_telemetry::Metrics::for_tests().writer.clone();
    Recorder::start(store, config, clock, metrics)
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn count(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::SeqCst)
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_recorded_is_stored_and_acknowledged() {
    let store = MoodyStore::new().await;
    let recorder = start(&store, quick());
    assert_eq!(recorder.acknowledged(), None);
    for seq in 0..5_000 {
        recorder.record(row(seq));
    }
    until("the last row is acknowledged", || {
        recorder.acknowledged() == Some(id(4_999))
    })
    .await;
    assert_eq!(store.seqs().await, (0..5_000).collect::<Vec<_>>());
    assert!(count(&store.appends) <= 20, "rows are written in batches");
    assert_eq!(count(&recorder.counters().rows_written), 5_000);
    assert_eq!(recorder.health(), RecorderHealth::Writing);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_store_holds_nobody_up_and_costs_the_oldest_rows() {
    let store = MoodyStore::new().await;
    let recorder = start(
        &store,
        RecorderConfig {
            queue_rows: 3_000,
            ..quick()
        },
    );
    store.set(Mood::Hangs);
    recorder.record(row(0));
    until("the store is asked", || count(&store.appends) == 1).await;
    for seq in 1..10_000 {
        recorder.record(row(seq));
    }
    assert_eq!(recorder.waiting(), 3_000);
    assert_eq!(count(&recorder.counters().rows_shed), 7_000);
    assert_eq!(recorder.acknowledged(), None, "nothing is durable yet");
    store.set(Mood::Well);
    until("all is written", || recorder.waiting() == 0).await;
    let expect: Vec<u64> = std::iter::once(0).chain(7_001..10_000).collect();
    assert_eq!(store.seqs().await, expect);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_wait_for_a_store_that_is_away_and_none_is_doubled() {
    let store = MoodyStore::new().await;
    let recorder = start(&store, quick());
    for mood in [Mood::Away, Mood::LosesAnswers] {
        store.set(mood);
        let first = recorder.counters().rows_taken.load(Ordering::SeqCst);
        for seq in first..first + 1_500 {
            recorder.record(row(seq));
        }
        until("it is noticed", || {
            matches!(recorder.health(), RecorderHealth::Waiting { .. })
        })
        .await;
        let tries = count(&store.appends);
        until("it is tried again", || count(&store.appends) > tries + 2).await;
        store.set(Mood::Well);
        until("all is written", || recorder.waiting() == 0).await;
        until("all is well", || {
            recorder.health() == RecorderHealth::Writing
        })
        .await;
    }
    assert_eq!(store.seqs().await, (0..3_000).collect::<Vec<_>>());
    assert_eq!(count(&recorder.counters().rows_shed), 0);
    assert_eq!(count(&recorder.counters().rows_written), 3_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_newest_rate_of_each_pair_is_written() {
    let store = MoodyStore::new().await;
    let recorder = start(&store, quick());
    store.set(Mood::Away);
    recorder.current(rate("BTC-USDT", 1));
    until("the store refused it", || {
        count(&recorder.counters().failures) > 0
    })
    .await;
    for seq in 2..1_000 {
        recorder.current(rate(
            ["BTC-USDT", "ETH-USDT"][usize::from(seq % 2 == 1)],
            seq,
        ));
    }
    store.set(Mood::Well);
    until("both are written", || {
        count(&recorder.counters().rates_written) >= 2
    })
    .await;
    let stored = store.load_current().await.unwrap();
    assert_eq!(stored, [rate("BTC-USDT", 998), rate("ETH-USDT", 999)]);
    assert!(count(&recorder.counters().rates_written) < 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn finishing_writes_what_waits() {
    let store = MoodyStore::new().await;
    let recorder = start(
        &store,
        RecorderConfig {
            linger_ms: 10_000,
            ..quick()
        },
    );
    for seq in 0..2_500 {
        recorder.record(row(seq));
    }
    recorder.current(rate("BTC-USDT", 1));
    assert_eq!(recorder.finish().await, Left { rows: 0, rates: 0 });
    assert_eq!(recorder.health(), RecorderHealth::Ended);
    assert_eq!(store.seqs().await.len(), 2_500);
    assert_eq!(store.load_current().await.unwrap().len(), 1);
    recorder.record(row(9_999));
    assert_eq!(
        (recorder.waiting(), count(&recorder.counters().rows_shed)),
        (0, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn finishing_does_not_wait_for_ever() {
    for mood in [Mood::Hangs, Mood::Away] {
        let store = MoodyStore::new().await;
        let recorder = start(
            &store,
            RecorderConfig {
                finish_ms: 50,
                ..quick()
            },
        );
        store.set(mood);
        for seq in 0..10 {
            recorder.record(row(seq));
        }
        let left = tokio::time::timeout(Duration::from_secs(20), recorder.finish())
            .await
            .unwrap();
        assert_eq!(left.rows, 10, "{mood:?}");
        until("it has ended", || {
            recorder.health() == RecorderHealth::Ended
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_can_never_be_stored_do_not_stop_the_others() {
    let store = MoodyStore::new().await;
    let recorder = start(&store, quick());
    store.set(Mood::Refuses);
    recorder.record(row(1));
    until("it is given up", || {
        count(&recorder.counters().rows_refused) == 1
    })
    .await;
    store.set(Mood::Well);
    recorder.record(row(2));
    until("the next is written", || {
        recorder.acknowledged() == Some(id(2))
    })
    .await;
    assert_eq!(store.seqs().await, [2]);
}

#[test]
fn all_mistakes_in_the_configuration_are_told_at_once() {
    let mut mistakes = Vec::new();
    RecorderConfig::default().validate(&mut mistakes);
    assert!(mistakes.is_empty(), "{mistakes:?}");
    RecorderConfig {
        queue_rows: 0,
        batch_rows: 0,
        linger_ms: 0,
        ..RecorderConfig::default()
    }
    .validate(&mut mistakes);
    assert_eq!(mistakes.len(), 3, "{mistakes:?}");
}
