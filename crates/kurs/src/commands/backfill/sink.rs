//! The way of what was fetched into the store, and the line that shows how far it is.

use super::super::progress::Progress;
use super::need::{SeriesKey, contains};
use super::plan::Needs;
use crate::output::Output;
use async_trait::async_trait;
use kurs_core::SourceId;
use kurs_sources::archive::{Haul, Series, Sink, SinkError};
use kurs_store::{Batch, Candle, Store, StoreError};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Rows written together.
const ROWS_MAX: usize = 5_000;
/// Writes are tried again so often while the store is away or busy.
const ATTEMPTS: u32 = 7;
/// First wait between them; doubles: about a minute altogether.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// Keeps what is wanted, and shows how far it is.
pub(super) struct StoreSink {
    store: Arc<dyn Store>,
    needs: Needs,
    output: Output,
    shown: Mutex<Shown>,
}

struct Shown {
    line: Progress,
    /// Requests done and left, by source.
    requests: BTreeMap<SourceId, (u64, u64)>,
    rows: u64,
}

impl StoreSink {
    pub(super) fn new(store: Arc<dyn Store>, needs: Needs, output: Output) -> Self {
        let shown = Shown {
            line: Progress::of_steps(output.quiet),
            requests: BTreeMap::new(),
            rows: 0,
        };
        Self {
            store,
            needs,
            output,
            shown: Mutex::new(shown),
        }
    }

    /// Takes the line away.
    pub(super) fn end_of_progress(&self) {
        self.with(|shown| shown.line.end());
    }

    fn with<R>(&self, act: impl FnOnce(&mut Shown) -> R) -> R {
        // A panic while drawing spoils nothing that counts.
        act(&mut self.shown.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a candle was missing. Of a table all rates are kept.
    fn is_needed(&self, candle: &Candle) -> bool {
        let Some(source) = candle.source else {
            return false;
        };
        let key = SeriesKey {
            source,
            pair: candle.pair,
            interval: candle.interval,
        };
        contains(
            self.needs.get(&key).map_or(&[], Vec::as_slice),
            candle.start,
        )
    }

    async fn write(&self, batch: Batch) -> Result<(), SinkError> {
        let mut wait = FIRST_WAIT;
        for _ in 1..ATTEMPTS {
            match self.store.write(batch.clone()).await {
                Ok(()) => return Ok(()),
                Err(StoreError::Unavailable(_)) => {}
                Err(error) => return Err(SinkError(error.to_string())),
            }
            tokio::time::sleep(wait).await;
            wait = wait.saturating_mul(2);
        }
        let last = self.store.write(batch).await;
        last.map_err(|error| SinkError(error.to_string()))
    }
}

#[async_trait]
impl Sink for StoreSink {
    async fn keep(&self, series: Series, haul: Haul) -> Result<(), SinkError> {
        let mut candles = haul.candles;
        if series.pair.is_some() {
            candles.retain(|candle| self.is_needed(candle));
        }
        let rows = candles.len().saturating_add(haul.official.len());
        // Candles of one answer go together, so that a page is there whole or not at all.
        if !candles.is_empty() {
            let batch = Batch {
                candles,
                ..Batch::default()
            };
            self.write(batch).await?;
        }
        for some in haul.official.chunks(ROWS_MAX) {
            let batch = Batch {
                official: some.to_vec(),
                ..Batch::default()
            };
            self.write(batch).await?;
        }
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        self.with(|shown| shown.rows = shown.rows.saturating_add(rows));
        Ok(())
    }

    fn progress(&self, source: SourceId, done: u64, left: u64) {
        self.with(|shown| {
            shown.requests.insert(source, (done, left));
            let done: u64 = shown.requests.values().map(|(done, _)| done).sum();
            let left: u64 = shown.requests.values().map(|(_, left)| left).sum();
            let message = format!("{} rows", shown.rows);
            shown.line.set_of(done, done.saturating_add(left), message);
        });
    }

    fn waits(&self, source: SourceId, wait: Duration, why: &str) {
        // Short waits are nothing to speak of.
        if wait >= Duration::from_secs(5) {
            let seconds = wait.as_secs();
            self.output.say(&format!(
                "{source}: {}; asking again in {seconds} s",
                crate::output::clean(why)
            ));
        }
    }
}
