//! Alerts, deliveries, chats.

use super::fault::Fault;
use super::lease::fence_parts;
use super::pool::{self, execute, query, query_opt};
use super::settings::{Note, noted};
use super::transaction::{Limits, Writing};
use super::types::{Time, read_time};
use super::{PostgresStore, on_connection};
use crate::model::alert::{DELIVERY_PAGE_MAX, REQUEST_KEPT};
use crate::{
    AlertAdded, AlertStep, AlertStore, AuditEntry, Delivery, DeliveryStanding, DueDelivery, Fence,
    NewAlert, StoreError, StoredAlert, StoredAlerts, StoredChat,
};
use async_trait::async_trait;
use deadpool_postgres::{Client, GenericClient};
use kurs_core::Wall;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// Deliveries removed in one step.
const PRUNE_STEP: i64 = 1_000;

#[async_trait]
impl AlertStore for PostgresStore {
    async fn extend(&self, fence: Fence, ttl: Duration) -> Result<bool, StoreError> {
        on_connection!(self, self.lease_limit(), |client| super::lease::extend(
            client, fence, ttl
        ))
    }

    async fn alert_version(&self) -> Result<u64, StoreError> {
        on_connection!(self, self.call_limit(), |client| version(client))
    }

    async fn alerts(&self) -> Result<StoredAlerts, StoreError> {
        on_connection!(self, self.call_limit(), |client| async {
            // First, so that a change in between is looked for again.
            let version = version(client).await?;
            let alerts = select(client, "ORDER BY created_at, id", &[]).await?;
            Ok(StoredAlerts { version, alerts })
        })
    }

    async fn alert(&self, id: &str) -> Result<Option<StoredAlert>, StoreError> {
        on_connection!(self, self.call_limit(), |client| async {
            Ok(select(client, "WHERE id = $1", &[&id]).await?.pop())
        })
    }

    async fn alerts_of(&self, target: &str) -> Result<Vec<StoredAlert>, StoreError> {
        let which = "WHERE target = $1 ORDER BY created_at, id";
        on_connection!(self, self.call_limit(), |client| async {
            select(client, which, &[&target]).await
        })
    }

    async fn alert_secret(&self, id: &str) -> Result<Option<Arc<str>>, StoreError> {
        on_connection!(self, self.call_limit(), |client| async {
            let sql = "SELECT secret FROM alerts WHERE id = $1";
            let row = query_opt(client, sql, &[&id]).await?;
            row.map_or(Ok(None), |row| maybe(&row, 0))
        })
    }

    async fn add_alert(
        &self,
        new: NewAlert,
        entry: Option<AuditEntry>,
    ) -> Result<AlertAdded, StoreError> {
        on_connection!(self, self.call_limit(), |client| add(
            client,
            &new,
            entry.as_ref()
        ))
    }

    async fn change_alert(
        &self,
        alert: StoredAlert,
        entry: Option<AuditEntry>,
    ) -> Result<bool, StoreError> {
        on_connection!(self, self.call_limit(), |client| change(
            client,
            &alert,
            entry.as_ref()
        ))
    }

    async fn remove_alert(&self, id: &str, entry: Option<AuditEntry>) -> Result<bool, StoreError> {
        on_connection!(self, self.call_limit(), |client| remove(
            client,
            id,
            entry.as_ref()
        ))
    }

    async fn step_alerts(&self, steps: Vec<AlertStep>, fence: Fence) -> Result<u64, StoreError> {
        let rows = u32::try_from(steps.len()).unwrap_or(u32::MAX);
        let limit = self.call_limit() + Duration::from_millis(1) * rows;
        let limits = Limits::of(Some(fence), rows, self.options.statement_timeout);
        on_connection!(self, limit, |client| step_all(client, &steps, limits))
    }

    async fn add_delivery(&self, delivery: Delivery) -> Result<bool, StoreError> {
        on_connection!(self, self.call_limit(), |client| async {
            let sql = format!(
                "WITH known AS (SELECT FROM alerts WHERE id = $2),
                 told AS ({DELIVER} WHERE EXISTS (SELECT FROM known) ON CONFLICT DO NOTHING)
                 SELECT EXISTS (SELECT FROM known)"
            );
            let row = with_delivery(client, &sql, &delivery).await?;
            Ok(row.map(|row| row.try_get(0)).transpose()?.unwrap_or(false))
        })
    }

