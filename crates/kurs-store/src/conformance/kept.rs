//! What must hold of states, candles, gaps, books and official rates.

use super::{
    all_candles, all_gaps, all_official, book, candle, gap, official, pair, price, row, source,
    state,
};
use crate::{
    Batch, BookSnapshot, Candle, CandleQuery, Gap, GapQuery, HistoryRow, Interval, OfficialQuery,
    OfficialRate, Origin, PriceState, SnapshotQuery, Store,
};
use kurs_core::{SourceState, Wall};

pub(super) async fn the_last_rows_of_a_moment_are_found(store: &dyn Store) {
    let ether = HistoryRow {
        pair: pair("ETH-USDT"),
        ..row("binance", 9, 50)
    };
    let rows = vec![
        row("kraken", 1, 100),
        row("binance", 2, 200),
        row("binance", 4, 300),
        row("binance", 3, 300),
        ether,
    ];
    store.append(rows).await.unwrap();
    let seqs = async |at: i64| -> Vec<u64> {
        let rows = store.last_rows(pair("BTC-USDT"), Wall(at)).await.unwrap();
        rows.iter().map(|row| row.id.seq.0).collect()
    };
    for packs in [false, true] {
        if packs {
            store.pack(Wall(3 * 86_400_000_000)).await.unwrap();
        }
        assert!(seqs(99).await.is_empty());
        assert_eq!(seqs(100).await, [1]);
        assert_eq!(seqs(200).await, [2, 1], "by source");
        assert_eq!(seqs(299).await, [2, 1]);
        assert_eq!(seqs(300).await, [4, 1], "the greatest id of a moment");
        assert_eq!(seqs(Wall::MAX.0).await, [4, 1]);
    }
    store
        .append(vec![row("binance", 5, 250), row("kraken", 6, 400)])
        .await
        .unwrap();
    assert_eq!(seqs(250).await, [5, 1], "a late row beside a block");
    assert_eq!(seqs(400).await, [4, 6]);
    let unknown = store.last_rows(pair("TON-USDT"), Wall::MAX).await.unwrap();
    assert!(unknown.is_empty());
}

pub(super) async fn the_last_states_of_a_moment_are_found(store: &dyn Store) {
    let states = vec![
        state(1, 100, SourceState::Live),
        state(3, 200, SourceState::Down),
        state(2, 200, SourceState::Stale),
        PriceState {
            source: source("aaa"),
            ..state(4, 150, SourceState::Syncing)
        },
        PriceState {
            pair: pair("ETH-USDT"),
            ..state(5, 50, SourceState::Live)
        },
    ];
    let batch = Batch {
        states: states.clone(),
        ..Batch::default()
    };
    store.write(batch).await.unwrap();
    let at = async |at: i64| store.states_at(pair("BTC-USDT"), Wall(at)).await.unwrap();
    assert!(at(99).await.is_empty());
    assert_eq!(at(100).await, [states[0].clone()]);
    assert_eq!(at(199).await, [states[3].clone(), states[0].clone()]);
    assert_eq!(at(200).await, [states[3].clone(), states[1].clone()]);
}

