//! Brings the schema to this program's version: ordered files, embedded, forward only. Old and
//! new programs work side by side for one version, by the rules that `sqlite/migrate.rs` tells.

use super::fault::Fault;
use super::partitions;
use crate::{SchemaState, StoreError};
use deadpool_postgres::{Client, GenericClient};
use tokio_postgres::error::SqlState;

/// One step of the schema.
#[derive(Debug, Clone, Copy)]
pub(super) struct Migration {
    /// Its place in the order, from 1 without gaps.
    pub(super) version: u32,
    /// Name of its file.
    pub(super) name: &'static str,
    /// Its statements.
    pub(super) sql: &'static str,
    /// Programs that need this version or a later one work with the schema after this step. A
    /// step that only adds leaves it at the version before.
    pub(super) compatible_from: u32,
}

/// All steps of this program. A released file is never changed; a change is a new file.
pub(super) const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "0001_first.sql",
        sql: include_str!("../../migrations/postgres/0001_first.sql"),
        compatible_from: 1,
    },
    Migration {
        version: 2,
        name: "0002_leases.sql",
        sql: include_str!("../../migrations/postgres/0002_leases.sql"),
        compatible_from: 1,
    },
    Migration {
        version: 3,
        name: "0003_keys.sql",
        sql: include_str!("../../migrations/postgres/0003_keys.sql"),
        compatible_from: 2,
    },
    Migration {
        version: 4,
        name: "0004_settings.sql",
        sql: include_str!("../../migrations/postgres/0004_settings.sql"),
        compatible_from: 3,
    },
    Migration {
        version: 5,
        name: "0005_alerts.sql",
        sql: include_str!("../../migrations/postgres/0005_alerts.sql"),
        compatible_from: 4,
    },
];

/// What the roles may do.
const GRANTS: &str = include_str!("../../migrations/postgres/grants.sql");

/// Locks out other migrations for as long as the transaction lasts. The number is "kurs" in
/// ASCII, and 1.
const TAKE_TURNS: &str = "SELECT pg_advisory_xact_lock(1802859123, 1)";

/// How long a migration waits for another one, or for a table that somebody uses; and how long
/// one statement of it may take.
const PATIENCE: &str = "SET LOCAL lock_timeout = '60s'; SET LOCAL statement_timeout = '600s';
     SET LOCAL idle_in_transaction_session_timeout = '60s';";

/// Everything is made in the schema that comes first, and functions keep looking for it there
/// and not, for instance, among temporary tables that somebody else made.
const ONE_SCHEMA: &str =
    "SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true)";

/// The version that `steps` lead to.
pub(super) fn needed(steps: &[Migration]) -> u32 {
    steps.last().map_or(0, |step| step.version)
}

/// The version of a database; 0 when it is empty.
pub(super) async fn found(client: &impl GenericClient) -> Result<u32, Fault> {
    let exists = "SELECT to_regclass('schema_migrations') IS NOT NULL";
    if !client.query_one(exists, &[]).await?.try_get::<_, bool>(0)? {
        return Ok(0);
    }
    let version = "SELECT coalesce(max(version), 0) FROM schema_migrations";
    let version: i32 = client.query_one(version, &[]).await?.try_get(0)?;
    u32::try_from(version).map_err(|_| Fault::corrupt("a negative schema version"))
}

/// Refuses a schema with which this program does not work.
pub(super) async fn check(client: &impl GenericClient, steps: &[Migration]) -> Result<(), Fault> {
    let (found, needed) = (found(client).await?, needed(steps));
    if found == needed {
        return Ok(());
    }
    let refused = Err(Fault::Told(StoreError::Schema { found, needed }));
    if needed.checked_add(1) != Some(found) {
        return refused;
    }
    let row = client
        .query_one(
            "SELECT coalesce(bool_and(compatible_from <= $1), false)
             FROM schema_migrations WHERE version > $1",
            &[&i32::try_from(needed).unwrap_or(i32::MAX)],
        )
        .await?;
    if row.try_get(0)? { Ok(()) } else { refused }
}

/// Names of the steps that are missing; looks whether the others are as they were.
pub(super) async fn pending(
    client: &impl GenericClient,
    steps: &[Migration],
) -> Result<Vec<String>, Fault> {
    let found = found(client).await?;
    if found > needed(steps) {
        check(client, steps).await?;
    }
    let mut missing = Vec::new();
    for step in steps {
        if found == 0 || !is_applied(client, step).await? {
            missing.push(step.name.to_owned());
        }
    }
    Ok(missing)
}

