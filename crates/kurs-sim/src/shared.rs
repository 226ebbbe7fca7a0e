//! What all parts of a running sim share.

use crate::binance::Binance;
use crate::config::SimConfig;
use crate::exchange::Exchange;
use crate::faults::Board;
use crate::http::registry::Registry;
use crate::market::Market;
use crate::market::reference::Reference;
use crate::pins::Pins;
use crate::state::Ledger;
use crate::telegram::Telegram;
use crate::venue::Venue;
use kurs_core::{Clock, Wall};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Instant;

/// The running sim.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: SimConfig,
    /// Dates the tables and the events.
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) started: Instant,
    pub(crate) market: Mutex<Market>,
    pub(crate) reference: Reference,
    pub(crate) pins: Pins,
    pub(crate) board: Board,
    pub(crate) ledger: Ledger,
    pub(crate) registry: Arc<Registry>,
    pub(crate) binance: Binance,
    pub(crate) telegram: Arc<Telegram>,
    /// The other exchanges.
    pub(crate) exchanges: [Exchange; 4],
}

impl Shared {
    /// An exchange other than Binance.
    pub(crate) fn exchange(&self, venue: Venue) -> Option<&Exchange> {
        self.exchanges
            .iter()
            .find(|exchange| exchange.venue == venue)
    }

    /// Monotonic milliseconds since the start: real ones, whatever the clock of the dates says.
    pub(crate) fn up_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn wall(&self) -> Wall {
        self.clock.now().wall
    }

    /// Wall time in seconds since 1970; never negative.
    pub(crate) fn unix_seconds(&self) -> u64 {
        u64::try_from(self.wall().unix_ms() / 1_000).unwrap_or(0)
    }
}
