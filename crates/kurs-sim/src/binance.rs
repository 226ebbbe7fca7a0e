//! Simulated Binance spot.
//!
//! | part | what it holds |
//! |---|---|
//! | `protocol` | control messages and their answers; pure |
//! | `limits` | request weight, bans, message rates; pure, time passed in |
//! | `frames` | what goes over a stream; pure |
//! | `socket` | the rules of one WebSocket connection |
//! | `rest` | the REST routes |
//! | `klines` | candles of the past |

pub(crate) mod frames;
pub(crate) mod klines;
pub(crate) mod limits;
pub(crate) mod protocol;
pub(crate) mod rest;
pub(crate) mod socket;

use crate::capture::Player;
use crate::config::BinanceLimits;
use crate::faults::{Channel, FaultKind, Stage};
use crate::market::{DepthDiff, MarketEvent, MarketEventKind};
use crate::shared::Shared;
use crate::venue::Venue;
use crate::ws::hub::Hub;
use crate::ws::outlet::Delivery;
use frames::TimeUnit;
use limits::Limits;
use parking_lot::Mutex;
use std::time::Instant;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// How frames are written on a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wire {
    /// Wrapped with the name of their stream.
    pub(crate) combined: bool,
    /// Unit of times.
    pub(crate) unit: TimeUnit,
}

/// The running venue.
#[derive(Debug)]
pub(crate) struct Binance {
    pub(crate) hub: Hub<Wire>,
    pub(crate) limits: Mutex<Limits>,
    pub(crate) player: Option<Player>,
}

impl Binance {
    pub(crate) fn new(limits: &BinanceLimits, player: Option<Player>) -> Self {
        Self {
            hub: Hub::default(),
            limits: Mutex::new(Limits::new(limits.clone())),
            player,
        }
    }
}

/// Whether a path is for WebSocket.
pub(crate) fn is_stream_path(path: &str) -> bool {
    matches!(path, "/stream" | "/ws" | "" | "/") || path.starts_with("/ws/")
}

/// What the faults call a frame of this stream.
pub(crate) fn stage_of(stream: &str) -> Stage {
    if stream.contains("@depth") {
        Stage::Diff
    } else {
        Stage::Frame
    }
}

/// Sends what happened in the market to whoever is subscribed.
pub(crate) fn publish(shared: &Shared, events: &[MarketEvent]) {
    if shared.binance.player.is_some() {
        return;
    }
    let now = Instant::now();
    for event in events {
        for stream in frames::streams_of(event) {
            if shared.binance.hub.is_wanted(&stream) {
                publish_one(shared, &stream, event, now);
            }
        }
    }
}

/// Renders an event once for each wire format that is wanted and hands it to the subscribers.
fn publish_one(shared: &Shared, stream: &str, event: &MarketEvent, now: Instant) {
    let wall = shared.wall();
    let wrong = shared
        .board
        .wrong_price(Venue::Binance, Channel::Ws, &event.symbol);
    let crossed = crossed(shared, event);
    let event = crossed.as_ref().unwrap_or(event);
    let delivery = Delivery {
        shared,
        venue: Venue::Binance,
        stage: stage_of(stream),
        symbol: Some(&event.symbol),
        now,
    };
    let mut rendered: [Option<Utf8Bytes>; 4] = [None, None, None, None];
    shared.binance.hub.publish(&delivery, stream, |wire| {
        let render = || -> Utf8Bytes {
            let payload = frames::payload(event, stream, wall, wire.unit, wrong.as_ref());
            if wire.combined {
                frames::combined(stream, &payload).into()
            } else {
                payload.into()
            }
        };
        let microseconds = wire.unit == TimeUnit::Microseconds;
        let shape = usize::from(wire.combined) + 2 * usize::from(microseconds);
        match rendered.get_mut(shape) {
            Some(slot) => slot.get_or_insert_with(render).clone(),
            None => render(),
        }
    });
}

/// The event with a bid above the best ask, if a fault wants that.
fn crossed(shared: &Shared, event: &MarketEvent) -> Option<MarketEvent> {
    let MarketEventKind::Depth(diff) = &event.kind else {
        return None;
    };
    if !shared
        .board
        .take(Venue::Binance, &FaultKind::Crossed, &event.symbol)
    {
        return None;
    }
    let market = shared.market.lock();
    let symbol = market.symbol(&event.symbol)?;
    let (best, lots) = symbol.asks().next()?;
    // A thousandth above: the client's best ask may be a little older than ours.
    let phantom = (symbol.price(best + best / 1_000 + 1), symbol.quantity(lots));
    drop(market);
    let mut bids = diff.bids.clone();
    bids.insert(0, phantom);
    Some(MarketEvent {
        symbol: event.symbol.clone(),
        step: event.step,
        kind: MarketEventKind::Depth(DepthDiff {
            bids,
            ..diff.clone()
        }),
    })
}

/// The notice that the server goes down, to every connection, each in its own shape.
pub(crate) fn announce_shutdown(shared: &Shared) -> usize {
    let wall = shared.wall();
    shared.binance.hub.tell_all(|wire| {
        let notice = frames::server_shutdown(wall, wire.unit);
        if wire.combined {
            frames::combined("!serverShutdown", &notice).into()
        } else {
            notice.into()
        }
    })
}
