//! A server that dies and comes back.

use super::{SECOND, all_rows, at, open, row};
use kurs_store::{HistoryRow, Store, StoreError};
use kurs_testkit::{Postgres, PostgresOptions};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const KILLS: usize = 6;

fn rows_of(batch: u64) -> Vec<HistoryRow> {
    let first = batch * 10;
    let received_at = |seq: u64| at(i64::try_from(seq).unwrap() * SECOND);
    (first..first + 10)
        .map(|seq| row(1, seq, received_at(seq)))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_or_doubled_when_the_server_is_killed_while_writing() {
    let server = Postgres::start_with(&PostgresOptions {
        fsync: true,
        ..PostgresOptions::default()
    });
    let database = server.database();
    let store = Arc::new(open(&database.url()));
    store.migrate().await.unwrap();
    let ends = Arc::new(AtomicBool::new(false));
    let stored = Arc::new(AtomicU64::new(0));
    // As a recorder does: a batch that was not acknowledged is stored again until it is.
    let writing = tokio::spawn({
        let (store, ends) = (Arc::clone(&store), Arc::clone(&ends));
        let stored = Arc::clone(&stored);
        async move {
            let (mut batch, mut refusals) = (0, 0);
            while !ends.load(Ordering::Relaxed) {
                match store.append(rows_of(batch)).await {
                    Ok(()) => {
                        batch += 1;
                        stored.store(batch, Ordering::Relaxed);
                    }
                    Err(StoreError::Unavailable(_)) => refusals += 1,
                    Err(other) => panic!("{other}"),
                }
            }
            (batch, refusals)
        }
    });
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..KILLS {
        tokio::time::sleep(Duration::from_millis(random.u64(20..200))).await;
        tokio::task::block_in_place(|| {
            server.kill();
            server.restart();
        });
    }
    // The store works again by itself.
    kurs_testkit::wait::until_async("the store answers", Duration::from_secs(30), || async {
        store.ping().await.ok()
    })
    .await;
    let many = || (stored.load(Ordering::Relaxed) > 10).then_some(());
    kurs_testkit::until("some batches are stored", Duration::from_secs(60), many).await;
    ends.store(true, Ordering::Relaxed);
    let (batches, refusals) = writing.await.unwrap();
    assert!(
        batches > 10 && refusals > 0,
        "{batches} batches, {refusals} refusals"
    );
    let mut stored = all_rows(&*store).await;
    let expect: Vec<HistoryRow> = (0..batches).flat_map(rows_of).collect();
    // The batch behind the last acknowledged one may have been stored.
    assert!(stored.len() == expect.len() || stored.len() == expect.len() + 10);
    stored.truncate(expect.len());
    assert_eq!(stored, expect);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_connection_is_set_to_commit_to_disk() {
    let server = Postgres::shared();
    let database = server.database();
    server.sql(
        database.name(),
        &format!(
            "ALTER DATABASE {} SET synchronous_commit = off",
            database.name()
        ),
    );
    let store = open(&database.url());
    store.migrate().await.unwrap();
    // Another connection cannot see it, so the store is asked to tell by a trigger.
    server.sql(
        database.name(),
        "CREATE TABLE seen (how text);
         CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NULL;
         END $$;
         CREATE TRIGGER t AFTER INSERT ON meta FOR EACH STATEMENT EXECUTE FUNCTION tell()",
    );
    store.save_terms("x".to_owned(), None).await.unwrap();
    assert_eq!(server.sql(database.name(), "SELECT how FROM seen"), "on");
}
