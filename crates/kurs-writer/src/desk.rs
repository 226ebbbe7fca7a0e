//! The engine's thread: takes what waits in the inbox, lets the engine price it, and hands out
//! what follows: stamped with epoch and sequence where this Writer leads the shard, into the
//! picture of a standby where it does not.

mod leading;

use crate::inbox::{Inbox, Message};
use crate::outcome::Intent;
use crate::shards::{LEAD, Shards};
use crate::standby::Standby;
use kurs_bus::{Body, Bus, Cause, SourcePrice, Update};
use kurs_core::{
    Clock, EventKind, Now, Pair, Quote, SourceEvent, SourceState, Tick, UpdateId, Wall,
};
use kurs_pricing::{Effect, Engine};
use kurs_telemetry::metrics::WriterMetrics;
use leading::Leading;
pub use leading::{Begun, Gate, Lead, Records};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Messages priced before the clock is read again.
const BATCH: usize = 256;
/// Longest wait without a message: heartbeats are due once a second.
const PATIENCE: Duration = Duration::from_millis(250);

/// What the thread works with.
pub struct Desk {
    /// Prices everything.
    pub engine: Engine,
    /// Where events come from.
    pub inbox: Arc<Inbox>,
    /// Where updates go.
    pub bus: Arc<dyn Bus>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What is counted.
    pub metrics: WriterMetrics,
    /// How pairs are spread.
    pub shards: Shards,
    /// Name of this Writer.
    pub writer: Arc<str>,
    /// False where no other Writer can exist: nothing is kept for a take-over.
    pub keeps_standby: bool,
}

/// What the thread is told besides events.
pub enum Order {
    /// Another Writer published this.
    Heard(Arc<Update>),
    /// This Writer leads a shard from now on.
    Lead(Box<Lead>),
    /// A shard is handed over: its epoch ends in order. Answered with the last update, once it
    /// is on its way.
    End(u16, oneshot::Sender<Option<UpdateId>>),
    /// Another Writer has taken a shard over: nothing more is published of it.
    Depose(u16, oneshot::Sender<()>),
}

/// One shard as this Writer stands to it.
enum Part {
    Standby(Standby),
    Leading(Box<Leading>),
}

/// The desk at work: what comes in, at a time that is passed in.
pub struct AtWork {
    desk: Desk,
    parts: Vec<Part>,
    effects: Vec<Effect>,
}

impl Desk {
    /// Leads nothing yet.
    #[must_use]
    pub fn open(self) -> AtWork {
        let parts = (0..self.shards.count()).map(|_| Part::Standby(Standby::default()));
        AtWork {
            parts: parts.collect(),
            desk: self,
            effects: Vec::new(),
        }
    }

    /// Runs until the inbox is closed and empty.
    pub fn run(self) {
        self.open().run();
    }
}

impl AtWork {
    fn run(mut self) {
        let mut messages = Vec::with_capacity(BATCH);
        let mut superseded = 0;
        loop {
            let now = self.desk.clock.now();
            let deadline = self.desk.engine.next_deadline().since(now.mono);
            let patience = deadline.clamp(Duration::from_millis(1), PATIENCE);
            if !self.desk.inbox.take(&mut messages, BATCH, patience) {
                return;
            }
            let now = self.desk.clock.now();
            for message in messages.drain(..) {
                self.take(now, message);
            }
            self.advance(now);
            let total = self.desk.inbox.superseded();
            let more = total - superseded;
            self.desk.metrics.events_superseded.inc_by(more);
            superseded = total;
        }
    }

    /// Takes one message in.
    pub fn take(&mut self, now: Now, message: Message) {
        let mut effects = std::mem::take(&mut self.effects);
        match message {
            Message::Event(event) => self.event(now, &event, &mut effects),
            Message::Publish(body) => self.put(body, None, now),
            Message::Order(order) => self.obey(order, now, &mut effects),
        }
        self.effects = effects;
    }

    /// Lets time pass: prices expire, heartbeats are due.
    pub fn advance(&mut self, now: Now) {
        let mut effects = std::mem::take(&mut self.effects);
        self.desk.engine.advance(now, &mut effects);
        self.carry_out(&mut effects, None, now);
        self.effects = effects;
        for part in &mut self.parts {
            if let Part::Leading(leading) = part {
                leading.go_on(now, &self.desk);
            }
        }
    }

    fn event(&mut self, now: Now, event: &SourceEvent, effects: &mut Vec<Effect>) {
        self.desk.metrics.events.inc();
        self.desk.engine.handle(now, event, effects);
        if effects.is_empty() {
            return;
        }
        self.carry_out(effects, cause_of(event), now);
        let taken = self.desk.clock.now().mono.since(event.received.mono);
        self.desk.metrics.ingest_to_publish.observe(taken);
    }

