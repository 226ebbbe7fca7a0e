use super::*;
use kurs_core::{ManualClock, Mono, Now};
use kurs_store::sqlite::{SqliteOptions, SqliteStore};
use kurs_store::{Batch, CandleQuery, Origin, Recorded, Store, StoreError};
use parking_lot::Mutex;

async fn store() -> SqliteStore {
    let store = SqliteStore::open(":memory:", SqliteOptions::default()).unwrap();
    store.migrate().await.unwrap();
    store
}

async fn stored(store: &SqliteStore, interval: Interval) -> Vec<String> {
    let query = CandleQuery {
        pair: pair("BTC-USDT"),
        source: Some(row(0, 0, 1).source),
        interval,
        start: Wall::MIN,
        end: Wall::MAX,
        limit: 100,
    };
    store
        .candles(query)
        .await
        .unwrap()
        .iter()
        .map(text)
        .collect()
}

async fn save(store: &SqliteStore, rows: &[HistoryRow], candles: Vec<Candle>) {
    let batch = Batch {
        rows: rows.to_vec(),
        candles,
        ..Batch::default()
    };
    store.write(batch).await.unwrap();
}

async fn mended(folder: &Mutex<Folder>, store: &SqliteStore) -> Result<usize, StoreError> {
    let dirty = folder.lock().dirty(10);
    let count = dirty.len();
    mend(folder, store, dirty).await.map(|()| count)
}

#[tokio::test]
async fn after_a_kill_the_open_candles_are_taken_up_where_they_stood() {
    let store = store().await;
    let mut before = completed(CandlesConfig::default(), &row(1, 0, 10));
    let candles = before.take(after(5_000));
    // This row is stored, and its candles are not: the process is killed.
    let lost = row(2, 70_000, 20);
    save(&store, &[row(1, 0, 10), lost], candles).await;

    let folder = Mutex::new(Folder::new(CandlesConfig::default()));
    let first = row(3, 1_900_000, 5);
    folder.lock().row(&first);
    let candles = folder.lock().take(after(1_900_000));
    save(&store, &[first], candles).await;
    assert_eq!(mended(&folder, &store).await.unwrap(), 1);
    let candles = folder.lock().take(after(1_906_000));
    save(&store, &[], candles).await;
    assert_eq!(
        stored(&store, Interval::Minute).await,
        [
            "1m 2026-11-21T10:00:00.000Z 10 10 10 10 1",
            "1m 2026-11-21T10:01:00.000Z 20 20 20 20 1",
            "1m 2026-11-21T10:31:00.000Z 5 5 5 5 1",
        ]
    );
    assert_eq!(
        stored(&store, Interval::FiveMinutes).await,
        [
            "5m 2026-11-21T10:00:00.000Z 10 20 10 20 2",
            "5m 2026-11-21T10:30:00.000Z 5 5 5 5 1"
        ]
    );
    assert_eq!(
        stored(&store, Interval::Hour).await,
        ["1h 2026-11-21T10:00:00.000Z 10 20 5 5 3"]
    );
    assert_eq!(
        stored(&store, Interval::Day).await,
        ["1d 2026-11-21T00:00:00.000Z 10 20 5 5 3"]
    );
}

#[tokio::test]
async fn a_candle_that_knows_more_than_the_rows_that_are_left_is_kept() {
    let store = store().await;
    let mut folder = completed(CandlesConfig::default(), &row(1, 0, 10));
    folder.row(&row(2, 1_000, 30));
    folder.row(&row(3, 60_000, 11));
    // The spool was full: row 2 never reached the store.
    let candles = folder.take(after(60_000));
    save(&store, &[row(1, 0, 10), row(3, 60_000, 11)], candles).await;
    folder.row(&row(4, 2_000, 7));
    let candles = folder.take(after(61_000));
    save(&store, &[row(4, 2_000, 7)], candles).await;
    let folder = Mutex::new(folder);
    mended(&folder, &store).await.unwrap();
    assert_eq!(
        stored(&store, Interval::Minute).await[0],
        "1m 2026-11-21T10:00:00.000Z 10 30 7 7 2",
    );
}

