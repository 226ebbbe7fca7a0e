//! A place in the flow that survives the end of connections and of servers.

use crate::Reader;
use crate::link::{Link, Links, Trouble};
use crate::reading::{Heard, Reading};
use crate::streams::{self, Fact};
use async_nats::jetstream::consumer::DeliverPolicy;
use async_trait::async_trait;
use kurs_bus::counters::count;
use kurs_bus::{Backoff, BusCounters, BusError, BusEvent, Order, Place, Subscription, Update};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::task::AbortHandle;
use tracing::{debug, info};

/// When a place is found again, so many messages before it are read once more: a server that was
/// killed may have lost its newest ones and given their numbers anew.
const AGAIN: u64 = 256;
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_MOST: Duration = Duration::from_millis(500);

/// Joins the flow.
pub(crate) async fn open(
    link: &Arc<Link>,
    links: Links,
    reader: Reader,
    seed: u64,
) -> Result<NatsSubscription, Trouble> {
    let fact = streams::look(&link.jetstream, &reader.names.flow).await?;
    let reading = Reading::open(link, &reader.names.flow, from(fact.last + 1)).await?;
    let (events, heard) = broadcast::channel(reader.buffer.max(1));
    let counters = Arc::clone(&reader.counters);
    let pump = Pump {
        links,
        reader,
        place: Finding::new(&fact),
        events,
        pauses: Backoff::new(seed, PAUSE_FIRST, PAUSE_MOST),
    };
    let task = tokio::spawn(pump.run(reading)).abort_handle();
    Ok(NatsSubscription {
        heard,
        counters,
        task,
    })
}

fn from(number: u64) -> DeliverPolicy {
    DeliverPolicy::ByStartSequence {
        start_sequence: number.max(1),
    }
}

/// Where in the flow we are, and what is to be told.
struct Finding {
    /// When the stream was made: by that it is known.
    stream: async_nats::datetime::DateTime,
    /// Greatest number that was there when we joined: nothing up to it is wanted.
    joined: u64,
    /// Greatest number heard, or known not to be wanted.
    number: u64,
    order: Order,
    /// After a loss that the ids alone may not show: shards that were told of it already.
    doubt: Option<HashSet<u16>>,
}

impl Finding {
    fn new(fact: &Fact) -> Self {
        Self {
            stream: fact.created,
            joined: fact.last,
            number: fact.last,
            order: Order::default(),
            doubt: None,
        }
    }

    /// Where to read on in a stream that looks like this.
    fn resume(&mut self, fact: &Fact) -> u64 {
        if fact.created != self.stream {
            self.stream = fact.created;
            (self.joined, self.number) = (0, 0);
            self.doubt = Some(HashSet::new());
            return 1;
        }
        if fact.last < self.number || fact.first > self.number + 1 {
            self.joined = self.joined.min(fact.last);
            self.number = self.number.min(fact.last);
            self.doubt = Some(HashSet::new());
        }
        let again = (self.number + 1).saturating_sub(AGAIN);
        again.max(self.joined + 1)
    }

    /// What is to be told of an update: nothing, or how many were lost before it.
    fn place(&mut self, number: u64, update: &Update) -> Option<u64> {
        if number > self.number + 1 {
            // Gone before we came to read them.
            self.doubt.get_or_insert_default();
        }
        self.number = self.number.max(number);
        let lost = match self.order.place(update) {
            Place::Next => 0,
            Place::Again | Place::Outdated => return None,
            Place::After { lost } => lost,
        };
        // In doubt a shard is told with its first new update: by then its Writer has put the
        // last values where they are looked for.
        let doubt = self.doubt.as_mut();
        let is_new = doubt.is_some_and(|told| told.insert(update.id.shard));
        Some(if is_new { lost.max(1) } else { lost })
    }
}

/// Carries updates from the server into the subscriber's buffer, which never holds it up.
struct Pump {
    links: Links,
    reader: Reader,
    place: Finding,
    events: broadcast::Sender<BusEvent>,
    pauses: Backoff,
}

impl Pump {
    async fn run(mut self, mut reading: Reading) {
        loop {
            let why = self.hear_all(&mut reading).await;
            debug!(why, "the flow is looked for again");
            let Some(found) = self.resume().await else {
                return;
            };
            reading = found;
        }
    }

    /// Hears what a reading gives, to its end.
    async fn hear_all(&mut self, reading: &mut Reading) -> &'static str {
        let link = Arc::clone(reading.link());
        let ended = link.ended();
        tokio::pin!(ended);
        loop {
            let heard = tokio::select! {
                heard = reading.next() => heard,
                () = &mut ended => return "the connection was given up",
            };
            match heard {
                Heard::Message {
                    number, message, ..
                } => self.hear(number, &message.payload),
                Heard::Idle => {}
                Heard::Broken(why) => return why,
            }
        }
    }

    fn hear(&mut self, number: u64, text: &[u8]) {
        let Some(update) = self.reader.counters.decode(text) else {
            self.place.number = self.place.number.max(number);
            return;
        };
        let Some(lost) = self.place.place(number, &update) else {
            return;
        };
        // An error only says that nobody listens any more.
        if lost > 0 {
            count(&self.reader.counters.gaps, 1);
            let _ = self.events.send(BusEvent::Gap { lost });
        }
        let _ = self.events.send(BusEvent::Update(Arc::new(update)));
    }

    /// Finds the place again, over a new connection if need be.
    async fn resume(&mut self) -> Option<Reading> {
        loop {
            let link = self.links.link().await?;
            match self.try_resume(&link).await {
                Ok(reading) => {
                    self.pauses.reset();
                    count(&self.reader.counters.resumed, 1);
                    return Some(reading);
                }
                Err(Trouble(why)) => debug!(why, "the flow is not found yet"),
            }
            tokio::time::sleep(self.pauses.pause()).await;
        }
    }

    async fn try_resume(&mut self, link: &Arc<Link>) -> Result<Reading, Trouble> {
        let flow = self.reader.names.flow.clone();
        let fact = tokio::select! {
            fact = streams::look(&link.jetstream, &flow) => fact?,
            () = link.ended() => return Err(Trouble("the connection ended".to_owned())),
        };
        let number = self.place.resume(&fact);
        info!(stream = flow, number, "the flow goes on");
        Reading::open(link, &flow, from(number)).await
    }
}

/// A subscriber's end of the flow.
pub(crate) struct NatsSubscription {
    heard: broadcast::Receiver<BusEvent>,
    counters: Arc<BusCounters>,
    task: AbortHandle,
}

#[async_trait]
impl Subscription for NatsSubscription {
    async fn next(&mut self) -> Result<BusEvent, BusError> {
        match self.heard.recv().await {
            Ok(event) => {
                if matches!(event, BusEvent::Update(_)) {
                    count(&self.counters.received, 1);
                }
                Ok(event)
            }
            Err(broadcast::error::RecvError::Lagged(lost)) => {
                count(&self.counters.gaps, 1);
                Ok(BusEvent::Gap { lost })
            }
            Err(broadcast::error::RecvError::Closed) => Err(BusError::Unavailable),
        }
    }
}

impl Drop for NatsSubscription {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests;
