//! What must hold of leases.

use super::{begin_epoch, claim, symbol};
use crate::{Beat, Claim, Fence, Lease, Store, StoreError};
use kurs_core::Epoch;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longer than any check takes.
const LONG: Duration = Duration::from_secs(60);
/// Over before the next question can be asked, nearly.
const SHORT: Duration = Duration::from_millis(1);
const HANG: Duration = Duration::from_secs(20);

pub(super) const fn fence(shard: u16, epoch: u64) -> Fence {
    Fence {
        shard,
        epoch: Epoch(epoch),
    }
}

fn beat(writer: &str, ttl: Duration, held: &[Fence]) -> Beat {
    Beat {
        writer: writer.into(),
        ttl,
        is_ready: true,
        held: held.to_vec(),
    }
}

/// Asks until the answer is yes.
async fn until<Asking: Future<Output = bool>>(what: &str, ask: impl Fn() -> Asking) {
    let began = Instant::now();
    while !ask().await {
        assert!(began.elapsed() < HANG, "{what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn take(store: &dyn Store, shard: u16, writer: &str) -> Option<Epoch> {
    store.claim(claim(shard, writer)).await.unwrap()
}

async fn lease(store: &dyn Store, shard: u16) -> Lease {
    let leases = store.renew(beat("watcher", LONG, &[])).await.unwrap();
    let mut shards = leases.shards.into_iter();
    shards.find(|lease| lease.shard == shard).unwrap()
}

pub(super) async fn a_lease_has_one_holder_and_epochs_grow_by_one_per_shard(store: &dyn Store) {
    assert_eq!(take(store, 0, "a").await, Some(Epoch(1)));
    assert_eq!(take(store, 0, "b").await, None, "a holds it");
    assert_eq!(take(store, 0, "a").await, None, "whoever asks");
    assert_eq!(take(store, 7, "b").await, Some(Epoch(1)));
    assert_eq!(begin_epoch(store, 0).await, Epoch(2), "a cannot be alive");
    assert_eq!(begin_epoch(store, 0).await, Epoch(3));
    assert_eq!(take(store, 0, "b").await, None);
    assert_eq!(begin_epoch(store, 7).await, Epoch(2));
}

pub(super) async fn a_lease_that_ran_out_goes_to_whoever_comes_first(store: &dyn Store) {
    let short = Claim {
        ttl: SHORT,
        ..claim(0, "a")
    };
    assert_eq!(store.claim(short).await.unwrap(), Some(Epoch(1)));
    until("it runs out", || async {
        take(store, 0, "b").await == Some(Epoch(2))
    })
    .await;
    assert_eq!(take(store, 0, "a").await, None);
    let leases = store.renew(beat("a", LONG, &[fence(0, 1)])).await.unwrap();
    assert_eq!(leases.shards.len(), 1);
    let lease = &leases.shards[0];
    assert_eq!((&*lease.writer, lease.epoch), ("b", Epoch(2)));
}

pub(super) async fn renewing_makes_leases_last_and_tells_how_all_stand(store: &dyn Store) {
    let empty = store.renew(beat("a", LONG, &[])).await.unwrap();
    assert!(empty.shards.is_empty(), "nobody ever wrote a shard");
    assert_eq!(empty.writers.len(), 1);
    for shard in [0, 1] {
        let short = Claim {
            ttl: SHORT,
            ..claim(shard, "a")
        };
        store.claim(short).await.unwrap();
    }
    assert_eq!(take(store, 2, "b").await, Some(Epoch(1)));
    until("both run out", || async {
        lease(store, 0).await.left.is_zero() && lease(store, 1).await.left.is_zero()
    })
    .await;
    // Run out, but nobody came; and a lease of somebody else.
    let held = [fence(0, 1), fence(2, 9)];
    let leases = store.renew(beat("a", LONG, &held)).await.unwrap();
    let shards: Vec<u16> = leases.shards.iter().map(|lease| lease.shard).collect();
    assert_eq!(shards, [0, 1, 2]);
    let [first, second, third] = &leases.shards[..] else {
        panic!("{leases:?}");
    };
    assert!(!first.left.is_zero() && first.left <= LONG, "{first:?}");
    assert!(second.left.is_zero(), "it was not asked for: {second:?}");
    assert_eq!((&*third.writer, third.epoch), ("b", Epoch(1)));
    assert_eq!((first.is_released, &first.heir), (false, &None));
    assert_eq!(take(store, 0, "b").await, None);
    assert_eq!(take(store, 1, "b").await, Some(Epoch(2)));
}

pub(super) async fn writers_live_until_they_leave_or_say_nothing(store: &dyn Store) {
    let names = |leases: crate::Leases| -> Vec<(String, bool)> {
        let writers = leases.writers.into_iter();
        writers
            .map(|writer| (writer.name.to_string(), writer.is_ready))
            .collect()
    };
    let busy = Beat {
        is_ready: false,
        ..beat("b", LONG, &[])
    };
    store.renew(beat("c", SHORT, &[])).await.unwrap();
    store.renew(busy).await.unwrap();
    until("c is not heard of any more", || async {
        let living = names(store.renew(beat("a", LONG, &[])).await.unwrap());
        living == [("a".to_owned(), true), ("b".to_owned(), false)]
    })
    .await;
    store.renew(beat("b", LONG, &[])).await.unwrap();
    take(store, 0, "a").await.unwrap();
    store.leave("a").await.unwrap();
    store.leave("nobody").await.unwrap();
    let living = store.renew(beat("b", LONG, &[])).await.unwrap();
    assert_eq!(&*living.shards[0].writer, "a", "its leases stay");
    assert_eq!(names(living), [("b".to_owned(), true)]);
}

pub(super) async fn a_lease_given_back_goes_to_its_heir(store: &dyn Store) {
    let heir: Arc<str> = "b".into();
    take(store, 0, "a").await.unwrap();
    assert!(!store.release(fence(0, 9), None).await.unwrap());
    assert!(!store.release(fence(5, 1), None).await.unwrap());
    assert_eq!(take(store, 0, "b").await, None, "nothing was changed");
    assert!(
        store
            .release(fence(0, 1), Some(heir.clone()))
            .await
            .unwrap()
    );
    let released = lease(store, 0).await;
    assert!(released.is_released && !released.left.is_zero());
    assert_eq!(
        (released.heir.as_ref(), released.epoch),
        (Some(&heir), Epoch(1))
    );
    assert_eq!(take(store, 0, "c").await, None, "b comes first");
    // What was given back is not kept.
    let kept = store.renew(beat("a", LONG, &[fence(0, 1)])).await.unwrap();
    assert!(kept.shards[0].is_released);
    assert_eq!(take(store, 0, "b").await, Some(Epoch(2)));
    let taken = lease(store, 0).await;
    assert_eq!((taken.is_released, taken.heir), (false, None));
    assert!(!store.release(fence(0, 1), None).await.unwrap(), "not a's");
    // To nobody: whoever comes.
    assert!(store.release(fence(0, 2), None).await.unwrap());
    assert_eq!(take(store, 0, "c").await, Some(Epoch(3)));
}

pub(super) async fn an_heir_who_does_not_come_is_passed_over(store: &dyn Store) {
    let short = Claim {
        ttl: SHORT,
        ..claim(0, "a")
    };
    store.claim(short).await.unwrap();
    assert!(store.release(fence(0, 1), Some("b".into())).await.unwrap());
    until("the lease would have ended", || async {
        take(store, 0, "c").await == Some(Epoch(2))
    })
    .await;
}

pub(super) async fn a_name_that_is_too_long_is_refused(store: &dyn Store) {
    let name = "é".repeat(crate::model::lease::WRITER_NAME_MAX / 2);
    assert_eq!(take(store, 0, &name).await, Some(Epoch(1)));
    store.renew(beat(&name, LONG, &[])).await.unwrap();
    let name = format!("{name}x");
    for refused in [
        store.claim(claim(1, &name)).await.unwrap_err(),
        store.renew(beat(&name, LONG, &[])).await.unwrap_err(),
    ] {
        assert!(matches!(refused, StoreError::Corrupt(_)), "{refused}");
    }
}

pub(super) async fn of_many_claimants_one_gets_each_epoch(store: Arc<dyn Store>) {
    for round in 1..=5 {
        let claims = (0..8).map(|writer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { take(&*store, 0, &format!("w{writer}")).await })
        });
        let mut epochs = Vec::new();
        for claim in claims.collect::<Vec<_>>() {
            epochs.extend(claim.await.unwrap());
        }
        assert_eq!(epochs, [Epoch(round)]);
        assert!(store.release(fence(0, round), None).await.unwrap());
    }
}

