//! The bus.

use crate::link::{Keeper, Links, Trouble};
use crate::names::Names;
use crate::publisher::Publisher;
use crate::stats::{BusState, NatsCounters};
use crate::{NatsOptions, Reader, command, last, subscription};
use async_trait::async_trait;
use kurs_bus::{Bus, BusError, Command, Outbox, Reply, Requests, Subscription, Update};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tracing::debug;

/// How long a connection is waited for before the bus counts as out of reach.
const REACH: Duration = Duration::from_secs(2);

/// The bus over NATS JetStream. Its tasks end when it is dropped.
#[derive(Debug)]
pub struct NatsBus {
    outbox: Arc<Outbox>,
    links: Links,
    reader: Reader,
    state: watch::Receiver<BusState>,
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
        let counters = Arc::new(NatsCounters::default());
        let outbox = Arc::new(Outbox::default());
        let reader = Reader {
            names: names.clone(),
            counters: Arc::clone(&counters),
            buffer: options.config.buffer,
        };
        let (told, state) = watch::channel(BusState::default());
        let (window, seed) = (options.config.window.max(1), options.seed);
        let (keeper, links) = Keeper::new(options, names.clone(), Arc::clone(&counters), told);
        let publisher = Publisher {
            outbox: Arc::clone(&outbox),
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
            outbox,
            links,
            reader,
            state,
            seed: AtomicU64::new(seed.wrapping_add(2)),
            tasks,
        }
    }

    /// How the connection is.
    #[must_use]
    pub fn state(&self) -> BusState {
        self.state.borrow().clone()
    }

    /// Follows how the connection is.
    #[must_use]
    pub fn follow_state(&self) -> watch::Receiver<BusState> {
        self.state.clone()
    }

    /// Counters since the start.
    #[must_use]
    pub fn counters(&self) -> &Arc<NatsCounters> {
        &self.reader.counters
    }

    /// Updates on their way to the server.
    #[must_use]
    pub const fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
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
        self.outbox.put(update);
        Ok(())
    }

    fn is_reached(&self) -> bool {
        self.state().is_connected
    }

    async fn flush(&self) -> Result<(), BusError> {
        self.outbox.flushed().await;
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
        let (names, counters) = (self.reader.names.clone(), Arc::clone(self.counters()));
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