pub(super) async fn candles_replace_themselves_and_backfill_comes_first(store: &dyn Store) {
    let write = async |candles: Vec<Candle>| {
        let batch = Batch {
            candles,
            ..Batch::default()
        };
        store.write(batch).await.unwrap();
    };
    let long = Candle {
        open: price("0.0000000000000000000000000001"),
        high: price("7922816251426433759354395033.5"),
        low: price("1.0"),
        count: 0,
        ..candle(3, "2.000")
    };
    write(vec![candle(2, "11.0"), long.clone(), candle(1, "10.0")]).await;
    let all = async |query: CandleQuery| store.candles(query).await.unwrap();
    let kept = [candle(1, "10.0"), candle(2, "11.0"), long];
    assert_eq!(all(all_candles(10)).await, kept);
    assert_eq!(
        format!("{:?}", all(all_candles(10)).await),
        format!("{kept:?}"),
        "trailing zeros"
    );

    // Others that begin at the same moment are others.
    let backfilled = Candle {
        origin: Origin::Backfill,
        ..candle(2, "11.9")
    };
    write(vec![
        candle(1, "10.5"),
        backfilled.clone(),
        Candle {
            source: None,
            ..candle(2, "9.9")
        },
        Candle {
            interval: Interval::FiveMinutes,
            ..candle(5, "9.8")
        },
        Candle {
            pair: pair("ETH-USDT"),
            ..candle(2, "9.7")
        },
    ])
    .await;
    let kept = [candle(1, "10.5"), backfilled, kept[2].clone()];
    assert_eq!(all(all_candles(10)).await, kept);
    write(vec![candle(2, "11.1")]).await;
    assert_eq!(all(all_candles(10)).await, kept, "live under backfilled");
    let of_kurs = CandleQuery {
        source: None,
        ..all_candles(10)
    };
    assert_eq!(all(of_kurs).await[0].close, price("9.9"));

    assert_eq!(all(all_candles(0)).await, kept[..1], "at least one");
    assert_eq!(all(all_candles(2)).await, kept[..2]);
    let window = CandleQuery {
        start: Wall::from_unix_seconds(120),
        end: Wall::from_unix_seconds(180),
        ..all_candles(10)
    };
    assert_eq!(all(window).await, kept[1..2], "end does not belong to it");
    let within = CandleQuery {
        start: Wall::from_unix_seconds(60).plus(std::time::Duration::from_micros(1)),
        end: Wall::from_unix_seconds(180).plus(std::time::Duration::from_micros(1)),
        ..all_candles(10)
    };
    assert_eq!(all(within).await, kept[1..]);
}

pub(super) async fn gaps_grow_and_are_found_where_they_overlap(store: &dyn Store) {
    let write = async |gaps: Vec<Gap>| {
        let batch = Batch {
            gaps,
            ..Batch::default()
        };
        store.write(batch).await.unwrap();
    };
    let of_kraken = Gap {
        source: source("kraken"),
        ..gap(100, None)
    };
    let of_ether = Gap {
        pair: pair("ETH-USDT"),
        ..gap(100, Some(150))
    };
    write(vec![
        of_kraken.clone(),
        gap(300, Some(400)),
        gap(100, None),
        of_ether.clone(),
    ])
    .await;
    let all = async |query: GapQuery| store.gaps(query).await.unwrap();
    assert_eq!(
        all(all_gaps(10)).await,
        [
            gap(100, None),
            of_ether.clone(),
            of_kraken.clone(),
            gap(300, Some(400))
        ],
        "by begin, source and pair"
    );
    let filled = Gap {
        ended: Some(Wall(200)),
        why: "slow".into(),
        is_filled: true,
        ..gap(100, None)
    };
    write(vec![filled.clone()]).await;
    let span = |start: i64, end: i64| GapQuery {
        start: Wall(start),
        end: Wall(end),
        ..all_gaps(10)
    };
    assert_eq!(all(span(0, 100)).await, [], "begun before the end");
    assert_eq!(
        all(span(200, 300)).await,
        [filled.clone(), of_kraken.clone()],
        "not ended before the start"
    );
    assert_eq!(
        all(span(201, 301)).await,
        [of_kraken.clone(), gap(300, Some(400))]
    );
    let only = GapQuery {
        pair: Some(pair("BTC-USDT")),
        source: Some(source("binance")),
        ..all_gaps(10)
    };
    assert_eq!(all(only).await, [filled.clone(), gap(300, Some(400))]);
    assert_eq!(all(all_gaps(1)).await, std::slice::from_ref(&filled));
    assert_eq!(all(all_gaps(0)).await, [filled], "at least one");
    let unknown = GapQuery {
        source: Some(source("okx")),
        ..all_gaps(10)
    };
    assert_eq!(all(unknown).await, []);
}

