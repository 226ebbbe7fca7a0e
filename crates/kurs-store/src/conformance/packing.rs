//! What must hold while old rows move into blocks: no answer changes.

use super::{
    all_pages, all_published, all_published_pages, everything, id, pair, price, published, rate,
    row, source,
};
use crate::{
    Batch, Cursor, HistoryQuery, HistoryRow, Published, PublishedEvent, PublishedQuery, Store,
};
use kurs_core::{Price, Wall};
use std::sync::Arc;

/// Some moment, to the microsecond.
const BEGIN: i64 = 1_700_000_000_123_456;
const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;

/// Rows of two pairs and three sources over three days, one series of more than a block, with odd
/// prices among them; in no order.
fn many_rows(random: &mut fastrand::Rng) -> Vec<HistoryRow> {
    let mut rows = Vec::new();
    for seq in 0..6_500_u64 {
        let from = ["binance", "cbr", "kraken"][usize::from(random.u8(..) / 8).saturating_sub(29)];
        let at = BEGIN + random.i64(0..3 * DAY);
        // Some at the same moment.
        let at = if random.u8(..) < 40 {
            at / HOUR * HOUR
        } else {
            at
        };
        let cents = random.i64(5_000_000..5_001_000);
        let text = |cents: i64| format!("{}.{:02}000000", cents / 100, cents % 100);
        let (bid, ask) = (price(&text(cents)), price(&text(cents + random.i64(1..9))));
        let plain = HistoryRow {
            value: Price::mid(bid, ask).unwrap(),
            bid: Some(bid),
            ask: Some(ask),
            observed_at: Some(Wall((at - random.i64(0..90_000)) / 1_000 * 1_000)),
            ..row(from, seq * 3 + random.u64(0..3), at)
        };
        rows.push(match random.u8(0..30) {
            0 => HistoryRow {
                value: price("7922816251426433759354395033.5"),
                observed_at: Some(Wall(at + 7)),
                ..plain
            },
            1 => HistoryRow {
                bid: None,
                ask: Some(price("0.0000000000000000000000000001")),
                ..plain
            },
            2..5 => HistoryRow {
                bid: None,
                ask: None,
                observed_at: None,
                ..plain
            },
            5..8 => HistoryRow {
                pair: pair("ETH-USDT"),
                ..plain
            },
            _ => plain,
        });
    }
    rows
}

fn many_events(random: &mut fastrand::Rng) -> Vec<Published> {
    (0..900_u64)
        .map(|seq| {
            let at_ms = (BEGIN + random.i64(0..3 * DAY)) / 1_000;
            let at_ms = if random.u8(..) < 40 {
                at_ms / 3_600_000 * 3_600_000
            } else {
                at_ms
            };
            let event = published(seq, at_ms, &format!("54{:03}.10", random.u32(0..1_000)));
            match random.u8(0..10) {
                0 => Published {
                    event: PublishedEvent::Withdrawn,
                    ..event
                },
                1 => Published {
                    event: PublishedEvent::NoRate {
                        why: "none".into(),
                        withdraws: false,
                        standing: Some(Box::new(rate("BTC-USDT", id(seq), "1.50"))),
                    },
                    ..event
                },
                2 => Published {
                    pair: pair("ETH-USDT"),
                    event: PublishedEvent::Withdrawn,
                    ..event
                },
                _ => event,
            }
        })
        .collect()
}

/// What a query must answer, the slow way.
fn naive(rows: &[HistoryRow], query: &HistoryQuery) -> Vec<HistoryRow> {
    let place = |row: &HistoryRow| Cursor {
        received_at: row.received_at,
        source: row.source,
        id: row.id,
    };
    let mut found: Vec<HistoryRow> = rows
        .iter()
        .filter(|row| row.pair == query.pair)
        .filter(|row| query.source.is_none_or(|source| source == row.source))
        .filter(|row| row.received_at >= query.start && row.received_at < query.end)
        .filter(|row| query.after.is_none_or(|after| place(row) > after))
        .cloned()
        .collect();
    found.sort_by_key(place);
    found
}

