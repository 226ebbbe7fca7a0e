//! What must hold of what is written under an epoch.

use super::builders::Told;
use super::leases::fence;
use super::{begin_epoch, claim, id, one_of_everything, published, row, state};
use crate::{Batch, Claim, Fence, Recorded, Salvaged, Store, StoreError};
use kurs_core::{Epoch, Seq, SourceState, UpdateId, Wall};
use std::time::Duration;

/// 2100-01-01T00:00:00Z, after any claim.
const LATE_MS: i64 = 4_102_444_800_000;

fn under(fence: Fence, batch: Batch) -> Batch {
    Batch {
        fence: Some(fence),
        ..batch
    }
}

/// Batches with one kind of thing each.
fn kinds(all: &Batch) -> Vec<Batch> {
    let none = Batch::default;
    let all = all.clone();
    #[rustfmt::skip]
    let kinds = vec![
        Batch { rows: all.rows, ..none() },
        Batch { published: all.published, ..none() },
        Batch { states: all.states, ..none() },
        Batch { candles: all.candles, ..none() },
        Batch { gaps: all.gaps, ..none() },
        Batch { books: all.books, ..none() },
        Batch { official: all.official, ..none() },
        Batch { recorded_until: all.recorded_until, ..none() },
        Batch { current: all.current, ..none() },
    ];
    kinds
}

pub(super) async fn nothing_is_written_under_an_epoch_that_is_not_the_present_one(
    store: &dyn Store,
) {
    begin_epoch(store, 0).await;
    begin_epoch(store, 7).await;
    store
        .write(under(fence(0, 1), one_of_everything(1)))
        .await
        .unwrap();
    begin_epoch(store, 0).await;
    let before = Told::by(store).await;
    let ahead_of_all = fence(0, 3);
    for stale in [fence(0, 1), ahead_of_all, fence(1, 1)] {
        let whole = one_of_everything(2);
        for batch in kinds(&whole).into_iter().chain([whole]) {
            let refused = store.write(under(stale, batch)).await.unwrap_err();
            assert!(
                matches!(refused, StoreError::Fenced(told) if told == stale),
                "{refused}"
            );
        }
        assert_eq!(Told::by(store).await, before);
    }
    let written = under(fence(0, 2), one_of_everything(2));
    store.write(written).await.unwrap();
    assert_ne!(Told::by(store).await, before);
    // What was given back is not written under any more.
    assert!(store.release(fence(0, 2), None).await.unwrap());
    let refused = store.write(under(fence(0, 2), one_of_everything(3))).await;
    assert!(matches!(refused, Err(StoreError::Fenced(_))), "{refused:?}");
    // What no Writer made needs no epoch.
    store.write(one_of_everything(3)).await.unwrap();
}

/// A batch of epoch 1 with three rows, events and states each, the last of them made in 2100, and
/// all that only the present Writer may write.
fn left_over() -> Batch {
    let times = [(1, 1_000), (2, 2_000), (3, LATE_MS)];
    let whole = one_of_everything(9);
    let states = times.map(|(seq, at_ms)| state(seq, at_ms * 1_000, SourceState::Live));
    let batch = Batch {
        rows: times
            .map(|(seq, at_ms)| row("binance", seq, at_ms * 1_000))
            .to_vec(),
        published: times.map(|(seq, at)| published(seq, at, "5.0")).to_vec(),
        states: states.to_vec(),
        ..whole
    };
    under(fence(0, 1), batch)
}

/// How many candles, gaps, books, official and current rates there are in it.
const NOT_HISTORY: u64 = 5;

/// Which of them are stored, by seq.
async fn stored(store: &dyn Store) -> [Vec<u64>; 2] {
    let told = Told::by(store).await;
    assert!(told.gaps.is_empty() && told.candles.is_empty() && told.books.is_empty());
    assert!(told.official.is_empty() && told.current.is_empty());
    assert_eq!(told.recorded_until, None);
    [
        told.rows.iter().map(|row| row.id.seq.0).collect(),
        told.published.iter().map(|event| event.id.seq.0).collect(),
    ]
}

/// Ends epoch 1, salvages twice, and gives what was stored.
async fn salvaged(store: &dyn Store, next: Option<Claim>) -> (Salvaged, [Vec<u64>; 2]) {
    let lasts_shortly = Claim {
        ttl: Duration::ZERO,
        ..claim(0, "a")
    };
    assert_eq!(store.claim(lasts_shortly).await.unwrap(), Some(Epoch(1)));
    match next {
        Some(next) => assert_eq!(store.claim(next).await.unwrap(), Some(Epoch(2))),
        None => assert!(store.release(fence(0, 1), None).await.unwrap()),
    }
    let salvaged = store.salvage(left_over()).await.unwrap();
    let after = stored(store).await;
    assert_eq!(store.salvage(left_over()).await.unwrap(), salvaged, "again");
    assert_eq!(stored(store).await, after, "again");
    (salvaged, after)
}

