//! Who is subscribed to what, and the way of a frame to them.

use super::frames::{self, TimeUnit};
use crate::faults::{Channel, Close, Occasion, Stage};
use crate::http::server::broken;
use crate::http::socket::Switch;
use crate::market::MarketEvent;
use crate::shared::Shared;
use crate::venue::Venue;
use kurs_core::Wall;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// A frame on its way to one connection.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    /// Not to be sent earlier.
    pub(crate) at: Option<Instant>,
    pub(crate) text: Utf8Bytes,
}

/// One connection as the hub sees it.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) sender: mpsc::Sender<Outgoing>,
    pub(crate) switch: Arc<Switch>,
    pub(crate) combined: bool,
    pub(crate) unit: TimeUnit,
    streams: BTreeSet<Arc<str>>,
}

impl Member {
    pub(crate) fn new(
        sender: mpsc::Sender<Outgoing>,
        switch: Arc<Switch>,
        combined: bool,
        unit: TimeUnit,
    ) -> Self {
        Self {
            sender,
            switch,
            combined,
            unit,
            streams: BTreeSet::new(),
        }
    }
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    members: BTreeMap<u64, Member>,
    streams: HashMap<Arc<str>, BTreeSet<u64>>,
}

/// All connections with their streams.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    inner: Mutex<Inner>,
    changed: watch::Sender<u64>,
}

/// One recipient of a recorded frame.
#[derive(Debug, Clone)]
pub(crate) struct Recipient {
    pub(crate) sender: mpsc::Sender<Outgoing>,
    pub(crate) combined: bool,
}

impl Hub {
    pub(crate) fn join(&self, member: Member) -> u64 {
        let mut inner = self.inner.lock();
        inner.next += 1;
        let id = inner.next;
        inner.members.insert(id, member);
        drop(inner);
        self.changed.send_modify(|version| *version += 1);
        id
    }

    pub(crate) fn leave(&self, id: u64) {
        let mut inner = self.inner.lock();
        if let Some(member) = inner.members.remove(&id) {
            for stream in member.streams {
                inner.forget(&stream, id);
            }
        }
        drop(inner);
        self.changed.send_modify(|version| *version += 1);
    }

    /// Adds streams to a connection; false, and none is added, when they would be too many.
    pub(crate) fn subscribe(&self, id: u64, names: &[String], limit: usize) -> bool {
        let mut inner = self.inner.lock();
        let Inner {
            members, streams, ..
        } = &mut *inner;
        let Some(member) = members.get_mut(&id) else {
            return false;
        };
        let new: BTreeSet<Arc<str>> = names
            .iter()
            .filter(|name| !member.streams.contains(name.as_str()))
            .map(|name| Arc::from(name.as_str()))
            .collect();
        if member.streams.len() + new.len() > limit {
            return false;
        }
        for stream in new {
            streams.entry(stream.clone()).or_default().insert(id);
            member.streams.insert(stream);
        }
        drop(inner);
        self.changed.send_modify(|version| *version += 1);
        true
    }

    pub(crate) fn unsubscribe(&self, id: u64, names: &[String]) {
        let mut inner = self.inner.lock();
        for name in names {
            let had = inner
                .members
                .get_mut(&id)
                .is_some_and(|member| member.streams.remove(name.as_str()));
            if had {
                inner.forget(name, id);
            }
        }
        drop(inner);
        self.changed.send_modify(|version| *version += 1);
    }

    pub(crate) fn list(&self, id: u64) -> Vec<Arc<str>> {
        let inner = self.inner.lock();
        inner
            .members
            .get(&id)
            .map(|member| member.streams.iter().cloned().collect())
            .unwrap_or_default()
    }

    pub(crate) fn set_combined(&self, id: u64, combined: bool) {
        if let Some(member) = self.inner.lock().members.get_mut(&id) {
            member.combined = combined;
        }
    }

    pub(crate) fn is_combined(&self, id: u64) -> bool {
        self.inner
            .lock()
            .members
            .get(&id)
            .is_some_and(|member| member.combined)
    }

    /// Number of open connections.
    pub(crate) fn len(&self) -> usize {
        self.inner.lock().members.len()
    }

    pub(crate) fn has_no_subscriptions(&self) -> bool {
        self.inner.lock().streams.is_empty()
    }

    /// Streams with the number of their subscribers.
    pub(crate) fn streams(&self) -> BTreeMap<String, usize> {
        let inner = self.inner.lock();
        inner
            .streams
            .iter()
            .map(|(name, ids)| (name.to_string(), ids.len()))
            .collect()
    }

