//! The schema.

use super::{migrated, open};
use kurs_store::{SchemaState, Store, StoreError};
use kurs_testkit::Postgres;
use tokio::task::JoinSet;

/// What a dump says of the schema, without what differs from run to run.
fn schema_of(server: &Postgres, database: &str) -> String {
    let output = std::process::Command::new(server.program("pg_dump"))
        .args([
            "--schema-only",
            "--no-owner",
            "-U",
            "postgres",
            "-d",
            database,
        ])
        .arg("-h")
        .arg(server.folder())
        .args(["-p", &server.port().to_string()])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with(['\\', '-']));
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_that_migrate_at_once_make_one_schema_and_no_error() {
    let server = Postgres::shared();
    let (_, alone) = migrated(&server).await;
    let database = server.database();
    // Twice: on an empty database and on one that is up to date.
    for first_found in [0, 1] {
        let mut tasks = JoinSet::new();
        for _ in 0..10 {
            let store = open(&database.url());
            tasks.spawn(async move { store.migrate().await });
        }
        let mut states = Vec::new();
        while let Some(state) = tasks.join_next().await {
            states.push(state.unwrap().unwrap());
        }
        let empty = states.iter().filter(|state| state.found == 0).count();
        assert_eq!(empty, 1 - first_found, "{states:?}");
    }
    let applied = server.sql(database.name(), "SELECT count(*) FROM schema_migrations");
    assert_eq!(applied, "5");
    // Functions with their owner's rights look for tables nowhere else.
    let paths = "SELECT count(*) FROM pg_proc WHERE proname LIKE 'kurs%'
         AND 'search_path=public, pg_temp' = ANY (proconfig)";
    assert_eq!(server.sql(database.name(), paths), "8");
    assert_eq!(
        schema_of(&server, database.name()),
        schema_of(&server, alone.name())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_what_is_pending_changes_nothing() {
    let server = Postgres::shared();
    let database = server.database();
    let store = open(&database.url());
    assert_eq!(
        store.pending().await.unwrap(),
        [
            "0001_first.sql",
            "0002_leases.sql",
            "0003_keys.sql",
            "0004_settings.sql",
            "0005_alerts.sql"
        ]
    );
    let tables = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    assert_eq!(server.sql(database.name(), tables), "0");
    store.migrate().await.unwrap();
    assert!(store.pending().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_migration_is_named_and_a_failed_one_leaves_nothing_behind() {
    let server = Postgres::shared();
    let (store, database) = migrated(&server).await;
    server.sql(
        database.name(),
        "UPDATE schema_migrations SET checksum = 'other'",
    );
    for error in [
        store.migrate().await.unwrap_err(),
        store.pending().await.unwrap_err(),
    ] {
        assert!(
            matches!(&error, StoreError::Corrupt(why) if why.contains("0001_first.sql")),
            "{error}"
        );
    }
    // A table of another program is in the way of the last but few statements.
    let database = server.database();
    server.sql(database.name(), "CREATE VIEW kurs_current AS SELECT 1");
    let store = open(&database.url());
    store.migrate().await.unwrap_err();
    assert_eq!(store.schema().await.unwrap().found, 0);
    server.sql(database.name(), "DROP VIEW kurs_current");
    store.migrate().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_works_beside_the_next_version_when_that_allows_it() {
    let server = Postgres::shared();
    let (_, database) = migrated(&server).await;
    let newer = |version: u32, compatible_from: u32| {
        server.sql(
            database.name(),
            &format!(
                "INSERT INTO schema_migrations (version, name, checksum, compatible_from)
                 VALUES ({version}, 'x', 'x', {compatible_from})"
            ),
        )
    };
    newer(6, 5);
    let store = open(&database.url());
    store.save_terms("old".to_owned(), None).await.unwrap();
    assert_eq!(store.terms().await.unwrap().as_deref(), Some("old"));
    let state = store.migrate().await.unwrap();
    assert_eq!(
        state,
        SchemaState {
            found: 6,
            needed: 5
        }
    );
    newer(7, 7);
    let store = open(&database.url());
    for error in [
        store.terms().await.unwrap_err(),
        store.migrate().await.unwrap_err(),
    ] {
        assert!(
            matches!(
                error,
                StoreError::Schema {
                    found: 7,
                    needed: 5
                }
            ),
            "{error}"
        );
    }
}
