//! Brings the schema to this program's version: ordered files, embedded, forward only.
//!
//! Old and new programs work side by side for one version: each step says from which version on
//! programs go on working beside it, and a program accepts a schema that is one version newer
//! than its own when that step allows it.

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
    /// Programs that need this version or a later one work with the schema after this step. A
    /// step that only adds leaves it at the version before.
    pub(super) compatible_from: u32,
}

/// All steps of this program. A released file is never changed; a change is a new file.
pub(super) const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "0001_first.sql",
        sql: include_str!("../../migrations/sqlite/0001_first.sql"),
        compatible_from: 1,
    },
    Migration {
        version: 2,
        name: "0002_kept.sql",
        sql: include_str!("../../migrations/sqlite/0002_kept.sql"),
        compatible_from: 1,
    },
    Migration {
        version: 3,
        name: "0003_one_key.sql",
        sql: include_str!("../../migrations/sqlite/0003_one_key.sql"),
        compatible_from: 1,
    },
    Migration {
        version: 4,
        name: "0004_leases.sql",
        sql: include_str!("../../migrations/sqlite/0004_leases.sql"),
        compatible_from: 3,
    },
    Migration {
        version: 5,
        name: "0005_keys.sql",
        sql: include_str!("../../migrations/sqlite/0005_keys.sql"),
        compatible_from: 4,
    },
    Migration {
        version: 6,
        name: "0006_settings.sql",
        sql: include_str!("../../migrations/sqlite/0006_settings.sql"),
        compatible_from: 5,
    },
    Migration {
        version: 7,
        name: "0007_alerts.sql",
        sql: include_str!("../../migrations/sqlite/0007_alerts.sql"),
        compatible_from: 6,
    },
];

/// Columns of the table of migrations; the first release had one less.
const COLUMNS: u32 = 5;

/// How long a migration waits for another one that is running.
const PATIENCE: Duration = Duration::from_secs(60);

/// The version that `steps` lead to.
pub(super) fn needed(steps: &[Migration]) -> u32 {
    steps.last().map_or(0, |step| step.version)
}

/// The version of a database; 0 when it is empty.
pub(super) fn found(connection: &Connection) -> Result<u32, Fault> {
    if columns(connection)? == 0 {
        return Ok(0);
    }
    Ok(connection.query_row(
        "SELECT coalesce(max(version), 0) FROM schema_migrations",
        [],
        |row| row.get(0),
    )?)
}

/// Columns of the table of migrations; 0 when there is none.
fn columns(connection: &Connection) -> Result<u32, Fault> {
    Ok(connection.query_row(
        "SELECT count(*) FROM pragma_table_info('schema_migrations')",
        [],
        |row| row.get(0),
    )?)
}

/// Refuses a schema with which this program does not work.
pub(super) fn check(connection: &Connection, steps: &[Migration]) -> Result<(), Fault> {
    let (found, needed) = (found(connection)?, needed(steps));
    if found == needed || is_one_ahead(connection, found, needed)? {
        Ok(())
    } else {
        Err(Fault::Told(StoreError::Schema { found, needed }))
    }
}

/// True when the schema is one version newer and its last step allows programs of this version.
fn is_one_ahead(connection: &Connection, found: u32, needed: u32) -> Result<bool, Fault> {
    if needed.checked_add(1) != Some(found) || columns(connection)? != COLUMNS {
        return Ok(false);
    }
    // Not set by a program that knows nothing of it: it allows nobody else.
    let compatible_from: Option<u32> = connection.query_row(
        "SELECT compatible_from FROM schema_migrations WHERE version = ?1",
        [found],
        |row| row.get(0),
    )?;
    Ok(compatible_from.is_some_and(|from| from <= needed))
}

/// Names of the steps that are missing; looks whether the others are as they were.
pub(super) fn pending(connection: &Connection, steps: &[Migration]) -> Result<Vec<String>, Fault> {
    let found = found(connection)?;
    if found > needed(steps) {
        check(connection, steps)?;
    }
    let mut missing = Vec::new();
    for step in steps {
        if found == 0 || !is_applied(connection, step)? {
            missing.push(step.name.to_owned());
        }
    }
    Ok(missing)
}

