//! What waits in memory goes to the store, or to the spool.

use super::{Finish, HEARTBEAT, HOPELESS_TRIES, TICK_MAX, Task};
use crate::recorder::Shared;
use crate::recorder::counters::Counters;
use kurs_store::spool::SpoolError;
use kurs_store::spool::pieces::halve;
use kurs_store::{Batch, CurrentRate, Fence, Store, StoreError, StoredRate};
use kurs_telemetry::metrics::WriterMetrics;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// Things of one batch that may be given up. More, and the fault is the store's.
const REFUSED_MAX: u64 = 16;

/// What could not be stored of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) rows: u64,
    pub(super) others: u64,
}

impl Task {
    /// Writes what is due, if anything is.
    pub(super) async fn write_what_waits(&mut self) {
        let now = Instant::now();
        let is_tick = now >= self.tick_at;
        if is_tick {
            let every = Duration::from_millis(self.shared.config.current_every_ms);
            self.tick_at = now + every.min(TICK_MAX);
        }
        if self.hold_until.is_some_and(|until| until > now) {
            return;
        }
        let is_lingering = self.linger_until.is_none_or(|until| until > now);
        let waits = !self.shared.queue.lock().is_empty();
        let is_due = waits && (!is_lingering || self.is_batch_full());
        if !(is_due || is_tick || self.finish != Finish::NotAsked) {
            return;
        }
        self.linger_until = None;
        self.gather();
        if self.spool.is_empty() {
            self.write_to_store().await;
        } else {
            self.write_to_spool().await;
        }
        if self.finish != Finish::NotAsked {
            self.go_on_ending();
        }
    }

    /// The next step towards the end, when nothing waits any more.
    fn go_on_ending(&mut self) {
        if !self.shared.queue.lock().is_empty() {
            return;
        }
        let are_rates_written = self.shared.rates.lock().is_empty();
        self.finish = match self.finish {
            Finish::Begun => Finish::Folded,
            // With a spool everything that must not be lost is safe by now, and rates were tried.
            Finish::Folded if are_rates_written || self.spool.is_open() => Finish::Over,
            other => other,
        };
    }

    /// One batch to the store, with the current rates when it is their time.
    async fn write_to_store(&mut self) {
        let mut batch = self.shared.queue.lock().writing().clone();
        let now = self.clock.now().mono;
        let rates = self.rates_due();
        batch.current = self.aged(&rates);
        let is_news = batch.recorded_until.is_some_and(|recorded| {
            self.until_written
                .is_none_or(|(until, at)| recorded.until > until && now.since(at) >= HEARTBEAT)
        });
        let whole = batch.len();
        if whole == 0 && !is_news {
            return;
        }
        let things = whole - batch.current.len();
        let recorded = batch.recorded_until;
        Counters::add(&self.shared.counters.attempts, 1);
        let written = self.ask(batch).await;
        let op = if things > 0 { "append" } else { "save_current" };
        self.metrics.store_request(op, written.is_ok());
        match written {
            Ok(refused) => {
                let took = self.clock.now().mono.since(now);
                self.metrics.store_commit.observe(took);
                self.shared.counters.committed(took);
                if let Some(recorded) = recorded {
                    self.until_written = Some((recorded.until, now));
                }
                self.rates_written(&rates, now);
                self.stored(refused);
                self.store_took();
            }
            Err(error) => {
                self.put_back(rates);
                self.store_refused(&error);
                let is_hopeless = matches!(error, StoreError::Corrupt(_));
                self.hopeless = if is_hopeless { self.hopeless + 1 } else { 0 };
                // A few things that make no sense are given up in the end. Where nothing is taken
                // it is the store that is broken, and the spool keeps what it should have.
                let may_be_given_up = is_hopeless && self.hopeless <= HOPELESS_TRIES;
                if self.spool.is_open() && things > 0 && !may_be_given_up {
                    self.write_to_spool().await;
                } else {
                    self.hold();
                }
            }
        }
    }

