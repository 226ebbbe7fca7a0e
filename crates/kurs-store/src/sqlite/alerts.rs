//! Alerts, deliveries, chats.

use super::fault::Fault;
use super::place::stored_number;
use super::{SqliteStore, lease, settings};
use crate::model::alert::{DELIVERY_PAGE_MAX, REQUEST_KEPT};
use crate::{
    AlertAdded, AlertStep, AlertStore, AuditEntry, Delivery, DeliveryStanding, DueDelivery, Fence,
    NewAlert, StoreError, StoredAlert, StoredAlerts, StoredChat,
};
use async_trait::async_trait;
use kurs_core::Wall;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::sync::Arc;
use std::time::Duration;

/// Deliveries removed in one step.
const PRUNE_STEP: u32 = 1_000;

#[async_trait]
impl AlertStore for SqliteStore {
    async fn extend(&self, fence: Fence, ttl: Duration) -> Result<bool, StoreError> {
        self.writer
            .grouped(1, move |connection, _| {
                lease::extend(connection, fence, ttl)
            })
            .await
    }

    async fn alert_version(&self) -> Result<u64, StoreError> {
        self.read(version).await
    }

    async fn alerts(&self) -> Result<StoredAlerts, StoreError> {
        self.read(|connection| {
            // First, so that a change in between is looked for again.
            let version = version(connection)?;
            let alerts = select(connection, "ORDER BY created_at, id", [])?;
            Ok(StoredAlerts { version, alerts })
        })
        .await
    }

    async fn alert(&self, id: &str) -> Result<Option<StoredAlert>, StoreError> {
        let id = id.to_owned();
        self.read(move |connection| Ok(select(connection, "WHERE id = ?1", [id])?.pop()))
            .await
    }

    async fn alerts_of(&self, target: &str) -> Result<Vec<StoredAlert>, StoreError> {
        let target = target.to_owned();
        self.read(move |connection| {
            let which = "WHERE target = ?1 ORDER BY created_at, id";
            select(connection, which, [target])
        })
        .await
    }

    async fn alert_secret(&self, id: &str) -> Result<Option<Arc<str>>, StoreError> {
        let id = id.to_owned();
        self.read(move |connection| {
            let secret: Option<Option<String>> = connection
                .prepare_cached("SELECT secret FROM alerts WHERE id = ?1")?
                .query_row([id], |row| row.get(0))
                .optional()?;
            Ok(secret.flatten().map(Arc::from))
        })
        .await
    }

    async fn add_alert(
        &self,
        new: NewAlert,
        entry: Option<AuditEntry>,
    ) -> Result<AlertAdded, StoreError> {
        self.writer
            .grouped(2, move |connection, _| {
                let added = add(connection, &new)?;
                settings::note_if(connection, added == AlertAdded::New, entry.as_ref())?;
                Ok(added)
            })
            .await
    }

    async fn change_alert(
        &self,
        alert: StoredAlert,
        entry: Option<AuditEntry>,
    ) -> Result<bool, StoreError> {
        self.writer
            .grouped(2, move |connection, _| {
                let is_changed = change(connection, &alert)?;
                settings::note_if(connection, is_changed, entry.as_ref())
            })
            .await
    }

