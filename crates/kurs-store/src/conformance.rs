//! What every [`Store`] must do. One suite for all implementations: hand [`run`] a function
//! that opens an empty store.
//!
//! A check panics with the promise that does not hold.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a conformance check fails by panicking, as any test does"
)]

mod builders;
mod history;

use builders::symbol;
pub use builders::{all_pages, everything, id, pair, price, rate, row, source};
use history::{
    a_repeated_row_is_passed_over, digits_are_kept, history_is_ordered_and_bounded,
    many_may_append_at_once, pages_never_skip_or_repeat, pruning_takes_the_old_and_only_that,
};

use crate::{Store, StoreError, StoredRate};
use kurs_core::{Epoch, Pair, Seq, TrackedSymbol, UpdateId, Wall};
use std::future::Future;
use std::sync::Arc;

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
        dropped_current_rates_are_gone_and_may_come_again(&*store).await
    })
    .await;
    for_migrated(&fresh, |store| async move {
        terms_are_kept_as_they_were_written(&*store).await
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

async fn dropped_current_rates_are_gone_and_may_come_again(store: &dyn Store) {
    let [bitcoin, dollar] = [
        rate("BTC-USDT", id(9), "9.00"),
        rate("USDT-USD", id(2), "1"),
    ];
    store
        .save_current(vec![bitcoin.clone(), dollar.clone()])
        .await
        .unwrap();
    let never_kept = Pair::parse("ETH-EUR").unwrap();
    store
        .drop_current(vec![bitcoin.rate.pair, never_kept])
        .await
        .unwrap();
    assert_eq!(store.load_current().await.unwrap(), [dollar]);
    store.save_current(vec![bitcoin.clone()]).await.unwrap();
    assert!(store.load_current().await.unwrap().contains(&bitcoin));
}

async fn terms_are_kept_as_they_were_written(store: &dyn Store) {
    assert_eq!(store.terms().await.unwrap(), None);
    for terms in ["{}", r#"{"policies":{"BTC-RUB":"\u0000 ключ"}}"#] {
        store.save_terms(terms.to_owned()).await.unwrap();
        assert_eq!(store.terms().await.unwrap().as_deref(), Some(terms));
    }
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