/// The same of what was published.
fn naive_events(events: &[Published], query: &PublishedQuery) -> Vec<Published> {
    let mut found: Vec<Published> = events
        .iter()
        .filter(|event| event.pair == query.pair)
        .filter(|event| event.published_at >= query.start && event.published_at < query.end)
        .cloned()
        .collect();
    found.sort_by_key(|event| (event.published_at, event.id));
    found
}

/// Compares many answers with the model.
async fn check(
    store: &dyn Store,
    rows: &[HistoryRow],
    events: &[Published],
    random: &mut fastrand::Rng,
) {
    let mut moment = || Wall(BEGIN - HOUR + random.i64(0..3 * DAY + 2 * HOUR));
    for number in 0..6 {
        let of = pair(["BTC-USDT", "ETH-USDT"][number % 2]);
        let (one, other) = (moment(), moment());
        let query = HistoryQuery {
            pair: of,
            source: [None, Some(source("binance")), Some(source("cbr"))][number % 3],
            start: one.min(other),
            end: one.max(other),
            ..everything([10_000, 1_000, 700, 4_096][number % 4])
        };
        let read = all_pages(store, query.clone()).await.unwrap();
        assert_same(&read, &naive(rows, &query));
        let query = PublishedQuery {
            pair: of,
            start: one.min(other),
            end: one.max(other),
            ..all_published([10_000, 255, 100, 60][number % 4])
        };
        let read = all_published_pages(store, query.clone()).await.unwrap();
        assert_same(&read, &naive_events(events, &query));
    }
    let sources = ["binance", "cbr", "kraken"].map(source);
    let pairs = ["BTC-USDT", "ETH-USDT"].map(pair);
    for _ in 0..20 {
        let at = moment();
        let last = store.last_rows(pairs[0], at).await.unwrap();
        let expect = sources.iter().filter_map(|source| {
            rows.iter()
                .filter(|row| row.pair == pairs[0] && row.source == *source)
                .filter(|row| row.received_at <= at)
                .max_by_key(|row| (row.received_at, row.id))
        });
        assert_same(&last, &expect.cloned().collect::<Vec<_>>());
        let last = store.published_at(at).await.unwrap();
        let expect = pairs.iter().filter_map(|pair| {
            events
                .iter()
                .filter(|event| event.pair == *pair && event.published_at <= at)
                .max_by_key(|event| (event.published_at, event.id))
        });
        assert_same(&last, &expect.cloned().collect::<Vec<_>>());
    }
}

/// Element by element, and trailing zeros of some.
fn assert_same<T: std::fmt::Debug + PartialEq>(read: &[T], expect: &[T]) {
    assert_eq!(read.len(), expect.len());
    for (number, (read, expect)) in read.iter().zip(expect).enumerate() {
        assert!(read == expect, "{number}: {read:?} is not {expect:?}");
        // Printing takes long.
        if number % 41 == 0 {
            assert_eq!(format!("{read:?}"), format!("{expect:?}"));
        }
    }
}

