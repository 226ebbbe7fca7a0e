//! Brings the schema to this program's version: ordered files, embedded, forward only.

use super::connection::APPLICATION_ID;
use super::fault::Fault;
use crate::{SchemaState, StoreError};
use rusqlite::{Connection, OptionalExtension, params};
use std::time::Duration;

/// One step of the schema.
#[derive(Debug, Clone, Copy)]
pub(super) struct Migration {
    /// Its place in the order, from 1 without gaps.
    pub(super) version: u32,
    /// Name of its file.
    pub(super) name: &'static str,
    /// Its statements.
    pub(super) sql: &'static str,
}

/// All steps of this program. A released file is never changed; a change is a new file.
pub(super) const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "0001_first.sql",
    sql: include_str!("../../migrations/sqlite/0001_first.sql"),
}];

/// How long a migration waits for another one that is running.
const PATIENCE: Duration = Duration::from_secs(60);

/// The version that `steps` lead to.
pub(super) fn needed(steps: &[Migration]) -> u32 {
    steps.last().map_or(0, |step| step.version)
}

/// The version of a database; 0 when it is empty.
pub(super) fn found(connection: &Connection) -> Result<u32, Fault> {
    let exists: Option<i64> = connection
        .query_row(
            "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations'",
            [],
            |row| row.get(0),
        )
        .optional()?;
    if exists.is_none() {
        return Ok(0);
    }
    Ok(connection.query_row(
        "SELECT coalesce(max(version), 0) FROM schema_migrations",
        [],
        |row| row.get(0),
    )?)
}

/// Applies what is missing, in one transaction under the write lock: many at once wait for each
/// other, and the later ones find nothing left to do.
pub(super) fn migrate(
    connection: &Connection,
    steps: &[Migration],
    usual_timeout: Duration,
) -> Result<SchemaState, Fault> {
    connection.busy_timeout(PATIENCE)?;
    let outcome = connection
        .execute_batch("BEGIN IMMEDIATE")
        .map_err(Fault::from)
        .and_then(|()| {
            let applied = apply(connection, steps).and_then(|state| {
                connection.execute_batch("COMMIT")?;
                Ok(state)
            });
            if applied.is_err() && !connection.is_autocommit() {
                connection.execute_batch("ROLLBACK")?;
            }
            applied
        });
    connection.busy_timeout(usual_timeout)?;
    outcome
}

fn apply(connection: &Connection, steps: &[Migration]) -> Result<SchemaState, Fault> {
    let state = SchemaState {
        found: found(connection)?,
        needed: needed(steps),
    };
    if state.found > state.needed {
        return Err(Fault::Told(StoreError::Schema {
            found: state.found,
            needed: state.needed,
        }));
    }
    if state.found == 0 {
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS schema_migrations (
                version INTEGER PRIMARY KEY,
                name TEXT NOT NULL,
                checksum TEXT NOT NULL,
                applied_at TEXT NOT NULL
            ) STRICT",
        )?;
    }
    for step in steps {
        let recorded: Option<String> = connection
            .query_row(
                "SELECT checksum FROM schema_migrations WHERE version = ?1",
                [step.version],
                |row| row.get(0),
            )
            .optional()?;
        match recorded {
            Some(recorded) if recorded == checksum(step.sql) => {}
            Some(_) => {
                return Err(Fault::corrupt(format!(
                    "migration {} was changed after it had been applied to this database",
                    step.name
                )));
            }
            None => {
                connection.execute_batch(step.sql)?;
                connection.execute(
                    "INSERT INTO schema_migrations (version, name, checksum, applied_at)
                     VALUES (?1, ?2, ?3, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))",
                    params![step.version, step.name, checksum(step.sql)],
                )?;
            }
        }
    }
    Ok(state)
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

    const TIMEOUT: Duration = Duration::from_secs(5);
    const FIRST: Migration = Migration {
        version: 1,
        name: "1.sql",
        sql: "CREATE TABLE a (x)",
    };
    const SECOND: Migration = Migration {
        version: 2,
        name: "2.sql",
        sql: "CREATE TABLE b (x)",
    };

    #[test]
    fn versions_are_numbered_from_one_without_gaps_and_named_after_their_file() {
        for (index, step) in MIGRATIONS.iter().enumerate() {
            assert_eq!(usize::try_from(step.version).unwrap(), index + 1);
            assert!(
                step.name.starts_with(&format!("{:04}_", step.version)),
                "{}",
                step.name
            );
        }
    }

    #[test]
    fn only_missing_steps_are_applied_and_a_repeat_changes_nothing() {
        let connection = Connection::open_in_memory().unwrap();
        assert_eq!(found(&connection).unwrap(), 0);
        let first = migrate(&connection, &[FIRST], TIMEOUT).unwrap();
        assert_eq!(
            first,
            SchemaState {
                found: 0,
                needed: 1
            }
        );
        let both = migrate(&connection, &[FIRST, SECOND], TIMEOUT).unwrap();
        assert_eq!(
            both,
            SchemaState {
                found: 1,
                needed: 2
            }
        );
        let again = migrate(&connection, &[FIRST, SECOND], TIMEOUT).unwrap();
        assert_eq!(
            again,
            SchemaState {
                found: 2,
                needed: 2
            }
        );
    }

    #[test]
    fn a_newer_schema_is_refused_and_left_alone() {
        let connection = Connection::open_in_memory().unwrap();
        migrate(&connection, &[FIRST, SECOND], TIMEOUT).unwrap();
        let error = migrate(&connection, &[FIRST], TIMEOUT).unwrap_err().tell();
        assert!(
            matches!(
                error,
                StoreError::Schema {
                    found: 2,
                    needed: 1
                }
            ),
            "{error}"
        );
        assert!(error.to_string().contains("newer"), "{error}");
    }

    #[test]
    fn a_changed_migration_is_named() {
        let connection = Connection::open_in_memory().unwrap();
        migrate(&connection, &[FIRST], TIMEOUT).unwrap();
        let changed = Migration {
            sql: "CREATE TABLE c (x)",
            ..FIRST
        };
        let error = migrate(&connection, &[changed], TIMEOUT)
            .unwrap_err()
            .tell();
        assert!(
            matches!(&error, StoreError::Corrupt(why) if why.contains("1.sql")),
            "{error}"
        );
        let same = Migration {
            sql: "CREATE TABLE a (x)\r",
            ..FIRST
        };
        migrate(&connection, &[same], TIMEOUT).unwrap();
    }

    #[test]
    fn a_failing_step_leaves_nothing_behind() {
        let connection = Connection::open_in_memory().unwrap();
        let broken = Migration {
            version: 2,
            name: "2.sql",
            sql: "CREATE TABLE b (x); nonsense",
        };
        migrate(&connection, &[FIRST, broken], TIMEOUT).unwrap_err();
        assert_eq!(found(&connection).unwrap(), 0);
        assert!(connection.is_autocommit());
        migrate(&connection, &[FIRST, SECOND], TIMEOUT).unwrap();
    }
}
