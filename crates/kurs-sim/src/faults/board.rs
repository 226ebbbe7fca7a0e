//! The faults in force, and what they mean for one frame, request or connection.

use super::{Channel, Fault, FaultKind, FaultWord, WrongPrice};
use crate::venue::Venue;
use parking_lot::{Mutex, MutexGuard};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// The thing a fault may hit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Occasion<'a> {
    pub(crate) venue: Venue,
    pub(crate) stage: Stage,
    pub(crate) symbol: Option<&'a str>,
    pub(crate) route: &'a str,
}

/// What is about to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// A WebSocket handshake is to be answered.
    Handshake,
    /// A frame is to be sent.
    Frame,
    /// A frame is to be sent that changes an order book the client has.
    Diff,
    /// A REST request is to be answered.
    Request,
}

impl Stage {
    const fn channel(self) -> Channel {
        match self {
            Self::Handshake | Self::Frame | Self::Diff => Channel::Ws,
            Self::Request => Channel::Rest,
        }
    }

    /// Whether a fault of this kind can strike here; where it cannot, it uses no hit up.
    const fn can_suffer(self, kind: &FaultKind) -> bool {
        match kind {
            FaultKind::Cut
            | FaultKind::Reset
            | FaultKind::Refuse
            | FaultKind::Flap { .. }
            | FaultKind::Status { .. } => matches!(self, Self::Handshake | Self::Request),
            FaultKind::Duplicate { .. } => matches!(self, Self::Frame | Self::Diff),
            FaultKind::Gap { .. } => matches!(self, Self::Diff),
            FaultKind::Stall { .. }
            | FaultKind::Drop { .. }
            | FaultKind::Malformed { .. }
            | FaultKind::WrongPrice(_) => !matches!(self, Self::Handshake),
            FaultKind::Delay(_) => true,
            // These strike where the frame or the answer is made: see `Board::take`.
            FaultKind::Checksum
            | FaultKind::Crossed
            | FaultKind::StaleSnapshot
            | FaultKind::Restart
            | FaultKind::Garbage => false,
        }
    }
}

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Close {
    Cut,
    Reset,
}

/// What the faults in force do to one occasion.
#[derive(Debug, Clone, Default)]
pub(crate) struct Verdict {
    pub(crate) stall: bool,
    pub(crate) frozen: bool,
    pub(crate) delay: Duration,
    pub(crate) drop: bool,
    pub(crate) duplicate: bool,
    pub(crate) malformed: bool,
    pub(crate) status: Option<(u16, Option<u64>)>,
    pub(crate) close: Option<Close>,
    pub(crate) wrong_price: Option<WrongPrice>,
}

#[derive(Debug)]
struct Entry {
    word: FaultWord,
    hits_left: Option<u32>,
    since: Instant,
    was_down: bool,
}

#[derive(Debug)]
struct Inner {
    entries: Vec<Entry>,
    dice: fastrand::Rng,
}

/// Faults in force. A board without faults costs one atomic read per question.
#[derive(Debug)]
pub(crate) struct Board {
    any: AtomicBool,
    inner: Mutex<Inner>,
    changed: watch::Sender<u64>,
    healed: watch::Sender<u64>,
}

/// More faults than this at one time are a mistake.
const FAULTS_MAX: usize = 256;

impl Entry {
    fn matches(&self, occasion: &Occasion<'_>) -> bool {
        let scope = &self.word.fault.scope;
        self.word.venue == occasion.venue
            && scope
                .channel
                .is_none_or(|channel| channel == occasion.stage.channel())
            && occasion.stage.can_suffer(&self.word.fault.kind)
            && scope
                .symbol
                .as_deref()
                .is_none_or(|symbol| occasion.symbol == Some(symbol))
            && scope
                .route
                .as_deref()
                .is_none_or(|route| occasion.route.ends_with(route))
    }