    async fn remove_alert(&self, id: &str, entry: Option<AuditEntry>) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.writer
            .grouped(2, move |connection, _| {
                let gone = connection
                    .prepare_cached("DELETE FROM alerts WHERE id = ?1")?
                    .execute([&id])?;
                connection
                    .prepare_cached("DELETE FROM alert_deliveries WHERE alert = ?1")?
                    .execute([&id])?;
                let is_gone = changed(connection, gone)?;
                settings::note_if(connection, is_gone, entry.as_ref())
            })
            .await
    }

    async fn step_alerts(&self, steps: Vec<AlertStep>, fence: Fence) -> Result<u64, StoreError> {
        self.writer
            .grouped(steps.len().max(1), move |connection, _| {
                lease::check(connection, Some(fence))?;
                let mut stored = 0;
                for one in &steps {
                    stored += u64::from(step(connection, one)?);
                }
                Ok(stored)
            })
            .await
    }

    async fn add_delivery(&self, delivery: Delivery) -> Result<bool, StoreError> {
        self.writer
            .grouped(1, move |connection, _| {
                let is_known: bool = connection
                    .prepare_cached("SELECT EXISTS (SELECT 1 FROM alerts WHERE id = ?1)")?
                    .query_row([&*delivery.alert], |row| row.get(0))?;
                if is_known {
                    deliver(connection, &delivery)?;
                }
                Ok(is_known)
            })
            .await
    }

    async fn due_deliveries(
        &self,
        now: Wall,
        busy: Vec<Arc<str>>,
        limit: u32,
    ) -> Result<Vec<DueDelivery>, StoreError> {
        // As JSON, so that the statement is the same for any number of them.
        let busy: Vec<&str> = busy.iter().map(|target| &**target).collect();
        let busy = serde_json::to_string(&busy).unwrap_or_else(|_| "[]".to_owned());
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT d.id, d.alert, d.target, d.body, d.created_at, d.due_at, d.attempts,
                        d.done_at, d.outcome, d.error, a.secret
                 FROM alert_deliveries d LEFT JOIN alerts a ON a.id = d.alert
                 WHERE d.done_at IS NULL AND d.due_at <= ?1
                    AND d.target NOT IN (SELECT value FROM json_each(?3))
                 ORDER BY d.due_at, d.id LIMIT ?2",
            )?;
            let mut rows = statement.query(params![now.0, limit.min(DELIVERY_PAGE_MAX), busy])?;
            let mut due = Vec::new();
            while let Some(row) = rows.next()? {
                due.push(DueDelivery {
                    delivery: read_delivery(row)?,
                    secret: maybe(row, 10)?,
                });
            }
            Ok(due)
        })
        .await
    }

    async fn settle_delivery(
        &self,
        id: &str,
        standing: DeliveryStanding,
        fence: Fence,
    ) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.writer
            .grouped(1, move |connection, _| {
                lease::check(connection, Some(fence))?;
                let settled = connection
                    .prepare_cached(
                        "UPDATE alert_deliveries SET due_at = ?2, attempts = ?3, done_at = ?4,
                             outcome = ?5, error = ?6
                         WHERE id = ?1 AND done_at IS NULL",
                    )?
                    .execute(params![
                        id,
                        standing.due_at.0,
                        standing.attempts,
                        standing.done_at.map(|time| time.0),
                        standing.outcome.as_deref(),
                        standing.error.as_deref(),
                    ])?;
                Ok(settled > 0)
            })
            .await
    }

    async fn deliveries(&self, alert: &str, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        let alert = alert.to_owned();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, alert, target, body, created_at, due_at, attempts, done_at, outcome,
                        error
                 FROM alert_deliveries WHERE alert = ?1 ORDER BY created_at DESC, id DESC LIMIT ?2",
            )?;
            let mut rows = statement.query(params![alert, limit.min(DELIVERY_PAGE_MAX)])?;
            let mut deliveries = Vec::new();
            while let Some(row) = rows.next()? {
                deliveries.push(read_delivery(row)?);
            }
            Ok(deliveries)
        })
        .await
    }

    async fn pending_deliveries(&self) -> Result<u64, StoreError> {
        self.read(|connection| {
            let pending: i64 = connection
                .prepare_cached("SELECT count(*) FROM alert_deliveries WHERE done_at IS NULL")?
                .query_row([], |row| row.get(0))?;
            number(pending)
        })
        .await
    }

    async fn prune_deliveries(&self, before: Wall, fence: Fence) -> Result<u64, StoreError> {
        self.writer
            .grouped(1, move |connection, _| {
                lease::check(connection, Some(fence))?;
                let gone = connection
                    .prepare_cached(
                        "DELETE FROM alert_deliveries WHERE id IN (
                             SELECT id FROM alert_deliveries WHERE done_at < ?1 LIMIT ?2)",
                    )?
                    .execute(params![before.0, PRUNE_STEP])?;
                Ok(u64::try_from(gone).unwrap_or(u64::MAX))
            })
            .await
    }

    async fn chat(&self, chat: i64) -> Result<Option<StoredChat>, StoreError> {
        self.read(move |connection| {
            let sql = "SELECT language, is_blocked, updated_at FROM chats WHERE chat = ?1";
            let found = connection.prepare_cached(sql)?.query_row([chat], |row| {
                Ok(StoredChat {
                    chat,
                    language: row.get::<_, String>(0)?.into(),
                    is_blocked: row.get(1)?,
                    updated_at: Wall(row.get(2)?),
                })
            });
            Ok(found.optional()?)
        })
        .await
    }

    async fn save_chat(&self, chat: StoredChat, fence: Fence) -> Result<(), StoreError> {
        self.writer
            .grouped(1, move |connection, _| {
                lease::check(connection, Some(fence))?;
                connection
                    .prepare_cached(
                        "INSERT INTO chats (chat, language, is_blocked, updated_at)
                         VALUES (?1, ?2, ?3, ?4)
                         ON CONFLICT (chat) DO UPDATE SET language = excluded.language,
                             is_blocked = excluded.is_blocked, updated_at = excluded.updated_at",
                    )?
                    .execute(params![
                        chat.chat,
                        &*chat.language,
                        chat.is_blocked,
                        chat.updated_at.0
                    ])?;
                Ok(())
            })
            .await
    }

    async fn bot_offset(&self, bot: &str) -> Result<Option<i64>, StoreError> {
        let bot = bot.to_owned();
        self.read(move |connection| {
            let sql = "SELECT next FROM bot_offsets WHERE bot = ?1";
            let found = connection
                .prepare_cached(sql)?
                .query_row([bot], |row| row.get(0));
            Ok(found.optional()?)
        })
        .await
    }

    async fn save_bot_offset(&self, bot: &str, next: i64, fence: Fence) -> Result<(), StoreError> {
        let bot = bot.to_owned();
        self.writer
            .grouped(1, move |connection, _| {
                lease::check(connection, Some(fence))?;
                connection
                    .prepare_cached(
                        "INSERT INTO bot_offsets AS old (bot, next) VALUES (?1, ?2)
                         ON CONFLICT (bot) DO UPDATE SET next = max(old.next, excluded.next)",
                    )?
                    .execute(params![bot, next])?;
                Ok(())
            })
            .await
    }
}

