//! What every [`Store`] must do. One suite for all implementations: hand [`run`] a function
//! that opens an empty store.
//!
//! A check panics with the promise that does not hold.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a conformance check fails by panicking, as any test does"
)]

use crate::{Cursor, HistoryQuery, HistoryRow, Store, StoreError, StoredRate};
use kurs_core::{
    Choice, Epoch, Pair, Price, Rate, RateState, Seq, SourceId, TrackedSymbol, UpdateId, Wall,
};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Runs every check, each on a store of its own that `fresh` opens, empty and not migrated.
pub async fn run<F, Opening>(fresh: F)
where
    F: Fn() -> Opening,
    Opening: Future<Output = Arc<dyn Store>>,
{
    an_empty_store_asks_to_be_migrated(&*fresh().await).await;
    for_migrated(&fresh, |store| async move {
        migrating_again_changes_nothing(&*store).await
    })
    .await;
    for_migrated(&fresh, |store| async move {
        epochs_grow_by_one_per_shard(&*store).await
    })
    .await;
    for_migrated(
        &fresh,
        |store| async move { digits_are_kept(&*store).await },
    )
    .await;
    for_migrated(&fresh, |store| async move {
        a_repeated_row_is_passed_over(&*store).await
    })
    .await;
    for_migrated(&fresh, |store| async move {
        history_is_ordered_and_bounded(&*store).await
    })
    .await;
    for_migrated(&fresh, |store| async move {
        pages_never_skip_or_repeat(&*store).await
    })
    .await;
    for_migrated(&fresh, many_may_append_at_once).await;
    for_migrated(&fresh, |store| async move {
        the_newest_current_rate_stays(&*store).await
    })
    .await;
    for_migrated(&fresh, |store| async move {
        symbols_are_tracked_once(&*store).await
    })
    .await;
    for_migrated(&fresh, |store| async move {
        seeding_happens_once(&*store).await
    })
    .await;
    for_migrated(&fresh, |store| async move {
        pruning_takes_the_old_and_only_that(&*store).await
    })
    .await;
}

async fn for_migrated<F, Opening, Check, Checking>(fresh: &F, check: Check)
where
    F: Fn() -> Opening,
    Opening: Future<Output = Arc<dyn Store>>,
    Check: FnOnce(Arc<dyn Store>) -> Checking,
    Checking: Future<Output = ()>,
{
    let store = fresh().await;
    store.migrate().await.unwrap();
    check(store).await;
}

/// A pair by its name.
#[must_use]
pub fn pair(text: &str) -> Pair {
    Pair::parse(text).unwrap()
}

/// A source by its name.
#[must_use]
pub fn source(text: &str) -> SourceId {
    SourceId::parse(text).unwrap()
}

/// A price by its text.
#[must_use]
pub fn price(text: &str) -> Price {
    Price::parse(text).unwrap()
}

/// The update `seq` of epoch 1 of shard 0.
#[must_use]
pub const fn id(seq: u64) -> UpdateId {
    UpdateId {
        shard: 0,
        epoch: Epoch(1),
        seq: Seq(seq),
    }
}

/// A row of BTC-USDT without sides.
#[must_use]
pub fn row(from: &str, seq: u64, received_at_us: i64) -> HistoryRow {
    HistoryRow {
        pair: pair("BTC-USDT"),
        source: source(from),
        id: id(seq),
        value: price("54000.01"),
        bid: None,
        ask: None,
        observed_at: None,
        received_at: Wall(received_at_us),
    }
}

/// Everything of BTC-USDT, `limit` rows a page.
#[must_use]
pub fn everything(limit: u32) -> HistoryQuery {
    HistoryQuery {
        pair: pair("BTC-USDT"),
        source: None,
        start: Wall::MIN,
        end: Wall::MAX,
        limit,
        after: None,
    }
}

/// All rows of a query, page by page.
///
/// # Errors
/// As [`Store::history`].
pub async fn all_pages(
    store: &dyn Store,
    query: HistoryQuery,
) -> Result<Vec<HistoryRow>, StoreError> {
    let mut query = query;
    let mut rows = Vec::new();
    loop {
        let page = store.history(query.clone()).await?;
        rows.extend(page.rows);
        if page.next.is_none() {
            return Ok(rows);
        }
        query.after = page.next;
    }
}