    async fn due_deliveries(
        &self,
        now: Wall,
        busy: Vec<Arc<str>>,
        limit: u32,
    ) -> Result<Vec<DueDelivery>, StoreError> {
        let sql = "
            SELECT d.id, d.alert, d.target, d.body, d.created_at, d.due_at, d.attempts, d.done_at,
                d.outcome, d.error, a.secret
            FROM alert_deliveries d LEFT JOIN alerts a ON a.id = d.alert
            WHERE d.done_at IS NULL AND d.due_at <= $1 AND d.target <> ALL($3)
            ORDER BY d.due_at, d.id LIMIT $2";
        on_connection!(self, self.call_limit(), |client| async {
            let limit = i64::from(limit.min(DELIVERY_PAGE_MAX));
            let busy: Vec<&str> = busy.iter().map(|target| &**target).collect();
            let rows = query(client, sql, &[&Time(now), &limit, &busy]).await?;
            let due = |row| {
                Ok(DueDelivery {
                    delivery: read_delivery(row)?,
                    secret: maybe(row, 10)?,
                })
            };
            rows.iter().map(due).collect()
        })
    }

    async fn settle_delivery(
        &self,
        id: &str,
        standing: DeliveryStanding,
        fence: Fence,
    ) -> Result<bool, StoreError> {
        on_connection!(self, self.call_limit(), |client| settle(
            client, id, &standing, fence
        ))
    }

    async fn deliveries(&self, alert: &str, limit: u32) -> Result<Vec<Delivery>, StoreError> {
        let sql = "
            SELECT id, alert, target, body, created_at, due_at, attempts, done_at, outcome, error
            FROM alert_deliveries WHERE alert = $1 ORDER BY created_at DESC, id DESC LIMIT $2";
        on_connection!(self, self.call_limit(), |client| async {
            let limit = i64::from(limit.min(DELIVERY_PAGE_MAX));
            let rows = query(client, sql, &[&alert, &limit]).await?;
            rows.iter().map(read_delivery).collect()
        })
    }

    async fn pending_deliveries(&self) -> Result<u64, StoreError> {
        let sql = "SELECT count(*) FROM alert_deliveries WHERE done_at IS NULL";
        on_connection!(self, self.call_limit(), |client| async {
            let row = query_opt(client, sql, &[]).await?;
            row.map_or(Ok(0), |row| number(row.try_get(0)?))
        })
    }

    async fn prune_deliveries(&self, before: Wall, fence: Fence) -> Result<u64, StoreError> {
        let sql = "
            WITH fence AS MATERIALIZED (SELECT kurs_fence($3, $4) AS holds),
            gone AS (
                DELETE FROM alert_deliveries
                WHERE (SELECT holds FROM fence) AND ctid = ANY (ARRAY(
                    SELECT ctid FROM alert_deliveries WHERE done_at < $1 LIMIT $2))
                RETURNING id)
            SELECT (SELECT count(*) FROM gone) FROM fence";
        on_connection!(self, self.call_limit(), |client| async {
            let (shard, epoch) = fence_parts(Some(fence))?;
            let gone = query_opt(client, sql, &[&Time(before), &PRUNE_STEP, &shard, &epoch]).await;
            let row = gone.map_err(|fault| fault.under(Some(fence)))?;
            row.map_or(Ok(0), |row| number(row.try_get(0)?))
        })
    }

    async fn chat(&self, chat: i64) -> Result<Option<StoredChat>, StoreError> {
        let sql = "SELECT language, is_blocked, updated_at FROM chats WHERE chat = $1";
        on_connection!(self, self.call_limit(), |client| async {
            let row = query_opt(client, sql, &[&chat]).await?;
            let read = |row: Row| {
                Ok(StoredChat {
                    chat,
                    language: row.try_get::<_, &str>(0)?.into(),
                    is_blocked: row.try_get(1)?,
                    updated_at: read_time(&row, 2)?,
                })
            };
            row.map(read).transpose()
        })
    }