pub(super) async fn packing_changes_no_answer(store: &dyn Store) {
    let mut random = fastrand::Rng::with_seed(11);
    let mut rows = many_rows(&mut random);
    let mut events = many_events(&mut random);
    for (rows, events) in rows.chunks(500).zip(events.chunks(70)) {
        let batch = Batch {
            rows: rows.to_vec(),
            published: events.to_vec(),
            ..Batch::default()
        };
        store.write(batch).await.unwrap();
    }
    check(store, &rows, &events, &mut random).await;
    // A part, then more, then all of it; between these, rows come late.
    let mut packed = (0, 0);
    for (round, before) in [BEGIN + DAY, BEGIN + 2 * DAY, BEGIN + 5 * DAY]
        .into_iter()
        .enumerate()
    {
        let packing = store.pack(Wall(before)).await.unwrap();
        packed = (packed.0 + packing.rows, packed.1 + packing.published);
        check(store, &rows, &events, &mut random).await;
        let again = store.pack(Wall(before)).await.unwrap();
        assert_eq!((again.rows, again.published), (0, 0), "all was done");

        let seq = 100_000 * (u64::try_from(round).unwrap() + 1);
        for late in 0..50 {
            let at = BEGIN + random.i64(0..3 * DAY);
            rows.push(row("binance", seq + late, at));
            events.push(published(seq + late, at / 1_000, "1.0"));
        }
        let batch = Batch {
            rows: rows[rows.len() - 50..].to_vec(),
            published: events[events.len() - 50..].to_vec(),
            ..Batch::default()
        };
        store.write(batch.clone()).await.unwrap();
        store.write(batch).await.unwrap();
        check(store, &rows, &events, &mut random).await;
    }
    assert!(packed.0 >= 6_500 && packed.1 >= 900, "{packed:?}");
    // All of it once more.
    for rows in rows.chunks(700) {
        store.append(rows.to_vec()).await.unwrap();
    }
    let published = events.clone();
    let batch = Batch {
        published,
        ..Batch::default()
    };
    store.write(batch).await.unwrap();
    check(store, &rows, &events, &mut random).await;
}

pub(super) async fn pages_never_skip_or_repeat_while_rows_are_packed(store: Arc<dyn Store>) {
    const ROWS: u64 = 6_000;
    let rows: Vec<HistoryRow> = (0..ROWS)
        .map(|seq| {
            let at = BEGIN + i64::try_from(seq).unwrap() * 40_000_000;
            row(
                ["binance", "binance", "cbr"][usize::try_from(seq % 3).unwrap()],
                seq,
                at,
            )
        })
        .collect();
    let events: Vec<Published> = (0..800)
        .map(|seq| {
            published(
                seq,
                BEGIN / 1_000 + i64::try_from(seq).unwrap() * 300_000,
                "1.10",
            )
        })
        .collect();
    let batch = Batch {
        rows: rows.clone(),
        published: events.clone(),
        ..Batch::default()
    };
    store.write(batch).await.unwrap();

    let mut query = everything(250);
    let mut events_query = all_published(60);
    let (mut read, mut read_events) = (Vec::new(), Vec::new());
    let mut round = 0_i64;
    let (mut is_read, mut are_events_read) = (false, false);
    while !is_read || !are_events_read {
        // At the same time as the pages are read, rows before and behind the place are packed,
        // and others arrive: at the end, and as late ones at the begin.
        let before = Wall(BEGIN + round * 3 * HOUR);
        let seq = ROWS + u64::try_from(round).unwrap();
        let arriving = Batch {
            rows: vec![
                row("okx", seq, BEGIN + 30 * DAY),
                row("aaa", seq, BEGIN - 1),
            ],
            published: vec![
                published(seq, BEGIN / 1_000 + 30 * 86_400_000, "2"),
                published(seq + 50_000, BEGIN / 1_000 - 1, "2"),
            ],
            ..Batch::default()
        };
        let (page, events_page, packed, written) = tokio::join!(
            store.history(query.clone()),
            store.published(events_query.clone()),
            store.pack(before),
            store.write(arriving),
        );
        packed.unwrap();
        written.unwrap();
        if !is_read {
            let page = page.unwrap();
            read.extend(page.rows);
            is_read = page.next.is_none() || read.len() > rows.len() + 1_000;
            query.after = page.next;
        }
        if !are_events_read {
            let page = events_page.unwrap();
            read_events.extend(page.events);
            are_events_read = page.next.is_none() || read_events.len() > events.len() + 1_000;
            events_query.after = page.next;
        }
        round += 1;
        assert!(round < 200, "the pages come to no end");
    }
    let is_asked_for = |seq: u64| seq < ROWS;
    read.retain(|row| is_asked_for(row.id.seq.0));
    assert_same(&read, &rows);
    read_events.retain(|event| is_asked_for(event.id.seq.0));
    assert_same(&read_events, &events);
}
