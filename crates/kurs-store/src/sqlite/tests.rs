mod packing;
mod paging;
mod schema;

use super::*;
use crate::StoreError;
use crate::conformance::{
    self, all_pages, begin_epoch, claim, current, everything, id, pair, rate, row, source,
};

fn in_memory() -> SqliteStore {
    SqliteStore::open(":memory:", SqliteOptions::default()).unwrap()
}

fn open(path: &Path) -> SqliteStore {
    SqliteStore::open(path, SqliteOptions::default()).unwrap()
}

/// Runs any statement on the writing connection.
async fn on_writer(store: &SqliteStore, sql: &'static str) {
    store
        .writer
        .maintenance(move |connection| {
            let mut statement = connection.prepare(sql)?;
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
            Ok(())
        })
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_file_it_is_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let count = std::sync::atomic::AtomicU32::new(0);
    conformance::run(|| async {
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let store: Arc<dyn Store> = Arc::new(open(&folder.path().join(format!("{number}.db"))));
        store
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_memory_it_is_a_store() {
    conformance::run(|| async {
        let store: Arc<dyn Store> = Arc::new(in_memory());
        store
    })
    .await;
}

#[tokio::test]
async fn everything_is_there_after_the_file_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kurs.db");
    let store = open(&path);
    store.migrate().await.unwrap();
    store.append(vec![row("binance", 1, 1)]).await.unwrap();
    store
        .save_current(vec![current("BTC-USDT", id(1), "54000.10")])
        .await
        .unwrap();
    assert_eq!(begin_epoch(&store, 0).await, Epoch(1));
    drop(store);
    let store = open(&path);
    assert_eq!(
        all_pages(&store, everything(10)).await.unwrap(),
        [row("binance", 1, 1)]
    );
    let kept = store.load_current().await.unwrap();
    assert_eq!(kept[0].stored, rate("BTC-USDT", id(1), "54000.10"));
    assert_eq!(begin_epoch(&store, 0).await, Epoch(2));
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_file_can_be_read_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("kurs.db"));
    store.migrate().await.unwrap();
    let mut files = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.path());
        files += 1;
    }
    assert_eq!(files, 3, "the file, its log and its index");
}

#[tokio::test]
async fn commits_wait_for_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("kurs.db"));
    let settings = store
        .writer
        .maintenance(|connection| {
            let synchronous: i64 =
                connection.pragma_query_value(None, "synchronous", |row| row.get(0))?;
            let journal: String =
                connection.pragma_query_value(None, "journal_mode", |row| row.get(0))?;
            Ok((synchronous, journal))
        })
        .await
        .unwrap();
    assert_eq!(settings, (2, "wal".to_owned()));
}

#[tokio::test]
async fn a_full_disk_is_told_and_works_again_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("kurs.db"));
    store.migrate().await.unwrap();
    on_writer(&store, "PRAGMA max_page_count = 40").await;
    let mut acknowledged = 0;
    let error = loop {
        let rows = (acknowledged..acknowledged + 500)
            .map(|seq| row("binance", seq, 1))
            .collect();
        match store.append(rows).await {
            Ok(()) => acknowledged += 500,
            Err(error) => break error,
        }
        assert!(acknowledged < 1_000_000);
    };
    assert!(
        matches!(&error, StoreError::Unavailable(why) if why.contains("full")),
        "{error}"
    );
    let stored = all_pages(&store, everything(1_000)).await.unwrap().len();
    assert_eq!(
        u64::try_from(stored).unwrap(),
        acknowledged,
        "reading goes on, nothing half done"
    );
    on_writer(&store, "PRAGMA max_page_count = 100000").await;
    let rows = (acknowledged..acknowledged + 500)
        .map(|seq| row("binance", seq, 1))
        .collect();
    store.append(rows).await.unwrap();
    let stored = all_pages(&store, everything(1_000)).await.unwrap().len();
    assert_eq!(u64::try_from(stored).unwrap(), acknowledged + 500);
}

#[tokio::test]
async fn a_file_that_vanished_is_not_replaced_by_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kurs.db");
    let store = open(&path);
    store.migrate().await.unwrap();
    store.append(vec![row("binance", 1, 1)]).await.unwrap();
    let elsewhere = folder.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    for name in ["kurs.db", "kurs.db-wal", "kurs.db-shm"] {
        std::fs::rename(folder.path().join(name), elsewhere.join(name)).unwrap();
    }
    for _ in 0..3 {
        let error = store.append(vec![row("binance", 2, 2)]).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        let error = store.tracked().await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    }
    assert!(!path.exists());
    // Back again, it is used again.
    for name in ["kurs.db", "kurs.db-wal", "kurs.db-shm"] {
        let _ = std::fs::rename(elsewhere.join(name), folder.path().join(name));
    }
    store.append(vec![row("binance", 2, 2)]).await.unwrap();
    assert_eq!(all_pages(&store, everything(10)).await.unwrap().len(), 2);
}