    async fn save_chat(&self, chat: StoredChat, fence: Fence) -> Result<(), StoreError> {
        let sql = "
            INSERT INTO chats (chat, language, is_blocked, updated_at)
            SELECT $1, $2, $3, $4 WHERE kurs_fence($5, $6)
            ON CONFLICT (chat) DO UPDATE SET language = excluded.language,
                is_blocked = excluded.is_blocked, updated_at = excluded.updated_at";
        on_connection!(self, self.call_limit(), |client| async {
            let (shard, epoch) = fence_parts(Some(fence))?;
            let parameters: &[&(dyn ToSql + Sync)] = &[
                &chat.chat,
                &&*chat.language,
                &chat.is_blocked,
                &Time(chat.updated_at),
                &shard,
                &epoch,
            ];
            let saved = execute(client, sql, parameters).await;
            saved.map_err(|fault| fault.under(Some(fence)))?;
            Ok(())
        })
    }

    async fn bot_offset(&self, bot: &str) -> Result<Option<i64>, StoreError> {
        let sql = "SELECT next FROM bot_offsets WHERE bot = $1";
        on_connection!(self, self.call_limit(), |client| async {
            let row = query_opt(client, sql, &[&bot]).await?;
            Ok(row.map(|row| row.try_get(0)).transpose()?)
        })
    }

    async fn save_bot_offset(&self, bot: &str, next: i64, fence: Fence) -> Result<(), StoreError> {
        let sql = "
            INSERT INTO bot_offsets AS old (bot, next) SELECT $1, $2 WHERE kurs_fence($3, $4)
            ON CONFLICT (bot) DO UPDATE SET next = greatest(old.next, excluded.next)";
        on_connection!(self, self.call_limit(), |client| async {
            let (shard, epoch) = fence_parts(Some(fence))?;
            let saved = execute(client, sql, &[&bot, &next, &shard, &epoch]).await;
            saved.map_err(|fault| fault.under(Some(fence)))?;
            Ok(())
        })
    }
}

fn number(number: i64) -> Result<u64, Fault> {
    u64::try_from(number).map_err(|_| Fault::corrupt("a negative number of an alert"))
}

fn stored(number: u64) -> Result<i64, Fault> {
    i64::try_from(number).map_err(|_| Fault::corrupt(format!("{number} is out of range")))
}

fn text(row: &Row, column: usize) -> Result<Arc<str>, Fault> {
    Ok(row.try_get::<_, &str>(column)?.into())
}

fn maybe(row: &Row, column: usize) -> Result<Option<Arc<str>>, Fault> {
    Ok(row.try_get::<_, Option<&str>>(column)?.map(Arc::from))
}

fn maybe_time(row: &Row, column: usize) -> Result<Option<Wall>, Fault> {
    let time: Option<Time> = row.try_get(column)?;
    Ok(time.map(|time| time.0))
}

async fn version(client: &Client) -> Result<u64, Fault> {
    let row = query_opt(client, "SELECT version FROM alert_version", &[]).await?;
    let row = row.ok_or_else(|| Fault::corrupt("the alerts have no version"))?;
    number(row.try_get(0)?)
}

