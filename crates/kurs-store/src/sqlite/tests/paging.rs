use super::*;
use crate::Cursor;
use proptest::prelude::*;

#[tokio::test]
async fn a_page_reads_no_rows_of_other_sources() {
    let store = in_memory();
    store.migrate().await.unwrap();
    let plan = store
        .read(|connection| {
            let mut statement = connection.prepare(
                "EXPLAIN QUERY PLAN SELECT received_at, shard, epoch, seq, price FROM history
                 WHERE pair = 1 AND source = 1
                   AND (received_at, shard, epoch, seq) > (1, 1, 1, 1) AND received_at < 9
                 ORDER BY received_at, shard, epoch, seq",
            )?;
            let lines = statement.query_map([], |row| row.get::<_, String>(3))?;
            Ok(lines.collect::<Result<Vec<_>, _>>()?.join("; "))
        })
        .await
        .unwrap();
    assert!(
        plan.contains("USING PRIMARY KEY (pair=? AND source=?"),
        "{plan}"
    );
    assert!(plan.contains("(received_at,shard,epoch,seq)>"), "{plan}");
    assert!(!plan.contains("TEMP B-TREE"), "{plan}");
}

/// What the next page has to be, the slow way.
fn naive(rows: &[HistoryRow], query: &HistoryQuery) -> Vec<HistoryRow> {
    let place = |row: &HistoryRow| Cursor {
        received_at: row.received_at,
        source: row.source,
        id: row.id,
    };
    let mut found: Vec<HistoryRow> = rows
        .iter()
        .filter(|row| {
            row.pair == query.pair && query.source.is_none_or(|source| source == row.source)
        })
        .filter(|row| row.received_at >= query.start && row.received_at < query.end)
        .filter(|row| query.after.is_none_or(|after| place(row) > after))
        .cloned()
        .collect();
    found.sort_by_key(place);
    found
}

fn any_row() -> impl Strategy<Value = HistoryRow> {
    let sources = prop::sample::select(vec!["binance", "cbr", "kraken", "sim:binance"]);
    let pairs = prop::sample::select(vec!["BTC-USDT", "ETH-USDT"]);
    (sources, pairs, 0_i64..12, 0_u16..2, 1_u64..3, 0_u64..6).prop_map(
        |(from, of, at, shard, epoch, seq)| {
            let id = kurs_core::UpdateId {
                shard,
                epoch: Epoch(epoch),
                seq: kurs_core::Seq(seq),
            };
            HistoryRow {
                pair: pair(of),
                id,
                ..row(from, 0, at)
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn paging_gives_what_the_naive_model_gives(
        batches in prop::collection::vec(prop::collection::vec(any_row(), 1..20), 1..6),
        (start, length, limit) in (-1_i64..13, 0_i64..14, 1_u32..6),
        only in prop::option::of(prop::sample::select(vec!["binance", "kraken"])),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let store = in_memory();
            store.migrate().await.unwrap();
            let mut model: Vec<HistoryRow> = Vec::new();
            let mut query = HistoryQuery {
                source: only.map(source),
                start: Wall(start),
                end: Wall(start + length),
                ..everything(limit)
            };
            // Rows arrive between the pages.
            let mut batches = batches.into_iter();
            loop {
                if let Some(batch) = batches.next() {
                    for row in &batch {
                        // A repeated row has the receive time of the first.
                        let key = |row: &HistoryRow| (row.pair, row.source, row.received_at, row.id);
                        if !model.iter().any(|known| key(known) == key(row)) {
                            model.push(row.clone());
                        }
                    }
                    store.append(batch).await.unwrap();
                }
                let page = store.history(query.clone()).await.unwrap();
                let mut expect = naive(&model, &query);
                let is_last = expect.len() <= limit as usize;
                expect.truncate(limit as usize);
                assert_eq!(page.rows, expect);
                assert_eq!(page.next.is_none(), is_last);
                match page.next {
                    Some(next) => query.after = Some(next),
                    None => break,
                }
            }
        });
    }
}
