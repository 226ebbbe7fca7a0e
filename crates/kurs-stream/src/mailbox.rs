//! What waits for one listener. It is bounded: when its owner is too slow, only the newest word of
//! each topic waits, and the owner is told how much was left out.
//!
//! It is emptied by the client's task, or by the [`Pump`] while the task rests; never by both.

use crate::config::StreamConfig;
use crate::document::{Document, GapDocument};
use crate::event::{Event, EventKind};
use crate::position::Position;
use crate::pump::{Outlet, Pump};
use crate::topic::Topic;
use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

/// Why a stream ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// This Reader ends.
    Drained,
    /// Whoever listened may not listen any more.
    Revoked,
    /// The client took nothing for too long.
    Slow,
}

/// What comes out of a mailbox.
#[derive(Debug, Clone)]
pub enum Item {
    /// Something to be told.
    Event(Arc<Event>),
    /// Nothing more comes.
    End(Ended),
}

/// What waits for one listener.
#[derive(Debug)]
pub struct Mailbox {
    inner: Mutex<Inner>,
    waker: AtomicWaker,
    /// Who answers for it, as a number that means something to them; 0: nobody.
    owner: AtomicU64,
    events_max: usize,
    bytes_max: usize,
    /// Who writes while the task rests, and where to.
    pump: Option<Arc<Pump>>,
    outlet: OnceLock<Arc<dyn Outlet>>,
}

/// Who takes out what waits, and writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Taker {
    /// The client's task.
    #[default]
    Task,
    /// The pump, when it is called.
    Pump,
    /// The pump, which is at it.
    Pumping,
}

/// How many events the pump takes at a time.
const PUMPED: usize = 32;

#[derive(Debug, Default)]
struct Inner {
    taker: Taker,
    /// The pump has been called and was not here yet.
    is_called: bool,
    /// The task wants to write, as soon as the pump is not at it.
    is_wanted: bool,
    queue: VecDeque<Arc<Event>>,
    /// Events in the queue that nobody has asked for, and their bytes.
    waiting: usize,
    bytes: usize,
    /// Only the newest of each topic, by the order in which they came; while the queue is too
    /// small.
    newest: Option<Newest>,
    /// What the owner has heard before it came here: not told again.
    heard: Option<Position>,
    ended: Option<Ended>,
    conflations: u64,
}

#[derive(Debug, Default)]
struct Newest {
    /// By topic, each with its place in the order. Thousands of clients who take nothing are told
    /// each update: this is all that it costs.
    by_topic: HashMap<Topic, (u64, Arc<Event>), foldhash::fast::RandomState>,
    /// What is of no topic is not replaced.
    others: Vec<(u64, Arc<Event>)>,
    next: u64,
    missed: u64,
}

impl Newest {
    fn put(&mut self, event: Arc<Event>) {
        if event.kind == EventKind::Heartbeat {
            return;
        }
        self.next += 1;
        match event.topic {
            None => self.others.push((self.next, event)),
            Some(topic) => {
                let before = self.by_topic.insert(topic, (self.next, event));
                self.missed += u64::from(before.is_some());
            }
        }
    }

    /// All of it, in the order in which it came.
    fn in_order(self) -> VecDeque<Arc<Event>> {
        let mut events = self.others;
        events.extend(self.by_topic.into_values());
        events.sort_unstable_by_key(|(place, _)| *place);
        events.into_iter().map(|(_, event)| event).collect()
    }
}

impl Mailbox {
    /// An empty one of somebody who has heard everything up to here elsewhere.
    #[must_use]
    pub fn new(config: &StreamConfig, heard: Option<Position>) -> Self {
        Self {
            inner: Mutex::new(Inner {
                heard,
                ..Inner::default()
            }),
            waker: AtomicWaker::new(),
            owner: AtomicU64::new(0),
            events_max: config.mailbox_events,
            bytes_max: config.mailbox_bytes,
            pump: None,
            outlet: OnceLock::new(),
        }
    }

    /// The same, which this pump may empty.
    #[must_use]
    pub fn with_pump(mut self, pump: Arc<Pump>) -> Self {
        self.pump = Some(pump);
        self
    }

    /// Names where the pump may write while the task rests. Once.
    pub fn lead_to(&self, outlet: Arc<dyn Outlet>) {
        let _ = self.outlet.set(outlet);
    }

