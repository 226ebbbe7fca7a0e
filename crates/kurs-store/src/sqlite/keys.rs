//! API keys.

use super::fault::Fault;
use crate::{StoredKey, StoredKeys};
use kurs_core::Wall;
use rusqlite::{Connection, Row, params};
use std::sync::Arc;

/// Grows with every change.
pub(super) fn version(connection: &Connection) -> Result<u64, Fault> {
    let version: i64 = connection
        .prepare_cached("SELECT version FROM key_version")?
        .query_row([], |row| row.get(0))?;
    u64::try_from(version).map_err(|_| Fault::corrupt("a negative version of the keys"))
}

/// All keys, oldest first.
pub(super) fn all(connection: &Connection) -> Result<StoredKeys, Fault> {
    // First, so that a change in between is looked for again.
    let version = version(connection)?;
    let mut statement = connection.prepare_cached(
        "SELECT id, environment, name, scopes, hash, created_at, expires_at, revoked_at,
                replaced_by, used_at
         FROM api_keys ORDER BY created_at, id",
    )?;
    let mut rows = statement.query([])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        keys.push(read(row)?);
    }
    Ok(StoredKeys { version, keys })
}

fn read(row: &Row<'_>) -> Result<StoredKey, Fault> {
    let text = |column: usize| row.get::<_, String>(column).map(Arc::from);
    let time = |column: usize| row.get::<_, Option<i64>>(column).map(|time| time.map(Wall));
    let replaced_by: Option<String> = row.get(8)?;
    Ok(StoredKey {
        id: text(0)?,
        environment: text(1)?,
        name: text(2)?,
        scopes: text(3)?,
        hash: row.get(4)?,
        created_at: Wall(row.get(5)?),
        expires_at: time(6)?,
        revoked_at: time(7)?,
        replaced_by: replaced_by.map(Arc::from),
        used_at: time(9)?,
    })
}

/// Adds a key; false when its id was taken.
pub(super) fn add(connection: &Connection, key: &StoredKey) -> Result<bool, Fault> {
    let time = |time: Option<Wall>| time.map(|time| time.0);
    let added = connection
        .prepare_cached(
            "INSERT INTO api_keys (id, environment, name, scopes, hash, created_at, expires_at,
                                   revoked_at, replaced_by, used_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            &*key.id,
            &*key.environment,
            &*key.name,
            &*key.scopes,
            key.hash,
            key.created_at.0,
            time(key.expires_at),
            time(key.revoked_at),
            key.replaced_by.as_deref(),
            time(key.used_at),
        ])?;
    changed(connection, added)
}

/// Puts a key in the place of another one.
pub(super) fn replace(
    connection: &Connection,
    id: &str,
    by: &StoredKey,
    until: Wall,
) -> Result<bool, Fault> {
    let taken: bool = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM api_keys WHERE id = ?1)")?
        .query_row([&*by.id], |row| row.get(0))?;
    if taken {
        return Ok(false);
    }
    let replaced = connection
        .prepare_cached(
            "UPDATE api_keys SET replaced_by = ?2, expires_at = min(coalesce(expires_at, ?3), ?3)
             WHERE id = ?1 AND revoked_at IS NULL AND replaced_by IS NULL",
        )?
        .execute(params![id, &*by.id, until.0])?;
    if replaced == 0 {
        return Ok(false);
    }
    add(connection, by)
}

/// What became of a key that is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Revoked {
    /// It is good no more.
    Now,
    /// It was revoked before.
    Before,
    /// There is none.
    Unknown,
}

/// Takes a key back.
pub(super) fn revoke(connection: &Connection, id: &str, at: Wall) -> Result<Revoked, Fault> {
    let revoked = connection
        .prepare_cached("UPDATE api_keys SET revoked_at = ?2 WHERE id = ?1 AND revoked_at IS NULL")?
        .execute(params![id, at.0])?;
    if changed(connection, revoked)? {
        return Ok(Revoked::Now);
    }
    let is_known: bool = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM api_keys WHERE id = ?1)")?
        .query_row([id], |row| row.get(0))?;
    Ok(if is_known {
        Revoked::Before
    } else {
        Revoked::Unknown
    })
}

/// Notes when keys were used last.
pub(super) fn note_use(connection: &Connection, uses: &[(Arc<str>, Wall)]) -> Result<(), Fault> {
    let mut statement = connection.prepare_cached(
        "UPDATE api_keys SET used_at = ?2 WHERE id = ?1 AND coalesce(used_at, ?2 - 1) < ?2",
    )?;
    for (id, used_at) in uses {
        statement.execute(params![&**id, used_at.0])?;
    }
    Ok(())
}

fn changed(connection: &Connection, rows: usize) -> Result<bool, Fault> {
    if rows > 0 {
        connection
            .prepare_cached("UPDATE key_version SET version = version + 1")?
            .execute([])?;
    }
    Ok(rows > 0)
}