/// Whether a step was taken.
async fn is_applied(client: &impl GenericClient, step: &Migration) -> Result<bool, Fault> {
    let version = i32::try_from(step.version).unwrap_or(i32::MAX);
    let recorded = client
        .query_opt(
            "SELECT checksum FROM schema_migrations WHERE version = $1",
            &[&version],
        )
        .await?;
    let Some(row) = recorded else {
        return Ok(false);
    };
    if row.try_get::<_, String>(0)? == checksum(step.sql) {
        return Ok(true);
    }
    Err(Fault::corrupt(format!(
        "migration {} was changed after it had been applied to this database",
        step.name
    )))
}

/// Applies what is missing, in one transaction: many at once take turns, and the later ones find
/// nothing left to do. Then says again what the roles may do, and makes the partitions of the
/// next days.
pub(super) async fn migrate(
    client: &mut Client,
    steps: &[Migration],
) -> Result<SchemaState, Fault> {
    let transaction = client.transaction().await?;
    transaction.batch_execute(PATIENCE).await?;
    transaction.batch_execute(TAKE_TURNS).await?;
    let schema = transaction
        .query_one("SELECT current_schema()::text", &[])
        .await?;
    if schema.try_get::<_, Option<String>>(0)?.is_none() {
        return Err(Fault::Told(StoreError::Unavailable(
            "no schema of the search path exists or may be used".to_owned(),
        )));
    }
    transaction.batch_execute(ONE_SCHEMA).await?;
    let state = SchemaState {
        found: found(&transaction).await?,
        needed: needed(steps),
    };
    if state.found > state.needed {
        check(&transaction, steps).await?;
        return Ok(state);
    }
    if state.found == 0 {
        transaction
            .batch_execute(
                "CREATE TABLE IF NOT EXISTS schema_migrations (
                    version integer PRIMARY KEY,
                    name text NOT NULL,
                    checksum text NOT NULL,
                    applied_at timestamptz NOT NULL DEFAULT now(),
                    compatible_from integer NOT NULL
                )",
            )
            .await?;
    }
    for step in steps {
        if is_applied(&transaction, step).await? {
            continue;
        }
        transaction.batch_execute(step.sql).await?;
        let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        transaction
            .execute(
                "INSERT INTO schema_migrations (version, name, checksum, compatible_from)
                 VALUES ($1, $2, $3, $4)",
                &[
                    &number(step.version),
                    &step.name,
                    &checksum(step.sql),
                    &number(step.compatible_from),
                ],
            )
            .await?;
    }
    if owns_tables(&transaction).await? {
        transaction.batch_execute(GRANTS).await?;
    }
    if steps.len() == MIGRATIONS.len() {
        partitions::make_ahead(&transaction).await?;
    }
    transaction.commit().await?;
    Ok(state)
}

/// Only who owns a table may say who may use it; a Writer that finds nothing left to migrate
/// leaves that alone.
async fn owns_tables(client: &impl GenericClient) -> Result<bool, Fault> {
    let row = client
        .query_opt(
            "SELECT pg_has_role(relowner, 'USAGE') FROM pg_class
             WHERE oid = to_regclass('current_rates')",
            &[],
        )
        .await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?.unwrap_or(false))
}

/// Says "migrate" where the server says that a table is missing.
pub(super) async fn explain(client: &Client, fault: Fault, steps: &[Migration]) -> Fault {
    if !fault.doubts_schema() {
        return fault;
    }
    match check(client, steps).await {
        Err(Fault::Sql(error)) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => fault,
        Err(refused) => refused,
        Ok(()) => fault,
    }
}

/// FNV-1a over the text, blind to the line endings that a checkout may rewrite. It guards
/// against an edited file, not against an attacker, who could edit the table as well.
fn checksum(sql: &str) -> String {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in sql.bytes().filter(|byte| *byte != b'\r') {
        hash ^= u64::from(byte);
        hash = hash.wrapping_mul(0x0000_0100_0000_01b3);
    }
    format!("fnv1a64:{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbered_from_one_without_gaps_and_named_after_their_file() {
        for (index, step) in MIGRATIONS.iter().enumerate() {
            assert_eq!(usize::try_from(step.version).unwrap(), index + 1);
            assert!(
                step.name.starts_with(&format!("{:04}_", step.version)),
                "{}",
                step.name
            );
            assert!((1..=step.version).contains(&step.compatible_from));
        }
    }
}
