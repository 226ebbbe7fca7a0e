//! Promises about the store in PostgreSQL, held on a private server.

#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking; helpers are no test functions"
)]

#[path = "crash/mod.rs"]
mod crash;
#[path = "postgres/gate.rs"]
mod gate;
#[path = "postgres/hygiene.rs"]
mod hygiene;
#[path = "postgres/kills.rs"]
mod kills;
#[path = "postgres/leases.rs"]
mod leases;
#[path = "postgres/migrate.rs"]
mod migrate;
#[path = "postgres/packing.rs"]
mod packing;
#[path = "postgres/partitions.rs"]
mod partitions;
#[path = "postgres/restart.rs"]
mod restart;
#[path = "postgres/roles.rs"]
mod roles;

use kurs_core::{Epoch, Pair, Price, Seq, SourceId, UpdateId, Wall};
use kurs_store::conformance;
use kurs_store::postgres::{PostgresOptions, PostgresStore, PostgresUrl};
use kurs_store::{HistoryQuery, HistoryRow, Store};
use kurs_testkit::Postgres;
use std::sync::Arc;

/// A store at this address.
fn open(url: &str) -> PostgresStore {
    PostgresStore::new(PostgresUrl::parse(url).unwrap(), PostgresOptions::default()).unwrap()
}

/// A store with its schema, in a database of its own.
async fn migrated(server: &Postgres) -> (PostgresStore, kurs_testkit::postgres::Database) {
    let database = server.database();
    let store = open(&database.url());
    store.migrate().await.unwrap();
    (store, database)
}

/// 2026-01-01T00:00:00Z.
const NEW_YEAR: Wall = Wall(1_767_225_600_000_000);
const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

const fn at(since_new_year_us: i64) -> Wall {
    Wall(NEW_YEAR.0 + since_new_year_us)
}

/// The same row for the same id.
fn row(epoch: u64, seq: u64, received_at: Wall) -> HistoryRow {
    let (pair, source) = match seq % 3 {
        0 => ("BTC-USDT", "binance"),
        1 => ("ETH-USDT", "binance"),
        _ => ("BTC-USDT", "kraken"),
    };
    let price = |cents: u64| {
        let (whole, rest) = (50_000 + cents % 99_999 / 100, cents % 100);
        Price::parse(&format!("{whole}.{rest:02}000000")).unwrap()
    };
    HistoryRow {
        pair: Pair::parse(pair).unwrap(),
        source: SourceId::parse(source).unwrap(),
        id: UpdateId {
            shard: 0,
            epoch: Epoch(epoch),
            seq: Seq(seq),
        },
        value: price(seq + 1),
        bid: Some(price(seq)),
        ask: Some(price(seq + 2)),
        observed_at: Some(Wall(received_at.0 - 1_500)),
        received_at,
    }
}

/// Every row of the pairs of [`row`], by receive time and id.
async fn all_rows(store: &dyn Store) -> Vec<HistoryRow> {
    let mut rows = Vec::new();
    for pair in ["BTC-USDT", "ETH-USDT"] {
        let query = HistoryQuery {
            pair: Pair::parse(pair).unwrap(),
            ..conformance::everything(1_000)
        };
        rows.extend(conformance::all_pages(store, query).await.unwrap());
    }
    rows.sort_by_key(|row| (row.received_at, row.id));
    rows
}

#[tokio::test(flavor = "multi_thread")]
async fn every_promise_of_a_store_holds() {
    let server = Postgres::shared();
    conformance::run(|| async {
        let database = server.database();
        Arc::new(open(&database.url())) as Arc<dyn Store>
    })
    .await;
}