#[tokio::test]
async fn what_the_archive_filled_in_is_no_part_of_what_was_received() {
    let store = store().await;
    let mut folder = completed(CandlesConfig::default(), &row(1, 0, 10));
    folder.row(&row(2, 300_000, 11));
    let mut candles = folder.take(after(300_000));
    let filled = Candle {
        high: Price::new(99_u32.into()).unwrap(),
        count: 0,
        origin: Origin::Backfill,
        ..candles[0].clone()
    };
    assert_eq!(filled.interval, Interval::Minute);
    candles.push(filled);
    save(&store, &[row(1, 0, 10), row(2, 300_000, 11)], candles).await;
    folder.row(&row(3, 2_000, 12));
    let candles = folder.take(after(300_000));
    save(&store, &[row(3, 2_000, 12)], candles).await;
    let folder = Mutex::new(folder);
    mended(&folder, &store).await.unwrap();
    assert_eq!(
        stored(&store, Interval::FiveMinutes).await[0],
        "5m 2026-11-21T10:00:00.000Z 10 12 10 12 2"
    );
}

#[tokio::test]
async fn candles_can_be_made_of_rows_that_are_older_than_them() {
    let store = store().await;
    let rows: Vec<_> = (0..100_u32)
        .map(|number| row(number.into(), i64::from(number) * 60_000, 10 + number))
        .collect();
    save(&store, &rows, Vec::new()).await;
    let series = Series::of_row(&rows[0]);
    let written = mend::rebuild(&store, series, START, after(86_400_000))
        .await
        .unwrap();
    assert_eq!(written, 100 + 20 + 2 + 1);
    assert_eq!(
        stored(&store, Interval::Hour).await,
        [
            "1h 2026-11-21T10:00:00.000Z 10 69 10 69 60",
            "1h 2026-11-21T11:00:00.000Z 70 109 70 109 40"
        ]
    );
}

#[tokio::test]
async fn what_the_store_refuses_is_named_again() {
    let unmigrated = SqliteStore::open(":memory:", SqliteOptions::default()).unwrap();
    let folder = Mutex::new(Folder::new(CandlesConfig::default()));
    folder.lock().row(&row(1, 0, 10));
    folder.lock().take(after(0));
    assert!(mended(&folder, &unmigrated).await.is_err());
    assert!(!folder.lock().is_clean());
    let store = store().await;
    assert_eq!(mended(&folder, &store).await.unwrap(), 1);
    assert!(folder.lock().is_clean());
}

#[tokio::test]
async fn nothing_is_mended_before_the_store_says_that_all_of_it_is_recorded() {
    let store = Arc::new(store().await);
    let folder = Arc::new(Mutex::new(Folder::new(CandlesConfig::default())));
    let now = Now {
        mono: Mono(1),
        wall: after(0),
    };
    let task = tokio::spawn(keep_mended(
        Arc::clone(&folder),
        0,
        Arc::clone(&store) as Arc<dyn Store>,
        Arc::new(ManualClock::new(now)),
    ));
    let told = |milliseconds| {
        let recorded_until = Some(Recorded {
            shard: 0,
            until: after(milliseconds),
        });
        Batch {
            recorded_until,
            ..Batch::default()
        }
    };
    store.write(told(1)).await.unwrap();
    let first = row(1, 1_000, 10);
    folder.lock().row(&first);
    folder.lock().take(after(2_000));
    // Named, and waited for: not before two seconds are recorded.
    until(|| folder.lock().is_clean()).await;
    save(&store, &[first], Vec::new()).await;
    assert!(folder.lock().take(after(8_000)).is_empty(), "not known yet");
    store.write(told(2_001)).await.unwrap();
    until(|| !folder.lock().drain().is_empty()).await;
    task.abort();
}

/// Waits for a condition.
async fn until(is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait)
        .await
        .expect("in time");
}