/// A current rate of `of` with the id `id`.
#[must_use]
pub fn rate(of: &str, id: UpdateId, value: &str) -> StoredRate {
    let rate = Rate {
        pair: pair(of),
        value: price(value),
        bid: Some(price("0.10")),
        ask: None,
        confidence: None,
        source: source("binance"),
        state: RateState::Fresh,
        legs: None,
        observed_at: Wall::from_unix_ms(1_000),
        published_at: Wall::from_unix_ms(1_001),
        valid_for: Duration::from_millis(5_000),
        evidence: None,
        depeg: None,
        choice: Arc::new(Choice {
            source: source("binance"),
            since: Wall::from_unix_ms(900),
            reason: "binance is first and live".into(),
            skipped: Vec::new(),
        }),
    };
    StoredRate { id, rate }
}

fn symbol(name: &str, of: &str, added_at_us: i64) -> TrackedSymbol {
    TrackedSymbol {
        symbol: name.into(),
        pair: pair(of),
        added_at: Wall(added_at_us),
    }
}

async fn an_empty_store_asks_to_be_migrated(store: &dyn Store) {
    let state = store.schema().await.unwrap();
    assert_eq!(state.found, 0, "an empty store has no schema version");
    assert!(state.needed > 0);
    let read = store.tracked().await.unwrap_err();
    assert!(
        matches!(read, StoreError::Schema { found: 0, .. }),
        "reading: {read}"
    );
    let written = store.append(vec![row("binance", 1, 1)]).await.unwrap_err();
    assert!(
        matches!(written, StoreError::Schema { found: 0, .. }),
        "writing: {written}"
    );
    assert!(written.to_string().contains("kurs migrate"), "{written}");
    let migrated = store.migrate().await.unwrap();
    assert_eq!(migrated, state);
    store.append(vec![row("binance", 1, 1)]).await.unwrap();
}

async fn migrating_again_changes_nothing(store: &dyn Store) {
    store.append(vec![row("binance", 1, 1)]).await.unwrap();
    let state = store.migrate().await.unwrap();
    assert_eq!(state.found, state.needed);
    assert_eq!(store.schema().await.unwrap(), state);
    assert_eq!(all_pages(store, everything(10)).await.unwrap().len(), 1);
    store.ping().await.unwrap();
}

async fn epochs_grow_by_one_per_shard(store: &dyn Store) {
    assert_eq!(store.begin_epoch(0).await.unwrap(), Epoch(1));
    assert_eq!(store.begin_epoch(0).await.unwrap(), Epoch(2));
    assert_eq!(store.begin_epoch(7).await.unwrap(), Epoch(1));
    assert_eq!(store.begin_epoch(0).await.unwrap(), Epoch(3));
}

async fn digits_are_kept(store: &dyn Store) {
    let sides = HistoryRow {
        value: price("54000.015"),
        bid: Some(price("54000.01000000")),
        ask: Some(price("54000.02000000")),
        observed_at: Some(Wall(1_700_000_000_123_456)),
        ..row("binance", 1, 1_700_000_000_200_001)
    };
    let long = HistoryRow {
        value: price("7922816251426433759354395033.5"),
        bid: Some(price("0.0000000000000000000000000001")),
        ask: Some(price("1.00")),
        observed_at: Some(Wall(1_700_000_001_000_000)),
        ..row("cbr", 2, 1_700_000_000_300_002)
    };
    let single = HistoryRow {
        value: price("90.50"),
        ..row("ecb", 3, 1_700_000_000_400_003)
    };
    let rows = vec![sides, long, single];
    store.append(rows.clone()).await.unwrap();
    let read = all_pages(store, everything(10)).await.unwrap();
    assert_eq!(read, rows);
    let texts = |rows: &[HistoryRow]| -> Vec<String> {
        rows.iter()
            .map(|row| format!("{:?} {:?} {:?}", row.value, row.bid, row.ask))
            .collect()
    };
    assert_eq!(texts(&read), texts(&rows), "trailing zeros");
}

