//! Rates, prices and order books as InfluxDB line protocol over HTTP.
//!
//! | module | what it holds |
//! |---|---|
//! | [`config`] | [`InfluxConfig`] |
//! | [`mod@line`] | [`line::Line`]: escaping, numbers, times |
//! | [`points`] | [`Points`]: which tags and fields an update or a book has |
//! | [`sending`] | [`Sending`]: queue, batches, delays; no I/O |
//! | `target`, `post` | where and how a request goes, and how it ended |
//! | `telling` | what is logged how often |
//!
//! Three tasks: one listens on the bus, one looks at the order books, one sends. A request that is
//! repeated does no harm: a point with the same series and time takes the place of the former one.

pub mod config;
pub mod line;
pub mod points;
mod post;
pub mod sending;
mod target;
mod telling;

pub use config::InfluxConfig;
pub use points::Points;
pub use sending::Sending;

use super::{Means, SinkMetrics};
use kurs_bus::{Bus, BusError, BusEvent, Subscription};
use kurs_core::{Clock, Pair};
use kurs_sources::Source;
use kurs_telemetry::health::{Health, Status};
use parking_lot::Mutex;
use points::Book;
use post::Post;
use sending::{Outcome, Step};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use telling::Telling;
use thiserror::Error;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

/// Name of the health check and value of the label `sink`.
pub const INFLUXDB: &str = "influxdb";

/// Wait before the bus is asked again.
const BUS_RETRY: Duration = Duration::from_millis(500);
/// At the end, a bus that says nothing for so long has said everything.
const QUIET: Duration = Duration::from_millis(20);

/// The sink cannot be set up; it says why.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct InfluxError(String);

/// A running sink.
#[derive(Debug)]
pub struct InfluxSink {
    shared: Arc<Shared>,
    finish: Duration,
    stage: watch::Sender<Stage>,
    listener: JoinHandle<()>,
    books: Option<JoinHandle<()>>,
    sender: JoinHandle<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Running,
    /// What is on the bus is taken, and nothing after it.
    LastWords,
    /// What waits is sent, and nothing comes after it.
    LastRequests,
}

#[derive(Debug)]
struct Shared {
    points: Points,
    sending: Mutex<Sending>,
    telling: Mutex<Telling>,
    /// Something that the sender has not seen.
    work: Notify,
    metrics: SinkMetrics,
    health: Arc<Health>,
    clock: Arc<dyn Clock>,
}

impl InfluxSink {
    /// Starts to listen and to send. Hears everything that is published when this has returned.
    ///
    /// # Errors
    /// When the address or TLS cannot be used.
    pub async fn start(config: &InfluxConfig, means: Means) -> Result<Self, InfluxError> {
        let post = Post::new(config).map_err(InfluxError)?;
        tracing::info!(url = post.shown(), "sends rates to a time series database");
        let shared = Arc::new(Shared {
            points: Points::new(config),
            sending: Mutex::new(Sending::new(config)),
            telling: Mutex::new(Telling::default()),
            work: Notify::new(),
            metrics: means.influxdb,
            health: means.health,
            clock: means.clock,
        });
        shared.health.set(INFLUXDB, Status::Ok, "");
        let stage = watch::Sender::new(Stage::Running);
        // A bus that is away is asked again later.
        let joined = join(&shared, &*means.bus).await.ok();
        let listener = listen(Arc::clone(&shared), means.bus, joined, stage.subscribe());
        let random = fastrand::Rng::with_seed(means.seed);
        let sender = send(Arc::clone(&shared), post, random, stage.subscribe());
        let books = config.books.then(|| {
            let every = Duration::from_millis(config.book_every_ms);
            let levels = config.book_levels;
            let shared = Arc::clone(&shared);
            tokio::spawn(look(shared, every, levels, means.sources, means.pairs))
        });
        Ok(Self {
            shared,
            finish: Duration::from_millis(config.finish_ms),
            stage,
            listener: tokio::spawn(listener),
            books,
            sender: tokio::spawn(sender),
        })
    }

