//! Settings, and the audit log.

use super::fault::Fault;
use super::place::stored_number;
use crate::model::audit::AUDIT_PAGE_MAX;
use crate::{AuditEntry, AuditQuery, AuditRecord, SettingsChange, StoredSetting, StoredSettings};
use kurs_core::Wall;
use rusqlite::{Connection, params};
use std::sync::Arc;

/// Grows with every change.
pub(super) fn version(connection: &Connection) -> Result<u64, Fault> {
    let version: i64 = connection
        .prepare_cached("SELECT version FROM setting_version")?
        .query_row([], |row| row.get(0))?;
    u64::try_from(version).map_err(|_| Fault::corrupt("a negative version of the settings"))
}

/// All settings, by key.
pub(super) fn all(connection: &Connection) -> Result<StoredSettings, Fault> {
    // First, so that a change in between is looked for again.
    let version = version(connection)?;
    let mut statement = connection
        .prepare_cached("SELECT key, value, set_at, who, why FROM settings ORDER BY key")?;
    let mut rows = statement.query([])?;
    let mut settings = Vec::new();
    while let Some(row) = rows.next()? {
        let text = |column: usize| row.get::<_, String>(column).map(Arc::from);
        settings.push(StoredSetting {
            key: text(0)?,
            value: text(1)?,
            set_at: Wall(row.get(2)?),
            who: text(3)?,
            why: row.get::<_, Option<String>>(4)?.map(Arc::from),
        });
    }
    Ok(StoredSettings { version, settings })
}

/// Makes a change, unless another one came first.
pub(super) fn change(
    connection: &Connection,
    change: &SettingsChange,
) -> Result<Option<u64>, Fault> {
    let moved = connection
        .prepare_cached("UPDATE setting_version SET version = version + 1 WHERE version = ?1")?
        .execute([stored_number(change.expected)?])?;
    if moved == 0 {
        return Ok(None);
    }
    for key in &change.unset {
        connection
            .prepare_cached("DELETE FROM settings WHERE key = ?1")?
            .execute([&**key])?;
    }
    for setting in &change.set {
        connection
            .prepare_cached(
                "INSERT INTO settings (key, value, set_at, who, why) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (key) DO UPDATE SET value = excluded.value,
                     set_at = excluded.set_at, who = excluded.who, why = excluded.why",
            )?
            .execute(params![
                &*setting.key,
                &*setting.value,
                setting.set_at.0,
                &*setting.who,
                setting.why.as_deref(),
            ])?;
    }
    for entry in &change.entries {
        note(connection, entry)?;
    }
    Ok(Some(change.expected.saturating_add(1)))
}

/// Adds an entry to the audit log.
pub(super) fn note(connection: &Connection, entry: &AuditEntry) -> Result<(), Fault> {
    connection
        .prepare_cached(
            "INSERT INTO audit (at, who, address, action, subject, old_value, new_value, why)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            entry.at.0,
            &*entry.who,
            entry.address.as_deref(),
            &*entry.action,
            &*entry.subject,
            entry.before.as_deref(),
            entry.after.as_deref(),
            entry.why.as_deref(),
        ])?;
    Ok(())
}

/// The same where something was changed that is to be noted.
pub(super) fn note_if(
    connection: &Connection,
    is_changed: bool,
    entry: Option<&AuditEntry>,
) -> Result<bool, Fault> {
    if let (true, Some(entry)) = (is_changed, entry) {
        note(connection, entry)?;
    }
    Ok(is_changed)
}

/// Entries, newest first.
pub(super) fn audit(
    connection: &Connection,
    query: &AuditQuery,
) -> Result<Vec<AuditRecord>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT id, at, who, address, action, subject, old_value, new_value, why FROM audit
         WHERE (?1 IS NULL OR id < ?1) AND (?2 IS NULL OR at >= ?2) AND (?3 IS NULL OR at < ?3)
             AND (?4 IS NULL OR who = ?4) AND (?5 IS NULL OR subject = ?5)
         ORDER BY id DESC LIMIT ?6",
    )?;
    let mut rows = statement.query(params![
        query.before.map(stored_number).transpose()?,
        query.start.map(|start| start.0),
        query.end.map(|end| end.0),
        query.who.as_deref(),
        query.subject.as_deref(),
        query.limit.min(AUDIT_PAGE_MAX),
    ])?;
    let mut records = Vec::new();
    while let Some(row) = rows.next()? {
        let text = |column: usize| row.get::<_, String>(column).map(Arc::from);
        let maybe = |column: usize| {
            let text = row.get::<_, Option<String>>(column);
            text.map(|text| text.map(Arc::from))
        };
        let id: i64 = row.get(0)?;
        records.push(AuditRecord {
            id: u64::try_from(id).map_err(|_| Fault::corrupt("a negative number of an entry"))?,
            entry: AuditEntry {
                at: Wall(row.get(1)?),
                who: text(2)?,
                address: maybe(3)?,
                action: text(4)?,
                subject: text(5)?,
                before: maybe(6)?,
                after: maybe(7)?,
                why: maybe(8)?,
            },
        });
    }
    Ok(records)
}

/// Deletes some entries that are older than their time; returns how many.
pub(super) fn prune_step(
    connection: &Connection,
    before: Wall,
    step: usize,
) -> Result<usize, Fault> {
    let step = i64::try_from(step).unwrap_or(i64::MAX);
    Ok(connection
        .prepare_cached(
            "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < ?1 LIMIT ?2)",
        )?
        .execute(params![before.0, step])?)
}