    fn is_down(&self, now: Instant) -> bool {
        let FaultKind::Flap { period } = self.word.fault.kind else {
            return false;
        };
        let elapsed = now.saturating_duration_since(self.since).as_millis();
        let half = (period.as_millis() / 2).max(1);
        (elapsed / half).is_multiple_of(2)
    }

    /// Uses one hit up; false when none is left.
    fn hit(&mut self) -> bool {
        match &mut self.hits_left {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }
}

impl Board {
    pub(crate) fn new(seed: u64) -> Self {
        let inner = Inner {
            entries: Vec::new(),
            dice: fastrand::Rng::with_seed(seed),
        };
        Self {
            any: AtomicBool::new(false),
            inner: Mutex::new(inner),
            changed: watch::Sender::new(0),
            healed: watch::Sender::new(0),
        }
    }

    /// Puts a fault in force; false when there are too many.
    pub(crate) fn set(&self, venue: Venue, fault: Fault, now: Instant) -> bool {
        let mut inner = self.inner.lock();
        if inner.entries.len() >= FAULTS_MAX {
            return false;
        }
        let hits_left = fault.scope.times;
        // The caller closes what lives now, so a flap starts as already gone down.
        let word = FaultWord { venue, fault };
        inner.entries.push(Entry {
            word,
            hits_left,
            since: now,
            was_down: true,
        });
        self.any.store(true, Ordering::Release);
        drop(inner);
        self.changed.send_modify(|version| *version += 1);
        true
    }

    /// Heals one venue, or all.
    pub(crate) fn heal(&self, venue: Option<Venue>) {
        let mut inner = self.inner.lock();
        inner
            .entries
            .retain(|entry| venue.is_some_and(|venue| venue != entry.word.venue));
        self.any.store(!inner.entries.is_empty(), Ordering::Release);
        drop(inner);
        self.changed.send_modify(|version| *version += 1);
        self.healed.send_modify(|version| *version += 1);
    }

    /// Waits until somebody heals a venue.
    pub(crate) async fn until_healed(&self) {
        // The sender lives as long as `self`, so this cannot fail.
        let _ = self.healed.subscribe().changed().await;
    }

    /// The faults in force.
    pub(crate) fn list(&self) -> Vec<FaultWord> {
        self.inner
            .lock()
            .entries
            .iter()
            .map(|entry| entry.word.clone())
            .collect()
    }

    /// Wakes whoever waits for a change of the faults.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// What happens on this occasion. Counts hits of faults that heal by themselves.
    pub(crate) fn judge(&self, occasion: &Occasion<'_>, now: Instant) -> Verdict {
        let mut verdict = Verdict::default();
        if !self.any.load(Ordering::Acquire) {
            return verdict;
        }
        let mut inner = self.inner.lock();
        let Inner { entries, dice } = &mut *inner;
        for entry in entries.iter_mut().filter(|entry| entry.matches(occasion)) {
            let down = entry.is_down(now);
            let kind = entry.word.fault.kind.clone();
            let strikes = match &kind {
                FaultKind::Drop { percent }
                | FaultKind::Gap { percent }
                | FaultKind::Duplicate { percent }
                | FaultKind::Malformed { percent } => dice.u8(0..100) < *percent,
                FaultKind::Flap { .. } => down,
                _ => true,
            };
            if !strikes || !entry.hit() {
                continue;
            }
            match kind {
                FaultKind::Cut => verdict.close = Some(Close::Cut),
                FaultKind::Reset | FaultKind::Refuse | FaultKind::Flap { .. } => {
                    verdict.close = Some(Close::Reset);
                }
                FaultKind::Stall { pongs } => {
                    verdict.stall = true;
                    verdict.frozen |= !pongs;
                }
                FaultKind::Delay(delay) => verdict.delay += delay,
                FaultKind::Drop { .. } | FaultKind::Gap { .. } => verdict.drop = true,
                FaultKind::Duplicate { .. } => verdict.duplicate = true,
                FaultKind::Malformed { .. } => verdict.malformed = true,
                FaultKind::Status {
                    status,
                    retry_after_seconds,
                } => {
                    verdict.status = Some((status, retry_after_seconds));
                }
                FaultKind::WrongPrice(wrong) => verdict.wrong_price = Some(wrong),
                FaultKind::Checksum
                | FaultKind::Crossed
                | FaultKind::StaleSnapshot
                | FaultKind::Restart
                | FaultKind::Garbage => {}
            }
        }
        self.sweep(inner);
        verdict
    }

