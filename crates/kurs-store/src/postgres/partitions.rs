//! Partitions by time: made before they are needed, dropped when nothing in them is kept.

use super::fault::Fault;
use super::pool::{execute, query_opt};
use super::types::Time;
use deadpool_postgres::{Client, GenericClient};
use kurs_core::Wall;
use parking_lot::Mutex;
use std::collections::HashSet;
use std::time::Duration;

const DAY_US: i64 = 86_400_000_000;
/// A month is never longer.
const MONTH_US: i64 = 31 * DAY_US;
/// How many periods are made ahead by a migration.
const AHEAD: i64 = 3;

/// Tables with partitions by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Parent {
    History,
    Published,
    HistoryPacked,
    PublishedPacked,
    Seconds,
    Minutes,
    FiveMinutes,
    Books,
}

impl Parent {
    const ALL: [Self; 8] = [
        Self::History,
        Self::Published,
        Self::HistoryPacked,
        Self::PublishedPacked,
        Self::Seconds,
        Self::Minutes,
        Self::FiveMinutes,
        Self::Books,
    ];

    pub(super) const fn table(self) -> &'static str {
        match self {
            Self::History => "history",
            Self::Published => "published",
            Self::HistoryPacked => "history_packed",
            Self::PublishedPacked => "published_packed",
            Self::Seconds => "candles_1s",
            Self::Minutes => "candles_1m",
            Self::FiveMinutes => "candles_5m",
            Self::Books => "books",
        }
    }

    /// Length of a partition, at most.
    const fn period_us(self) -> i64 {
        match self {
            Self::History | Self::Published | Self::Seconds | Self::Books => DAY_US,
            Self::HistoryPacked | Self::PublishedPacked | Self::Minutes | Self::FiveMinutes => {
                MONTH_US
            }
        }
    }
}

/// Days whose partitions are known to exist. A day is known on its own for monthly partitions
/// too: asking once a day costs nothing.
#[derive(Debug, Default)]
pub(super) struct KnownPartitions(Mutex<HashSet<(Parent, i64)>>);

/// More days than this are not remembered.
const DAYS_MAX: usize = 100_000;

impl KnownPartitions {
    /// Somebody may have dropped some.
    pub(super) fn forget(&self) {
        self.0.lock().clear();
    }

    /// Makes the partitions that rows of these moments need, and the one after each.
    pub(super) async fn make(
        &self,
        client: &impl GenericClient,
        needed: impl IntoIterator<Item = (Parent, Wall)>,
    ) -> Result<(), Fault> {
        let mut days = HashSet::new();
        {
            let known = self.0.lock();
            for (parent, moment) in needed {
                let day = (parent, moment.0.div_euclid(DAY_US));
                if !known.contains(&day) {
                    days.insert(day);
                }
            }
        }
        for (parent, day) in days {
            let moment = day.saturating_mul(DAY_US);
            make(client, parent, Wall(moment)).await?;
            make(
                client,
                parent,
                Wall(moment.saturating_add(parent.period_us())),
            )
            .await?;
            let mut known = self.0.lock();
            if known.len() >= DAYS_MAX {
                known.clear();
            }
            known.insert((parent, day));
        }
        Ok(())
    }
}

async fn make(client: &impl GenericClient, parent: Parent, moment: Wall) -> Result<(), Fault> {
    let sql = "SELECT kurs_make_partition($1, $2)";
    execute(client, sql, &[&parent.table(), &Time(moment)]).await?;
    Ok(())
}

/// Makes the partitions of this and the next days and months, by the server's clock.
pub(super) async fn make_ahead(client: &impl GenericClient) -> Result<(), Fault> {
    let sql = "SELECT kurs_make_partition($1, now() + $2 * interval '1 day')";
    for parent in Parent::ALL {
        for period in 0..=AHEAD {
            let days = i32::try_from(period * parent.period_us() / DAY_US).unwrap_or(0);
            execute(client, sql, &[&parent.table(), &f64::from(days)]).await?;
        }
    }
    Ok(())
}

/// How often a lock on a table is asked for.
const LOCK_ATTEMPTS: u32 = 5;
/// Time between, for those who wait behind.
const LOCK_PAUSE: Duration = Duration::from_millis(200);
/// Most partitions that one call drops.
const DROPS_MAX: u32 = 10_000;

/// What is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Drop {
    /// Everything before a moment.
    Outdated,
    /// What holds no row any more.
    Empty,
}

/// Drops the partitions that lie wholly before `before` and hold none of `spare`. Returns how
/// many rows went, about. One that is in use for long stays for the next time.
pub(super) async fn drop_before(
    client: &Client,
    parent: Parent,
    before: Wall,
    spare: &[Time],
    what: Drop,
) -> Result<u64, Fault> {
    let sql = "SELECT kurs_drop_partition($1, $2, $3, $4)";
    let mut gone: u64 = 0;
    let mut attempts = 0;
    for _ in 0..DROPS_MAX {
        let is_empty = what == Drop::Empty;
        let dropped = query_opt(
            client,
            sql,
            &[&parent.table(), &Time(before), &spare, &is_empty],
        )
        .await;
        match dropped {
            Ok(row) => {
                let rows = row
                    .map(|row| row.try_get::<_, Option<i64>>(0))
                    .transpose()?
                    .flatten();
                let Some(rows) = rows else { break };
                gone = gone.saturating_add(u64::try_from(rows).unwrap_or(0));
            }
            Err(fault) if fault.is_locked_out() && attempts < LOCK_ATTEMPTS => {
                attempts += 1;
                tokio::time::sleep(LOCK_PAUSE).await;
            }
            Err(fault) if fault.is_locked_out() => break,
            Err(fault) => return Err(fault),
        }
    }
    Ok(gone)
}
