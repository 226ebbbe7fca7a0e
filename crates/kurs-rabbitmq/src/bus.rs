//! [`RabbitBus`].

use crate::RabbitOptions;
use crate::commands::{CommandQueue, request};
use crate::flow::Flow;
use crate::fold::Fold;
use crate::link::{Failure, Link, backoff};
use crate::names::{Names, is_missing};
use crate::publisher::Publisher;
use crate::subscription::{FlowSubscription, join};
use crate::values::{Known, Snapshots};
use async_trait::async_trait;
use kurs_bus::{
    Bus, BusCounters, BusError, Command, Monitor, Outbox, Reply, Requests, StateTeller,
    Subscription, Update,
};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// Updates and commands over RabbitMQ. Its tasks end with it.
#[derive(Debug)]
pub struct RabbitBus {
    monitor: Monitor,
    flow: Arc<Flow>,
    /// The flow was there once.
    was_there: AtomicBool,
    _tasks: JoinSet<()>,
}

impl RabbitBus {
    /// Opens the bus. Does not wait for the server, which may be away; must be called within a
    /// tokio runtime.
    #[must_use]
    pub fn new(options: RabbitOptions) -> Self {
        let outbox = Arc::new(Outbox::default());
        let (monitor, state) = Monitor::new("rabbitmq", Arc::clone(&outbox));
        let counters = monitor.counters();
        let (config, tuning) = (&options.config, options.config.tuning);
        let link = |what| Link::open(what, &options, Arc::clone(counters));
        let (inward, inward_keeper) = link("to read");
        let (outward, outward_keeper) = link("to publish");
        let mut tasks = JoinSet::new();
        tasks.spawn(inward_keeper);
        tasks.spawn(outward_keeper);
        let flow = Arc::new(Flow {
            names: Names::new(config),
            inward: inward.clone(),
            outward: outward.clone(),
            prefetch: tuning.prefetch,
            random: Mutex::new(fastrand::Rng::with_seed(marker_seed(options.seed))),
        });
        let snapshots = Arc::new(Snapshots {
            flow: Arc::clone(&flow),
            counters: Arc::clone(counters),
            every: config.snapshot_every(),
            known: Mutex::new(Known::default()),
            wanted: Notify::new(),
        });
        tasks.spawn(Arc::clone(&snapshots).run());
        let publisher = Publisher {
            flow: Arc::clone(&flow),
            outbox,
            counters: Arc::clone(counters),
            snapshots,
            window: tuning.window,
            backoff: backoff(options.seed),
            own: Fold::default(),
            mark: None,
        };
        tasks.spawn(publisher.run());
        tasks.spawn(tell_state(inward, outward, state));
        Self {
            monitor,
            flow,
            was_there: AtomicBool::new(false),
            _tasks: tasks,
        }
    }

    /// How the server is, and what went over it.
    #[must_use]
    pub const fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    fn means(&self) -> (Arc<Flow>, Arc<BusCounters>) {
        (Arc::clone(&self.flow), Arc::clone(self.monitor.counters()))
    }
}

#[async_trait]
impl Bus for RabbitBus {
    fn publish(&self, update: Arc<Update>) -> Result<(), BusError> {
        self.monitor.outbox().put(update);
        Ok(())
    }

    fn broker(&self) -> Option<&Monitor> {
        Some(&self.monitor)
    }

    async fn flush(&self) -> Result<(), BusError> {
        self.monitor.outbox().flushed().await;
        Ok(())
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, BusError> {
        let was_there = self.was_there.load(Ordering::Relaxed);
        let joined = join(&self.flow, was_there).await.map_err(unavailable)?;
        self.was_there.store(true, Ordering::Relaxed);
        let (flow, counters) = self.means();
        Ok(Box::new(FlowSubscription::new(flow, counters, joined)))
    }

    async fn last_values(&self) -> Result<Vec<Arc<Update>>, BusError> {
        let values = async || {
            let mut known = Known::newest(&self.flow).await?;
            known.catch_up(&self.flow, self.monitor.counters()).await?;
            Ok(known.fold.into_values())
        };
        match values().await {
            Err(Failure::Client(error)) if is_missing(&error) => {
                // Waits for a flow that is being made again, and makes one that never was.
                let was_there = self.was_there.load(Ordering::Relaxed);
                join(&self.flow, was_there).await.map_err(unavailable)?;
                values().await.map_err(unavailable)
            }
            values => values.map_err(unavailable),
        }
    }

    async fn request(&self, command: Command, patience: Duration) -> Result<Reply, BusError> {
        request(&self.flow, self.monitor.counters(), &command, patience).await
    }

    async fn requests(&self) -> Result<Box<dyn Requests>, BusError> {
        let (flow, counters) = self.means();
        let queue = CommandQueue::open(flow, counters).await;
        Ok(Box::new(queue.map_err(unavailable)?))
    }
}

fn unavailable(failure: Failure) -> BusError {
    tracing::debug!("RabbitMQ: {failure}");
    BusError::Unavailable
}

/// Two programs with one seed must not know each other's markers for their own.
fn marker_seed(seed: u64) -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    seed ^ RandomState::new().build_hasher().finish()
}

/// Both ways, or it does not count as connected.
async fn tell_state(mut inward: Link, mut outward: Link, state: StateTeller) {
    loop {
        match inward.why_away().or_else(|| outward.why_away()) {
            None => state.connected(""),
            Some(why) => state.away(&why),
        }
        let goes_on = tokio::select! {
            changed = inward.changed() => changed,
            changed = outward.changed() => changed,
        };
        if goes_on.is_none() {
            return;
        }
    }
}
