//! What must hold of current rates.

use super::builders::rates;
use super::{current, id, rate};
use crate::{CurrentRate, CurrentRates, Store};
use kurs_core::{Epoch, Pair, Seq, UpdateId};
use std::time::{Duration, Instant};

pub(super) async fn the_newest_current_rate_stays(store: &dyn Store) {
    let new_epoch = UpdateId {
        shard: 0,
        epoch: Epoch(2),
        seq: Seq(1),
    };
    let save = async |current| store.save_current(current).await.unwrap();
    save(vec![
        current("BTC-USDT", id(9), "9.00"),
        current("USDT-USD", id(1), "1"),
    ])
    .await;
    save(vec![current("BTC-USDT", id(8), "8")]).await;
    let kept = [
        rate("BTC-USDT", id(9), "9.00"),
        rate("USDT-USD", id(1), "1"),
    ];
    assert_eq!(
        rates(store.load_current().await.unwrap()),
        kept,
        "an older rate is refused"
    );
    save(vec![
        current("BTC-USDT", new_epoch, "2"),
        current("BTC-USDT", id(10), "10"),
    ])
    .await;
    let kept = [
        rate("BTC-USDT", new_epoch, "2"),
        rate("USDT-USD", id(1), "1"),
    ];
    assert_eq!(
        rates(store.load_current().await.unwrap()),
        kept,
        "a greater epoch wins"
    );
}

pub(super) async fn dropped_current_rates_are_gone_and_may_come_again(store: &dyn Store) {
    let [bitcoin, dollar] = [
        current("BTC-USDT", id(9), "9.00"),
        current("USDT-USD", id(2), "1"),
    ];
    store
        .save_current(vec![bitcoin.clone(), dollar.clone()])
        .await
        .unwrap();
    let never_kept = Pair::parse("ETH-EUR").unwrap();
    store
        .drop_current(vec![bitcoin.stored.rate.pair, never_kept], None)
        .await
        .unwrap();
    assert_eq!(rates(store.load_current().await.unwrap()), [dollar.stored]);
    store.save_current(vec![bitcoin.clone()]).await.unwrap();
    assert!(rates(store.load_current().await.unwrap()).contains(&bitcoin.stored));
}

pub(super) async fn a_rate_of_another_shard_replaces(store: &dyn Store) {
    let of_shard = |shard: u16, seq: u64, value: &str| {
        let id = UpdateId { shard, ..id(seq) };
        current("BTC-USDT", id, value)
    };
    let save = async |current| {
        store.save_current(current).await.unwrap();
        let kept = rates(store.load_current().await.unwrap());
        let [kept] = &kept[..] else {
            panic!("{kept:?}");
        };
        (kept.id.shard, kept.id.seq.0)
    };
    assert_eq!(save(vec![of_shard(3, 9, "1")]).await, (3, 9));
    assert_eq!(save(vec![of_shard(1, 2, "2")]).await, (1, 2));
    assert_eq!(save(vec![of_shard(1, 1, "3")]).await, (1, 2));
    let moves = vec![
        of_shard(1, 7, "4"),
        of_shard(3, 4, "5"),
        of_shard(3, 3, "6"),
    ];
    assert_eq!(save(moves).await, (3, 4), "one after another");
}

pub(super) async fn what_is_left_of_a_rate_is_counted_down(store: &dyn Store) {
    let left = |seq: u64, of: &str, left: Duration| CurrentRate {
        left,
        ..current(of, id(seq), "1")
    };
    let minute = Duration::from_secs(60);
    store
        .save_current(vec![
            left(1, "BTC-USDT", minute),
            left(2, "ETH-USDT", Duration::ZERO),
            left(3, "XRP-USDT", Duration::MAX),
        ])
        .await
        .unwrap();
    // The rates themselves say that they ended in 1970.
    let began = Instant::now();
    let load = async || store.load_current().await.unwrap();
    let first = load().await;
    let pairs: Vec<_> = first
        .iter()
        .map(|current| current.stored.rate.pair.to_string())
        .collect();
    assert_eq!(pairs, ["BTC-USDT", "ETH-USDT", "XRP-USDT"]);
    assert!(!first[0].left.is_zero() && first[0].left <= minute);
    assert!(first[1].left.is_zero());
    assert!(first[2].left > minute * 60 * 24 * 365);
    while load().await[0].left >= first[0].left {
        assert!(began.elapsed() < minute, "it is not counted down");
    }
}

pub(super) async fn what_changed_since_an_answer_is_told_and_nothing_is_missed(store: &dyn Store) {
    let none = store.changed_current(None).await.unwrap();
    assert!(none.rates.is_empty());
    let begin = none.until.expect("the store knows what time it is");
    let save = async |seq: u64, of: &str| {
        let rates = vec![current(of, id(seq), "1")];
        store.save_current(rates).await.unwrap();
    };
    let names = |changed: &CurrentRates| -> Vec<String> {
        let rates = changed.rates.iter();
        rates
            .map(|current| current.stored.rate.pair.to_string())
            .collect()
    };
    save(1, "ETH-USDT").await;
    save(2, "BTC-USDT").await;
    for since in [None, Some(begin)] {
        let changed = store.changed_current(since).await.unwrap();
        assert_eq!(names(&changed), ["BTC-USDT", "ETH-USDT"]);
        assert!(changed.until >= Some(begin));
    }
    let hour = Duration::from_secs(3_600);
    let all = store.changed_current(None).await.unwrap().until.unwrap();
    let ahead = store.changed_current(Some(all.plus(hour))).await.unwrap();
    assert_eq!(ahead.rates.len(), 2, "a clock that went back hides nothing");
    save(3, "BTC-USDT").await;
    let changed = store.changed_current(Some(all)).await.unwrap();
    assert!(names(&changed).contains(&"BTC-USDT".to_owned()));
}
