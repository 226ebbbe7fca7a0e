//! A Writer, played around the real lease keeper and the real desk at work.

use crate::broker::Line;
use crate::clock::SimClock;
use crate::store::Batch;
use kurs_bus::{Body, Order as Heard, Outbox, Place, Update};
use kurs_core::{
    Epoch, EventKind, Now, Pair, Price, Quote, SourceEvent, SourceId, SourceKind, Tick, UpdateId,
};
use kurs_pricing::{Engine, EngineConfig, SourceInfo};
use kurs_store::{Fence, HistoryRow, OfficialRate, PublishedEvent, Recorded, StoredRate};
use kurs_telemetry::Metrics;
use kurs_telemetry::metrics::Build;
use kurs_writer::desk::{AtWork, Begun, Desk, Gate, Lead, Order, Records};
use kurs_writer::inbox::{Inbox, Message};
use kurs_writer::lease::{Keeper, Times, Turn};
use kurs_writer::ledger::Entry;
use kurs_writer::shards::Shards;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;

/// How old what a recorder holds is when it is in its spool: a crash does not lose it any more.
const SPOOLED_MS: u64 = 300;

type Notes = Arc<Mutex<Vec<(Fence, Arc<Update>)>>>;

/// Writes down what was published.
struct Notebook {
    fence: Fence,
    notes: Notes,
}

impl Notebook {
    fn note(&self, update: Update) {
        let mut notes = self.notes.lock().unwrap();
        notes.push((self.fence, Arc::new(update)));
    }
}

impl Records for Notebook {
    fn row(&self, _: HistoryRow) {}

    fn current(&self, _: StoredRate) {}

    fn official(&self, _: OfficialRate) {}

    fn entry(&self, entry: Entry) {
        if let Entry::Published(event) = entry
            && let PublishedEvent::Rate(rate) = event.event
        {
            self.note(Update {
                id: event.id,
                body: Body::Rate(rate),
                cause: None,
                at: None,
            });
        }
    }

    fn recorded(&self, _: Recorded) {}
}

pub(crate) struct Writer {
    pub(crate) name: Arc<str>,
    pub(crate) clock: Arc<SimClock>,
    pub(crate) keeper: Keeper,
    work: AtWork,
    pub(crate) outbox: Arc<Outbox>,
    notes: Notes,
    /// What its recorder holds, since when.
    pending: Vec<(u64, Fence, Arc<Update>)>,
    /// Grows with every start.
    pub(crate) life: u32,
    pub(crate) is_up: bool,
    pub(crate) up_since: u64,
    pub(crate) stopped_until: u64,
    /// What arrived while it was stopped.
    pub(crate) waiting: Vec<Message>,
    pub(crate) is_linked: bool,
    pub(crate) reaches_store: bool,
    pub(crate) hears_venue: bool,
    order: Heard,
    pub(crate) wants_last_values: bool,
    pub(crate) heard_at: u64,
    /// It has heard an active Writer speak.
    is_hot: bool,
    gate: Arc<Gate>,
    heard: BTreeMap<u16, UpdateId>,
    pub(crate) own: BTreeMap<u16, Epoch>,
    /// Leases to be given back when everything published is with the broker.
    pub(crate) to_release: Vec<(Fence, Option<Arc<str>>)>,
    pub(crate) is_leaving: bool,
}

fn work(name: &Arc<str>, clock: &Arc<SimClock>, outbox: &Arc<Outbox>) -> AtWork {
    let venue = SourceInfo {
        id: SourceId::parse("binance").unwrap(),
        kind: SourceKind::Exchange,
        priority: 1,
        hold: Duration::from_secs(10),
    };
    let build = Build {
        version: "0",
        commit: "0",
    };
    let metrics = Metrics::new(&kurs_telemetry::MetricsConfig::default(), build);
    let desk = Desk {
        engine: Engine::new(EngineConfig::new(vec![venue], Vec::new())),
        inbox: Arc::new(Inbox::new()),
        bus: Arc::new(Line(Arc::clone(outbox))),
        clock: Arc::clone(clock) as _,
        metrics: metrics.writer.clone(),
        shards: Shards::new(1, BTreeSet::new()),
        writer: Arc::clone(name),
        keeps_standby: true,
    };
    desk.open()
}

fn keeper(name: &Arc<str>) -> Keeper {
    Keeper::new(Arc::clone(name), 1, Times::default(), false)
}

impl Writer {
    pub(crate) fn new(name: &str, clock: Arc<SimClock>) -> Self {
        let name: Arc<str> = name.into();
        let outbox = Arc::new(Outbox::default());
        Self {
            keeper: keeper(&name),
            work: work(&name, &clock, &outbox),
            name,
            clock,
            outbox,
            notes: Notes::default(),
            pending: Vec::new(),
            life: 0,
            is_up: true,
            up_since: 0,
            stopped_until: 0,
            waiting: Vec::new(),
            is_linked: true,
            reaches_store: true,
            hears_venue: true,
            order: Heard::default(),
            wants_last_values: true,
            heard_at: 0,
            is_hot: false,
            gate: Arc::new(Gate::until(kurs_core::Mono(0))),
            heard: BTreeMap::new(),
            own: BTreeMap::new(),
            to_release: Vec::new(),
            is_leaving: false,
        }
    }

    /// Dies at once. What its recorder had not written to its disk is lost.
    pub(crate) fn crash(&mut self, now: u64) {
        self.is_up = false;
        self.stopped_until = 0;
        self.take_notes(now);
        self.pending
            .retain(|(since, _, _)| now.saturating_sub(*since) >= SPOOLED_MS);
    }