async fn select(
    client: &impl GenericClient,
    which: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<StoredAlert>, Fault> {
    let sql = format!(
        "SELECT id, name, owner, target, condition, is_paused, created_at, revision, state, fired,
             fired_at
         FROM alerts {which}"
    );
    let read = |row: &Row| {
        Ok(StoredAlert {
            id: text(row, 0)?,
            name: maybe(row, 1)?,
            owner: text(row, 2)?,
            target: text(row, 3)?,
            condition: text(row, 4)?,
            is_paused: row.try_get(5)?,
            created_at: read_time(row, 6)?,
            revision: number(row.try_get(7)?)?,
            state: text(row, 8)?,
            fired: number(row.try_get(9)?)?,
            fired_at: maybe_time(row, 10)?,
        })
    };
    let rows = query(client, &sql, parameters).await?;
    rows.iter().map(read).collect()
}

const CHANGED: &str = "UPDATE alert_version SET version = version + 1";

async fn add(
    client: &mut Client,
    new: &NewAlert,
    entry: Option<&AuditEntry>,
) -> Result<AlertAdded, Fault> {
    let alert = &new.alert;
    let transaction = client.transaction().await?;
    // First, so that those who add take turns: what is counted stays so.
    execute(&transaction, CHANGED, &[]).await?;
    if let Some(request) = new.request.as_deref() {
        let outdated = "UPDATE alerts SET request = NULL
            WHERE request = $1 AND created_at < $2";
        // By the clock of those who make alerts, as `created_at` is.
        let kept_since = Wall(alert.created_at.0.saturating_sub(REQUEST_KEPT));
        execute(&transaction, outdated, &[&request, &Time(kept_since)]).await?;
        let before = select(&transaction, "WHERE request = $1", &[&request]).await?;
        if let Some(before) = before.into_iter().next() {
            transaction.rollback().await?;
            return Ok(AlertAdded::Before(before));
        }
    }
    let counts = "SELECT count(*), count(*) FILTER (WHERE target = $1) FROM alerts";
    let row = query_opt(&transaction, counts, &[&&*alert.target]).await?;
    let row = row.ok_or_else(|| Fault::corrupt("no answer to a count"))?;
    let (all, of_target): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    if all >= i64::from(new.alerts_max) || of_target >= i64::from(new.target_max) {
        transaction.rollback().await?;
        return Ok(AlertAdded::TooMany);
    }
    let sql = format!(
        "WITH added AS (
             INSERT INTO alerts (id, name, owner, target, secret, condition, is_paused, created_at,
                                 revision, state, fired, fired_at, request)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING id),
         {}
         SELECT FROM added",
        noted("added", 14)
    );
    let note = Note::of(entry);
    let texts = (&*alert.id, &*alert.owner, &*alert.target, &*alert.condition);
    let (name, secret, request) = (
        alert.name.as_deref(),
        new.secret.as_deref(),
        new.request.as_deref(),
    );
    let (state, created_at) = (&*alert.state, Time(alert.created_at));
    let (revision, fired) = (stored(alert.revision)?, stored(alert.fired)?);
    let fired_at = alert.fired_at.map(Time);
    let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![
        &texts.0,
        &name,
        &texts.1,
        &texts.2,
        &secret,
        &texts.3,
        &alert.is_paused,
        &created_at,
        &revision,
        &state,
        &fired,
        &fired_at,
        &request,
    ];
    parameters.extend(note.parameters());
    execute(&transaction, &sql, &parameters).await?;
    transaction.commit().await?;
    Ok(AlertAdded::New)
}

async fn change(
    client: &Client,
    alert: &StoredAlert,
    entry: Option<&AuditEntry>,
) -> Result<bool, Fault> {
    let sql = format!(
        "WITH changed AS (
             UPDATE alerts SET name = $3, target = $4, condition = $5, is_paused = $6, state = $7,
                 revision = revision + 1
             WHERE id = $1 AND revision = $2 RETURNING id),
         {}
         {CHANGED} WHERE EXISTS (SELECT FROM changed)",
        noted("changed", 8)
    );
    let texts = (&*alert.id, &*alert.target, &*alert.condition, &*alert.state);
    let (revision, name) = (stored(alert.revision)?, alert.name.as_deref());
    let note = Note::of(entry);
    let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![
        &texts.0,
        &revision,
        &name,
        &texts.1,
        &texts.2,
        &alert.is_paused,
        &texts.3,
    ];
    parameters.extend(note.parameters());
    Ok(execute(client, &sql, &parameters).await? > 0)
}

async fn remove(client: &Client, id: &str, entry: Option<&AuditEntry>) -> Result<bool, Fault> {
    let sql = format!(
        "WITH gone AS (DELETE FROM alerts WHERE id = $1 RETURNING id),
         untold AS (DELETE FROM alert_deliveries WHERE alert = $1),
         {}
         {CHANGED} WHERE EXISTS (SELECT FROM gone)",
        noted("gone", 2)
    );
    let note = Note::of(entry);
    let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&id];
    parameters.extend(note.parameters());
    Ok(execute(client, &sql, &parameters).await? > 0)
}