async fn a_repeated_row_is_passed_over(store: &dyn Store) {
    let first = row("binance", 1, 100);
    store
        .append(vec![first.clone(), first.clone()])
        .await
        .unwrap();
    // The id decides, whatever else a repeat says.
    let later = HistoryRow {
        received_at: Wall(200),
        value: price("1"),
        ..first.clone()
    };
    store
        .append(vec![later, row("binance", 2, 200)])
        .await
        .unwrap();
    let other_source = row("kraken", 1, 100);
    let other_pair = HistoryRow {
        pair: pair("ETH-USDT"),
        ..first.clone()
    };
    let other_epoch = HistoryRow {
        id: UpdateId {
            epoch: Epoch(2),
            ..first.id
        },
        received_at: Wall(300),
        ..first.clone()
    };
    store
        .append(vec![other_source.clone(), other_pair, other_epoch.clone()])
        .await
        .unwrap();
    let expect = [first, other_source, row("binance", 2, 200), other_epoch];
    assert_eq!(all_pages(store, everything(10)).await.unwrap(), expect);
}

async fn history_is_ordered_and_bounded(store: &dyn Store) {
    // Neither stored in order of time nor, for one moment, in order of names.
    let rows = [
        row("kraken", 5, 20),
        row("binance", 4, 30),
        row("binance", 9, 20),
        row("cbr", 3, 20),
        row("binance", 2, 20),
        row("kraken", 1, 10),
    ];
    store.append(rows.to_vec()).await.unwrap();
    let seqs = async |query: HistoryQuery| -> Vec<u64> {
        store
            .history(query)
            .await
            .unwrap()
            .rows
            .iter()
            .map(|row| row.id.seq.0)
            .collect()
    };
    assert_eq!(seqs(everything(10)).await, [1, 2, 9, 3, 5, 4]);
    let window = HistoryQuery {
        start: Wall(20),
        end: Wall(30),
        ..everything(10)
    };
    assert_eq!(
        seqs(window).await,
        [2, 9, 3, 5],
        "start belongs to it, end does not"
    );
    let one_source = HistoryQuery {
        source: Some(source("binance")),
        ..everything(10)
    };
    assert_eq!(seqs(one_source).await, [2, 9, 4]);
    let unknown = HistoryQuery {
        source: Some(source("okx")),
        ..everything(10)
    };
    assert!(seqs(unknown).await.is_empty());
    let nothing = HistoryQuery {
        pair: pair("TON-USDT"),
        ..everything(10)
    };
    assert!(seqs(nothing).await.is_empty());
    let backwards = HistoryQuery {
        start: Wall(30),
        end: Wall(10),
        ..everything(10)
    };
    assert!(seqs(backwards).await.is_empty());
    assert_eq!(
        seqs(everything(0)).await,
        [1],
        "a page has at least one row"
    );
}

async fn pages_never_skip_or_repeat(store: &dyn Store) {
    let sources = ["binance", "kraken", "cbr"];
    let rows: Vec<HistoryRow> = (0..60)
        .map(|n| {
            row(
                sources[usize::try_from(n % 3).unwrap()],
                n,
                i64::try_from(n / 7).unwrap(),
            )
        })
        .collect();
    store.append(rows).await.unwrap();
    let whole = store.history(everything(60)).await.unwrap();
    assert_eq!(whole.rows.len(), 60);
    assert_eq!(whole.next, None, "a page that is just full is the last one");

    let mut query = everything(7);
    let mut read = Vec::new();
    let mut arriving = 1_000;
    loop {
        let page = store.history(query.clone()).await.unwrap();
        assert!(page.rows.len() <= 7);
        if let (Some(next), Some(last)) = (page.next, page.rows.last()) {
            let place = Cursor {
                received_at: last.received_at,
                source: last.source,
                id: last.id,
            };
            assert_eq!(next, place, "the next page starts after the last row");
        }
        read.extend(page.rows);
        if page.next.is_none() || read.len() > 60 {
            break;
        }
        query.after = page.next;
        arriving += 1;
        // At the end of time and, as a late row does, before everything that was read.
        store
            .append(vec![row("okx", arriving, 1_000), row("aaa", arriving, -1)])
            .await
            .unwrap();
    }
    read.truncate(60);
    assert_eq!(read, whole.rows);
}