/// Whether a step was taken.
fn is_applied(connection: &Connection, step: &Migration) -> Result<bool, Fault> {
    let recorded: Option<String> = connection
        .query_row(
            "SELECT checksum FROM schema_migrations WHERE version = ?1",
            [step.version],
            |row| row.get(0),
        )
        .optional()?;
    match recorded {
        Some(recorded) if recorded == checksum(step.sql) => Ok(true),
        Some(_) => Err(Fault::corrupt(format!(
            "migration {} was changed after it had been applied to this database",
            step.name
        ))),
        None => Ok(false),
    }
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
        check(connection, steps)?;
        return Ok(state);
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
    if columns(connection)? < COLUMNS {
        connection
            .execute_batch("ALTER TABLE schema_migrations ADD COLUMN compatible_from INTEGER")?;
    }
    for step in steps {
        if is_applied(connection, step)? {
            continue;
        }
        connection.execute_batch(step.sql)?;
        connection.execute(
            "INSERT INTO schema_migrations (version, name, checksum, applied_at, compatible_from)
             VALUES (?1, ?2, ?3, strftime('%Y-%m-%dT%H:%M:%SZ', 'now'), ?4)",
            params![
                step.version,
                step.name,
                checksum(step.sql),
                step.compatible_from
            ],
        )?;
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
        compatible_from: 1,
    };
    const SECOND: Migration = Migration {
        version: 2,
        name: "2.sql",
        sql: "CREATE TABLE b (x)",
        compatible_from: 2,
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
            compatible_from: 2,
        };
        migrate(&connection, &[FIRST, broken], TIMEOUT).unwrap_err();
        assert_eq!(found(&connection).unwrap(), 0);
        assert!(connection.is_autocommit());
        migrate(&connection, &[FIRST, SECOND], TIMEOUT).unwrap();
    }
    #[test]
    fn a_program_works_beside_a_schema_one_version_newer_that_allows_it() {
        let additive = Migration {
            compatible_from: 1,
            ..SECOND
        };
        let third = Migration {
            version: 3,
            name: "3.sql",
            sql: "CREATE TABLE c (x)",
            compatible_from: 1,
        };
        let beside = |steps: &[Migration]| {
            let connection = Connection::open_in_memory().unwrap();
            migrate(&connection, steps, TIMEOUT).unwrap();
            let checked = check(&connection, &[FIRST]).is_ok();
            assert_eq!(checked, migrate(&connection, &[FIRST], TIMEOUT).is_ok());
            assert_eq!(checked, pending(&connection, &[FIRST]).is_ok());
            checked
        };
        assert!(beside(&[FIRST, additive]));
        assert!(!beside(&[FIRST, SECOND]), "it changes what was there");
        assert!(!beside(&[FIRST, additive, third]), "two versions ahead");
    }

    #[test]
    fn a_database_of_the_first_release_is_brought_forward() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE schema_migrations (
                     version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL,
                     applied_at TEXT NOT NULL
                 ) STRICT;
                 CREATE TABLE a (x)",
            )
            .unwrap();
        connection
            .execute(
                "INSERT INTO schema_migrations VALUES (1, '1.sql', ?1, 'then')",
                [checksum(FIRST.sql)],
            )
            .unwrap();
        check(&connection, &[FIRST]).unwrap();
        check(&connection, &[FIRST, SECOND]).unwrap_err();
        assert_eq!(pending(&connection, &[FIRST, SECOND]).unwrap(), ["2.sql"]);
        migrate(&connection, &[FIRST, SECOND], TIMEOUT).unwrap();
        assert!(pending(&connection, &[FIRST, SECOND]).unwrap().is_empty());
        check(&connection, &[FIRST, SECOND]).unwrap();
    }
}
