//! Who may write, on a server that several programs use.

use super::gate::Gate;
use super::{at, migrated, open, row};
use kurs_core::{Epoch, SourceState, Wall};
use kurs_store::conformance::{begin_epoch, claim, current, id, rate, state};
use kurs_store::postgres::PostgresStore;
use kurs_store::{Batch, Claim, Fence, Store, StoreError};
use kurs_testkit::Postgres;
use kurs_testkit::postgres::Database;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const HANG: Duration = Duration::from_secs(30);

const fn fence(epoch: u64) -> Fence {
    Fence {
        shard: 0,
        epoch: Epoch(epoch),
    }
}

/// A row and the current rate of BTC-USDT.
fn batch(epoch: u64, seq: u64) -> Batch {
    Batch {
        rows: vec![row(epoch, seq, at(0))],
        current: vec![current("BTC-USDT", id(seq), "1")],
        fence: Some(fence(epoch)),
        ..Batch::default()
    }
}

/// How many rows of each epoch can be seen.
fn rows_of(server: &Postgres, database: &Database) -> BTreeMap<u64, u64> {
    let sql = "SELECT epoch || ' ' || count(*) FROM history GROUP BY epoch";
    let counts = server.sql(database.name(), sql);
    counts
        .lines()
        .map(|line| {
            let (epoch, count) = line.split_once(' ').unwrap();
            (epoch.parse().unwrap(), count.parse().unwrap())
        })
        .collect()
}

/// A connection that is no store's.
async fn connect(
    database: &Database,
) -> (
    tokio_postgres::Client,
    tokio::task::JoinHandle<Result<(), tokio_postgres::Error>>,
) {
    let connected = tokio_postgres::connect(&database.url(), tokio_postgres::NoTls).await;
    let (client, connection) = connected.unwrap();
    (client, tokio::spawn(connection))
}

fn open_transactions(server: &Postgres, database: &Database) -> String {
    let sql = format!(
        "SELECT count(*) FROM pg_stat_activity
         WHERE datname = '{}' AND state LIKE 'idle in transaction%'",
        database.name()
    );
    server.sql("postgres", &sql)
}

/// A Writer whose way to the server can be barred, with a lease that ran out at once.
struct Stopped {
    server: Arc<Postgres>,
    database: Database,
    gate: Gate,
    store: Arc<PostgresStore>,
    other: PostgresStore,
}

impl Stopped {
    async fn new() -> Self {
        let server = Postgres::shared();
        let (other, database) = migrated(&server).await;
        let gate = Gate::before(server.port()).await;
        let store = Arc::new(open(&gate.url(&database.url(), server.port())));
        let runs_out = Claim {
            ttl: Duration::ZERO,
            ..claim(0, "stopped")
        };
        assert_eq!(store.claim(runs_out).await.unwrap(), Some(Epoch(1)));
        // Nobody took over, so it may write.
        store.write(batch(1, 0)).await.unwrap();
        Self {
            server,
            database,
            gate,
            store,
            other,
        }
    }

