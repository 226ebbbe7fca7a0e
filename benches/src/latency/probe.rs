//! Looks at the moment when a price can be read, without a thread that turns in circles: the
//! follower asks the bus for the next update only when the one before it is in the view.

use crate::frames;
use async_trait::async_trait;
use kurs_bus::memory::MemoryBus;
use kurs_bus::{Body, Bus, BusError, BusEvent, Command, Reply, Requests, Subscription, Update};
use kurs_core::{Rate, Wall};
use kurs_reader::RateView;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// When every frame was sent, and when its price could be read.
#[derive(Debug)]
pub(crate) struct Trace {
    begin: Instant,
    sent: Vec<AtomicU64>,
    /// The same by the wall clock, microseconds: times inside rates are of that kind.
    sent_wall: Vec<AtomicI64>,
    steps: Mutex<Vec<(usize, Steps)>>,
}

/// What a frame's time was spent on, nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Steps {
    pub(crate) whole: u64,
    pub(crate) to_received: u64,
    pub(crate) to_priced: u64,
    pub(crate) to_readable: u64,
}

impl Trace {
    pub(crate) fn new(frames: usize) -> Self {
        Self {
            begin: Instant::now(),
            sent: (0..frames).map(|_| AtomicU64::new(0)).collect(),
            sent_wall: (0..frames).map(|_| AtomicI64::new(0)).collect(),
            steps: Mutex::new(Vec::with_capacity(frames)),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.sent.len()
    }

    fn now(&self) -> u64 {
        nanoseconds(self.begin.elapsed())
    }

    /// The frame is written next.
    pub(crate) fn sent(&self, number: usize) {
        let (Some(wall), Some(sent)) = (self.sent_wall.get(number), self.sent.get(number)) else {
            return;
        };
        wall.store(wall_now().0, Ordering::Relaxed);
        sent.store(self.now(), Ordering::Release);
    }

    /// The body with the price of this rate was read.
    fn readable(&self, rate: &Rate) {
        let (now, wall) = (self.now(), wall_now());
        let number = rate.bid.and_then(|bid| frames::number_of(&bid.to_string()));
        let Some(number) = number.and_then(|number| usize::try_from(number).ok()) else {
            return;
        };
        let (Some(sent), Some(sent_wall)) = (self.sent.get(number), self.sent_wall.get(number))
        else {
            return;
        };
        let sent = sent.load(Ordering::Acquire);
        let between = |from: Wall, to: Wall| nanoseconds(to.since(from));
        let steps = Steps {
            whole: now.saturating_sub(sent),
            to_received: between(Wall(sent_wall.load(Ordering::Relaxed)), rate.observed_at),
            to_priced: between(rate.observed_at, rate.published_at),
            to_readable: between(rate.published_at, wall),
        };
        self.steps.lock().push((number, steps));
    }

    /// The steps of all frames from this one on. A rate that was published again without a new
    /// price counts once.
    pub(crate) fn steps(&self, from: usize) -> Vec<Steps> {
        let mut steps: Vec<(usize, Steps)> = self
            .steps
            .lock()
            .iter()
            .filter(|(number, _)| *number >= from)
            .copied()
            .collect();
        steps.sort_by_key(|(number, _)| *number);
        steps.dedup_by_key(|(number, _)| *number);
        steps.into_iter().map(|(_, steps)| steps).collect()
    }

    /// How much later than its pace the venue wrote, nanoseconds.
    pub(crate) fn lateness(&self, from: usize, per_second: u64) -> Vec<u64> {
        let pause = 1_000_000_000 / per_second;
        let first = self
            .sent
            .first()
            .map_or(0, |sent| sent.load(Ordering::Acquire));
        let due = (0_u64..).map(|number| first + number * pause);
        let sent = self.sent.iter().map(|sent| sent.load(Ordering::Acquire));
        sent.zip(due)
            .skip(from)
            .map(|(sent, due)| sent.saturating_sub(due))
            .collect()
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn wall_now() -> Wall {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Wall(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// The bus in memory, watched.
pub(crate) struct Probe {
    bus: MemoryBus,
    view: Arc<RateView>,
    trace: Arc<Trace>,
}

impl Probe {
    pub(crate) fn new(view: Arc<RateView>, trace: Arc<Trace>) -> Self {
        Self {
            bus: MemoryBus::new(),
            view,
            trace,
        }
    }
}

#[async_trait]
impl Bus for Probe {
    fn publish(&self, update: Arc<Update>) -> Result<(), BusError> {
        self.bus.publish(update)
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, BusError> {
        let (view, trace) = (Arc::clone(&self.view), Arc::clone(&self.trace));
        Ok(Box::new(Watched {
            inner: self.bus.subscribe().await?,
            view,
            trace,
            handed_out: None,
        }))
    }

    async fn last_values(&self) -> Result<Vec<Arc<Update>>, BusError> {
        self.bus.last_values().await
    }

    async fn request(&self, command: Command, patience: Duration) -> Result<Reply, BusError> {
        self.bus.request(command, patience).await
    }

    async fn requests(&self) -> Result<Box<dyn Requests>, BusError> {
        self.bus.requests().await
    }

    async fn flush(&self) -> Result<(), BusError> {
        self.bus.flush().await
    }
}

struct Watched {
    inner: Box<dyn Subscription>,
    view: Arc<RateView>,
    trace: Arc<Trace>,
    /// In the view by the time the follower comes back.
    handed_out: Option<Arc<Update>>,
}

#[async_trait]
impl Subscription for Watched {
    async fn next(&mut self) -> Result<BusEvent, BusError> {
        if let Some(update) = self.handed_out.take()
            && let Body::Rate(rate) = &update.body
        {
            let body = self
                .view
                .hot(rate.pair.base.as_str(), rate.pair.quote.as_str());
            let etag = format!("\"{}\"", update.id);
            if body.is_some_and(|body| body.etag == etag.as_bytes()) {
                self.trace.readable(rate);
            }
        }
        let event = self.inner.next().await?;
        if let BusEvent::Update(update) = &event {
            self.handed_out = Some(Arc::clone(update));
        }
        Ok(event)
    }
}
