//! What must hold of the history.

use super::{all_pages, everything, pair, price, row, source};
use crate::{Cursor, HistoryQuery, HistoryRow, Outdated, Store};
use kurs_core::{Epoch, UpdateId, Wall};
use std::sync::Arc;

pub(super) async fn digits_are_kept(store: &dyn Store) {
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

pub(super) async fn a_repeated_row_is_passed_over(store: &dyn Store) {
    let first = row("binance", 1, 100);
    store
        .append(vec![first.clone(), first.clone()])
        .await
        .unwrap();
    // The id decides, and it was received once; whatever else a repeat says.
    let later = HistoryRow {
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

pub(super) async fn history_is_ordered_and_bounded(store: &dyn Store) {
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

pub(super) async fn pages_never_skip_or_repeat(store: &dyn Store) {
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

pub(super) async fn many_may_append_at_once(store: Arc<dyn Store>) {
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

pub(super) async fn pruning_takes_the_old_and_only_that(store: &dyn Store) {
    let mut rows: Vec<HistoryRow> = (0..300)
        .map(|n| row("binance", n, i64::try_from(n).unwrap()))
        .collect();
    rows.push(row("cbr", 1, 5));
    rows.push(HistoryRow {
        pair: pair("ETH-USDT"),
        ..row("cbr", 1, 5)
    });
    store.append(rows).await.unwrap();
    assert_eq!(store.prune(Outdated::rows(Wall(0))).await.unwrap(), 0);
    assert_eq!(store.prune(Outdated::rows(Wall(100))).await.unwrap(), 102);
    assert_eq!(store.prune(Outdated::rows(Wall(100))).await.unwrap(), 0);
    let left = all_pages(store, everything(1_000)).await.unwrap();
    assert_eq!(left.len(), 200);
    assert!(left.iter().all(|row| row.received_at >= Wall(100)));
}