    /// Lines that wait to be sent, those on their way included.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.sending.lock().rows()
    }

    /// Takes what is on the bus, sends what waits, and ends, at the latest after the configured
    /// time. Gives the number of lines that could not be sent.
    pub async fn finish(mut self) -> usize {
        if let Some(books) = &self.books {
            books.abort();
        }
        let ended = async {
            self.stage.send_replace(Stage::LastWords);
            // An error is a panic, which is an end as well.
            let _ = (&mut self.listener).await;
            self.stage.send_replace(Stage::LastRequests);
            let _ = (&mut self.sender).await;
        };
        let _ = tokio::time::timeout(self.finish, ended).await;
        let left = self.waiting();
        if left > 0 {
            let count = u64::try_from(left).unwrap_or(u64::MAX);
            self.shared.metrics.dropped_unsent.inc_by(count);
            tracing::warn!(lines = left, "could not be sent to InfluxDB before the end");
        }
        // Another sink may never come, and then nobody would look after this check.
        self.shared.health.set(INFLUXDB, Status::Ok, "");
        left
    }
}

impl Drop for InfluxSink {
    fn drop(&mut self) {
        self.listener.abort();
        self.sender.abort();
        if let Some(books) = &self.books {
            books.abort();
        }
    }
}

impl Shared {
    fn push(&self, line: Option<Box<str>>) {
        let Some(line) = line else {
            return;
        };
        let now = self.clock.mono();
        let pushed = {
            let mut sending = self.sending.lock();
            let pushed = sending.push(line, now);
            self.show(&sending);
            pushed
        };
        self.metrics.lines.inc();
        self.dropped(pushed.dropped);
        if pushed.wake {
            self.work.notify_one();
        }
    }

    fn dropped(&self, lines: usize) {
        if lines > 0 {
            let count = u64::try_from(lines).unwrap_or(u64::MAX);
            self.metrics.dropped_full.inc_by(count);
            let now = self.clock.mono();
            self.telling.lock().dropped(count, now);
        }
    }

    fn show(&self, sending: &Sending) {
        let shown = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        self.metrics.waiting.set(shown(sending.rows()));
        self.metrics.waiting_bytes.set(shown(sending.bytes()));
    }

    fn answered(&self, outcome: &Outcome, random: &mut fastrand::Rng) {
        let now = self.clock.mono();
        let settled = {
            let mut sending = self.sending.lock();
            let settled = sending.answered(outcome, now, random);
            self.show(&sending);
            settled
        };
        let count = |lines: usize| u64::try_from(lines).unwrap_or(u64::MAX);
        self.metrics.requests.inc();
        self.metrics.written.inc_by(count(settled.written));
        self.metrics.dropped_refused.inc_by(count(settled.refused));
        self.dropped(settled.dropped);
        let mut telling = self.telling.lock();
        if settled.refused > 0 {
            let (Outcome::Refused { why, .. } | Outcome::Failed { why, .. }) = outcome else {
                return;
            };
            telling.refused(count(settled.refused), why, now);
        }
        match outcome {
            Outcome::Written => {
                telling.works();
                self.health.set(INFLUXDB, Status::Ok, "");
            }
            Outcome::Refused { why, .. } => {
                self.metrics.failures.inc();
                let detail = format!("refuses what it is sent: {why}");
                self.health.set(INFLUXDB, Status::Degraded, &detail);
            }
            Outcome::Failed { why, .. } => {
                self.metrics.failures.inc();
                telling.failed(why);
                let detail = format!("lines wait: {why}");
                self.health.set(INFLUXDB, Status::Degraded, &detail);
            }
        }
    }
}

/// Waits until the sink is to end.
async fn left(stage: &mut watch::Receiver<Stage>) {
    // An error means that the sink is gone, which is an end as well.
    let _ = stage.wait_for(|stage| *stage > Stage::Running).await;
}

