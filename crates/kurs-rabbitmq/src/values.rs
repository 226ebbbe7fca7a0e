//! Last values: the newest snapshot, and what the flow says after it.
//!
//! A snapshot names the place in the flow up to which it goes, so any of them is as good as the
//! newest as long as the flow still holds what came after it, whoever wrote it.

use crate::flow::{Flow, Mark, Start, Stream};
use crate::fold::Fold;
use crate::link::{ANSWER, AWAY, Failure};
use crate::names::{channel_with_confirms, is_missing, put};
use kurs_bus::counters::count;
use kurs_bus::{BusCounters, Update};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::Notify;

/// How long the newest snapshot may take to come: there is one, unless whoever made the stream
/// died right then.
const SNAPSHOT: Duration = Duration::from_secs(2);
/// Pause after a snapshot that could not be written.
const AGAIN: Duration = Duration::from_millis(500);

/// Values known so far, and up to which place of the flow.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    pub(crate) fold: Fold,
    pub(crate) after: Option<Mark>,
}

impl Known {
    /// Of the newest snapshot; nothing when there is none.
    pub(crate) async fn newest(flow: &Flow) -> Result<Self, Failure> {
        let inward = flow.inward.within(AWAY).await?;
        // As few at a time as possible: each may be long.
        let opened = Stream::open(&inward, &flow.names.last, Start::Last, 1).await;
        let mut stream = match opened {
            Ok(stream) => stream,
            Err(Failure::Client(error)) if is_missing(&error) => return Ok(Self::default()),
            Err(failure) => return Err(failure),
        };
        let entry = match tokio::time::timeout(SNAPSHOT, stream.next()).await {
            Ok(entry) => entry?,
            Err(_) => return Ok(Self::default()),
        };
        let read = tokio::task::spawn_blocking(move || Fold::read(&entry.text));
        let Ok(Some((fold, after))) = read.await else {
            return Ok(Self::default());
        };
        Ok(Self { fold, after })
    }

    /// Takes in everything that is in the flow by now. True when it is not the flow that was
    /// read before.
    pub(crate) async fn catch_up(
        &mut self,
        flow: &Flow,
        counters: &BusCounters,
    ) -> Result<bool, Failure> {
        let mut resumed = flow.resume(self.after).await?;
        loop {
            let entry = resumed.stream.next_there(ANSWER).await?;
            if !entry.is_marker()
                && let Some(update) = counters.decode(&entry.text)
            {
                self.fold.apply(Arc::new(update));
            }
            if entry.mark.offset >= resumed.end.offset {
                break;
            }
        }
        self.after = Some(resumed.end);
        Ok(resumed.is_new)
    }
}

/// Writes snapshots of everything in the flow, whoever published it, as long as this bus
/// publishes.
#[derive(Debug)]
pub(crate) struct Snapshots {
    pub(crate) flow: Arc<Flow>,
    pub(crate) counters: Arc<BusCounters>,
    pub(crate) every: Duration,
    /// What the last snapshot had.
    pub(crate) known: parking_lot::Mutex<Known>,
    /// Rung when one is wanted at once.
    pub(crate) wanted: Notify,
}

impl Snapshots {
    pub(crate) async fn run(self: Arc<Self>) {
        let mut written = 0;
        loop {
            tokio::select! {
                () = self.wanted.notified() => {}
                () = tokio::time::sleep(self.every) => {
                    if self.counters.acknowledged.load(Ordering::Relaxed) == written {
                        continue;
                    }
                }
            }
            let acknowledged = self.counters.acknowledged.load(Ordering::Relaxed);
            match self.write().await {
                Ok(()) => written = acknowledged,
                Err(Failure::Ended) => return,
                Err(failure) => {
                    tracing::debug!("no snapshot of the last values: {failure}");
                    tokio::time::sleep(AGAIN).await;
                    self.wanted.notify_one();
                }
            }
        }
    }

    async fn write(&self) -> Result<(), Failure> {
        let mut known = self.known.lock().clone();
        if known.after.is_none() {
            known = Known::newest(&self.flow).await?;
        }
        known.catch_up(&self.flow, &self.counters).await?;
        let text = {
            let known = known.clone();
            let write = move || known.fold.write(known.after);
            tokio::task::spawn_blocking(write).await
        };
        let Ok(Ok(text)) = text else {
            return Err(Failure::Refused);
        };
        let outward = self.flow.outward.within(AWAY).await?;
        let channel = channel_with_confirms(&outward).await?;
        let put = put(&channel, &self.flow.names.last, text, None);
        tokio::time::timeout(ANSWER, put)
            .await
            .unwrap_or(Err(Failure::Away))?;
        *self.known.lock() = known;
        count(&self.counters.snapshots, 1);
        Ok(())
    }

    /// The first snapshot for a server that has none: what is known, with what this bus itself
    /// has published since.
    pub(crate) fn seed(&self, own: &[Arc<Update>]) -> Vec<u8> {
        let mut fold = self.known.lock().fold.clone();
        let mut own = own.to_vec();
        own.sort_unstable_by_key(|update| update.id);
        for update in own {
            fold.apply(update);
        }
        fold.write(None).unwrap_or_default()
    }
}
