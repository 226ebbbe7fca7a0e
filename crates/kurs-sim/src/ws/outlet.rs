//! The way of a frame to one client.

use crate::faults::{Close, Occasion, Stage};
use crate::http::server::broken;
use crate::http::socket::Switch;
use crate::shared::Shared;
use crate::venue::Venue;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// A frame on its way to one connection.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    /// Not to be sent earlier.
    pub(crate) at: Option<Instant>,
    pub(crate) text: Utf8Bytes,
}

/// What a frame is, for the faults to judge.
#[derive(Clone, Copy)]
pub(crate) struct Delivery<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) venue: Venue,
    pub(crate) stage: Stage,
    /// `None`: a frame that belongs to no symbol.
    pub(crate) symbol: Option<&'a str>,
    pub(crate) now: Instant,
}

/// The queue of one connection.
#[derive(Debug, Clone)]
pub(crate) struct Outlet {
    pub(crate) sender: mpsc::Sender<Outgoing>,
    pub(crate) switch: Arc<Switch>,
}

impl<'a> Delivery<'a> {
    /// A frame that belongs to no symbol.
    pub(crate) fn of_venue(shared: &'a Shared, venue: Venue) -> Self {
        Self {
            shared,
            venue,
            stage: Stage::Frame,
            symbol: None,
            now: Instant::now(),
        }
    }

    /// Whether an answer or a heartbeat is sent at all: silence holds back these, too.
    pub(crate) fn is_stalled(&self) -> bool {
        self.verdict().stall
    }

    fn verdict(&self) -> crate::faults::Verdict {
        let occasion = Occasion {
            venue: self.venue,
            stage: self.stage,
            symbol: self.symbol,
            route: "",
        };
        self.shared.board.judge(&occasion, self.now)
    }

    /// A frame as the faults in force leave it, and how many times it is sent; `None` when it is
    /// lost.
    pub(crate) fn as_faults_allow(&self, text: &Utf8Bytes) -> Option<(Outgoing, u64)> {
        let verdict = self.verdict();
        if verdict.stall || verdict.drop {
            return None;
        }
        let mut text = text.clone();
        if verdict.malformed {
            text = String::from_utf8_lossy(&broken(text.as_bytes()))
                .into_owned()
                .into();
        }
        let at = (!verdict.delay.is_zero()).then(|| self.now + verdict.delay);
        Some((Outgoing { at, text }, if verdict.duplicate { 2 } else { 1 }))
    }
}

impl Outlet {
    /// Queues one frame as the faults allow; returns how many frames were queued.
    pub(crate) fn hand_over(&self, delivery: &Delivery<'_>, text: &Utf8Bytes) -> u64 {
        let Some((frame, copies)) = delivery.as_faults_allow(text) else {
            return 0;
        };
        for _ in 0..copies {
            if !self.queue(delivery, frame.clone()) {
                return 0;
            }
        }
        copies
    }

    /// Queues one frame whatever the faults say; false when the client is cut off instead,
    /// because it reads too slowly.
    pub(crate) fn queue(&self, delivery: &Delivery<'_>, frame: Outgoing) -> bool {
        if let Err(mpsc::error::TrySendError::Full(_)) = self.sender.try_send(frame) {
            delivery.shared.ledger.with(delivery.venue, |state| {
                state.violations.slow_readers += 1;
            });
            self.switch.close(Close::Cut);
            return false;
        }
        true
    }
}
