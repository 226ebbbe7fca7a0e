//! Answers the commands of Readers: what can be shown is shown at once, what changes something
//! waits its turn.

use crate::tracking::Order;
use kurs_bus::book::LEVELS_MAX;
use kurs_bus::{BookState, Bus, Command, Reply, Request};
use kurs_core::{Level, Pair, SourceId};
use kurs_sources::Source;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};

/// Wait before the bus is asked again for its commands.
const RETRY: Duration = Duration::from_millis(500);

/// What commands are answered with.
pub struct Means {
    /// Where they come from.
    pub bus: Arc<dyn Bus>,
    /// Where order books are looked at.
    pub sources: Vec<Arc<dyn Source>>,
    /// Tracked pairs that the sources of this Writer do not follow.
    pub elsewhere: watch::Receiver<Arc<[Pair]>>,
    /// Where changes of what is tracked wait their turn.
    pub changes: mpsc::Sender<Order>,
    /// Where changes of settings wait their turn.
    pub settings: mpsc::Sender<Request>,
}

/// Answers until `stopped` turns true.
pub async fn serve(means: Means, mut stopped: watch::Receiver<bool>) {
    let answering = async {
        loop {
            match means.bus.requests().await {
                Ok(mut requests) => {
                    while let Some(request) = requests.next().await {
                        answer(request, &means);
                    }
                }
                Err(error) => tracing::debug!(%error, "cannot listen for commands yet"),
            }
            tokio::time::sleep(RETRY).await;
        }
    };
    tokio::select! {
        _ = stopped.wait_for(|ended| *ended) => {}
        () = answering => {}
    }
}

fn answer(request: Request, means: &Means) {
    match request.command {
        Command::Book {
            source,
            pair,
            levels,
        } => {
            let reply = book(means, source, pair, levels);
            // Nobody may be waiting any more.
            let _ = request.reply.send(reply);
        }
        Command::Track { .. } | Command::Untrack { .. } => {
            if let Err(error) = means.changes.try_send(Order::Change(request))
                && let Order::Change(request) = error.into_inner()
            {
                refuse(request);
            }
        }
        Command::Change { .. } => match means.settings.try_send(request) {
            Ok(()) => {}
            Err(TrySendError::Full(request) | TrySendError::Closed(request)) => refuse(request),
        },
    }
}

fn refuse(request: Request) {
    let why = "too many changes are waiting".into();
    let _ = request.reply.send(Reply::Unavailable { why });
}

/// The book of a source; `binance` finds `sim:binance` too.
fn book(means: &Means, asked: SourceId, pair: Pair, levels: u16) -> Reply {
    let sources = &means.sources;
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
        if source.follows_pairs() && means.elsewhere.borrow().contains(&pair) {
            // Only other Writers follow it: this one does for a while.
            let _ = means.changes.try_send(Order::Want(pair));
            let why = format!("the book of {pair} is not followed here yet, ask again");
            return Reply::BookNotReady { why: why.into() };
        }
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
