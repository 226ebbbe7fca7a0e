//! Settings, and the audit log. Every change is one statement, with its entry, its version and the
//! look at the fence in it.

use super::fault::Fault;
use super::lease::fence_parts;
use super::pool::{execute, query, query_opt};
use super::types::{Time, read_time};
use crate::model::audit::AUDIT_PAGE_MAX;
use crate::{
    AuditEntry, AuditQuery, AuditRecord, Fence, SettingsChange, StoredSetting, StoredSettings,
};
use deadpool_postgres::Client;
use std::sync::Arc;
use tokio_postgres::types::ToSql;

/// Grows with every change.
pub(super) async fn version(client: &Client) -> Result<u64, Fault> {
    let row = query_opt(client, "SELECT version FROM setting_version", &[]).await?;
    let row = row.ok_or_else(|| Fault::corrupt("the settings have no version"))?;
    number(row.try_get(0)?)
}

fn number(number: i64) -> Result<u64, Fault> {
    u64::try_from(number).map_err(|_| Fault::corrupt("a negative version or number"))
}

fn stored(number: u64) -> Result<i64, Fault> {
    i64::try_from(number).map_err(|_| Fault::corrupt(format!("{number} is out of range")))
}

/// All settings, by key.
pub(super) async fn all(client: &Client) -> Result<StoredSettings, Fault> {
    // First, so that a change in between is looked for again.
    let version = version(client).await?;
    let sql = "SELECT key, value, set_at, who, why FROM settings ORDER BY key";
    let mut settings = Vec::new();
    for row in query(client, sql, &[]).await? {
        settings.push(StoredSetting {
            key: row.try_get::<_, &str>(0)?.into(),
            value: row.try_get::<_, &str>(1)?.into(),
            set_at: read_time(&row, 2)?,
            who: row.try_get::<_, &str>(3)?.into(),
            why: row.try_get::<_, Option<&str>>(4)?.map(Arc::from),
        });
    }
    Ok(StoredSettings { version, settings })
}

/// Makes a change, unless another one came first.
pub(super) async fn change(
    client: &Client,
    change: &SettingsChange,
    fence: Option<Fence>,
) -> Result<Option<u64>, Fault> {
    // The fence is looked at even if another change came first.
    let sql = "
        WITH fence AS MATERIALIZED (SELECT kurs_fence($1, $2) AS holds),
        moved AS (
            UPDATE setting_version SET version = version + 1
            WHERE version = $3 AND (SELECT holds FROM fence) RETURNING version),
        gone AS (
            DELETE FROM settings WHERE key = ANY($4::text[]) AND EXISTS (SELECT FROM moved)),
        put AS (
            INSERT INTO settings (key, value, set_at, who, why)
            SELECT u.* FROM unnest($5::text[], $6::text[], $7::timestamptz[], $8::text[],
                $9::text[]) u
            WHERE EXISTS (SELECT FROM moved)
            ON CONFLICT (key) DO UPDATE SET value = excluded.value, set_at = excluded.set_at,
                who = excluded.who, why = excluded.why),
        noted AS (
            INSERT INTO audit (at, who, address, action, subject, old_value, new_value, why)
            SELECT u.* FROM unnest($10::timestamptz[], $11::text[], $12::text[], $13::text[],
                $14::text[], $15::text[], $16::text[], $17::text[]) u
            WHERE EXISTS (SELECT FROM moved))
        SELECT m.version FROM fence LEFT JOIN moved m ON true";
    let (shard, epoch) = fence_parts(fence)?;
    let set = Set::of(&change.set);
    let notes = Notes::of(&change.entries);
    let unset: Vec<&str> = change.unset.iter().map(|key| &**key).collect();
    let moved = query_opt(
        client,
        sql,
        &[
            &shard,
            &epoch,
            &stored(change.expected)?,
            &unset,
            &set.keys,
            &set.values,
            &set.times,
            &set.who,
            &set.why,
            &notes.times,
            &notes.who,
            &notes.addresses,
            &notes.actions,
            &notes.subjects,
            &notes.before,
            &notes.after,
            &notes.why,
        ],
    )
    .await;
    let row = moved.map_err(|fault| fault.under(fence))?;
    let version: Option<i64> = row.map(|row| row.try_get(0)).transpose()?.flatten();
    version.map(number).transpose()
}

/// Settings, column by column.
#[derive(Default)]
struct Set<'a> {
    keys: Vec<&'a str>,
    values: Vec<&'a str>,
    times: Vec<Time>,
    who: Vec<&'a str>,
    why: Vec<Option<&'a str>>,
}

impl<'a> Set<'a> {
    fn of(settings: &'a [StoredSetting]) -> Self {
        let mut set = Self::default();
        for setting in settings {
            set.keys.push(&setting.key);
            set.values.push(&setting.value);
            set.times.push(Time(setting.set_at));
            set.who.push(&setting.who);
            set.why.push(setting.why.as_deref());
        }
        set
    }
}

