//! The bus.

use crate::link::{Keeper, Links, Trouble};
use crate::names::Names;
use crate::publisher::Publisher;
use crate::{NatsOptions, Reader, command, last, subscription};
use async_trait::async_trait;
use kurs_bus::{Bus, BusError, Command, Monitor, Outbox, Reply, Requests, Subscription, Update};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tracing::debug;

/// How long a connection is waited for before the bus counts as out of reach.
const REACH: Duration = Duration::from_secs(2);

/// The bus over NATS JetStream. Its tasks end when it is dropped.
#[derive(Debug)]
pub struct NatsBus {
    monitor: Monitor,
    links: Links,
    reader: Reader,
    /// Seeds of what is opened over it.
    seed: AtomicU64,
    tasks: [AbortHandle; 2],
}

impl NatsBus {
    /// Makes the bus and begins to connect, in the background: a server that is away is waited
    /// for. Must be called within a tokio runtime.
    #[must_use]
    pub fn new(options: NatsOptions) -> Self {
        let names = Names::new(&options.config.prefix);
        let outbox = Arc::new(Outbox::default());
        let (monitor, state) = Monitor::new("nats", Arc::clone(&outbox));
        let counters = Arc::clone(monitor.counters());
        let reader = Reader {
            names: names.clone(),
            counters: Arc::clone(&counters),
            buffer: options.config.buffer,
        };
        let (window, seed) = (options.config.window.max(1), options.seed);
        let (keeper, links) = Keeper::new(options, names.clone(), Arc::clone(&counters), state);
        let publisher = Publisher {
            outbox,
            links: links.clone(),
            names,
            counters,
            window,
            seed: seed.wrapping_add(1),
        };
        let tasks = [
            tokio::spawn(keeper.run()).abort_handle(),
            tokio::spawn(publisher.run()).abort_handle(),
        ];
        Self {
            monitor,
            links,
            reader,
            seed: AtomicU64::new(seed.wrapping_add(2)),
            tasks,
        }
    }

    /// How the server is, and what went over it.
    #[must_use]
    pub const fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    async fn link(&self) -> Result<Arc<crate::link::Link>, BusError> {
        let mut links = self.links.clone();
        links.link_within(REACH).await.ok_or(BusError::Unavailable)
    }
}

fn unavailable(Trouble(why): Trouble) -> BusError {
    debug!(why, "NATS is not available");
    BusError::Unavailable
}

#[async_trait]
impl Bus for NatsBus {
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
        let link = self.link().await?;
        let seed = self.seed.fetch_add(1, Ordering::Relaxed);
        let opened = subscription::open(&link, self.links.clone(), self.reader.clone(), seed);
        Ok(Box::new(opened.await.map_err(unavailable)?))
    }

    async fn last_values(&self) -> Result<Vec<Arc<Update>>, BusError> {
        let link = self.link().await?;
        last::values(&link, &self.reader).await.map_err(unavailable)
    }

    async fn request(&self, command: Command, patience: Duration) -> Result<Reply, BusError> {
        let until = Instant::now() + patience;
        let mut links = self.links.clone();
        let link = links.link_within(REACH.min(patience)).await;
        let link = link.ok_or(BusError::Unavailable)?;
        command::ask(&link, &self.reader.names, &command, until, patience).await
    }

    async fn requests(&self) -> Result<Box<dyn Requests>, BusError> {
        let link = self.link().await?;
        let (names, counters) = (self.reader.names.clone(), Arc::clone(&self.reader.counters));
        let listening = command::listen(&link, self.links.clone(), names, counters);
        Ok(Box::new(listening.await.map_err(unavailable)?))
    }
}

impl Drop for NatsBus {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        // Whoever still holds it has to let go of it.
        self.links.end();
    }
}
