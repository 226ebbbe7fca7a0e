//! [`RabbitBus`].

use crate::commands::{CommandQueue, request};
use crate::counters::{Counters, count};
use crate::flow::Flow;
use crate::fold::Fold;
use crate::link::{Backoff, Failure, Link};
use crate::names::{Names, is_missing};
use crate::publisher::Publisher;
use crate::subscription::{FlowSubscription, join};
use crate::values::{Known, Snapshots};
use crate::{RabbitOptions, RabbitOptionsError};
use async_trait::async_trait;
use kurs_bus::{Bus, BusError, Command, Outbox, Reply, Requests, Subscription, Update};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;

/// Updates and commands over RabbitMQ. Its tasks end with it.
#[derive(Debug)]
pub struct RabbitBus {
    outbox: Arc<Outbox>,
    flow: Arc<Flow>,
    counters: Arc<Counters>,
    connected: watch::Receiver<bool>,
    /// The flow was there once.
    was_there: AtomicBool,
    _tasks: JoinSet<()>,
}

impl RabbitBus {
    /// Opens the bus. Does not wait for the server, which may be away; must be called within a
    /// tokio runtime.
    ///
    /// # Errors
    /// The first mistake in the options; [`RabbitOptions::mistakes`] has them all.
    pub fn new(options: &RabbitOptions) -> Result<Self, RabbitOptionsError> {
        if let Some(mistake) = options.mistakes().into_iter().next() {
            return Err(mistake);
        }
        let uri = options.address()?;
        let counters = Arc::new(Counters::default());
        let link = |what| Link::open(what, options, uri.clone(), Arc::clone(&counters));
        let (inward, inward_keeper) = link("to read");
        let (outward, outward_keeper) = link("to publish");
        let mut tasks = JoinSet::new();
        tasks.spawn(inward_keeper);
        tasks.spawn(outward_keeper);
        let flow = Arc::new(Flow {
            names: Names::new(options),
            inward: inward.clone(),
            outward: outward.clone(),
            prefetch: options.prefetch,
            random: Mutex::new(fastrand::Rng::with_seed(marker_seed(options.seed))),
        });
        let snapshots = Arc::new(Snapshots {
            flow: Arc::clone(&flow),
            counters: Arc::clone(&counters),
            every: options.snapshot_every,
            known: Mutex::new(Known::default()),
            wanted: Notify::new(),
        });
        tasks.spawn(Arc::clone(&snapshots).run());
        let outbox = Arc::new(Outbox::new(options.outbox_max));
        let publisher = Publisher {
            flow: Arc::clone(&flow),
            outbox: Arc::clone(&outbox),
            counters: Arc::clone(&counters),
            snapshots,
            window: options.window,
            backoff: Backoff::new(options.seed),
            own: Fold::default(),
            mark: None,
        };
        tasks.spawn(publisher.run());
        let (tell, connected) = watch::channel(false);
        tasks.spawn(tell_connected(inward, outward, tell));
        Ok(Self {
            outbox,
            flow,
            counters,
            connected,
            was_there: AtomicBool::new(false),
            _tasks: tasks,
        })
    }

    /// What went through.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether the server is connected, both ways.
    #[must_use]
    pub fn connected(&self) -> watch::Receiver<bool> {
        self.connected.clone()
    }

    /// Updates that wait for the server.
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }
}

#[async_trait]
impl Bus for RabbitBus {
    fn publish(&self, update: Arc<Update>) -> Result<(), BusError> {
        count(&self.counters.published, 1);
        self.outbox.put(update);
        Ok(())
    }

    fn is_reached(&self) -> bool {
        *self.connected().borrow()
    }

    async fn flush(&self) -> Result<(), BusError> {
        self.outbox.flushed().await;
        Ok(())
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, BusError> {
        let was_there = self.was_there.load(Ordering::Relaxed);
        let joined = join(&self.flow, was_there).await.map_err(unavailable)?;
        self.was_there.store(true, Ordering::Relaxed);
        let (flow, counters) = (Arc::clone(&self.flow), Arc::clone(&self.counters));
        Ok(Box::new(FlowSubscription::new(flow, counters, joined)))
    }

    async fn last_values(&self) -> Result<Vec<Arc<Update>>, BusError> {
        let values = async || {
            let mut known = Known::newest(&self.flow).await?;
            known.catch_up(&self.flow, &self.counters).await?;
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
        request(&self.flow, &self.counters, &command, patience).await
    }

    async fn requests(&self) -> Result<Box<dyn Requests>, BusError> {
        let (flow, counters) = (Arc::clone(&self.flow), Arc::clone(&self.counters));
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

async fn tell_connected(mut inward: Link, mut outward: Link, tell: watch::Sender<bool>) {
    loop {
        tell.send_if_modified(|connected| {
            let now = inward.is_there() && outward.is_there();
            std::mem::replace(connected, now) != now
        });
        let goes_on = tokio::select! {
            changed = inward.changed() => changed,
            changed = outward.changed() => changed,
        };
        if goes_on.is_none() {
            return;
        }
    }
}