    /// Whether a fault of this kind strikes a frame or an answer about a symbol that is just
    /// being made. Counts hits.
    pub(crate) fn take(&self, venue: Venue, kind: &FaultKind, symbol: &str) -> bool {
        if !self.any.load(Ordering::Acquire) {
            return false;
        }
        let mut inner = self.inner.lock();
        let meant = |entry: &&mut Entry| {
            let of = entry.word.fault.scope.symbol.as_deref();
            entry.word.venue == venue
                && entry.word.fault.kind == *kind
                && of.is_none_or(|of| of == symbol)
        };
        let strikes = inner.entries.iter_mut().filter(meant).any(Entry::hit);
        self.sweep(inner);
        strikes
    }

    /// Whether this venue's connections are flooded with nonsense at present.
    pub(crate) fn is_flooding(&self, venue: Venue) -> bool {
        let floods = |entry: &Entry| {
            entry.word.venue == venue && entry.word.fault.kind == FaultKind::Garbage
        };
        self.any.load(Ordering::Acquire) && self.inner.lock().entries.iter().any(floods)
    }

    /// Forgets the faults that have no hit left.
    fn sweep(&self, mut inner: MutexGuard<'_, Inner>) {
        let before = inner.entries.len();
        inner.entries.retain(|entry| entry.hits_left != Some(0));
        let healed = before != inner.entries.len();
        self.any.store(!inner.entries.is_empty(), Ordering::Release);
        drop(inner);
        if healed {
            self.changed.send_modify(|version| *version += 1);
        }
    }

    /// Whether this venue's connections neither read nor write at present.
    pub(crate) fn is_frozen(&self, venue: Venue) -> bool {
        self.any.load(Ordering::Acquire)
            && self.inner.lock().entries.iter().any(|entry| {
                let fault = &entry.word.fault;
                entry.word.venue == venue
                    && fault.kind == FaultKind::Stall { pongs: false }
                    && fault.scope.channel != Some(Channel::Rest)
                    && fault.scope.symbol.is_none()
            })
    }

    /// The wrong price of one symbol, if there is one; uses no hit up.
    pub(crate) fn wrong_price(
        &self,
        venue: Venue,
        channel: Channel,
        symbol: &str,
    ) -> Option<WrongPrice> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let inner = self.inner.lock();
        inner
            .entries
            .iter()
            .find_map(|entry| match &entry.word.fault.kind {
                FaultKind::WrongPrice(wrong)
                    if entry.word.venue == venue
                        && entry
                            .word
                            .fault
                            .scope
                            .channel
                            .is_none_or(|of| of == channel)
                        && entry
                            .word
                            .fault
                            .scope
                            .symbol
                            .as_deref()
                            .is_none_or(|of| of == symbol) =>
                {
                    Some(wrong.clone())
                }
                _ => None,
            })
    }

    /// Flapping venues that have just gone down, so that their living connections are reset.
    pub(crate) fn gone_down(&self, now: Instant) -> Vec<(Venue, Option<Channel>)> {
        if !self.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut gone = Vec::new();
        for entry in &mut self.inner.lock().entries {
            let down = entry.is_down(now);
            if down && !entry.was_down {
                gone.push((entry.word.venue, entry.word.fault.scope.channel));
            }
            entry.was_down = down;
        }
        gone
    }
}

#[cfg(test)]
mod tests;
