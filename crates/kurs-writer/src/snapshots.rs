//! Order books, written down from time to time.

use crate::recorder::RecorderHandle;
use kurs_core::{Level, Pair};
use kurs_sources::Source;
use kurs_store::BookSnapshot;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Which books are written down.
#[derive(Debug, Clone, Copy)]
pub struct Snapshots {
    /// How often.
    pub every: Duration,
    /// Levels per side.
    pub levels: usize,
}

/// Tells the pairs whose books this Writer writes down.
pub(crate) type IsOurs = Box<dyn Fn(Pair) -> bool + Send>;

/// Writes the readable books of all sources down, until it is dropped.
pub(crate) async fn run(
    what: Snapshots,
    sources: Vec<Arc<dyn Source>>,
    pairs: watch::Receiver<Arc<[Pair]>>,
    is_ours: IsOurs,
    recorder: RecorderHandle,
) {
    let mut ticks = tokio::time::interval(what.every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    // The first tick comes at once, before any book can be in step.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let pairs = Arc::clone(&pairs.borrow());
        for source in &sources {
            for snapshot in pairs
                .iter()
                .filter(|pair| is_ours(**pair))
                .filter_map(|pair| taken(&**source, *pair, what.levels))
            {
                recorder.book(snapshot);
            }
            // A few hundred books are copied: let others have their turn.
            tokio::task::yield_now().await;
        }
    }
}

/// The book of a source, if it keeps one and it is in step.
fn taken(source: &dyn Source, pair: Pair, levels: usize) -> Option<BookSnapshot> {
    let view = source.book(pair, levels)?;
    let (depth, at) = (view.depth?, view.received_at?);
    let side = |levels: &[Level]| {
        levels
            .iter()
            .map(|level| (level.price, level.size))
            .collect()
    };
    Some(BookSnapshot {
        source: source.id(),
        pair,
        at,
        bids: side(&depth.bids),
        asks: side(&depth.asks),
    })
}
