//! Writes as a recorder does: one batch at a time, each again until it is acknowledged, while
//! what is old is packed and what is outdated is deleted.

use super::load::{Span, outdated, packed_before};
use kurs_store::{Batch, Claim, Store, StoreError, conformance};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const ROWS_PER_SECOND: u64 = 2_000;
const BATCH_EVERY: Duration = Duration::from_millis(10);
/// Rows of one batch at most, when the store fell behind.
pub(super) const BATCH_ROWS_MAX: u64 = 1_000;
/// Between two tries, and between two looks at what is to be packed.
const PAUSE: Duration = Duration::from_millis(20);

/// With what a writer begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Begin {
    /// Stored again before anything else: nobody knows whether they are there.
    pub(crate) repeats: Vec<Span>,
    /// The first new row.
    pub(crate) first: u64,
}

/// What a writer tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// It writes from now on, after so many milliseconds.
    Began { epoch: u64, after_ms: u64 },
    /// The store said that this is stored.
    Stored(Span),
    /// The store was away: it is tried again.
    Refused,
    /// So much was packed.
    Packed(u64),
    /// So much was deleted.
    Deleted(u64),
    /// What must not be.
    Failed(String),
}

impl fmt::Display for Said {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Began { epoch, after_ms } => write!(formatter, "began {epoch} {after_ms}"),
            Self::Stored(span) => write!(formatter, "stored {span}"),
            Self::Refused => formatter.write_str("refused"),
            Self::Packed(count) => write!(formatter, "packed {count}"),
            Self::Deleted(count) => write!(formatter, "deleted {count}"),
            Self::Failed(why) => write!(formatter, "failed {why}"),
        }
    }
}

impl FromStr for Said {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let number = |text: &str| text.parse().map_err(|_| ());
        match word {
            "began" => {
                let (epoch, after_ms) = rest.split_once(' ').ok_or(())?;
                let (epoch, after_ms) = (number(epoch)?, number(after_ms)?);
                Ok(Self::Began { epoch, after_ms })
            }
            "stored" => rest.parse().map(Self::Stored),
            "refused" => Ok(Self::Refused),
            "packed" => number(rest).map(Self::Packed),
            "deleted" => number(rest).map(Self::Deleted),
            "failed" => Ok(Self::Failed(rest.to_owned())),
            _ => Err(()),
        }
    }
}

/// Migrates, repeats, takes a new epoch and writes until `ends`.
pub(crate) async fn write(
    store: Arc<dyn Store>,
    begin: Begin,
    ends: Arc<AtomicBool>,
    say: impl Fn(Said) + Clone + Send + Sync + 'static,
) {
    let started = Instant::now();
    let epoch = match take_over(&*store, &begin, &say).await {
        Ok(epoch) => epoch,
        Err(error) => return say(Said::Failed(error.to_string())),
    };
    let after_ms = u64::try_from(started.elapsed().as_millis()).unwrap();
    say(Said::Began { epoch, after_ms });
    let stored = Arc::new(AtomicU64::new(begin.first));
    let tidying = tokio::spawn(tidy(
        Arc::clone(&store),
        Arc::clone(&stored),
        Arc::clone(&ends),
        say.clone(),
    ));
    let (began, mut first) = (Instant::now(), begin.first);
    while !ends.load(Ordering::Relaxed) {
        let elapsed_us = u64::try_from(began.elapsed().as_micros()).unwrap();
        let due = begin.first + elapsed_us * ROWS_PER_SECOND / 1_000_000;
        let end = due.min(first + BATCH_ROWS_MAX);
        if end < first + 2 {
            tokio::time::sleep(BATCH_EVERY).await;
            continue;
        }
        let span = Span { epoch, first, end };
        let batch = span.fenced_batch();
        if let Err(error) = store_it(&*store, batch, span, &say).await {
            say(Said::Failed(error.to_string()));
            break;
        }
        first = end;
        stored.store(first, Ordering::Relaxed);
    }
    ends.store(true, Ordering::Relaxed);
    tidying.await.unwrap();
}

async fn take_over(
    store: &dyn Store,
    begin: &Begin,
    say: &impl Fn(Said),
) -> Result<u64, StoreError> {
    store.migrate().await?;
    for span in &begin.repeats {
        store_it(store, span.batch(), *span, say).await?;
    }
    let claim = Claim {
        is_alone: true,
        ..conformance::claim(0, "load")
    };
    let claimed = store.claim(claim).await?;
    Ok(claimed.map_or(0, |epoch| epoch.0))
}

/// Stores a span, again until it is acknowledged.
async fn store_it(
    store: &dyn Store,
    batch: Batch,
    span: Span,
    say: &impl Fn(Said),
) -> Result<(), StoreError> {
    loop {
        match store.write(batch.clone()).await {
            Ok(()) => {
                say(Said::Stored(span));
                return Ok(());
            }
            Err(StoreError::Unavailable(_)) => say(Said::Refused),
            Err(error) => return Err(error),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Packs and deletes without an end, as time goes on.
async fn tidy(
    store: Arc<dyn Store>,
    stored: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
    say: impl Fn(Said),
) {
    let tell = |done: Result<Said, StoreError>| match done {
        // It is tried again anyway.
        Ok(Said::Packed(0) | Said::Deleted(0)) | Err(StoreError::Unavailable(_)) => {}
        Ok(done) => say(done),
        Err(error) => say(Said::Failed(error.to_string())),
    };
    while !ends.load(Ordering::Relaxed) {
        let rows = stored.load(Ordering::Relaxed);
        let packed = store.pack(packed_before(rows)).await;
        tell(packed.map(|packing| Said::Packed(packing.rows + packing.published)));
        tell(store.prune(outdated(rows)).await.map(Said::Deleted));
        tokio::time::sleep(PAUSE).await;
    }
}