#[tokio::test]
async fn one_bad_job_fails_alone() {
    let store = in_memory();
    store.migrate().await.unwrap();
    // An id beyond what can be stored, in the same commit as good rows of a new pair.
    let (bad, good) = tokio::join!(
        store.append(vec![row("kraken", 1, 1), row("kraken", u64::MAX, 1)]),
        store.append(vec![row("binance", 1, 1)])
    );
    assert!(matches!(bad, Err(StoreError::Corrupt(_))), "{bad:?}");
    good.unwrap();
    assert_eq!(
        all_pages(&store, everything(10)).await.unwrap(),
        [row("binance", 1, 1)]
    );
    // The name that was undone with the bad job gets a number that lasts.
    store.append(vec![row("kraken", 1, 1)]).await.unwrap();
    assert_eq!(all_pages(&store, everything(10)).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_value_that_makes_no_sense_is_named() {
    let store = in_memory();
    store.migrate().await.unwrap();
    store.append(vec![row("binance", 1, 1)]).await.unwrap();
    on_writer(&store, "UPDATE history SET price = x'ff'").await;
    let error = store.history(everything(10)).await.unwrap_err();
    assert!(
        matches!(&error, StoreError::Corrupt(why) if why.contains("BTC-USDT")),
        "{error}"
    );
    store.ping().await.unwrap();
}

#[tokio::test]
async fn what_is_not_a_database_of_kurs_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "these are notes, not a database\n".repeat(100)).unwrap();
    let error = SqliteStore::open(&text, SqliteOptions::default()).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error}");

    let foreign = folder.path().join("other.db");
    Connection::open(&foreign)
        .unwrap()
        .execute_batch("CREATE TABLE mine (x)")
        .unwrap();
    let error = SqliteStore::open(&foreign, SqliteOptions::default()).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error}");

    let missing = folder.path().join("no/such/folder/kurs.db");
    let error = SqliteStore::open(&missing, SqliteOptions::default()).unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn a_query_without_end_is_ended() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions {
        statement_limit: Duration::from_millis(50),
        ..SqliteOptions::default()
    };
    let store = SqliteStore::open(folder.path().join("kurs.db"), options).unwrap();
    store.migrate().await.unwrap();
    let endless =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    let error = store
        .read(|connection| Ok(connection.query_row(endless, [], |row| row.get::<_, i64>(0))?))
        .await;
    assert!(
        matches!(&error, Err(StoreError::Unavailable(why)) if why.contains("too long")),
        "{error:?}"
    );
    store.ping().await.unwrap();
}

#[tokio::test]
async fn a_second_process_on_the_file_sees_and_adds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kurs.db");
    let (one, other) = (open(&path), open(&path));
    one.migrate().await.unwrap();
    for seq in 0..20 {
        let (first, second) = tokio::join!(
            one.append(vec![row("binance", seq, 1)]),
            other.append(vec![row("kraken", seq, 1)])
        );
        first.unwrap();
        second.unwrap();
    }
    assert_eq!(all_pages(&one, everything(10)).await.unwrap().len(), 40);
}

#[tokio::test]
async fn one_writer_at_a_time_and_the_next_as_soon_as_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kurs.db");
    let (one, other) = (open(&path), open(&path));
    one.migrate().await.unwrap();
    assert_eq!(begin_epoch(&one, 0).await, Epoch(1));
    let refused = other.claim(claim(0, "b")).await.unwrap_err().to_string();
    assert!(refused.contains("another kurs writes"), "{refused}");
    assert_eq!(begin_epoch(&one, 0).await, Epoch(2));
    drop(one);
    assert_eq!(begin_epoch(&other, 0).await, Epoch(3));
}

#[tokio::test]
async fn pruning_gives_space_back_in_small_steps() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kurs.db");
    let store = open(&path);
    store.migrate().await.unwrap();
    for batch in 0..100 {
        let rows = (batch * 1_000..(batch + 1) * 1_000)
            .map(|seq| row("binance", seq, i64::try_from(seq).unwrap()))
            .collect();
        store.append(rows).await.unwrap();
    }
    on_writer(&store, "PRAGMA wal_checkpoint(TRUNCATE)").await;
    let full = std::fs::metadata(&path).unwrap().len();
    assert_eq!(
        store.prune(Outdated::rows(Wall(99_000))).await.unwrap(),
        99_000
    );
    on_writer(&store, "PRAGMA wal_checkpoint(TRUNCATE)").await;
    let rest = std::fs::metadata(&path).unwrap().len();
    assert!(
        rest < 1_500_000 && full > rest,
        "{full} bytes became {rest}"
    );
    assert_eq!(
        all_pages(&store, everything(1_000)).await.unwrap().len(),
        1_000
    );
}