    /// True when the pump knows where to write.
    #[must_use]
    pub fn has_outlet(&self) -> bool {
        self.outlet.get().is_some()
    }

    /// The task has written everything, what the outlet had left over included, and rests: from
    /// now on the pump writes, until its outlet takes no more, the stream ends, or the task wants
    /// to ([`Self::poll_claim`]). False when something waits that the task has to take out first.
    pub fn rest(&self) -> bool {
        let is_ready = self.has_outlet() && self.pump.as_ref().is_some_and(|pump| pump.runs());
        let mut inner = self.inner.lock();
        if inner.taker != Taker::Task {
            return true;
        }
        if !inner.is_empty() || inner.ended.is_some() {
            return false;
        }
        if is_ready {
            inner.taker = Taker::Pump;
        }
        true
    }

    /// Ready when the pump does not write any more: the task does.
    pub fn poll_claim(&self, context: &mut Context<'_>) -> Poll<()> {
        self.waker.register(context.waker());
        let mut inner = self.inner.lock();
        if inner.taker == Taker::Pumping {
            inner.is_wanted = true;
            return Poll::Pending;
        }
        inner.taker = Taker::Task;
        Poll::Ready(())
    }

    /// Writes what waits, if that is left to the pump. `events` is empty, before and after.
    pub(crate) fn pump(self: &Arc<Self>, events: &mut Vec<Arc<Event>>) {
        let Some(outlet) = self.outlet.get() else {
            return;
        };
        {
            let mut inner = self.inner.lock();
            inner.is_called = false;
            if inner.taker != Taker::Pump {
                return;
            }
            while events.len() < PUMPED
                && let Some(event) = inner.take()
            {
                events.push(event);
            }
            if events.is_empty() {
                return;
            }
            inner.taker = Taker::Pumping;
        }
        let is_whole = outlet.write(events);
        events.clear();
        let call = {
            let mut inner = self.inner.lock();
            let is_over = !is_whole || inner.ended.is_some();
            if is_over || std::mem::take(&mut inner.is_wanted) {
                inner.taker = Taker::Task;
                Call::Task
            } else {
                inner.taker = Taker::Pump;
                // Others get their turn before what came meanwhile.
                if inner.is_empty() {
                    Call::Nobody
                } else {
                    inner.call()
                }
            }
        };
        self.tell(call);
    }

    /// The pump cannot write what it took out: the stream ends without a last word, and the client
    /// comes back.
    pub(crate) fn give_up(&self) {
        {
            let mut inner = self.inner.lock();
            inner.taker = Taker::Task;
            inner.queue.clear();
            inner.newest = None;
            (inner.waiting, inner.bytes) = (0, 0);
            inner.ended = inner.ended.or(Some(Ended::Drained));
        }
        self.waker.wake();
    }

    fn tell(self: &Arc<Self>, call: Call) {
        match (call, &self.pump) {
            (Call::Task, _) => self.waker.wake(),
            (Call::Pump, Some(pump)) => pump.call(self),
            (Call::Pump, None) | (Call::Nobody, _) => {}
        }
    }

    /// Names who answers for it.
    pub fn belongs_to(&self, owner: u64) {
        self.owner.store(owner, Ordering::Relaxed);
    }

    /// Who answers for it; 0: nobody.
    #[must_use]
    pub fn owner(&self) -> u64 {
        self.owner.load(Ordering::Relaxed)
    }

    /// Says something that its owner has asked for: it comes whatever the size, and is never left
    /// out. Whoever asks again waits until this has gone out.
    pub fn say(self: &Arc<Self>, events: impl IntoIterator<Item = Arc<Event>>) {
        let call = {
            let mut inner = self.inner.lock();
            if inner.ended.is_some() {
                return;
            }
            for event in events {
                match &mut inner.newest {
                    Some(newest) => newest.put(event),
                    None => inner.queue.push_back(event),
                }
            }
            inner.call()
        };
        self.tell(call);
    }