    /// Asks the store to write. Where there is a spool, it may not take for ever.
    async fn ask(&mut self, batch: Batch) -> Result<Refused, StoreError> {
        if !self.shared.may_store.load(Ordering::Acquire) {
            let why = "its lease has run out by this machine's clock";
            return Err(StoreError::Unavailable(why.to_owned()));
        }
        let batch = Batch {
            fence: self.fence,
            ..batch
        };
        if self.hopeless >= HOPELESS_TRIES {
            return salvage(&*self.store, batch).await;
        }
        let (shared, metrics, own) = (&self.shared, &self.metrics, self.fence);
        let write = store_or_salvage(shared, &*self.store, metrics, batch, own);
        if self.spool.is_open() {
            let patience = Duration::from_millis(self.shared.config.store_wait_ms);
            match tokio::time::timeout(patience, write).await {
                Ok(written) => written,
                Err(_) => Err(StoreError::Unavailable(format!(
                    "it did not answer within {} ms",
                    patience.as_millis()
                ))),
            }
        } else {
            write.await
        }
    }

    /// Current rates as they are handed to the store now.
    pub(super) fn aged(&self, rates: &[StoredRate]) -> Vec<CurrentRate> {
        let now = self.clock.now().wall;
        let aged = |rate: &StoredRate| CurrentRate::at(rate.clone(), now);
        rates.iter().map(aged).collect()
    }

    /// What waited in memory is in the store.
    fn stored(&mut self, refused: Refused) {
        self.hopeless = 0;
        self.failures = 0;
        self.hold_until = None;
        self.spool_trouble = self.spool_trouble.take().filter(|_| !self.spool.is_open());
        let mut queue = self.shared.queue.lock();
        let batch = queue.writing();
        let rows = u64::try_from(batch.rows.len()).unwrap_or(u64::MAX);
        let counters = &self.shared.counters;
        counters
            .rows_written
            .fetch_add(rows - refused.rows.min(rows), Ordering::Relaxed);
        Counters::add(&counters.events_written, batch.published.len());
        refuse(counters, refused);
        self.acknowledge(batch);
        queue.done(Batch::default());
    }

    /// The last of these is durable.
    fn acknowledge(&self, batch: &Batch) {
        let mut acknowledged = self.shared.acknowledged.lock();
        if let Some(row) = batch.rows.last() {
            acknowledged.row = Some(row.id);
        }
        if let Some(event) = batch.published.last() {
            acknowledged.event = Some(event.id);
        }
    }

    /// What waits in memory goes to the spool.
    async fn write_to_spool(&mut self) {
        let mut batch = self.shared.queue.lock().writing().clone();
        batch.fence = self.fence;
        // How far everything is recorded is no reason for a record of its own.
        let things = batch.len();
        if things == 0 {
            self.finish_with_rates().await;
            return;
        }
        let is_first = self.spool.is_empty();
        let appended = self.spool.append(batch.clone()).await;
        let shed_before = self.shared.counters.spool.lock().shed.rows;
        let stats = self.spool.stats();
        *self.shared.counters.spool.lock() = stats;
        self.shared.counters.rows_shed.fetch_add(
            stats.shed.rows - shed_before.min(stats.shed.rows),
            Ordering::Relaxed,
        );
        match appended {
            Ok(shed) => {
                if shed.rows > 0 {
                    batch.rows.clear();
                }
                Counters::add(&self.shared.counters.rows_spooled, batch.rows.len());
                self.acknowledge(&batch);
                self.shared.queue.lock().done(Batch::default());
                self.spool_trouble = None;
                self.failures = 0;
                self.hold_until = None;
            }
            Err(refused) => {
                let (rest, error) = *refused;
                // Rows are refused with the events or after them, never without.
                if rest.published.is_empty() {
                    batch.rows.clear();
                    self.acknowledge(&batch);
                }
                self.shared.queue.lock().done(rest);
                self.spool_refused(&error);
                self.hold();
            }
        }
        if is_first {
            self.drain_failures = self.drain_failures.max(1);
            self.drain_at = Instant::now() + self.pause(self.drain_failures);
        }
    }

    /// Before the end: the newest rates do not wait for the spool to be drained.
    async fn finish_with_rates(&mut self) {
        if self.finish != Finish::Folded || self.draining.is_some() {
            return;
        }
        let rates = self.shared.rates.lock().take();
        if rates.is_empty() {
            return;
        }
        let batch = Batch {
            current: self.aged(&rates),
            ..Batch::default()
        };
        let written = self.ask(batch).await;
        self.metrics.store_request("save_current", written.is_ok());
        match written {
            Ok(_) => self.rates_written(&rates, self.clock.now().mono),
            Err(_) => self.put_back(rates),
        }
    }

