//! The spool behind a thread: a disk may take as long as it likes, the runtime may not wait.

use super::config::OpenSpool;
use kurs_store::Batch;
use kurs_store::spool::{RawCounts, Spool, SpoolError, SpoolStats, Waiting};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Between two tries to open it.
const OPEN_EVERY: Duration = Duration::from_secs(5);

pub(super) struct Spooling {
    /// How it is opened; `None`: none is wanted, or a thread is at it.
    open: Option<OpenSpool>,
    is_wanted: bool,
    open_at: Instant,
    spool: Option<Arc<Mutex<Spool>>>,
}

impl Spooling {
    pub(super) fn new(open: Option<OpenSpool>) -> Self {
        Self {
            is_wanted: open.is_some(),
            open,
            open_at: Instant::now(),
            spool: None,
        }
    }

    /// True when there is one to write to.
    pub(super) const fn is_open(&self) -> bool {
        self.spool.is_some()
    }

    /// When it is to be opened, if it is wanted and not open.
    pub(super) fn opens_at(&self) -> Option<Instant> {
        (self.is_wanted && !self.is_open()).then_some(self.open_at)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.spool
            .as_ref()
            .is_none_or(|spool| spool.lock().is_empty())
    }

    pub(super) fn stats(&self) -> SpoolStats {
        self.spool
            .as_ref()
            .map(|spool| spool.lock().stats())
            .unwrap_or_default()
    }

    /// Opens it if that is due; `None` when there was nothing to do.
    pub(super) async fn open_if_due(&mut self) -> Option<Result<(), SpoolError>> {
        if self.opens_at()? > Instant::now() {
            return None;
        }
        let mut open = self.open.take()?;
        let opened = tokio::task::spawn_blocking(move || (open(), open)).await;
        self.open_at = Instant::now() + OPEN_EVERY;
        Some(match opened {
            Ok((result, open)) => {
                self.open = Some(open);
                result.map(|spool| self.spool = Some(Arc::new(Mutex::new(spool))))
            }
            Err(error) => Err(SpoolError::Disk(error.to_string())),
        })
    }

    /// Makes a batch durable; else gives what of it is not.
    pub(super) async fn append(
        &mut self,
        batch: Batch,
    ) -> Result<RawCounts, Box<(Batch, SpoolError)>> {
        let whole = batch.clone();
        self.with(move |spool| spool.append(batch))
            .await
            .unwrap_or_else(|error| Err(Box::new((whole, error))))
    }

    pub(super) async fn next(&mut self, things: usize) -> Result<Option<Waiting>, SpoolError> {
        self.with(move |spool| spool.next(things)).await?
    }

    pub(super) async fn done(&mut self, through: u64) -> Result<(), SpoolError> {
        self.with(move |spool| spool.done(through)).await
    }

    pub(super) async fn pass_over(&mut self) -> Result<(), SpoolError> {
        self.with(Spool::pass_over).await
    }

    async fn with<T, F>(&mut self, work: F) -> Result<T, SpoolError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Spool) -> T + Send + 'static,
    {
        let Some(spool) = self.spool.clone() else {
            return Err(SpoolError::Disk("it is not open".to_owned()));
        };
        let worked = tokio::task::spawn_blocking(move || work(&mut spool.lock())).await;
        worked.map_err(|error| SpoolError::Disk(error.to_string()))
    }
}