    /// Starts with nothing but its disk.
    pub(crate) fn start(&mut self, now: u64) {
        let pending = std::mem::take(&mut self.pending);
        let name = Arc::clone(&self.name);
        let clock = Arc::clone(&self.clock);
        let life = self.life + 1;
        let links = (self.is_linked, self.reaches_store, self.hears_venue);
        *self = Self::new(&name, clock);
        (self.is_linked, self.reaches_store, self.hears_venue) = links;
        self.pending = pending;
        self.life = life;
        self.up_since = now;
        self.heard_at = now;
    }

    pub(crate) fn runs(&self, now: u64) -> bool {
        self.is_up && self.stopped_until <= now
    }

    pub(crate) fn leads(&self) -> bool {
        self.is_up && self.own.contains_key(&0)
    }

    /// A word of the venue arrives.
    pub(crate) fn arrive(&mut self, now: Now, at: u64, pair: Pair, number: u64) {
        let value = Price::parse(&number.to_string()).unwrap();
        let event = SourceEvent {
            source: SourceId::parse("binance").unwrap(),
            received: now,
            kind: EventKind::Tick(Tick {
                pair,
                quote: Quote::Single(value),
                sizes: None,
                observed_at: None,
                valid_for: Duration::from_secs(5),
                event_id: Some(number),
            }),
        };
        let message = Message::Event(event);
        if self.runs(at) {
            self.work.take(now, message);
        } else {
            self.waiting.push(message);
        }
    }

    /// What the bus says, as [`kurs_writer`] follows it.
    pub(crate) fn hear(&mut self, now: Now, at: u64, update: &Arc<Update>) -> Option<Turn> {
        self.heard_at = at;
        match self.order.place(update) {
            Place::Again | Place::Outdated => return None,
            Place::After { .. } => self.wants_last_values = true,
            Place::Next => {}
        }
        self.is_hot |= at.saturating_sub(self.up_since) > 200;
        self.take_heard(now, update)
    }

    fn take_heard(&mut self, now: Now, update: &Arc<Update>) -> Option<Turn> {
        let id = update.id;
        let last = self.heard.entry(id.shard).or_insert(id);
        *last = (*last).max(id);
        let own = self.own.get(&id.shard).copied();
        if own.is_some_and(|own| id.epoch <= own) {
            return None;
        }
        let ends = matches!(&update.body, Body::Heartbeat(beat) if beat.ends);
        let turn = self.keeper.heard(now.mono, id, ends);
        let order = Order::Heard(Arc::clone(update));
        self.work.take(now, Message::Order(order));
        turn
    }

    pub(crate) fn take_last_values(&mut self, now: Now, values: &[Arc<Update>]) -> Vec<Turn> {
        self.wants_last_values = false;
        for update in values {
            self.order.known(update.id);
        }
        values
            .iter()
            .filter_map(|update| self.take_heard(now, update))
            .collect()
    }

    /// What it does on its own: time passes, what waited is taken in.
    pub(crate) fn step(&mut self, now: Now, at: u64, reaches_bus: bool) {
        for message in std::mem::take(&mut self.waiting) {
            self.work.take(now, message);
        }
        self.keeper.set_ready(reaches_bus && self.is_hot);
        for id in self.heard.values() {
            let _ = self.keeper.heard(now.mono, *id, false);
        }
        self.work.advance(now);
        self.take_notes(at);
    }

    /// The lease was renewed, or not: until when may be published.
    pub(crate) fn open_gate(&self) {
        self.gate.open_until(self.keeper.publish_until(0));
    }

    pub(crate) fn lead(&mut self, now: Now, fence: Fence) {
        self.own.insert(fence.shard, fence.epoch);
        let (begun, mut has_begun) = oneshot::channel::<Begun>();
        let recorder = Notebook {
            fence,
            notes: Arc::clone(&self.notes),
        };
        let lead = Lead {
            fence,
            recorder: Box::new(recorder),
            gate: Arc::clone(&self.gate),
            before: None,
            withdrawn: Vec::new(),
            begun,
        };
        self.work
            .take(now, Message::Order(Order::Lead(Box::new(lead))));
        if let Ok(begun) = has_begun.try_recv() {
            let mut notes = self.notes.lock().unwrap();
            for update in begun.heard {
                if matches!(update.body, Body::Rate(_)) {
                    notes.push((fence, update));
                }
            }
            begun.is_caught_up.store(true, Ordering::Release);
        }
    }

    pub(crate) fn end(&mut self, now: Now, fence: Fence, heir: Option<Arc<str>>) {
        let (ended, _) = oneshot::channel();
        let order = Order::End(fence.shard, ended);
        self.work.take(now, Message::Order(order));
        self.own.remove(&fence.shard);
        self.to_release.push((fence, heir));
        self.wants_last_values = true;
    }

    pub(crate) fn depose(&mut self, now: Now, fence: Fence) {
        let (deposed, _) = oneshot::channel();
        let order = Order::Depose(fence.shard, deposed);
        self.work.take(now, Message::Order(order));
        self.own.remove(&fence.shard);
        self.wants_last_values = true;
    }

    fn take_notes(&mut self, at: u64) {
        let notes = std::mem::take(&mut *self.notes.lock().unwrap());
        let noted = notes.into_iter().map(|(fence, update)| (at, fence, update));
        self.pending.extend(noted);
    }

    /// What its recorder writes now.
    pub(crate) fn batches(&mut self) -> Vec<Batch> {
        let mut batches: Vec<Batch> = Vec::new();
        for (_, fence, update) in std::mem::take(&mut self.pending) {
            match batches.last_mut() {
                Some(batch) if batch.fence == fence => batch.updates.push(update),
                _ => batches.push(Batch {
                    fence,
                    updates: vec![update],
                }),
            }
        }
        batches
    }
}