    /// The rates that are to be written now.
    pub(super) fn rates_due(&self) -> Vec<StoredRate> {
        let now = self.clock.now().mono;
        let every = Duration::from_millis(self.shared.config.current_every_ms);
        let is_time = self
            .rates_written_at
            .is_none_or(|at| now.since(at) >= every);
        if is_time || self.finish != Finish::NotAsked {
            self.shared.rates.lock().take()
        } else {
            Vec::new()
        }
    }

    pub(super) fn rates_written(&mut self, rates: &[StoredRate], at: kurs_core::Mono) {
        if !rates.is_empty() {
            self.rates_written_at = Some(at);
            Counters::add(&self.shared.counters.rates_written, rates.len());
        }
    }

    /// A rate that came meanwhile is newer and stays.
    pub(super) fn put_back(&self, rates: Vec<StoredRate>) {
        let mut waiting = self.shared.rates.lock();
        for rate in rates {
            waiting.put(rate);
        }
    }

    /// Nothing is tried for a while.
    fn hold(&mut self) {
        self.failures = self.failures.saturating_add(1);
        self.hold_until = Some(Instant::now() + self.pause(self.failures));
    }

    pub(super) fn store_took(&mut self) {
        if self.store_trouble.take().is_some() && self.spool.is_empty() {
            tracing::info!("the store takes history again");
        }
        self.said.store_failed_at = None;
    }

    pub(super) fn store_refused(&mut self, error: &StoreError) {
        Counters::add(&self.shared.counters.failures, 1);
        self.store_trouble = Some(Arc::from(error.to_string()));
        self.say_store_failed(error);
    }

    pub(super) fn spool_refused(&mut self, error: &SpoolError) {
        self.spool_trouble = Some(Arc::from(error.to_string()));
        self.say_spool_failed(error);
    }
}

/// Writes a batch. Where another Writer has taken over, only what of it belongs to the history.
pub(super) async fn store_or_salvage(
    shared: &Shared,
    store: &dyn Store,
    metrics: &WriterMetrics,
    batch: Batch,
    own: Option<Fence>,
) -> Result<Refused, StoreError> {
    // Kept for the case that seldom comes; batches of some hundred rows.
    let again = batch.clone();
    match store.write(batch).await {
        Ok(()) => Ok(Refused::default()),
        Err(StoreError::Fenced(fence)) => {
            // An earlier epoch of this very Writer, out of its spool, deposes nobody.
            if own == Some(fence) {
                metrics.fenced_writes.inc();
                shared.fenced.send_replace(true);
            }
            let salvaged = store.salvage(again).await?;
            if salvaged.refused > 0 {
                tracing::warn!(
                    shard = fence.shard,
                    epoch = fence.epoch.0,
                    stored = salvaged.stored,
                    refused = salvaged.refused,
                    "made after another Writer had taken over, or for it to write: not stored"
                );
            }
            Ok(Refused {
                rows: 0,
                others: salvaged.refused,
            })
        }
        Err(error) => Err(error),
    }
}

pub(super) fn refuse(counters: &Counters, refused: Refused) {
    counters
        .rows_refused
        .fetch_add(refused.rows, Ordering::Relaxed);
    counters
        .others_refused
        .fetch_add(refused.others, Ordering::Relaxed);
}

/// Stores a batch that the store says it can never take, but for the things in it that make it
/// so, which are given up.
///
/// # Errors
/// As [`Store::write`]; [`StoreError::Corrupt`] when it is not a few things.
pub(super) async fn salvage(store: &dyn Store, batch: Batch) -> Result<Refused, StoreError> {
    let mut refused = Refused::default();
    let mut pieces = vec![batch];
    while let Some(piece) = pieces.pop() {
        if piece.is_empty() {
            continue;
        }
        match store.write(piece.clone()).await {
            Ok(()) => {}
            Err(StoreError::Corrupt(_)) if piece.len() > 1 => {
                let (first, second) = halve(piece);
                pieces.push(second);
                pieces.push(first);
            }
            Err(StoreError::Corrupt(why)) if refused.rows + refused.others < REFUSED_MAX => {
                if piece.rows.is_empty() {
                    refused.others += 1;
                } else {
                    refused.rows += 1;
                }
                tracing::error!(why, what = %describe(&piece), "is given up: the store cannot take it");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(refused)
}

/// Which thing it is.
fn describe(piece: &Batch) -> String {
    if let Some(row) = piece.rows.first() {
        return format!("row {} {} {:?}", row.pair, row.source, row.id);
    }
    if let Some(event) = piece.published.first() {
        return format!("published {} {:?}", event.pair, event.id);
    }
    "something else".to_owned()
}