    /// Begins to write, and is stopped where all is written but nothing committed.
    async fn stop(&self) -> tokio::task::JoinHandle<Result<(), StoreError>> {
        self.gate.close();
        let store = Arc::clone(&self.store);
        let writing = tokio::spawn(async move { store.write(batch(1, 3)).await });
        self.gate.holds().await;
        writing
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_is_stopped_before_its_commit_cannot_hold_up_nor_undo_a_take_over() {
    // Only where the server has not yet ended the transaction of the stopped one does this show
    // anything about it.
    for _ in 0..5 {
        let stopped = Stopped::new().await;
        let writing = stopped.stop().await;
        let claimed = stopped.other.claim(claim(0, "next")).await.unwrap();
        let still_open = open_transactions(&stopped.server, &stopped.database) == "1";
        assert_eq!(claimed, Some(Epoch(2)));
        stopped.gate.open();
        let refused = writing.await.unwrap().unwrap_err();
        let is_fenced = matches!(refused, StoreError::Fenced(told) if told == fence(1));
        let rows = rows_of(&stopped.server, &stopped.database);
        assert_eq!(rows, BTreeMap::from([(1, 1)]), "a late row is visible");
        // It goes on as if nothing had been.
        let again = stopped.store.write(batch(1, 3)).await.unwrap_err();
        assert!(matches!(again, StoreError::Fenced(_)), "{again}");
        stopped.other.write(batch(2, 3)).await.unwrap();
        if still_open && is_fenced {
            return;
        }
    }
    panic!("the transaction was never open when the lease was taken");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stopped_writer_has_locked_is_free_again_without_it() {
    let stopped = Stopped::new().await;
    let writing = stopped.stop().await;
    let next = &stopped.other;
    assert_eq!(next.claim(claim(0, "next")).await.unwrap(), Some(Epoch(2)));
    // The same current rate; the gate stays closed.
    kurs_testkit::wait::until_async("the next Writer writes", HANG, || async {
        next.write(batch(2, 3)).await.ok()
    })
    .await;
    let kept = next.load_current().await.unwrap();
    assert_eq!(kept[0].stored, rate("BTC-USDT", id(3), "1"));
    stopped.gate.open();
    writing.await.unwrap().unwrap_err();
    let rows = rows_of(&stopped.server, &stopped.database);
    assert_eq!(rows, BTreeMap::from([(1, 1), (2, 1)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_ends_what_a_writer_leaves_open_for_a_second() {
    let server = Postgres::shared();
    let (store, database) = migrated(&server).await;
    begin_epoch(&store, 0).await;
    server.sql(
        database.name(),
        "CREATE TABLE seen (what text);
         CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO seen VALUES (current_setting('idle_in_transaction_session_timeout') || ' '
                 || current_setting('statement_timeout'));
             RETURN NULL;
         END $$;
         CREATE TRIGGER t AFTER INSERT ON current_rates FOR EACH STATEMENT EXECUTE FUNCTION tell()",
    );
    store.write(batch(1, 0)).await.unwrap();
    let mut unfenced = batch(1, 1);
    unfenced.fence = None;
    store.write(unfenced).await.unwrap();
    let seen = server.sql(database.name(), "SELECT what FROM seen");
    assert_eq!(seen, "1s 1002ms\n5s 5s");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_an_epoch_appears_after_the_next_one_has_begun() {
    let server = Postgres::shared();
    let (next, database) = migrated(&server).await;
    begin_epoch(&next, 0).await;
    // Commits take a while, so that there is time to take over between check and commit.
    server.sql(
        database.name(),
        "CREATE FUNCTION tarry() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             PERFORM pg_sleep(0.005);
             RETURN NULL;
         END $$;
         CREATE CONSTRAINT TRIGGER t AFTER INSERT ON price_states
             DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION tarry()",
    );
    let (epoch, present) = tokio::sync::watch::channel(1_u64);
    let writing: Vec<_> = (0..4)
        .map(|writer| {
            let (store, present) = (open(&database.url()), present.clone());
            tokio::spawn(async move {
                let (mut seq, mut fenced) = (writer, 0_u64);
                while present.has_changed().is_ok() {
                    let epoch = *present.borrow();
                    let mut state = state(seq, 1_000, SourceState::Live);
                    state.id.epoch = Epoch(epoch);
                    let batch = Batch {
                        rows: vec![row(epoch, seq, at(0))],
                        states: vec![state],
                        fence: Some(fence(epoch)),
                        ..Batch::default()
                    };
                    match store.write(batch).await {
                        Ok(()) => seq += 4,
                        Err(StoreError::Fenced(_)) => fenced += 1,
                        Err(error) => panic!("{error}"),
                    }
                }
                fenced
            })
        })
        .collect();
    // Asked at once: a late row would appear a moment later.
    let (client, connection) = connect(&database).await;
    let counting = "SELECT count(*) FROM history WHERE epoch = $1";
    let counting = client.prepare(counting).await.unwrap();
    let mut seen = BTreeMap::new();
    for before in 1..=40_u64 {
        tokio::time::sleep(Duration::from_millis(before % 7)).await;
        assert_eq!(begin_epoch(&next, 0).await.0, before + 1);
        let number = i64::try_from(before).unwrap();
        let count = client.query_one(&counting, &[&number]).await.unwrap();
        seen.insert(before, u64::try_from(count.get::<_, i64>(0)).unwrap());
        epoch.send_replace(before + 1);
    }
    drop(client);
    let _ = connection.await;
    drop(epoch);
    let mut fenced = 0;
    for task in writing {
        fenced += task.await.unwrap();
    }
    let rows = rows_of(&server, &database);
    for (epoch, count) in &seen {
        assert_eq!(rows.get(epoch).copied().unwrap_or(0), *count, "{epoch}");
    }
    assert!(
        fenced > 0 && seen.values().sum::<u64>() > 0,
        "{fenced} {seen:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_programs_that_claim_exactly_one_gets_each_epoch() {
    let server = Postgres::shared();
    let (store, database) = migrated(&server).await;
    let claiming: Vec<_> = (0..8)
        .map(|writer| {
            let store = open(&database.url());
            tokio::spawn(async move {
                let mut epochs = Vec::new();
                for _ in 0..25 {
                    // Free for the next one at once.
                    let runs_out = Claim {
                        ttl: Duration::ZERO,
                        ..claim(0, &format!("w{writer}"))
                    };
                    epochs.extend(store.claim(runs_out).await.unwrap());
                }
                epochs
            })
        })
        .collect();
    let mut epochs = Vec::new();
    for task in claiming {
        epochs.extend(task.await.unwrap());
    }
    let different: BTreeSet<Epoch> = epochs.iter().copied().collect();
    assert_eq!(different.len(), epochs.len(), "an epoch was given twice");
    assert_eq!(different.last(), Some(&Epoch(epochs.len() as u64)));
    let last = begin_epoch(&store, 0).await;
    assert_eq!(last.0, epochs.len() as u64 + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_somebody_locks_is_not_waited_for() {
    let server = Postgres::shared();
    let (store, database) = migrated(&server).await;
    let runs_out = Claim {
        ttl: Duration::ZERO,
        ..claim(0, "a")
    };
    store.claim(runs_out).await.unwrap();
    let (client, connection) = connect(&database).await;
    client
        .batch_execute("BEGIN; SELECT FROM lease FOR UPDATE")
        .await
        .unwrap();
    let claimed = tokio::time::timeout(HANG, store.claim(claim(0, "b")));
    assert_eq!(claimed.await.unwrap().unwrap(), None);
    let written = tokio::time::timeout(HANG, store.write(batch(1, 0)));
    let refused = written.await.unwrap().unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused}");
    drop(client);
    let _ = connection.await;
    // With the connection its lock is gone.
    kurs_testkit::wait::until_async("the lease is free", HANG, || async {
        store.claim(claim(0, "b")).await.unwrap()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_version_before_leases_left_behind_is_kept() {
    let server = Postgres::shared();
    let (_, newer) = migrated(&server).await;
    let first = "SELECT checksum FROM schema_migrations WHERE version = 1";
    let checksum = server.sql(newer.name(), first);
    let database = server.database();
    server.sql(
        database.name(),
        include_str!("../../migrations/postgres/0001_first.sql"),
    );
    let of_1970 = rate("BTC-USDT", id(7), "5.0");
    let mut of_2100 = rate("ETH-USDT", id(8), "6.0");
    of_2100.rate.published_at = Wall::from_unix_seconds(4_102_444_800);
    server.sql(
        database.name(),
        &format!(
            "CREATE TABLE schema_migrations (
                 version integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL,
                 applied_at timestamptz NOT NULL DEFAULT now(), compatible_from integer NOT NULL);
             INSERT INTO schema_migrations VALUES (1, '0001_first.sql', '{checksum}', now(), 1);
             INSERT INTO lease VALUES (0, 41);
             INSERT INTO pairs (name) VALUES ('BTC-USDT'), ('ETH-USDT');
             INSERT INTO current_rates SELECT id, 0, 1, 7, '{}' FROM pairs WHERE name LIKE 'B%';
             INSERT INTO current_rates SELECT id, 0, 1, 8, '{}' FROM pairs WHERE name LIKE 'E%'",
            serde_json::to_string(&of_1970.rate).unwrap(),
            serde_json::to_string(&of_2100.rate).unwrap(),
        ),
    );
    let store = open(&database.url());
    assert_eq!(
        store.pending().await.unwrap(),
        [
            "0002_leases.sql",
            "0003_keys.sql",
            "0004_settings.sql",
            "0005_alerts.sql"
        ]
    );
    store.migrate().await.unwrap();
    let kept = store.load_current().await.unwrap();
    assert_eq!([&kept[0].stored, &kept[1].stored], [&of_1970, &of_2100]);
    // How long they are valid they say themselves.
    assert!(kept[0].left.is_zero() && !kept[1].left.is_zero());
    let run_out = store.claim(claim(0, "a")).await.unwrap();
    assert_eq!(run_out, Some(Epoch(42)));
}
