//! What must hold of deletion, tier by tier.

use super::builders::Told;
use super::{
    all_candles, all_pages, all_published, all_published_pages, book, candle, everything, gap,
    official, published, row, source, state,
};
use crate::{Batch, Candle, Interval, Outdated, SnapshotQuery, Store};
use kurs_core::{SourceState, Wall};

const DAY: i64 = 86_400_000_000;
const DAY_MS: i64 = 86_400_000;

pub(super) async fn each_tier_goes_by_itself(store: &dyn Store) {
    let minutes_and_hours = (0..120).flat_map(|minute| {
        let hourly = Candle {
            interval: Interval::Hour,
            source: None,
            ..candle(minute * 60, "11")
        };
        [candle(minute, "10"), hourly]
    });
    let batch = Batch {
        rows: (0..20).map(|seq| row("binance", seq, at(seq))).collect(),
        published: (0..20)
            .map(|seq| published(seq, at(seq) / 1_000, "1"))
            .collect(),
        states: (0..20)
            .map(|seq| state(seq, at(seq), SourceState::Down))
            .collect(),
        candles: minutes_and_hours.collect(),
        gaps: vec![
            gap(0, Some(at(5))),
            gap(1, Some(at(15))),
            gap(2, None),
            gap(at(10), Some(at(10))),
        ],
        books: (0..20).map(|seq| book(at(seq))).collect(),
        official: vec![official(0, "90", 0)],
        ..Batch::default()
    };
    store.write(batch).await.unwrap();
    let all = Told::by(store).await;
    assert_eq!(store.prune(Outdated::default()).await.unwrap(), 0);
    assert_eq!(Told::by(store).await, all, "nothing is outdated");

    let limit = Some(Wall(at(10)));
    let told = after(
        store,
        Outdated {
            rows: limit,
            ..Outdated::default()
        },
    )
    .await;
    assert_eq!(told.rows, all.rows[10..]);
    assert_eq!(told.states, all.states, "the state that holds stays");
    assert_eq!(
        Told {
            rows: all.rows.clone(),
            ..told
        },
        all,
        "no other tier"
    );
    let states = store.states_at(super::pair("BTC-USDT"), Wall(at(10))).await;
    assert_eq!(states.unwrap(), [state(10, at(10), SourceState::Down)]);

    let told = after(
        store,
        Outdated {
            published: limit,
            ..Outdated::default()
        },
    )
    .await;
    assert_eq!(
        told.published[told.published.len() - 10..],
        all.published[10..]
    );
    assert!(
        told.published.len() <= 11,
        "the last before the limit may stay"
    );

    let mut candles = [None; Interval::ALL.len()];
    candles[1] = Some(Wall::from_unix_seconds(100 * 60));
    let told = after(
        store,
        Outdated {
            candles,
            ..Outdated::default()
        },
    )
    .await;
    assert_eq!(told.candles, all.candles[100..]);
    let hourly = crate::CandleQuery {
        source: None,
        interval: Interval::Hour,
        ..all_candles(1_000)
    };
    assert_eq!(store.candles(hourly).await.unwrap().len(), 120);

    let told = after(
        store,
        Outdated {
            books: limit,
            ..Outdated::default()
        },
    )
    .await;
    assert_eq!(told.books, all.books[10..]);

    let told = after(
        store,
        Outdated {
            gaps: limit,
            ..Outdated::default()
        },
    )
    .await;
    let ends: Vec<_> = told.gaps.iter().map(|gap| gap.ended).collect();
    assert_eq!(ends, [Some(Wall(at(15))), None, Some(Wall(at(10)))]);
    assert_eq!(told.official, all.official, "they stay for good");
}

fn at(seq: u64) -> i64 {
    i64::try_from(seq).unwrap() * 1_000_000
}

async fn after(store: &dyn Store, outdated: Outdated) -> Told {
    assert!(store.prune(outdated).await.unwrap() > 0);
    assert_eq!(store.prune(outdated).await.unwrap(), 0, "all was done");
    Told::by(store).await
}

pub(super) async fn what_was_served_at_the_limit_stays_known(store: &dyn Store) {
    let events = [
        published(1, DAY_MS, "1"),
        published(2, 2 * DAY_MS, "2"),
        published(3, 5 * DAY_MS, "3"),
    ];
    let batch = Batch {
        published: events.to_vec(),
        ..Batch::default()
    };
    store.write(batch).await.unwrap();
    let limit = Wall(4 * DAY);
    let outdated = Outdated {
        published: Some(limit),
        ..Outdated::default()
    };
    store.prune(outdated).await.unwrap();
    assert_eq!(store.published_at(limit).await.unwrap(), events[1..2]);
    assert_eq!(store.published_at(Wall::MAX).await.unwrap(), events[2..]);
    // Nothing came for long: the last one stays, whatever its age.
    let outdated = Outdated {
        published: Some(Wall(900 * DAY)),
        ..Outdated::default()
    };
    store.prune(outdated).await.unwrap();
    assert_eq!(store.published_at(Wall::MAX).await.unwrap(), events[2..]);
    store.pack(Wall(950 * DAY)).await.unwrap();
    store.prune(outdated).await.unwrap();
    assert_eq!(store.published_at(Wall::MAX).await.unwrap(), events[2..]);
}

pub(super) async fn packed_rows_go_as_well(store: &dyn Store) {
    for day in 0..10_u64 {
        let begin = i64::try_from(day).unwrap() * DAY;
        let batch = Batch {
            rows: (0..50)
                .map(|n| row("binance", day * 100 + n, begin + i64::try_from(n).unwrap()))
                .collect(),
            published: (0..50)
                .map(|n| {
                    let at_ms = begin / 1_000 + i64::try_from(n).unwrap();
                    published(day * 100 + n, at_ms, "1")
                })
                .collect(),
            books: vec![book(begin)],
            ..Batch::default()
        };
        store.write(batch).await.unwrap();
        // A block of its own for each day.
        let packing = store.pack(Wall(begin + DAY + 50)).await.unwrap();
        assert_eq!((packing.rows, packing.published), (50, 50), "day {day}");
    }
    let limit = Wall(4 * DAY);
    let outdated = Outdated {
        rows: Some(limit),
        published: Some(limit),
        books: Some(limit),
        ..Outdated::default()
    };
    let gone = store.prune(outdated).await.unwrap();
    assert!(gone >= 200 + 150 + 4, "{gone}");
    let rows = all_pages(store, everything(1_000)).await.unwrap();
    assert_eq!(rows.len(), 300);
    assert!(rows.iter().all(|row| row.received_at >= limit));
    let events = all_published_pages(store, all_published(1_000))
        .await
        .unwrap();
    let kept = events.iter().filter(|event| event.published_at >= limit);
    assert_eq!(kept.count(), 300);
    assert!(
        events.len() <= 350,
        "a block with the last before the limit stays"
    );
    let last = store.published_at(Wall(limit.0 - 1)).await.unwrap();
    assert_eq!(last.len(), 1, "what was served at the limit");
    assert_eq!(last[0].id, super::id(349));
    let books = SnapshotQuery {
        source: source("binance"),
        pair: super::pair("BTC-USDT"),
        start: Wall::MIN,
        end: Wall::MAX,
        limit: 100,
    };
    assert_eq!(store.books(books).await.unwrap().len(), 6);
    // What was packed and deleted may come again; it is outdated as before.
    store.append(vec![row("binance", 7, 7)]).await.unwrap();
    assert_eq!(store.prune(Outdated::rows(limit)).await.unwrap(), 1);
    let rows = all_pages(store, everything(1_000)).await.unwrap();
    assert_eq!(rows.len(), 300);
}