pub(super) async fn books_are_found_in_order(store: &dyn Store) {
    let empty = BookSnapshot {
        bids: Vec::new(),
        asks: Vec::new(),
        ..book(200)
    };
    let of_kraken = BookSnapshot {
        source: source("kraken"),
        ..book(100)
    };
    let other_time = BookSnapshot {
        bids: Vec::new(),
        ..book(100)
    };
    for books in [
        vec![book(300), empty.clone(), book(100), of_kraken.clone()],
        vec![other_time, book(300)],
    ] {
        let batch = Batch {
            books,
            ..Batch::default()
        };
        store.write(batch).await.unwrap();
    }
    let query = SnapshotQuery {
        source: source("binance"),
        pair: pair("BTC-USDT"),
        start: Wall::MIN,
        end: Wall::MAX,
        limit: 10,
    };
    let all = async |query: SnapshotQuery| store.books(query).await.unwrap();
    let kept = [book(100), empty, book(300)];
    let read = all(query.clone()).await;
    assert_eq!(read, kept, "what is there stays as it was");
    assert_eq!(format!("{read:?}"), format!("{kept:?}"), "trailing zeros");
    let window = SnapshotQuery {
        start: Wall(200),
        end: Wall(300),
        ..query.clone()
    };
    assert_eq!(all(window).await, kept[1..2]);
    let first = SnapshotQuery {
        limit: 0,
        ..query.clone()
    };
    assert_eq!(all(first).await, kept[..1], "at least one");
    let kraken = SnapshotQuery {
        source: source("kraken"),
        ..query
    };
    assert_eq!(all(kraken).await, [of_kraken]);
}

pub(super) async fn an_official_rate_is_corrected_by_a_version(store: &dyn Store) {
    let write = async |official: Vec<OfficialRate>| {
        let batch = Batch {
            official,
            ..Batch::default()
        };
        store.write(batch).await.unwrap();
    };
    let versions = async || -> Vec<(i64, u32, String, i64)> {
        let found = store.official(all_official(10)).await.unwrap();
        found
            .iter()
            .map(|version| {
                let rate = &version.rate;
                let day = rate.day.unix_seconds() / 86_400;
                (day, version.version, rate.value.to_string(), rate.seen_at.0)
            })
            .collect()
    };
    let day = |day: i64, version: u32, value: &str, seen_at: i64| {
        (day, version, value.to_owned(), seen_at)
    };
    write(vec![official(2, "90.50", 10), official(1, "90.00", 5)]).await;
    write(vec![official(2, "90.50", 20), official(2, "90.5000", 21)]).await;
    let first = vec![day(1, 1, "90.00", 5), day(2, 1, "90.50", 10)];
    assert_eq!(versions().await, first, "the same again is no news");
    write(vec![official(2, "91.00", 30)]).await;
    write(vec![official(2, "90.50", 40), official(2, "90.50", 50)]).await;
    let all = vec![
        day(1, 1, "90.00", 5),
        day(2, 1, "90.50", 10),
        day(2, 2, "91.00", 30),
        day(2, 3, "90.50", 40),
    ];
    assert_eq!(versions().await, all, "a value that comes back is news");
    // All of it once more, as it came and in another order.
    for seen in [10, 20, 30, 40, 50, 30, 10, 50] {
        let value = if seen == 30 { "91.00" } else { "90.50" };
        write(vec![official(2, value, seen)]).await;
    }
    assert_eq!(versions().await, all, "handed over again is no news");
    let other = OfficialRate {
        source: source("ecb"),
        ..official(2, "92.00", 60)
    };
    write(vec![other]).await;
    assert_eq!(versions().await, all, "another bank");
    let window = OfficialQuery {
        start: Wall::from_unix_seconds(2 * 86_400),
        end: Wall::from_unix_seconds(3 * 86_400),
        limit: 2,
        ..all_official(10)
    };
    let found = store.official(window).await.unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found[1].version, 2);
    assert_eq!(found[1].rate, official(2, "91.00", 30));
}
