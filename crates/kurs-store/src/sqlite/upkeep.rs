//! Packing and deletion, in small steps: each is a commit of its own, and what is to be written
//! meanwhile gets its turn between them.

use super::fault::Fault;
use super::{SqliteStore, books, candles, gaps, history, names, published, settings, states};
use crate::{Interval, Outdated, Packing, StoreError};
use kurs_core::{Pair, SourceId, Wall};
use rusqlite::{Connection, params};
use std::collections::HashMap;

/// Rows that one step takes, so that what is to be written is not held up.
const STEP_ROWS: usize = 5_000;
/// The same of events, which are longer.
const STEP_EVENTS: usize = 1_000;
/// Free pages that one step gives back to the file system.
const VACUUM_STEP_PAGES: u32 = 1_000;
/// Free pages that stay in the file for the next rows (1 MiB).
const FREE_PAGES_KEPT: i64 = 256;
/// After packing a file keeps more: an eighth of its pages, which the next rows will need.
const FREE_PART_KEPT: i64 = 8;

impl SqliteStore {
    /// [`crate::Store::pack`]. What cannot be read of one series does not keep the others from
    /// being packed; it is told at the end.
    pub(super) async fn pack_before(&self, before: Wall) -> Result<Packing, StoreError> {
        let mut packing = Packing::default();
        let mut unreadable = None;
        let series = self
            .read(move |connection| {
                let names = Known::load(connection)?;
                let found = history::has_rows_before(connection, before, false)?;
                Ok(found
                    .into_iter()
                    .filter_map(|series| Some((series, names.series(series)?)))
                    .collect::<Vec<_>>())
            })
            .await?;
        for (numbers, words) in series {
            let step = self
                .all_steps(move |connection, known| {
                    history::pack_step(connection, known, numbers, words, before)
                        .map(|rows| (rows, rows == 0))
                })
                .await;
            packing.rows += unless_unreadable(step, &mut unreadable)?;
        }
        let pairs = self
            .read(move |connection| {
                let names = Known::load(connection)?;
                let found = published::pairs_before(connection, before, false)?;
                Ok(found
                    .into_iter()
                    .filter_map(|pair| Some((pair, *names.pairs.get(&pair)?)))
                    .collect::<Vec<_>>())
            })
            .await?;
        for (number, pair) in pairs {
            let step = self
                .all_steps(move |connection, _| {
                    published::pack_step(connection, number, pair, before)
                        .map(|events| (events, events == 0))
                })
                .await;
            packing.published += unless_unreadable(step, &mut unreadable)?;
        }
        if packing != Packing::default() {
            let pages = self.writer.alone(pages).await?;
            self.shrink(FREE_PAGES_KEPT.max(pages / FREE_PART_KEPT))
                .await?;
        }
        match unreadable {
            Some(error) => Err(error),
            None => Ok(packing),
        }
    }

    /// [`crate::Store::prune`]. A block goes when all of it is outdated: rows in a block that is
    /// partly outdated stay until the rest of it is.
    pub(super) async fn prune_outdated(&self, outdated: Outdated) -> Result<u64, StoreError> {
        let mut gone = 0_u64;
        if let Some(before) = outdated.rows {
            gone += self.prune_rows(before).await?;
            gone += self.prune_states(before).await?;
        }
        if let Some(before) = outdated.published {
            let pairs = self
                .read(move |connection| published::pairs_before(connection, before, true))
                .await?;
            gone += self
                .prune_series(pairs, move |connection, pair| {
                    published::prune_step(connection, pair, before, STEP_EVENTS)
                })
                .await?;
        }
        for (interval, before) in Interval::ALL.into_iter().zip(outdated.candles) {
            if let Some(before) = before {
                gone += self.prune_candles(interval, before).await?;
            }
        }
        if let Some(before) = outdated.books {
            gone += self.prune_books(before).await?;
        }
        if let Some(before) = outdated.gaps {
            gone += self
                .all_steps(move |connection, _| {
                    let gone = gaps::prune_step(connection, before, STEP_ROWS)?;
                    Ok((gone, gone < STEP_ROWS))
                })
                .await?;
        }
        if let Some(before) = outdated.audit {
            gone += self
                .all_steps(move |connection, _| {
                    let gone = settings::prune_step(connection, before, STEP_ROWS)?;
                    Ok((gone, gone < STEP_ROWS))
                })
                .await?;
        }
        if gone > 0 {
            self.shrink(FREE_PAGES_KEPT).await?;
        }
        Ok(gone)
    }

    async fn prune_rows(&self, before: Wall) -> Result<u64, StoreError> {
        let series = self
            .read(move |connection| history::has_rows_before(connection, before, true))
            .await?;
        self.prune_series(series, move |connection, series| {
            history::prune_step(connection, series, before, STEP_ROWS)
        })
        .await
    }

