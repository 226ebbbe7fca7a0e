//! Days come and go as whole partitions.

use super::{DAY, NEW_YEAR, SECOND, all_rows, at, migrated, row};
use kurs_core::Wall;
use kurs_store::{HistoryRow, Outdated, Store};
use kurs_testkit::Postgres;

const DAYS: &str = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class
     JOIN pg_inherits ON inhrelid = oid
     WHERE inhparent = 'history'::regclass AND relname ~ '_2026'";

/// One row at noon of each of the first `days` days of 2026.
fn rows_of_days(days: u64) -> Vec<HistoryRow> {
    let noon = |day: u64| at(i64::try_from(day).unwrap() * DAY + DAY / 2);
    (0..days).map(|day| row(1, day * 3, noon(day))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn outdated_days_are_dropped_whole_and_the_rest_row_by_row() {
    let server = Postgres::shared();
    let (store, database) = migrated(&server).await;
    let mut rows = rows_of_days(5);
    rows.push(row(1, 100, at(3 * DAY + 5)));
    rows.sort_by_key(|row| row.received_at);
    store.append(rows.clone()).await.unwrap();
    let days = server.sql(database.name(), DAYS);
    assert!(
        days.starts_with("history_20260101 history_20260102"),
        "{days}"
    );
    let gone = store.prune(Outdated::rows(at(3 * DAY + 6))).await.unwrap();
    assert_eq!(gone, 4);
    assert_eq!(all_rows(&store).await, rows[4..]);
    let days = server.sql(database.name(), DAYS);
    assert!(
        days.starts_with("history_20260104 history_20260105"),
        "{days}"
    );
    // What comes late for a day that is gone is stored all the same, and goes again.
    store.append(rows[..2].to_vec()).await.unwrap();
    assert_eq!(all_rows(&store).await.len(), 4);
    assert_eq!(store.prune(Outdated::rows(at(3 * DAY))).await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_another_process_dropped_is_made_again() {
    let server = Postgres::shared();
    let (store, database) = migrated(&server).await;
    let rows = rows_of_days(2);
    store.append(rows[..1].to_vec()).await.unwrap();
    server.sql(
        database.name(),
        "DROP TABLE history_20260101, history_20260102",
    );
    store.append(rows.clone()).await.unwrap();
    assert_eq!(all_rows(&store).await, rows);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_wrong_by_centuries_loses_nothing() {
    let server = Postgres::shared();
    let (store, database) = migrated(&server).await;
    let moments = [
        Wall::MIN,
        Wall(-1),
        Wall(0),
        NEW_YEAR,
        Wall(NEW_YEAR.0 + 365 * 300 * DAY),
        Wall(Wall::MAX.0 - 1),
    ];
    let rows: Vec<HistoryRow> = moments
        .iter()
        .zip(0..)
        .map(|(moment, seq)| row(1, seq * 3, *moment))
        .collect();
    store.append(rows.clone()).await.unwrap();
    store.append(rows.clone()).await.unwrap();
    assert_eq!(all_rows(&store).await, rows);
    let made = server.sql(database.name(), DAYS);
    assert!(made.contains("history_20260101 history_20260102"), "{made}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_day_never_holds_up_a_writer_for_long() {
    let server = Postgres::shared();
    let (store, database) = migrated(&server).await;
    let rows = rows_of_days(3);
    store.append(rows.clone()).await.unwrap();
    // A report reads the history for as long as the test takes.
    let name = database.name().to_owned();
    let reading = std::thread::spawn({
        let server = Postgres::shared();
        move || {
            server.sql(
                &name,
                "BEGIN; SELECT count(*) FROM history; SELECT pg_sleep(4)",
            )
        }
    });
    let is_read = "SELECT count(*) FROM pg_locks WHERE relation = 'history_20260101'::regclass";
    kurs_testkit::until(
        "the report runs",
        std::time::Duration::from_secs(30),
        || (server.sql(database.name(), is_read) != "0").then_some(()),
    )
    .await;
    let pruning = store.prune(Outdated::rows(at(DAY)));
    let writing = async {
        for seq in 0..20 {
            store
                .append(vec![row(2, seq * 3, at(2 * DAY + SECOND))])
                .await
                .unwrap();
        }
    };
    let (gone, ()) = tokio::join!(pruning, writing);
    gone.unwrap();
    reading.join().unwrap();
    store.prune(Outdated::rows(at(DAY))).await.unwrap();
    assert_eq!(all_rows(&store).await.len(), 22);
}
