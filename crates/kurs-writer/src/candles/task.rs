//! Keeps candles mended while the Writer runs.

use super::folder::{Dirty, Folder};
use super::mend::{mend, take_up};
use super::series::Series;
use kurs_core::{Clock, Wall};
use kurs_store::{Store, StoreError};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;

/// How often it is looked whether there is something to mend.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked whether everything is stored, and how long a store that failed is left
/// alone.
const RECORDED_EVERY: Duration = Duration::from_millis(250);
const RETRY: Duration = Duration::from_secs(5);
/// Most that is named at once.
const ROUND: usize = 1_000;

/// Mends what `folder` names of a shard, until it is dropped. What is named was given and taken at a moment;
/// it is mended once the store says that all up to that moment is recorded, so that neither the
/// recorder's queue nor its spool holds anything that belongs to it.
pub async fn keep_mended(
    folder: Arc<Mutex<Folder>>,
    shard: u16,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
) {
    let mut trouble = false;
    let mut to_take_up = Some(clock.now().wall);
    loop {
        let outcome = match to_take_up {
            Some(since) => take_up_published(&folder, shard, &*store, since).await,
            None => round(&folder, shard, &*store).await,
        };
        match outcome {
            Ok(()) => {
                to_take_up = None;
                trouble = false;
                tokio::time::sleep(LOOK_EVERY).await;
            }
            Err(error) => {
                if !std::mem::replace(&mut trouble, true) {
                    tracing::warn!(%error, "cannot mend candles, trying again");
                }
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Published pairs that an earlier process left behind, and that may not come up any more.
async fn take_up_published(
    folder: &Mutex<Folder>,
    shard: u16,
    store: &dyn Store,
    since: Wall,
) -> Result<(), StoreError> {
    recorded(store, shard, since).await?;
    for current in store.load_current().await? {
        let series = Series {
            pair: current.stored.rate.pair,
            source: None,
        };
        if !folder.lock().holds(series) {
            take_up(store, series, since).await?;
        }
    }
    Ok(())
}

async fn round(folder: &Mutex<Folder>, shard: u16, store: &dyn Store) -> Result<(), StoreError> {
    let (dirty, taken_at) = {
        let mut folder = folder.lock();
        (folder.dirty(ROUND), folder.taken_at())
    };
    let Some(taken_at) = taken_at.filter(|_| !dirty.is_empty()) else {
        return Ok(());
    };
    let named = Named {
        folder,
        dirty: Some(dirty),
    };
    recorded(store, shard, taken_at).await?;
    mend(folder, store, named.take()).await
}

/// Waits until everything is stored that was recorded up to a moment.
async fn recorded(store: &dyn Store, shard: u16, moment: Wall) -> Result<(), StoreError> {
    while store
        .shard_recorded_until(shard)
        .await?
        .is_none_or(|until| until <= moment)
    {
        tokio::time::sleep(RECORDED_EVERY).await;
    }
    Ok(())
}

/// What was named goes back to the folder unless it is mended.
struct Named<'a> {
    folder: &'a Mutex<Folder>,
    dirty: Option<Vec<Dirty>>,
}

impl Named<'_> {
    fn take(mut self) -> Vec<Dirty> {
        self.dirty.take().unwrap_or_default()
    }
}

impl Drop for Named<'_> {
    fn drop(&mut self) {
        if let Some(dirty) = self.dirty.take() {
            self.folder.lock().again(dirty);
        }
    }
}
