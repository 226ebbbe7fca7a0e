//! The bus.

use crate::batch::Bounds;
use crate::link::{self, Link};
use crate::publisher::Publisher;
use crate::{RedisOptions, ask, listen, subscription};
use async_trait::async_trait;
use kurs_bus::{Bus, BusError, Command, Monitor, Outbox, Reply, Requests, Subscription, Update};
use redis::{RedisError, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tracing::debug;

/// Longest wait for all last values.
const LAST_VALUES: Duration = Duration::from_secs(10);
/// Commands asked from here at once, each over a connection of its own; others wait.
const ASKING: usize = 64;

/// The bus over Redis. Its tasks end when it is dropped, and subscriptions with them.
#[derive(Debug)]
pub struct RedisBus {
    link: Arc<Link>,
    monitor: Monitor,
    asking: Semaphore,
    /// Dropped with the bus, which ends its tasks.
    _running: watch::Sender<()>,
}

impl RedisBus {
    /// Makes the bus and begins to connect, in the background: a server that is away is waited
    /// for. Must be called within a tokio runtime.
    #[must_use]
    pub fn new(options: RedisOptions) -> Self {
        choose_crypto();
        let bounds = Bounds {
            length_max: options.config.flow_length_max,
            age_ms_max: options.config.flow_age_ms,
        };
        let (running, ended) = watch::channel(());
        let outbox = Arc::new(Outbox::default());
        let (monitor, state) = Monitor::new("redis", Arc::clone(&outbox));
        let link = Arc::new(Link::new(options, Arc::clone(monitor.counters()), ended));
        let publisher = Publisher {
            link: Arc::clone(&link),
            outbox,
            bounds,
            state,
        };
        tokio::spawn(Arc::clone(&link).until_ended(publisher.run()));
        Self {
            link,
            monitor,
            asking: Semaphore::new(ASKING),
            _running: running,
        }
    }

    /// How the server is, and what went over it.
    #[must_use]
    pub const fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    fn unavailable(&self, error: &RedisError) -> BusError {
        let (server, why) = (&self.link.server, link::complaint(error));
        debug!(server, why, "Redis is out of reach");
        BusError::Unavailable
    }

    /// The last values as the server keeps them, over a connection of their own: they are long.
    async fn read_last_values(&self) -> Result<Vec<Vec<u8>>, RedisError> {
        let mut connection = self.link.connect().await?.connection;
        connection.set_response_timeout(LAST_VALUES);
        let mut command = redis::cmd("HVALS");
        command.arg(&self.link.keys.last);
        let Value::Array(values) = link::ask(&mut connection, &command).await? else {
            return Err(link::unexpected("HVALS"));
        };
        let texts = values.into_iter().map(|value| match value {
            Value::BulkString(text) => text,
            // Nothing that can be read, which is counted like everything of that kind.
            _ => Vec::new(),
        });
        Ok(texts.collect())
    }
}

/// For connections over TLS. A program that has chosen already keeps its choice.
pub(crate) fn choose_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[async_trait]
impl Bus for RedisBus {
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
        match subscription::subscribe(&self.link).await {
            Ok(subscription) => Ok(Box::new(subscription)),
            Err(error) => Err(self.unavailable(&error)),
        }
    }

    async fn last_values(&self) -> Result<Vec<Arc<Update>>, BusError> {
        let texts = match self.read_last_values().await {
            Ok(texts) => texts,
            Err(error) => return Err(self.unavailable(&error)),
        };
        let link = Arc::clone(&self.link);
        // Some ten thousands of texts take longer than other tasks of this thread should wait.
        let decoded = tokio::task::spawn_blocking(move || {
            let updates = texts.iter().filter_map(|text| link.counters.decode(text));
            updates.map(Arc::new).collect::<Vec<_>>()
        });
        decoded.await.map_err(|_| BusError::Unavailable)
    }

    async fn request(&self, command: Command, patience: Duration) -> Result<Reply, BusError> {
        let asked = async {
            let end = Instant::now() + patience;
            // Never closed.
            let _permit = self.asking.acquire().await;
            ask::ask(&self.link, &command, end).await
        };
        tokio::time::timeout(patience, asked)
            .await
            .unwrap_or(Err(BusError::NoAnswer(patience)))
    }

    async fn requests(&self) -> Result<Box<dyn Requests>, BusError> {
        match listen::listen(&self.link).await {
            Ok(requests) => Ok(Box::new(requests)),
            Err(error) => Err(self.unavailable(&error)),
        }
    }
}