    fn carry_out(&mut self, effects: &mut Vec<Effect>, cause: Option<Cause>, now: Now) {
        for effect in effects.drain(..) {
            match Intent::of(effect, now) {
                Intent::Publish(body) => self.put(body, cause, now),
                Intent::Keep(row) => {
                    let shard = self.desk.shards.of_price(row.source, row.pair);
                    match self.parts.get_mut(usize::from(shard)) {
                        Some(Part::Leading(leading)) => leading.keep(row),
                        Some(Part::Standby(standby)) if self.desk.keeps_standby => {
                            standby.received(now.mono, row);
                        }
                        _ => {}
                    }
                }
                Intent::Report(failover) => {
                    let shard = self.desk.shards.of_pair(failover.pair);
                    let part = self.parts.get(usize::from(shard));
                    if matches!(part, Some(Part::Leading(_))) {
                        leading::report(&failover, &self.desk.metrics);
                    }
                }
            }
        }
    }

    fn put(&mut self, body: Body, cause: Option<Cause>, now: Now) {
        let shard = usize::from(self.desk.shards.of(&body));
        match self.parts.get_mut(shard) {
            Some(Part::Leading(leading)) => leading.publish(body, cause, now, &self.desk),
            Some(Part::Standby(standby)) => standby.would_publish(now.mono, body, cause),
            None => {}
        }
    }

    fn obey(&mut self, order: Order, now: Now, effects: &mut Vec<Effect>) {
        match order {
            Order::Heard(update) => self.hear(&update, now, effects),
            Order::Lead(lead) => {
                let shard = usize::from(lead.fence.shard);
                let Some(part) = self.parts.get_mut(shard) else {
                    return;
                };
                if let Part::Standby(standby) = part {
                    let over = standby.take_over(now);
                    let leading = Leading::begin(*lead, over, now, &self.desk);
                    *part = Part::Leading(Box::new(leading));
                }
            }
            Order::End(shard, ended) => {
                let last = self
                    .replace(shard)
                    .map(|leading| leading.end(now, &self.desk));
                // Whoever does not listen does not mind.
                let _ = ended.send(last);
            }
            Order::Depose(shard, deposed) => {
                let held = self.replace(shard).map(|leading| leading.into_held());
                if let Some(Part::Standby(standby)) = self.parts.get_mut(usize::from(shard)) {
                    for (at, body, cause) in held.unwrap_or_default() {
                        standby.would_publish(at, body, cause);
                    }
                }
                let _ = deposed.send(());
            }
        }
    }

    /// Does not lead this shard any more.
    fn replace(&mut self, shard: u16) -> Option<Box<Leading>> {
        let part = self.parts.get_mut(usize::from(shard))?;
        match std::mem::replace(part, Part::Standby(Standby::default())) {
            Part::Leading(leading) => Some(leading),
            Part::Standby(standby) => {
                *part = Part::Standby(standby);
                None
            }
        }
    }

    /// Another Writer's update: the standby of its shard follows, and what it asked a polled
    /// source for needs not be asked again.
    fn hear(&mut self, update: &Arc<Update>, now: Now, effects: &mut Vec<Effect>) {
        if let Some(Part::Standby(standby)) = self.parts.get_mut(usize::from(update.id.shard)) {
            standby.heard(now.mono, update);
        }
        if let Body::SourcePrice(price) = &update.body
            && self.desk.shards.is_polled(price.source)
            && !matches!(self.parts.get(usize::from(LEAD)), Some(Part::Leading(_)))
            && let Some(event) = event_of(price, now)
        {
            self.desk.engine.handle(now, &event, effects);
            self.carry_out(effects, None, now);
        }
    }
}

/// The word of a source that an event is, where the source gives its words ids.
fn cause_of(event: &SourceEvent) -> Option<Cause> {
    let EventKind::Tick(tick) = &event.kind else {
        return None;
    };
    Some(Cause {
        source: event.source,
        pair: tick.pair,
        event_id: tick.event_id?,
    })
}

/// What a polled source said to another Writer, as if it had said it here.
fn event_of(price: &SourcePrice, now: Now) -> Option<SourceEvent> {
    let quote = match (price.bid, price.ask) {
        (Some(bid), Some(ask)) => Quote::sides(bid, ask).ok()?,
        _ => Quote::Single(price.value),
    };
    let kind = if price.state == SourceState::Live {
        EventKind::Table(Arc::from([Tick {
            pair: price.pair,
            quote,
            sizes: None,
            observed_at: Some(price.observed_at).filter(|at| *at != Wall::default()),
            valid_for: price.valid_for,
            event_id: None,
        }]))
    } else {
        EventKind::PairState {
            pair: price.pair,
            state: price.state,
            why: Arc::clone(&price.why),
        }
    };
    Some(SourceEvent {
        source: price.source,
        received: Now {
            mono: now.mono,
            wall: price.received_at,
        },
        kind,
    })
}

/// Pairs whose former rates nobody stands behind; true where they have a policy now.
pub type Withdrawn = Vec<(Pair, bool)>;