pub(super) async fn who_only_tracks_symbols_is_fenced_as_well(store: &dyn Store) {
    let bitcoin = symbol("BTCUSDT", "BTC-USDT", 1);
    take(store, 0, "a").await.unwrap();
    let (present, past) = (Some(fence(0, 1)), Some(fence(0, 0)));
    assert!(store.track(bitcoin.clone(), present).await.unwrap());
    let ether = symbol("ETHUSDT", "ETH-USDT", 1);
    for refused in [
        store.track(ether, past).await.map(drop),
        store.track(bitcoin.clone(), past).await.map(drop),
        store.untrack("BTCUSDT", past).await.map(drop),
        store.untrack("NEVERHEARD", past).await.map(drop),
        store.save_terms("x".to_owned(), past).await,
        store.drop_current(vec![bitcoin.pair], past).await,
    ] {
        assert!(matches!(refused, Err(StoreError::Fenced(_))), "{refused:?}");
    }
    assert_eq!(store.tracked().await.unwrap(), [bitcoin]);
    assert_eq!(store.terms().await.unwrap(), None);
    store.save_terms("x".to_owned(), present).await.unwrap();
    assert!(store.untrack("BTCUSDT", present).await.unwrap());
    assert!(!store.untrack("BTCUSDT", present).await.unwrap());
}
