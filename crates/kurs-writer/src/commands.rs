//! Answers the commands of Readers: what can be shown is shown at once, what changes something
//! waits its turn.

use crate::tracking::Tracking;
use kurs_bus::book::LEVELS_MAX;
use kurs_bus::{BookState, Bus, Command, Reply};
use kurs_core::{Level, Pair, SourceId};
use kurs_sources::Source;
use std::sync::Arc;
use tokio::sync::{mpsc, watch};

/// Changes that wait for the one at hand; more are refused.
const CHANGES_MAX: usize = 64;

/// Answers until the bus ends or `stopped` turns true. A change that was begun is answered
/// first.
pub async fn serve(
    bus: Arc<dyn Bus>,
    sources: Vec<Arc<dyn Source>>,
    tracking: Tracking,
    mut stopped: watch::Receiver<bool>,
) {
    let (changes, waiting) = mpsc::channel(CHANGES_MAX);
    let changing = tokio::spawn(tracking.serve(waiting, stopped.clone()));
    loop {
        let request = tokio::select! {
            _ = stopped.wait_for(|ended| *ended) => break,
            request = bus.next_request() => request,
        };
        let Some(request) = request else { break };
        match request.command {
            Command::Book {
                source,
                pair,
                levels,
            } => {
                let reply = book(&sources, source, pair, levels);
                // Nobody may be waiting any more.
                let _ = request.reply.send(reply);
            }
            Command::Track { .. } | Command::Untrack { .. } => {
                if let Err(error) = changes.try_send(request) {
                    let why = "too many changes are waiting".into();
                    let _ = error.into_inner().reply.send(Reply::Unavailable { why });
                }
            }
        }
    }
    drop(changes);
    let _ = changing.await;
}

/// The book of a source; `binance` finds `sim:binance` too.
fn book(sources: &[Arc<dyn Source>], asked: SourceId, pair: Pair, levels: u16) -> Reply {
    let exact = sources.iter().find(|source| source.id() == asked);
    let found = exact.or_else(|| {
        sources
            .iter()
            .find(|source| source.id().plain() == asked.as_str())
    });
    let Some(source) = found else {
        return Reply::NoBook {
            unknown_source: true,
            why: format!("no source {asked} is enabled").into(),
        };
    };
    let no_book = |why: String| Reply::NoBook {
        unknown_source: false,
        why: why.into(),
    };
    let Some(view) = source.book(pair, usize::from(levels.min(LEVELS_MAX))) else {
        return no_book(format!("{} keeps no order book of {pair}", source.id()));
    };
    let (Some(depth), Some(received_at)) = (&view.depth, view.received_at) else {
        return Reply::BookNotReady { why: view.why };
    };
    let side = |levels: &[Level]| {
        levels
            .iter()
            .map(|level| (level.price, level.size))
            .collect()
    };
    let count = |levels: usize| u64::try_from(levels).unwrap_or(u64::MAX);
    Reply::Book(Box::new(BookState {
        source: source.id(),
        pair,
        bids: side(&depth.bids),
        asks: side(&depth.asks),
        bid_levels: count(view.levels.0),
        ask_levels: count(view.levels.1),
        update_id: view.last_id,
        observed_at: view.observed_at,
        received_at,
        verified_by: view.verified_by().into(),
        symbol: view.symbol,
    }))
}