    async fn prune_states(&self, before: Wall) -> Result<u64, StoreError> {
        const SERIES: &str = "SELECT p.id, s.id FROM pairs p CROSS JOIN sources s
             WHERE EXISTS (SELECT 1 FROM price_states t
                           WHERE t.pair = p.id AND t.source = s.id AND t.at < ?1)";
        let series = self
            .read(move |connection| series_of(connection, SERIES, before))
            .await?;
        self.prune_series(series, move |connection, series| {
            let gone = states::prune_step(connection, series, before, STEP_ROWS)?;
            Ok((gone, gone < STEP_ROWS))
        })
        .await
    }

    async fn prune_candles(&self, interval: Interval, before: Wall) -> Result<u64, StoreError> {
        let series = self
            .read(move |connection| candles::series_before(connection, interval, before))
            .await?;
        self.prune_series(series, move |connection, series| {
            let gone = candles::prune_step(connection, series, interval, before, STEP_ROWS)?;
            Ok((gone, gone < STEP_ROWS))
        })
        .await
    }

    async fn prune_books(&self, before: Wall) -> Result<u64, StoreError> {
        const SERIES: &str = "SELECT p.id, s.id FROM pairs p CROSS JOIN sources s
             WHERE EXISTS (SELECT 1 FROM books b
                           WHERE b.pair = p.id AND b.source = s.id AND b.at < ?1)";
        let series = self
            .read(move |connection| series_of(connection, SERIES, before))
            .await?;
        self.prune_series(series, move |connection, series| {
            let gone = books::prune_step(connection, series, before, STEP_EVENTS)?;
            Ok((gone, gone < STEP_EVENTS))
        })
        .await
    }

    /// [`Self::all_steps`] for one series after the other.
    async fn prune_series<S, F>(&self, all: Vec<S>, step: F) -> Result<u64, StoreError>
    where
        S: Copy + Send + 'static,
        F: Fn(&Connection, S) -> Result<(usize, bool), Fault> + Copy + Send + 'static,
    {
        let mut gone = 0;
        for series in all {
            gone += self
                .all_steps(move |connection, _| step(connection, series))
                .await?;
        }
        Ok(gone)
    }

    /// Repeats a step, which says how many rows it took and whether it was the last.
    async fn all_steps<F>(&self, step: F) -> Result<u64, StoreError>
    where
        F: Fn(&Connection, &mut names::Names) -> Result<(usize, bool), Fault>
            + Clone
            + Send
            + 'static,
    {
        let mut total = 0_u64;
        loop {
            let step = step.clone();
            // Weighs as much as a full group, so each step is a commit of its own.
            let (rows, is_last) = self
                .writer
                .grouped(STEP_ROWS, move |connection, names| step(connection, names))
                .await?;
            total = total.saturating_add(u64::try_from(rows).unwrap_or(u64::MAX));
            if is_last {
                return Ok(total);
            }
        }
    }

    /// Gives free pages back to the file system, some at a time, until `kept` are left.
    async fn shrink(&self, kept: i64) -> Result<(), StoreError> {
        let mut before = i64::MAX;
        loop {
            let free = self
                .writer
                .alone(move |connection| shrink_step(connection, kept))
                .await?;
            // A file that was not made by this program may not be able to shrink.
            if free <= kept || free >= before {
                return Ok(());
            }
            before = free;
        }
    }
}

/// Sorts out what can be passed over: 0 rows of a series that cannot be read.
fn unless_unreadable(
    step: Result<u64, StoreError>,
    unreadable: &mut Option<StoreError>,
) -> Result<u64, StoreError> {
    match step {
        Err(error @ StoreError::Corrupt(_)) => {
            unreadable.get_or_insert(error);
            Ok(0)
        }
        other => other,
    }
}

/// What the numbers of names mean.
struct Known {
    pairs: HashMap<i64, Pair>,
    sources: HashMap<i64, SourceId>,
}

impl Known {
    fn load(connection: &Connection) -> Result<Self, Fault> {
        Ok(Self {
            pairs: names::all_pairs(connection)?.into_iter().collect(),
            sources: names::all_sources(connection)?.into_iter().collect(),
        })
    }

    fn series(&self, (pair, source): (i64, i64)) -> Option<(Pair, SourceId)> {
        Some((*self.pairs.get(&pair)?, *self.sources.get(&source)?))
    }
}

fn series_of(connection: &Connection, sql: &str, before: Wall) -> Result<Vec<(i64, i64)>, Fault> {
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_map(params![before.0], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(found.collect::<Result<_, _>>()?)
}

fn pages(connection: &Connection) -> Result<i64, Fault> {
    Ok(connection.pragma_query_value(None, "page_count", |row| row.get(0))?)
}

/// Gives some free pages back; returns how many are left.
fn shrink_step(connection: &Connection, kept: i64) -> Result<i64, Fault> {
    let free = || connection.pragma_query_value(None, "freelist_count", |row| row.get(0));
    if free()? > kept {
        let mut statement = connection
            .prepare_cached(&format!("PRAGMA incremental_vacuum({VACUUM_STEP_PAGES})"))?;
        let mut steps = statement.query([])?;
        // The pragma moves one page per step.
        while steps.next()?.is_some() {}
    }
    Ok(free()?)
}