fn number(number: i64) -> Result<u64, Fault> {
    u64::try_from(number).map_err(|_| Fault::corrupt("a negative number of an alert"))
}

fn version(connection: &Connection) -> Result<u64, Fault> {
    let version: i64 = connection
        .prepare_cached("SELECT version FROM alert_version")?
        .query_row([], |row| row.get(0))?;
    number(version)
}

fn changed(connection: &Connection, rows: usize) -> Result<bool, Fault> {
    if rows > 0 {
        connection
            .prepare_cached("UPDATE alert_version SET version = version + 1")?
            .execute([])?;
    }
    Ok(rows > 0)
}

fn maybe(row: &Row<'_>, column: usize) -> Result<Option<Arc<str>>, Fault> {
    Ok(row.get::<_, Option<String>>(column)?.map(Arc::from))
}

fn text(row: &Row<'_>, column: usize) -> Result<Arc<str>, Fault> {
    Ok(row.get::<_, String>(column)?.into())
}

fn select(
    connection: &Connection,
    which: &str,
    parameters: impl rusqlite::Params,
) -> Result<Vec<StoredAlert>, Fault> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT id, name, owner, target, condition, is_paused, created_at, revision, state, fired,
                fired_at
         FROM alerts {which}"
    ))?;
    let mut rows = statement.query(parameters)?;
    let mut alerts = Vec::new();
    while let Some(row) = rows.next()? {
        alerts.push(StoredAlert {
            id: text(row, 0)?,
            name: maybe(row, 1)?,
            owner: text(row, 2)?,
            target: text(row, 3)?,
            condition: text(row, 4)?,
            is_paused: row.get(5)?,
            created_at: Wall(row.get(6)?),
            revision: number(row.get(7)?)?,
            state: text(row, 8)?,
            fired: number(row.get(9)?)?,
            fired_at: row.get::<_, Option<i64>>(10)?.map(Wall),
        });
    }
    Ok(alerts)
}

