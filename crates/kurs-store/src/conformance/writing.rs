//! What must hold of a batch.

use super::builders::Told;
use super::{all_pages, current, everything, id, one_of_everything, row};
use crate::{Batch, Recorded, Store, StoreError};
use kurs_core::Wall;

pub(super) async fn a_batch_is_stored_wholly_or_not_at_all(store: &dyn Store) {
    store.write(one_of_everything(1)).await.unwrap();
    let before = Told::by(store).await;
    // An id beyond what can be stored, in what is written last.
    let mut bad = one_of_everything(2);
    bad.current = vec![current("ETH-USDT", id(u64::MAX), "1")];
    let error = store.write(bad).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
    let mut bad = one_of_everything(2);
    bad.rows.push(row("kraken", u64::MAX, 1));
    store.write(bad).await.unwrap_err();
    assert_eq!(Told::by(store).await, before);
    store.write(one_of_everything(2)).await.unwrap();
    let after = Told::by(store).await;
    assert_eq!(after.rows.len(), 2);
    assert_eq!(after.published.len(), 2);
    assert_eq!(after.candles.len(), 2);
    assert_eq!(after.gaps.len(), 2);
    assert_eq!(after.books.len(), 2);
    assert_eq!(after.official.len(), 2);
    assert_eq!(after.recorded_until, Some(Wall(2_000)));
    store.write(Batch::default()).await.unwrap();
    assert_eq!(Told::by(store).await, after);
}

pub(super) async fn a_repeated_batch_doubles_nothing(store: &dyn Store) {
    let seqs = 1..40;
    let mut whole = Batch::default();
    for seq in seqs.clone() {
        let one = one_of_everything(seq);
        whole.rows.extend(one.rows);
        whole.published.extend(one.published);
        whole.states.extend(one.states);
        whole.candles.extend(one.candles);
        whole.gaps.extend(one.gaps);
        whole.books.extend(one.books);
        whole.official.extend(one.official);
        whole.current.extend(one.current);
        whole.recorded_until = one.recorded_until;
    }
    store.write(whole.clone()).await.unwrap();
    let told = Told::by(store).await;
    assert_eq!(told.rows, whole.rows);
    assert_eq!(told.published, whole.published);
    assert_eq!(told.states, whole.states[38..]);
    assert_eq!(told.candles, whole.candles);
    assert_eq!(told.gaps, whole.gaps);
    assert_eq!(told.books, whole.books);
    assert_eq!(told.official.len(), whole.official.len());

    let in_a_day = Wall(40_000 + 2 * 86_400_000_000);
    for packs in [false, true] {
        if packs {
            let packing = store.pack(in_a_day).await.unwrap();
            assert_eq!((packing.rows, packing.published), (39, 39));
            assert_eq!(Told::by(store).await, told, "packing changes no answer");
        }
        store.write(whole.clone()).await.unwrap();
        assert_eq!(Told::by(store).await, told, "as a whole, packed: {packs}");
        // In other pieces, in another order.
        for seq in seqs.clone().rev() {
            store.write(one_of_everything(seq)).await.unwrap();
        }
        assert_eq!(Told::by(store).await, told, "in pieces, packed: {packs}");
        store.append(whole.rows.clone()).await.unwrap();
        assert_eq!(Told::by(store).await, told, "rows alone, packed: {packs}");
    }
    let again = store.pack(in_a_day).await.unwrap();
    assert_eq!((again.rows, again.published), (0, 0), "nothing was doubled");
}

pub(super) async fn what_comes_late_is_stored_beside_blocks(store: &dyn Store) {
    let rows: Vec<_> = (1..10).map(|seq| row("binance", seq * 10, 1_000)).collect();
    store.append(rows.clone()).await.unwrap();
    let later = Wall(3 * 86_400_000_000);
    assert_eq!(store.pack(later).await.unwrap().rows, 9);
    // Before the block, among its rows, at its edges, and behind it.
    let late = [
        row("binance", 1, 500),
        row("binance", 5, 1_000),
        row("binance", 15, 1_000),
        row("binance", 95, 1_000),
        row("binance", 96, 1_001),
    ];
    let mut all = [rows, late.to_vec()].concat();
    all.sort_by_key(|row| (row.received_at, row.id));
    for _ in 0..2 {
        store.append(all.clone()).await.unwrap();
        for limit in [1, 3, 100] {
            let read = all_pages(store, everything(limit)).await.unwrap();
            assert_eq!(read, all, "pages of {limit}");
        }
        store.pack(later).await.unwrap();
    }
}

pub(super) async fn how_far_a_shard_is_recorded_never_goes_back(store: &dyn Store) {
    let until = async |shard: u16, until: i64| {
        let recorded_until = Some(Recorded {
            shard,
            until: Wall(until),
        });
        let batch = Batch {
            recorded_until,
            ..Batch::default()
        };
        store.write(batch).await.unwrap();
        store.recorded_until().await.unwrap()
    };
    assert_eq!(store.recorded_until().await.unwrap(), None);
    assert_eq!(until(0, 500).await, Some(Wall(500)));
    assert_eq!(until(0, 400).await, Some(Wall(500)), "the greatest stays");
    assert_eq!(until(3, 100).await, Some(Wall(100)), "the least of shards");
    assert_eq!(until(3, 900).await, Some(Wall(500)));
}