    /// Wakes whoever waits for a change of connections or subscriptions.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Who gets a recorded frame: the subscribers of one of these streams, or everybody.
    pub(crate) fn recipients(&self, streams: &[Arc<str>], all: bool) -> Vec<Recipient> {
        let inner = self.inner.lock();
        let has =
            |member: &Member| all || streams.iter().any(|stream| member.streams.contains(stream));
        let recipient = |member: &Member| Recipient {
            sender: member.sender.clone(),
            combined: member.combined,
        };
        inner
            .members
            .values()
            .filter(|member| has(member))
            .map(recipient)
            .collect()
    }

    /// Renders an event once for each shape that is wanted and hands it to the subscribers of
    /// the stream, each as the faults allow.
    pub(crate) fn publish(&self, shared: &Shared, stream: &str, event: &MarketEvent, now: Instant) {
        let inner = self.inner.lock();
        let Some(ids) = inner.streams.get(stream) else {
            return;
        };
        let wall = shared.wall();
        let wrong = shared
            .board
            .wrong_price(Venue::Binance, Channel::Ws, &event.symbol);
        let mut rendered: [Option<Utf8Bytes>; 4] = [None, None, None, None];
        let mut sent = 0;
        for member in ids.iter().filter_map(|id| inner.members.get(id)) {
            let shape = usize::from(member.combined)
                + if member.unit == TimeUnit::Microseconds {
                    2
                } else {
                    0
                };
            let Some(slot) = rendered.get_mut(shape) else {
                continue;
            };
            let text = slot.get_or_insert_with(|| {
                let payload = frames::payload(event, stream, wall, member.unit, wrong.as_ref());
                if member.combined {
                    frames::combined(stream, &payload).into()
                } else {
                    payload.into()
                }
            });
            sent += member.hand_over(shared, text, &event.symbol, now);
        }
        drop(inner);
        if sent > 0 {
            shared
                .ledger
                .with(Venue::Binance, |state| state.ws_frames_sent += sent);
        }
    }

    /// Tells every connection that the server goes down; returns how many were told.
    pub(crate) fn announce_shutdown(&self, wall: Wall) -> usize {
        let inner = self.inner.lock();
        let mut told = 0;
        for member in inner.members.values() {
            let mut text = frames::server_shutdown(wall, member.unit);
            if member.combined {
                text = frames::combined("!serverShutdown", &text);
            }
            told += usize::from(
                member
                    .sender
                    .try_send(Outgoing {
                        at: None,
                        text: text.into(),
                    })
                    .is_ok(),
            );
        }
        told
    }
}

impl Inner {
    fn forget(&mut self, stream: &str, id: u64) {
        if let Some(ids) = self.streams.get_mut(stream) {
            ids.remove(&id);
            if ids.is_empty() {
                self.streams.remove(stream);
            }
        }
    }
}

impl Member {
    /// Queues one frame as the faults allow; returns how many frames were queued.
    fn hand_over(&self, shared: &Shared, text: &Utf8Bytes, symbol: &str, now: Instant) -> u64 {
        let Some((frame, copies)) = as_faults_allow(shared, text, symbol, now) else {
            return 0;
        };
        for _ in 0..copies {
            if let Err(mpsc::error::TrySendError::Full(_)) = self.sender.try_send(frame.clone()) {
                let count = |state: &mut crate::VenueState| state.violations.slow_readers += 1;
                shared.ledger.with(Venue::Binance, count);
                self.switch.close(Close::Cut);
                return 0;
            }
        }
        copies
    }
}

/// A frame as the faults in force leave it, and how many times it is sent; `None` when it is lost.
pub(crate) fn as_faults_allow(
    shared: &Shared,
    text: &Utf8Bytes,
    symbol: &str,
    now: Instant,
) -> Option<(Outgoing, u64)> {
    let occasion = Occasion {
        venue: Venue::Binance,
        stage: Stage::Frame,
        symbol: Some(symbol),
        route: "",
    };
    let verdict = shared.board.judge(&occasion, now);
    if verdict.stall || verdict.drop {
        return None;
    }
    let mut text = text.clone();
    if verdict.malformed {
        text = String::from_utf8_lossy(&broken(text.as_bytes()))
            .into_owned()
            .into();
    }
    let at = (!verdict.delay.is_zero()).then(|| now + verdict.delay);
    Some((Outgoing { at, text }, if verdict.duplicate { 2 } else { 1 }))
}