/// Takes everything from the bus until the last words.
async fn listen(
    shared: Arc<Shared>,
    bus: Arc<dyn Bus>,
    mut joined: Option<Box<dyn Subscription>>,
    mut stage: watch::Receiver<Stage>,
) {
    loop {
        match follow(&shared, &*bus, joined.take(), &mut stage).await {
            Ok(()) => return,
            Err(error) => tracing::debug!(%error, "the sink cannot listen, trying again"),
        }
        tokio::select! {
            () = tokio::time::sleep(BUS_RETRY) => {}
            () = left(&mut stage) => return,
        }
    }
}

async fn follow(
    shared: &Shared,
    bus: &dyn Bus,
    joined: Option<Box<dyn Subscription>>,
    stage: &mut watch::Receiver<Stage>,
) -> Result<(), BusError> {
    let mut subscription = match joined {
        Some(subscription) => subscription,
        None => join(shared, bus).await?,
    };
    loop {
        let mut next = pin!(subscription.next());
        let heard = tokio::select! {
            event = &mut next => Some(event),
            () = left(stage) => None,
        };
        let event = match heard {
            Some(event) => event?,
            None => match tokio::time::timeout(QUIET, next).await {
                Ok(event) => event?,
                Err(_) => return Ok(()),
            },
        };
        match event {
            BusEvent::Update(update) => shared.push(shared.points.of_update(&update)),
            BusEvent::Gap { lost } => {
                shared.metrics.dropped_lost.inc_by(lost);
                tracing::warn!(lost, "the InfluxDB sink fell behind the bus");
                take_last_values(shared, bus).await?;
            }
        }
    }
}

/// Everything from now on, after the last values of before. What is published meanwhile may be in
/// both, which does no harm.
async fn join(shared: &Shared, bus: &dyn Bus) -> Result<Box<dyn Subscription>, BusError> {
    let subscription = bus.subscribe().await?;
    take_last_values(shared, bus).await?;
    Ok(subscription)
}

async fn take_last_values(shared: &Shared, bus: &dyn Bus) -> Result<(), BusError> {
    for update in bus.last_values().await? {
        shared.push(shared.points.of_update(&update));
    }
    Ok(())
}

/// Looks at the order books from time to time.
async fn look(
    shared: Arc<Shared>,
    every: Duration,
    levels: usize,
    sources: Vec<Arc<dyn Source>>,
    pairs: watch::Receiver<Arc<[Pair]>>,
) {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    // The first tick comes at once, before any book can be in step.
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let pairs = Arc::clone(&pairs.borrow());
        for source in &sources {
            for pair in pairs.iter() {
                shared.push(book(&shared.points, &**source, *pair, levels));
            }
            // A few hundred books are copied: let others have their turn.
            tokio::task::yield_now().await;
        }
    }
}

fn book(points: &Points, source: &dyn Source, pair: Pair, levels: usize) -> Option<Box<str>> {
    let view = source.book(pair, levels)?;
    let (depth, at) = (view.depth?, view.received_at?);
    points.of_book(&Book {
        source: source.id(),
        pair,
        depth: &depth,
        at,
    })
}

/// Sends what waits, until the last requests are through.
async fn send(
    shared: Arc<Shared>,
    post: Post,
    mut random: fastrand::Rng,
    mut stage: watch::Receiver<Stage>,
) {
    loop {
        let is_last = *stage.borrow_and_update() == Stage::LastRequests;
        let step = {
            let now = shared.clock.mono();
            let mut sending = shared.sending.lock();
            if is_last {
                sending.finish();
            }
            sending.next(now)
        };
        let delay = match step {
            Step::Send(lines) => {
                let outcome = post.send(lines).await;
                shared.answered(&outcome, &mut random);
                continue;
            }
            Step::Wait(None) if is_last => return,
            Step::Wait(delay) => delay,
        };
        let passed = async {
            match delay {
                Some(delay) => tokio::time::sleep(delay).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = passed => {}
            () = shared.work.notified() => {}
            _ = stage.changed() => {}
        }
    }
}
