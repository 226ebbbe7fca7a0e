//! API keys. Every change is one statement, with that of the version in it.

use super::fault::Fault;
use super::pool::{execute, query, query_opt};
use super::settings::{Note, noted};
use super::types::{Time, read_time};
use crate::{AuditEntry, StoredKey, StoredKeys};
use deadpool_postgres::Client;
use kurs_core::Wall;
use std::sync::Arc;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// Grows with every change.
pub(super) async fn version(client: &Client) -> Result<u64, Fault> {
    let row = query_opt(client, "SELECT version FROM key_version", &[]).await?;
    let row = row.ok_or_else(|| Fault::corrupt("the keys have no version"))?;
    u64::try_from(row.try_get::<_, i64>(0)?)
        .map_err(|_| Fault::corrupt("a negative version of the keys"))
}

/// All keys, oldest first.
pub(super) async fn all(client: &Client) -> Result<StoredKeys, Fault> {
    // First, so that a change in between is looked for again.
    let version = version(client).await?;
    let sql = "SELECT id, environment, name, scopes, hash, created_at, expires_at, revoked_at,
                      replaced_by, used_at
               FROM api_keys ORDER BY created_at, id";
    let rows = query(client, sql, &[]).await?;
    let keys = rows.iter().map(read).collect::<Result<_, Fault>>()?;
    Ok(StoredKeys { version, keys })
}

fn read(row: &Row) -> Result<StoredKey, Fault> {
    let text = |column: usize| row.try_get::<_, &str>(column).map(Arc::from);
    let time = |column: usize| {
        let time = row.try_get::<_, Option<Time>>(column);
        time.map(|time| time.map(|time| time.0))
    };
    let hash: &[u8] = row.try_get(4)?;
    let replaced_by: Option<&str> = row.try_get(8)?;
    Ok(StoredKey {
        id: text(0)?,
        environment: text(1)?,
        name: text(2)?,
        scopes: text(3)?,
        hash: hash
            .try_into()
            .map_err(|_| Fault::corrupt("a hash of a key is not 32 bytes long"))?,
        created_at: read_time(row, 5)?,
        expires_at: time(6)?,
        revoked_at: time(7)?,
        replaced_by: replaced_by.map(Arc::from),
        used_at: time(9)?,
    })
}

const ADDED: &str = "INSERT INTO api_keys (id, environment, name, scopes, hash, created_at,
                                          expires_at, revoked_at, replaced_by, used_at)";
const CHANGED: &str = "UPDATE key_version SET version = version + 1";

/// Adds a key; false when its id was taken.
pub(super) async fn add(
    client: &Client,
    key: &StoredKey,
    entry: Option<&AuditEntry>,
) -> Result<bool, Fault> {
    let sql = format!(
        "WITH added AS ({ADDED} VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
                        ON CONFLICT DO NOTHING RETURNING id),
         {}
         {CHANGED} WHERE EXISTS (SELECT FROM added)",
        noted("added", 11)
    );
    let time = |time: Option<Wall>| time.map(Time);
    let texts = (&*key.id, &*key.environment, &*key.name, &*key.scopes);
    let hash = &key.hash[..];
    let created_at = Time(key.created_at);
    let (expires_at, revoked_at) = (time(key.expires_at), time(key.revoked_at));
    let (replaced_by, used_at) = (key.replaced_by.as_deref(), time(key.used_at));
    let note = Note::of(entry);
    let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![
        &texts.0,
        &texts.1,
        &texts.2,
        &texts.3,
        &hash,
        &created_at,
        &expires_at,
        &revoked_at,
        &replaced_by,
        &used_at,
    ];
    parameters.extend(note.parameters());
    Ok(execute(client, &sql, &parameters).await? > 0)
}

/// Puts a key in the place of another one.
pub(super) async fn replace(
    client: &Client,
    id: &str,
    by: &StoredKey,
    until: Wall,
    entry: Option<&AuditEntry>,
) -> Result<bool, Fault> {
    let sql = format!(
        "WITH replaced AS (
             UPDATE api_keys SET replaced_by = $2, expires_at = least(expires_at, $8)
             WHERE id = $1 AND revoked_at IS NULL AND replaced_by IS NULL
                 AND NOT EXISTS (SELECT FROM api_keys taken WHERE taken.id = $2)
             RETURNING id),
         added AS ({ADDED} SELECT $2, $3, $4, $5, $6, $7, $9, NULL, NULL, NULL FROM replaced
                   RETURNING id),
         {}
         {CHANGED} WHERE EXISTS (SELECT FROM added)",
        noted("added", 10)
    );
    let texts = (&*by.id, &*by.environment, &*by.name, &*by.scopes);
    let hash = &by.hash[..];
    let (created_at, until) = (Time(by.created_at), Time(until));
    let expires_at = by.expires_at.map(Time);
    let note = Note::of(entry);
    let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![
        &id,
        &texts.0,
        &texts.1,
        &texts.2,
        &texts.3,
        &hash,
        &created_at,
        &until,
        &expires_at,
    ];
    parameters.extend(note.parameters());
    Ok(execute(client, &sql, &parameters).await? > 0)
}

/// Takes a key back.
pub(super) async fn revoke(
    client: &Client,
    id: &str,
    at: Wall,
    entry: Option<&AuditEntry>,
) -> Result<bool, Fault> {
    let sql = format!(
        "WITH revoked AS (UPDATE api_keys SET revoked_at = $2
                          WHERE id = $1 AND revoked_at IS NULL RETURNING id),
         changed AS ({CHANGED} WHERE EXISTS (SELECT FROM revoked)),
         {}
         SELECT EXISTS (SELECT FROM api_keys WHERE id = $1)",
        noted("revoked", 3)
    );
    let (at, note) = (Time(at), Note::of(entry));
    let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&id, &at];
    parameters.extend(note.parameters());
    let row = query_opt(client, &sql, &parameters).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?.unwrap_or(false))
}

/// Notes when keys were used last.
pub(super) async fn note_use(client: &Client, uses: &[(Arc<str>, Wall)]) -> Result<(), Fault> {
    let sql = "UPDATE api_keys k SET used_at = u.used_at
               FROM unnest($1::text[], $2::timestamptz[]) AS u (id, used_at)
               WHERE k.id = u.id AND (k.used_at IS NULL OR k.used_at < u.used_at)";
    let ids: Vec<&str> = uses.iter().map(|(id, _)| &**id).collect();
    let times: Vec<Time> = uses.iter().map(|(_, used_at)| Time(*used_at)).collect();
    execute(client, sql, &[&ids, &times]).await?;
    Ok(())
}
