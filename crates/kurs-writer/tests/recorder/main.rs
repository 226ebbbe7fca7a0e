//! Promises of the recorder, on a store that can be told to fail.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking; helpers are no test functions"
)]

mod moody;
mod spool;

use kurs_core::{
    Choice, Clock, Epoch, Pair, Price, Rate, RateState, Seq, SourceId, SystemClock, UpdateId, Wall,
};
use kurs_store::{
    Candle, CandleQuery, HistoryRow, Interval, Origin, Published, Recorded, Store, StoredRate,
};
use kurs_writer::recorder::{
    Extras, Fold, Left, Recorder, RecorderConfig, RecorderHandle, RecorderHealth,
};
use moody::{Mood, MoodyStore};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

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

fn event(seq: u64) -> Published {
    let mut rate = rate("BTC-USDT", seq).rate;
    rate.published_at = Wall::from_unix_ms(i64::try_from(seq).unwrap());
    Published::rate(id(seq), rate)
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
    start_with(store, config, Extras::default())
}

fn start_with(store: &Arc<MoodyStore>, config: RecorderConfig, extras: Extras) -> RecorderHandle {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let store: Arc<dyn Store> = Arc::clone(store) as Arc<dyn Store>;
    let metrics = kurs_telemetry::Metrics::for_tests().writer.clone();
    Recorder::start_with(store, config, clock, metrics, extras)
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
    let stored: Vec<StoredRate> = stored.into_iter().map(|current| current.stored).collect();
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
    assert_eq!(recorder.finish().await, Left::default());
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

#[tokio::test(flavor = "multi_thread")]
async fn of_a_batch_only_what_can_never_be_stored_is_given_up() {
    let store = MoodyStore::new().await;
    store.set(Mood::RefusesRow(57));
    let recorder = start(&store, quick());
    for seq in 0..100 {
        recorder.record(row(seq));
        recorder.published(event(seq));
    }
    until("the last row is acknowledged", || {
        recorder.acknowledged() == Some(id(99)) && recorder.waiting() == 0
    })
    .await;
    let expect: Vec<u64> = (0..100).filter(|seq| *seq != 57).collect();
    assert_eq!(store.seqs().await, expect);
    assert_eq!(store.published_seqs().await.len(), 100);
    let counters = recorder.counters();
    assert_eq!(count(&counters.rows_refused), 1);
    assert_eq!(count(&counters.rows_written), 99);
}

#[derive(Default)]
struct Seen {
    rows: Vec<u64>,
    events: Vec<u64>,
    takes: u64,
    open: Option<Candle>,
}

/// Notes what it is given.
struct Notes(Arc<Mutex<Seen>>);

impl Fold for Notes {
    fn row(&mut self, row: &HistoryRow) {
        self.0.lock().rows.push(row.id.seq.0);
    }
    fn published(&mut self, event: &Published) {
        self.0.lock().events.push(event.id.seq.0);
    }
    fn take(&mut self, _now: Wall) -> Vec<Candle> {
        self.0.lock().takes += 1;
        Vec::new()
    }
    fn end(&mut self, _now: Wall) -> Vec<Candle> {
        // What is not closed is given at the end only.
        self.0.lock().open.take().into_iter().collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_makes_candles_sees_everything_once_and_is_asked_in_silence_too() {
    let store = MoodyStore::new().await;
    let seen = Arc::new(Mutex::new(Seen::default()));
    let extras = Extras {
        fold: Some(Box::new(Notes(Arc::clone(&seen)))),
        ..Extras::default()
    };
    let recorder = start_with(&store, quick(), extras);
    store.set(Mood::Away);
    for seq in 0..3_000 {
        recorder.record(row(seq));
        recorder.published(event(seq));
    }
    until("it is tried again", || count(&store.appends) > 3).await;
    store.set(Mood::Well);
    until("all is written", || recorder.waiting() == 0).await;
    until("events too", || recorder.waiting_events() == 0).await;
    let expect: Vec<u64> = (0..3_000).collect();
    assert_eq!(seen.lock().rows, expect);
    assert_eq!(seen.lock().events, expect);
    let takes = seen.lock().takes;
    until("it is asked again", || seen.lock().takes > takes + 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_candle_that_is_open_at_the_end_is_stored() {
    let store = MoodyStore::new().await;
    let seen = Arc::new(Mutex::new(Seen::default()));
    let extras = Extras {
        fold: Some(Box::new(Notes(Arc::clone(&seen)))),
        ..Extras::default()
    };
    let recorder = start_with(&store, quick(), extras);
    recorder.record(row(1));
    until("it is written", || recorder.waiting() == 0).await;
    let value = row(1).value;
    seen.lock().open = Some(Candle {
        pair: row(1).pair,
        source: None,
        interval: Interval::Hour,
        start: Wall(0),
        open: value,
        high: value,
        low: value,
        close: value,
        count: 1,
        origin: Origin::Live,
    });
    recorder.finish().await;
    let query = CandleQuery {
        pair: row(1).pair,
        source: None,
        interval: Interval::Hour,
        start: Wall(0),
        end: Wall(1),
        limit: 10,
    };
    assert_eq!(store.candles(query).await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn how_far_everything_is_recorded_is_written_in_silence_too() {
    let store = MoodyStore::new().await;
    let recorder = start(&store, quick());
    recorder.published(event(10));
    for at in [1_000, 5_000_000] {
        recorder.recorded(Recorded {
            shard: 0,
            until: Wall(at * 1_000),
        });
        let started = Instant::now();
        while store.recorded_until().await.unwrap() != Some(Wall(at * 1_000)) {
            assert!(started.elapsed() < Duration::from_secs(20), "{at}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(store.published_seqs().await, [10]);
    }
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
