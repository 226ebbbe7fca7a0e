//! Simulated Binance spot.
//!
//! | part | what it holds |
//! |---|---|
//! | `protocol` | control messages and their answers; pure |
//! | `limits` | request weight, bans, message rates; pure, time passed in |
//! | `frames` | what goes over a stream; pure |
//! | `hub` | who is subscribed to what |
//! | `socket` | one WebSocket connection |
//! | `rest` | the REST routes |

pub(crate) mod frames;
pub(crate) mod hub;
pub(crate) mod limits;
pub(crate) mod protocol;
pub(crate) mod rest;
pub(crate) mod socket;

use crate::capture::Player;
use crate::config::BinanceLimits;
use crate::market::MarketEvent;
use crate::shared::Shared;
use hub::Hub;
use limits::Limits;
use parking_lot::Mutex;
use std::time::Instant;

/// The running venue.
#[derive(Debug)]
pub(crate) struct Binance {
    pub(crate) hub: Hub,
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
    path == "/stream" || path == "/ws" || path.starts_with("/ws/") || path.is_empty()
}

/// Sends what happened in the market to whoever is subscribed.
pub(crate) fn publish(shared: &Shared, events: &[MarketEvent]) {
    if shared.binance.player.is_some() {
        return;
    }
    let now = Instant::now();
    for event in events {
        for stream in frames::streams_of(event) {
            shared.binance.hub.publish(shared, &stream, event, now);
        }
    }
}

/// The notice that the server goes down, to every connection, each in its own shape.
pub(crate) fn announce_shutdown(shared: &Shared) -> usize {
    shared.binance.hub.announce_shutdown(shared.wall())
}