async fn many_may_append_at_once(store: Arc<dyn Store>) {
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..20 {
        let store = Arc::clone(&store);
        tasks.spawn(async move {
            for n in 0..5 {
                let seq = task * 5 + n;
                store.append(vec![row("binance", seq, 10)]).await.unwrap();
                // Acknowledged, so it is there.
                let found = all_pages(&*store, everything(7)).await.unwrap();
                assert!(found.iter().any(|row| row.id.seq.0 == seq), "row {seq}");
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let seqs: Vec<u64> = all_pages(&*store, everything(1_000))
        .await
        .unwrap()
        .iter()
        .map(|row| row.id.seq.0)
        .collect();
    assert_eq!(seqs, (0..100).collect::<Vec<_>>());
}

async fn the_newest_current_rate_stays(store: &dyn Store) {
    let new_epoch = UpdateId {
        shard: 0,
        epoch: Epoch(2),
        seq: Seq(1),
    };
    store
        .save_current(vec![
            rate("BTC-USDT", id(9), "9.00"),
            rate("USDT-USD", id(1), "1"),
        ])
        .await
        .unwrap();
    store
        .save_current(vec![rate("BTC-USDT", id(8), "8")])
        .await
        .unwrap();
    let kept = [
        rate("BTC-USDT", id(9), "9.00"),
        rate("USDT-USD", id(1), "1"),
    ];
    assert_eq!(
        by_pair(store.load_current().await.unwrap()),
        kept,
        "an older rate is refused"
    );
    store
        .save_current(vec![
            rate("BTC-USDT", new_epoch, "2"),
            rate("BTC-USDT", id(10), "10"),
        ])
        .await
        .unwrap();
    let kept = [
        rate("BTC-USDT", new_epoch, "2"),
        rate("USDT-USD", id(1), "1"),
    ];
    assert_eq!(
        by_pair(store.load_current().await.unwrap()),
        kept,
        "a greater epoch wins"
    );
}

fn by_pair(mut rates: Vec<StoredRate>) -> Vec<StoredRate> {
    rates.sort_by_key(|stored| stored.rate.pair);
    rates
}

async fn symbols_are_tracked_once(store: &dyn Store) {
    let (bitcoin, ether) = (
        symbol("BTCUSDT", "BTC-USDT", 2_001),
        symbol("ETHUSDT", "ETH-USDT", 1_001),
    );
    assert!(store.track(bitcoin.clone()).await.unwrap());
    assert!(store.track(ether.clone()).await.unwrap());
    let again = TrackedSymbol {
        added_at: Wall(5),
        ..bitcoin.clone()
    };
    assert!(!store.track(again).await.unwrap(), "it was there");
    assert_eq!(
        store.tracked().await.unwrap(),
        [ether.clone(), bitcoin],
        "oldest first"
    );
    assert!(store.untrack("BTCUSDT").await.unwrap());
    assert!(!store.untrack("BTCUSDT").await.unwrap(), "it was gone");
    assert_eq!(store.tracked().await.unwrap(), [ether]);
}

async fn seeding_happens_once(store: &dyn Store) {
    let (bitcoin, ether) = (
        symbol("BTCUSDT", "BTC-USDT", 1),
        symbol("ETHUSDT", "ETH-USDT", 2),
    );
    assert!(
        store
            .seed(vec![bitcoin.clone(), ether.clone()])
            .await
            .unwrap()
    );
    assert!(store.untrack("BTCUSDT").await.unwrap());
    assert!(!store.seed(vec![bitcoin, ether.clone()]).await.unwrap());
    assert_eq!(
        store.tracked().await.unwrap(),
        [ether],
        "what was removed by hand stays removed"
    );
}

async fn pruning_takes_the_old_and_only_that(store: &dyn Store) {
    let mut rows: Vec<HistoryRow> = (0..300)
        .map(|n| row("binance", n, i64::try_from(n).unwrap()))
        .collect();
    rows.push(row("cbr", 1, 5));
    rows.push(HistoryRow {
        pair: pair("ETH-USDT"),
        ..row("cbr", 1, 5)
    });
    store.append(rows).await.unwrap();
    assert_eq!(store.prune(Wall(0)).await.unwrap(), 0);
    assert_eq!(store.prune(Wall(100)).await.unwrap(), 102);
    assert_eq!(store.prune(Wall(100)).await.unwrap(), 0);
    let left = all_pages(store, everything(1_000)).await.unwrap();
    assert_eq!(left.len(), 200);
    assert!(left.iter().all(|row| row.received_at >= Wall(100)));
}