    /// Hands an event over. Never waits.
    pub fn push(self: &Arc<Self>, event: &Arc<Event>) {
        let call = {
            let mut inner = self.inner.lock();
            if inner.ended.is_some() || !inner.wants(event) {
                return;
            }
            let event = inner.placed(event);
            if let Some(newest) = &mut inner.newest {
                newest.put(event);
            } else {
                inner.bytes += event.weight();
                inner.waiting += 1;
                inner.queue.push_back(event);
                if inner.waiting > self.events_max || inner.bytes > self.bytes_max {
                    inner.conflate();
                }
            }
            inner.call()
        };
        self.tell(call);
    }

    /// The stream ends after this last word.
    pub fn end(&self, why: Ended, last: Option<Arc<Event>>) {
        {
            let mut inner = self.inner.lock();
            if inner.ended.is_some() {
                return;
            }
            inner.ended = Some(why);
            // Whatever waits is taken from another Reader.
            inner.queue.clear();
            inner.newest = None;
            (inner.waiting, inner.bytes) = (0, 0);
            inner.queue.extend(last);
            if inner.taker == Taker::Pump {
                inner.taker = Taker::Task;
            }
        }
        self.waker.wake();
    }

    /// What comes next. One task waits at a time.
    pub fn poll_next(&self, context: &mut Context<'_>) -> Poll<Item> {
        if let Some(item) = self.next() {
            return Poll::Ready(item);
        }
        self.waker.register(context.waker());
        // Something may have come between the look and the registration.
        self.next().map_or(Poll::Pending, Poll::Ready)
    }

    /// What comes next, if anything waits and is not left to the pump.
    pub fn next(&self) -> Option<Item> {
        let mut inner = self.inner.lock();
        if inner.taker != Taker::Task {
            return None;
        }
        let event = inner.take().map(Item::Event);
        event.or_else(|| inner.ended.map(Item::End))
    }

    /// How far the Reader is: what only guarded the beginning is forgotten.
    pub(crate) fn passed(&self, head: &Position) {
        let mut inner = self.inner.lock();
        if let Some(heard) = &inner.heard
            && heard.ids().all(|id| head.covers(id))
        {
            inner.heard = None;
        }
    }

    /// How often it was too small.
    #[must_use]
    pub fn conflations(&self) -> u64 {
        self.inner.lock().conflations
    }
}

/// Who has to know that something waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Task,
    Pump,
    /// Whoever takes it out comes by anyway.
    Nobody,
}

impl Inner {
    /// Something has come.
    fn call(&mut self) -> Call {
        match self.taker {
            Taker::Task => Call::Task,
            Taker::Pump if !std::mem::replace(&mut self.is_called, true) => Call::Pump,
            Taker::Pump | Taker::Pumping => Call::Nobody,
        }
    }

    fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.newest.is_none()
    }

    /// Takes out what is told next.
    fn take(&mut self) -> Option<Arc<Event>> {
        if let Some(newest) = self.newest.take() {
            let left_out = Document::Gap(GapDocument {
                reason: "slow",
                detail: None,
                missed: Some(newest.missed),
            });
            self.queue = newest.in_order();
            (self.waiting, self.bytes) = (0, 0);
            let gap = Event::telling(left_out, Arc::from(""));
            return Some(Arc::new(gap));
        }
        let event = self.queue.pop_front()?;
        // What was asked for was not counted: it comes out first or is paid for by the rest.
        self.waiting = self.waiting.saturating_sub(1).min(self.queue.len());
        self.bytes = self.bytes.saturating_sub(event.weight());
        Some(event)
    }

    fn wants(&self, event: &Event) -> bool {
        let is_heard = |id| {
            let heard = self.heard.as_ref();
            heard.is_some_and(|heard| heard.covers(id))
        };
        !event.id.is_some_and(is_heard)
    }

    /// The place after an event is never one that its owner was beyond already: this Reader may be
    /// behind the one where it was.
    fn placed(&self, event: &Arc<Event>) -> Arc<Event> {
        let Some(heard) = &self.heard else {
            return Arc::clone(event);
        };
        let Ok(mut position) = event.position().parse::<Position>() else {
            return Arc::clone(event);
        };
        position.join(heard);
        Arc::new(event.placed_at(position.to_string().into()))
    }

    fn conflate(&mut self) {
        let mut newest = Newest::default();
        for event in self.queue.drain(..) {
            newest.put(event);
        }
        self.newest = Some(newest);
        (self.waiting, self.bytes) = (0, 0);
        self.conflations += 1;
    }
}

#[cfg(test)]
mod tests;
