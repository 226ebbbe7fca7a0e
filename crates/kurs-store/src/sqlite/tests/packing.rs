use super::*;

#[tokio::test]
async fn a_second_process_that_packs_makes_no_doubles() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("kurs.db");
    let (one, other) = (open(&path), open(&path));
    one.migrate().await.unwrap();
    let rows: Vec<HistoryRow> = (0..100).map(|seq| row("binance", seq, 5)).collect();
    // The first knows by now that nothing is packed.
    one.append(rows.clone()).await.unwrap();
    let days = Wall(3 * 86_400_000_000);
    assert_eq!(other.pack(days).await.unwrap().rows, 100);
    one.append(rows.clone()).await.unwrap();
    assert_eq!(all_pages(&one, everything(7)).await.unwrap(), rows);
    assert_eq!(one.pack(days).await.unwrap().rows, 0);
}

#[tokio::test]
async fn a_block_that_makes_no_sense_is_named_and_stops_nothing_else() {
    let store = in_memory();
    store.migrate().await.unwrap();
    let days = Wall(3 * 86_400_000_000);
    for seq in 1..3 {
        store
            .write(conformance::one_of_everything(seq))
            .await
            .unwrap();
    }
    store.pack(days).await.unwrap();
    on_writer(&store, "UPDATE history_packed SET last_seq = 7").await;
    on_writer(&store, "UPDATE published_packed SET block = x'0102'").await;
    let named = |error: StoreError| matches!(&error, StoreError::Corrupt(why) if why.contains("block") && why.contains("BTC-USDT"));
    assert!(named(store.history(everything(10)).await.unwrap_err()));
    assert!(named(
        store
            .last_rows(pair("BTC-USDT"), Wall::MAX)
            .await
            .unwrap_err()
    ));
    let events = conformance::all_published(10);
    assert!(named(store.published(events).await.unwrap_err()));
    assert!(named(store.published_at(Wall::MAX).await.unwrap_err()));
    // What comes is stored, and what can be packed is packed.
    store.append(vec![row("kraken", 9, 9_000)]).await.unwrap();
    assert_eq!(store.pack(days).await.unwrap().rows, 1);
    on_writer(
        &store,
        "INSERT INTO history VALUES (1, 1, 99999, 0, 1, 99, x'ff')",
    )
    .await;
    store.append(vec![row("okx", 9, 9_000)]).await.unwrap();
    store.pack(days).await.unwrap_err();
    let okx = HistoryQuery {
        source: Some(source("okx")),
        ..everything(10)
    };
    assert_eq!(store.history(okx).await.unwrap().rows.len(), 1);
    store.append(vec![row("okx", 9, 9_000)]).await.unwrap();
    assert_eq!(
        store
            .read(|connection| Ok(connection.query_row(
                "SELECT count(*) FROM history_packed",
                [],
                |row| row.get::<_, i64>(0)
            )?))
            .await
            .unwrap(),
        3
    );
}

#[tokio::test]
async fn the_last_of_a_moment_is_looked_up_not_searched_for() {
    let store = in_memory();
    store.migrate().await.unwrap();
    for (sql, key) in [
        (
            history::LAST_HOT,
            "PRIMARY KEY (pair=? AND source=? AND received_at<?)",
        ),
        (
            history::BLOCK_AT,
            "INDEX history_packed_place (pair=? AND source=? AND (first_at,first_shard,first_epoch,first_seq)<(?,?,?,?))",
        ),
        (
            published::LAST_HOT,
            "INDEX published_place (pair=? AND published_at<?)",
        ),
        (
            published::BLOCK_AT,
            "INDEX published_packed_place (pair=? AND (first_at,first_shard,first_epoch,first_seq)<(?,?,?,?))",
        ),
    ] {
        let plan = store
            .read(move |connection| {
                let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}"))?;
                let lines = statement.raw_query().mapped(|row| row.get::<_, String>(3));
                Ok(lines.collect::<Result<Vec<_>, _>>()?.join("; "))
            })
            .await;
        let plan = plan.unwrap();
        assert!(plan.contains(key), "{plan}");
        assert!(!plan.contains("SCAN") && !plan.contains("TEMP"), "{plan}");
    }
}