pub(super) async fn what_was_heard_of_an_ended_epoch_is_salvaged(store: &dyn Store) {
    let heard = Claim {
        heard: Some(id(1)),
        ..claim(0, "b")
    };
    let (counted, [rows, events]) = salvaged(store, Some(heard)).await;
    assert_eq!(rows, [1, 2], "received before the take-over");
    assert_eq!(events, [1]);
    let refused = 1 + 2 + 2 + NOT_HISTORY;
    assert_eq!((counted.stored, counted.refused), (4, refused));
}

pub(super) async fn where_nothing_was_heard_the_moment_of_the_claim_decides(store: &dyn Store) {
    let earlier = Claim {
        heard: Some(UpdateId {
            shard: 0,
            epoch: Epoch(0),
            seq: Seq(77),
        }),
        ..claim(0, "b")
    };
    let (counted, stored) = salvaged(store, Some(earlier)).await;
    assert_eq!(stored, [vec![1, 2], vec![1, 2]]);
    assert_eq!((counted.stored, counted.refused), (6, 3 + NOT_HISTORY));
}

pub(super) async fn all_of_an_epoch_given_back_is_history(store: &dyn Store) {
    let (counted, stored) = salvaged(store, None).await;
    assert_eq!(stored, [vec![1, 2, 3], vec![1, 2, 3]]);
    assert_eq!((counted.stored, counted.refused), (9, NOT_HISTORY));
    // Whoever claims it afterwards.
    let heard = Claim {
        heard: Some(id(1)),
        ..claim(0, "b")
    };
    assert_eq!(store.claim(heard).await.unwrap(), Some(Epoch(2)));
    assert_eq!(store.salvage(left_over()).await.unwrap(), counted);
}

pub(super) async fn all_of_a_writer_that_cannot_be_alive_is_history(store: &dyn Store) {
    let alone = Claim {
        heard: Some(id(1)),
        is_alone: true,
        ..claim(0, "b")
    };
    let (counted, stored) = salvaged(store, Some(alone)).await;
    assert_eq!(stored, [vec![1, 2, 3], vec![1, 2, 3]]);
    assert_eq!((counted.stored, counted.refused), (9, NOT_HISTORY));
}

pub(super) async fn salvaging_needs_an_epoch_that_somebody_closed(store: &dyn Store) {
    let unfenced = store.salvage(one_of_everything(1)).await.unwrap_err();
    assert!(matches!(unfenced, StoreError::Corrupt(_)), "{unfenced}");
    begin_epoch(store, 0).await;
    // Rows of one epoch are not salvaged as those of another.
    let unknown = under(fence(0, 9), left_over());
    let all = u64::try_from(unknown.len()).unwrap();
    let counted = store.salvage(unknown).await.unwrap();
    assert_eq!((counted.stored, counted.refused), (0, all));
    assert_eq!(stored(store).await, <[Vec<u64>; 2]>::default());
    // In the present epoch it is a usual batch.
    let counted = store.salvage(left_over()).await.unwrap();
    assert_eq!((counted.stored, counted.refused), (all, 0));
    let told = Told::by(store).await;
    assert_eq!((told.rows.len(), told.gaps.len()), (3, 1));
    assert_eq!(told.recorded_until, Some(Wall(9_000)));
}

pub(super) async fn a_shard_given_back_holds_up_nobody(store: &dyn Store) {
    let record = async |shard: u16, until: i64| {
        let batch = Batch {
            recorded_until: Some(Recorded {
                shard,
                until: Wall(until),
            }),
            fence: Some(fence(shard, 1)),
            ..Batch::default()
        };
        store.write(batch).await.unwrap();
        store.recorded_until().await.unwrap()
    };
    begin_epoch(store, 0).await;
    begin_epoch(store, 1).await;
    assert_eq!(record(0, 500).await, Some(Wall(500)));
    assert_eq!(record(1, 900).await, Some(Wall(500)));
    for (shard, until) in [(0, Some(Wall(500))), (1, Some(Wall(900))), (2, None)] {
        assert_eq!(store.shard_recorded_until(shard).await.unwrap(), until);
    }
    assert!(store.release(fence(0, 1), None).await.unwrap());
    assert_eq!(store.recorded_until().await.unwrap(), Some(Wall(900)));
    assert!(store.release(fence(1, 1), None).await.unwrap());
    assert_eq!(store.recorded_until().await.unwrap(), Some(Wall(900)));
    begin_epoch(store, 0).await;
    assert_eq!(store.recorded_until().await.unwrap(), Some(Wall(500)));
}