fn add(connection: &Connection, new: &NewAlert) -> Result<AlertAdded, Fault> {
    let alert = &new.alert;
    if let Some(request) = new.request.as_deref() {
        // By the clock of those who make alerts, as `created_at` is.
        let outdated = alert.created_at.0.saturating_sub(REQUEST_KEPT);
        connection
            .prepare_cached(
                "UPDATE alerts SET request = NULL WHERE request = ?1 AND created_at < ?2",
            )?
            .execute(params![request, outdated])?;
        if let Some(before) = select(connection, "WHERE request = ?1", [request])?.pop() {
            return Ok(AlertAdded::Before(before));
        }
    }
    let (all, of_target): (u32, u32) = connection
        .prepare_cached(
            "SELECT (SELECT count(*) FROM alerts), (SELECT count(*) FROM alerts WHERE target = ?1)",
        )?
        .query_row([&*alert.target], |row| Ok((row.get(0)?, row.get(1)?)))?;
    if all >= new.alerts_max || of_target >= new.target_max {
        return Ok(AlertAdded::TooMany);
    }
    let added = connection
        .prepare_cached(
            "INSERT INTO alerts (id, name, owner, target, secret, condition, is_paused, created_at,
                                 revision, state, fired, fired_at, request)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        )?
        .execute(params![
            &*alert.id,
            alert.name.as_deref(),
            &*alert.owner,
            &*alert.target,
            new.secret.as_deref(),
            &*alert.condition,
            alert.is_paused,
            alert.created_at.0,
            stored_number(alert.revision)?,
            &*alert.state,
            stored_number(alert.fired)?,
            alert.fired_at.map(|time| time.0),
            new.request.as_deref(),
        ])?;
    changed(connection, added)?;
    Ok(AlertAdded::New)
}

fn change(connection: &Connection, alert: &StoredAlert) -> Result<bool, Fault> {
    let rows = connection
        .prepare_cached(
            "UPDATE alerts SET name = ?3, target = ?4, condition = ?5, is_paused = ?6, state = ?7,
                 revision = revision + 1
             WHERE id = ?1 AND revision = ?2",
        )?
        .execute(params![
            &*alert.id,
            stored_number(alert.revision)?,
            alert.name.as_deref(),
            &*alert.target,
            &*alert.condition,
            alert.is_paused,
            &*alert.state,
        ])?;
    changed(connection, rows)
}

fn step(connection: &Connection, step: &AlertStep) -> Result<bool, Fault> {
    let fired_at = step.fired.as_ref().map(|fired| fired.created_at.0);
    let moved = connection
        .prepare_cached(
            "UPDATE alerts SET state = ?3, fired = ?5, fired_at = coalesce(?4, fired_at)
             WHERE id = ?1 AND revision = ?2",
        )?
        .execute(params![
            &*step.id,
            stored_number(step.revision)?,
            &*step.state,
            fired_at,
            stored_number(step.number)?,
        ])?;
    if let (1.., Some(delivery)) = (moved, &step.fired) {
        deliver(connection, delivery)?;
    }
    Ok(moved > 0)
}

fn deliver(connection: &Connection, delivery: &Delivery) -> Result<(), Fault> {
    let standing = &delivery.standing;
    connection
        .prepare_cached(
            "INSERT INTO alert_deliveries (id, alert, target, body, created_at, due_at, attempts,
                                           done_at, outcome, error)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            &*delivery.id,
            &*delivery.alert,
            &*delivery.target,
            &*delivery.body,
            delivery.created_at.0,
            standing.due_at.0,
            standing.attempts,
            standing.done_at.map(|time| time.0),
            standing.outcome.as_deref(),
            standing.error.as_deref(),
        ])?;
    Ok(())
}

fn read_delivery(row: &Row<'_>) -> Result<Delivery, Fault> {
    Ok(Delivery {
        id: text(row, 0)?,
        alert: text(row, 1)?,
        target: text(row, 2)?,
        body: text(row, 3)?,
        created_at: Wall(row.get(4)?),
        standing: DeliveryStanding {
            due_at: Wall(row.get(5)?),
            attempts: row.get(6)?,
            done_at: row.get::<_, Option<i64>>(7)?.map(Wall),
            outcome: maybe(row, 8)?,
            error: maybe(row, 9)?,
        },
    })
}