/// Entries, column by column.
#[derive(Default)]
struct Notes<'a> {
    times: Vec<Time>,
    who: Vec<&'a str>,
    addresses: Vec<Option<&'a str>>,
    actions: Vec<&'a str>,
    subjects: Vec<&'a str>,
    before: Vec<Option<&'a str>>,
    after: Vec<Option<&'a str>>,
    why: Vec<Option<&'a str>>,
}

impl<'a> Notes<'a> {
    fn of(entries: &'a [AuditEntry]) -> Self {
        let mut notes = Self::default();
        for entry in entries {
            notes.times.push(Time(entry.at));
            notes.who.push(&entry.who);
            notes.addresses.push(entry.address.as_deref());
            notes.actions.push(&entry.action);
            notes.subjects.push(&entry.subject);
            notes.before.push(entry.before.as_deref());
            notes.after.push(entry.after.as_deref());
            notes.why.push(entry.why.as_deref());
        }
        notes
    }
}

/// One entry as parameters of a statement that notes what it changes, see [`noted`].
pub(super) struct Note {
    is_wanted: bool,
    at: Time,
    texts: [Option<String>; 7],
}

impl Note {
    /// Nothing is noted without an entry.
    pub(super) fn of(entry: Option<&AuditEntry>) -> Self {
        let own = |text: &Arc<str>| Some(text.to_string());
        let maybe = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
        match entry {
            None => Self {
                is_wanted: false,
                at: Time(kurs_core::Wall(0)),
                texts: Default::default(),
            },
            Some(entry) => Self {
                is_wanted: true,
                at: Time(entry.at),
                texts: [
                    own(&entry.who),
                    maybe(&entry.address),
                    own(&entry.action),
                    own(&entry.subject),
                    maybe(&entry.before),
                    maybe(&entry.after),
                    maybe(&entry.why),
                ],
            },
        }
    }

    /// The nine parameters, in order.
    pub(super) fn parameters(&self) -> Vec<&(dyn ToSql + Sync)> {
        let mut all: Vec<&(dyn ToSql + Sync)> = vec![&self.is_wanted, &self.at];
        all.extend(self.texts.iter().map(|text| text as &(dyn ToSql + Sync)));
        all
    }
}

/// The part of a statement that notes an entry where the part `changed` gave a row. Its nine
/// parameters begin with number `first`.
pub(super) fn noted(changed: &str, first: usize) -> String {
    let p = |place: usize| first + place;
    format!(
        "noted AS (
             INSERT INTO audit (at, who, address, action, subject, old_value, new_value, why)
             SELECT ${}::timestamptz, ${}::text, ${}::text, ${}::text, ${}::text, ${}::text,
                 ${}::text, ${}::text
             WHERE ${}::boolean AND EXISTS (SELECT FROM {changed}))",
        p(1),
        p(2),
        p(3),
        p(4),
        p(5),
        p(6),
        p(7),
        p(8),
        p(0)
    )
}

/// Entries, newest first.
pub(super) async fn audit(client: &Client, wanted: &AuditQuery) -> Result<Vec<AuditRecord>, Fault> {
    let sql = "
        SELECT id, at, who, address, action, subject, old_value, new_value, why FROM audit
        WHERE ($1::bigint IS NULL OR id < $1) AND ($2::timestamptz IS NULL OR at >= $2)
            AND ($3::timestamptz IS NULL OR at < $3) AND ($4::text IS NULL OR who = $4)
            AND ($5::text IS NULL OR subject = $5)
        ORDER BY id DESC LIMIT $6";
    let rows = query(
        client,
        sql,
        &[
            &wanted.before.map(stored).transpose()?,
            &wanted.start.map(Time),
            &wanted.end.map(Time),
            &wanted.who.as_deref(),
            &wanted.subject.as_deref(),
            &i64::from(wanted.limit.min(AUDIT_PAGE_MAX)),
        ],
    )
    .await?;
    let mut records = Vec::new();
    for row in rows {
        let text = |column: usize| row.try_get::<_, &str>(column).map(Arc::from);
        let maybe = |column: usize| {
            let text = row.try_get::<_, Option<&str>>(column);
            text.map(|text| text.map(Arc::from))
        };
        records.push(AuditRecord {
            id: number(row.try_get(0)?)?,
            entry: AuditEntry {
                at: read_time(&row, 1)?,
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

/// Adds an entry to the audit log.
pub(super) async fn note(client: &Client, entry: &AuditEntry) -> Result<(), Fault> {
    let sql = "INSERT INTO audit (at, who, address, action, subject, old_value, new_value, why)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let note = Note::of(Some(entry));
    let parameters = note.parameters();
    execute(client, sql, parameters.get(1..).unwrap_or_default()).await?;
    Ok(())
}