async fn step_all(client: &Client, steps: &[AlertStep], limits: Limits) -> Result<u64, Fault> {
    let mut transaction = Writing::on(client);
    transaction.begin(limits, "").await?;
    let mut stored = 0;
    for one in steps {
        stored += u64::from(step(client, one).await?);
    }
    transaction.commit().await?;
    Ok(stored)
}

async fn step(client: &Client, step: &AlertStep) -> Result<bool, Fault> {
    let sql = "
        UPDATE alerts SET state = $3, fired = $5, fired_at = coalesce($4, fired_at)
        WHERE id = $1 AND revision = $2";
    let fired_at = step.fired.as_ref().map(|fired| Time(fired.created_at));
    let (id, state) = (&*step.id, &*step.state);
    let (revision, number) = (stored(step.revision)?, stored(step.number)?);
    let parameters: &[&(dyn ToSql + Sync)] = &[&id, &revision, &state, &fired_at, &number];
    let moved = execute(client, sql, parameters).await? > 0;
    if let (true, Some(delivery)) = (moved, &step.fired) {
        let sql = format!("{DELIVER} ON CONFLICT DO NOTHING");
        with_delivery(client, &sql, delivery).await?;
    }
    Ok(moved)
}

const DELIVER: &str = "
    INSERT INTO alert_deliveries (id, alert, target, body, created_at, due_at, attempts, done_at,
                                  outcome, error)
    SELECT $1, $2, $3, $4, $5::timestamptz, $6::timestamptz, $7::int, $8::timestamptz, $9, $10";

/// Runs a statement whose parameters are those of [`DELIVER`].
async fn with_delivery(
    client: &Client,
    sql: &str,
    delivery: &Delivery,
) -> Result<Option<Row>, Fault> {
    let standing = &delivery.standing;
    let parameters: &[&(dyn ToSql + Sync)] = &[
        &&*delivery.id,
        &&*delivery.alert,
        &&*delivery.target,
        &&*delivery.body,
        &Time(delivery.created_at),
        &Time(standing.due_at),
        &attempts(standing),
        &standing.done_at.map(Time),
        &standing.outcome.as_deref(),
        &standing.error.as_deref(),
    ];
    query_opt(client, sql, parameters).await
}

fn attempts(standing: &DeliveryStanding) -> i32 {
    i32::try_from(standing.attempts).unwrap_or(i32::MAX)
}

async fn settle(
    client: &Client,
    id: &str,
    standing: &DeliveryStanding,
    fence: Fence,
) -> Result<bool, Fault> {
    // The fence is looked at even if there is nothing to settle.
    let sql = "
        WITH fence AS MATERIALIZED (SELECT kurs_fence($7, $8) AS holds),
        settled AS (
            UPDATE alert_deliveries SET due_at = $2, attempts = $3, done_at = $4, outcome = $5,
                error = $6
            WHERE id = $1 AND done_at IS NULL AND (SELECT holds FROM fence) RETURNING id)
        SELECT EXISTS (SELECT FROM settled) FROM fence";
    let (shard, epoch) = fence_parts(Some(fence))?;
    let parameters: &[&(dyn ToSql + Sync)] = &[
        &id,
        &Time(standing.due_at),
        &attempts(standing),
        &standing.done_at.map(Time),
        &standing.outcome.as_deref(),
        &standing.error.as_deref(),
        &shard,
        &epoch,
    ];
    let settled = query_opt(client, sql, parameters).await;
    let row = settled.map_err(|fault| fault.under(Some(fence)))?;
    Ok(row.map(|row| row.try_get(0)).transpose()?.unwrap_or(false))
}

fn read_delivery(row: &Row) -> Result<Delivery, Fault> {
    let attempts: i32 = row.try_get(6)?;
    Ok(Delivery {
        id: text(row, 0)?,
        alert: text(row, 1)?,
        target: text(row, 2)?,
        body: text(row, 3)?,
        created_at: read_time(row, 4)?,
        standing: DeliveryStanding {
            due_at: read_time(row, 5)?,
            attempts: u32::try_from(attempts).unwrap_or(0),
            done_at: maybe_time(row, 7)?,
            outcome: maybe(row, 8)?,
            error: maybe(row, 9)?,
        },
    })
}
