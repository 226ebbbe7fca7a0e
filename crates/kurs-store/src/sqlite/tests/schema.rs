use super::*;

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let store = in_memory();
    store.migrate().await.unwrap();
    on_writer(
        &store,
        "INSERT INTO schema_migrations VALUES (9, 'later', 'x', 'y', 1)",
    )
    .await;
    let error = store.migrate().await.unwrap_err();
    assert!(
        matches!(error, StoreError::Schema { found: 9, .. }),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_that_migrate_at_once_all_succeed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kurs.db");
    let threads: Vec<_> = (0..10)
        .map(|_| {
            let path = path.clone();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(async { open(&path).migrate().await.unwrap() })
            })
        })
        .collect();
    let states: Vec<SchemaState> = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    assert_eq!(
        states.iter().filter(|state| state.found == 0).count(),
        1,
        "{states:?}"
    );
    assert!(
        states
            .iter()
            .all(|state| state.found == 0 || state.found == state.needed)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_that_migrate_an_old_database_at_once_all_succeed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kurs.db");
    // As a program of the first version left it, without the column that came later.
    let old = Connection::open(&path).unwrap();
    migrate::migrate(&old, &migrate::MIGRATIONS[..1], Duration::from_secs(5)).unwrap();
    old.execute_batch(
        "ALTER TABLE schema_migrations DROP COLUMN compatible_from;
         INSERT INTO tracked VALUES ('BTCUSDT', 'BTC-USDT', 1)",
    )
    .unwrap();
    drop(old);
    let pending = open(&path).pending().await.unwrap();
    assert_eq!(pending.len(), migrate::MIGRATIONS.len() - 1);
    let tasks = (0..10).map(|_| {
        let store = open(&path);
        tokio::spawn(async move { store.migrate().await.unwrap() })
    });
    let mut found = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        found.push(task.await.unwrap().found);
    }
    assert_eq!(found.iter().filter(|found| **found == 1).count(), 1);
    let store = open(&path);
    assert!(store.pending().await.unwrap().is_empty());
    assert_eq!(store.tracked().await.unwrap().len(), 1);
    store
        .write(conformance::one_of_everything(1))
        .await
        .unwrap();
}

#[tokio::test]
async fn what_the_version_before_leases_left_behind_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kurs.db");
    let old = Connection::open(&path).unwrap();
    migrate::migrate(&old, &migrate::MIGRATIONS[..3], Duration::from_secs(5)).unwrap();
    let of_1970 = rate("BTC-USDT", id(7), "5.0");
    let mut of_2100 = rate("ETH-USDT", id(8), "6.0");
    of_2100.rate.published_at = Wall::from_unix_seconds(4_102_444_800);
    old.execute("INSERT INTO lease VALUES (0, 41)", []).unwrap();
    for (number, stored) in [(7, &of_1970), (8, &of_2100)] {
        let text = serde_json::to_string(&stored.rate).unwrap();
        old.execute(
            "INSERT INTO pairs (id, name) VALUES (?1, ?2)",
            rusqlite::params![number, stored.rate.pair.to_string()],
        )
        .unwrap();
        old.execute(
            "INSERT INTO current_rates VALUES (?1, 0, 1, ?2, ?3)",
            rusqlite::params![number, number, text],
        )
        .unwrap();
    }
    drop(old);
    let store = open(&path);
    store.migrate().await.unwrap();
    let kept = store.load_current().await.unwrap();
    assert_eq!([&kept[0].stored, &kept[1].stored], [&of_1970, &of_2100]);
    // How long they are valid they say themselves.
    assert!(kept[0].left.is_zero() && !kept[1].left.is_zero());
    let run_out = store.claim(claim(0, "a")).await.unwrap();
    assert_eq!(run_out, Some(Epoch(42)));
}
