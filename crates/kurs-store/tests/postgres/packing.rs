//! Packed rows are the same rows.

use super::{DAY, SECOND, all_rows, at, migrated, row};
use kurs_store::{HistoryRow, Outdated, Store};
use kurs_testkit::Postgres;
use std::sync::Arc;

const ROWS: u64 = 15_000;

fn rows() -> Vec<HistoryRow> {
    (0..ROWS)
        .map(|seq| row(1, seq, at(i64::try_from(seq).unwrap() * 20_000)))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn packing_changes_no_answer_and_doubles_no_row() {
    let server = Postgres::shared();
    let (store, database) = migrated(&server).await;
    let rows = rows();
    store.append(rows.clone()).await.unwrap();
    let packed = store.pack(at(DAY)).await.unwrap();
    assert_eq!(packed.rows, 3 * 4_096, "only full blocks of three series");
    assert_eq!(all_rows(&store).await, rows);
    let plain = server.sql(database.name(), "SELECT count(*) FROM history");
    assert_eq!(plain, (ROWS - 3 * 4_096).to_string());
    // All of it once more, and one that comes late.
    let late = row(1, 3 * ROWS, at(7 * 20_000 + 1));
    store
        .append([rows.clone(), vec![late.clone()]].concat())
        .await
        .unwrap();
    let mut expect = rows;
    expect.push(late);
    expect.sort_by_key(|row| (row.received_at, row.id));
    assert_eq!(all_rows(&store).await, expect);
    assert_eq!(store.pack(at(DAY)).await.unwrap().rows, 0);
    let rest = store.pack(at(2 * DAY + DAY / 2)).await.unwrap();
    assert_eq!(
        rest.rows,
        ROWS - 3 * 4_096,
        "a day later the rest is packed"
    );
    assert_eq!(all_rows(&store).await, expect);
    // Only the late row is left, and a block is cut where history ends.
    let end = at(5_000 * 20_000);
    store.prune(Outdated::rows(end)).await.unwrap();
    expect.retain(|row| row.received_at >= end);
    assert_eq!(all_rows(&store).await, expect);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_stored_while_others_are_packed_are_there_once() {
    let server = Postgres::shared();
    let (store, _) = migrated(&server).await;
    let store = Arc::new(store);
    let rows = rows();
    let writing = tokio::spawn({
        let (store, rows) = (Arc::clone(&store), rows.clone());
        async move {
            for chunk in rows.chunks(500) {
                store.append(chunk.to_vec()).await.unwrap();
                // As after an outage: nobody knows what arrived.
                store.append(chunk.to_vec()).await.unwrap();
            }
        }
    });
    let repeating = tokio::spawn({
        let (store, rows) = (Arc::clone(&store), rows.clone());
        async move {
            for chunk in rows.chunks(2_000) {
                store.append(chunk.to_vec()).await.unwrap();
            }
        }
    });
    let mut packed = 0;
    while !(writing.is_finished() && repeating.is_finished()) {
        // Everything that is there, by a day and more.
        packed += store.pack(at(3 * DAY)).await.unwrap().rows;
    }
    writing.await.unwrap();
    repeating.await.unwrap();
    assert!(packed > 0);
    assert_eq!(all_rows(&*store).await, rows);
    let end = at(i64::try_from(ROWS).unwrap() * 20_000 + SECOND);
    assert_eq!(store.prune(Outdated::rows(end)).await.unwrap(), ROWS);
}
