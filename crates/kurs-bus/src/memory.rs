//! The bus inside one process.

use crate::update::Key;
use crate::{Body, Bus, BusError, BusEvent, Command, Reply, Request, Subscription, Update};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, oneshot};

/// Updates a slow subscriber may lie behind before it is told of a gap.
const CAPACITY: usize = 16_384;
/// Commands that may wait for the Writer.
const COMMANDS: usize = 64;

/// Broadcast to subscribers in this process; the last value of every key is kept.
#[derive(Debug)]
pub struct MemoryBus {
    updates: broadcast::Sender<Arc<Update>>,
    last: Mutex<HashMap<Key, Arc<Update>>>,
    commands: mpsc::Sender<Request>,
    waiting: tokio::sync::Mutex<mpsc::Receiver<Request>>,
}

impl MemoryBus {
    /// An empty bus.
    #[must_use]
    pub fn new() -> Self {
        let (updates, _) = broadcast::channel(CAPACITY);
        let (commands, waiting) = mpsc::channel(COMMANDS);
        Self {
            updates,
            last: Mutex::new(HashMap::new()),
            commands,
            waiting: tokio::sync::Mutex::new(waiting),
        }
    }
}

impl Default for MemoryBus {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl Bus for MemoryBus {
    fn publish(&self, update: Arc<Update>) -> Result<(), BusError> {
        // Under one lock with the send, so that the last values never lag behind the flow.
        let mut last = self.last.lock();
        match &update.body {
            Body::Withdrawn(pair) => {
                last.remove(&Key::Rate(*pair));
            }
            body => {
                last.insert(body.key(), Arc::clone(&update));
            }
        }
        // An error only says that nobody listens.
        let _ = self.updates.send(update);
        Ok(())
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, BusError> {
        Ok(Box::new(MemorySubscription { updates: self.updates.subscribe() }))
    }

    async fn last_values(&self) -> Result<Vec<Arc<Update>>, BusError> {
        Ok(self.last.lock().values().cloned().collect())
    }

    async fn request(&self, command: Command, patience: Duration) -> Result<Reply, BusError> {
        let (reply, answer) = oneshot::channel();
        let asked = async {
            self.commands
                .send(Request { command, reply })
                .await
                .map_err(|_| BusError::Unavailable)?;
            answer.await.map_err(|_| BusError::Unavailable)
        };
        tokio::time::timeout(patience, asked)
            .await
            .unwrap_or(Err(BusError::NoAnswer(patience)))
    }

    async fn next_request(&self) -> Option<Request> {
        self.waiting.lock().await.recv().await
    }
}

struct MemorySubscription {
    updates: broadcast::Receiver<Arc<Update>>,
}

#[async_trait]
impl Subscription for MemorySubscription {
    async fn next(&mut self) -> Result<BusEvent, BusError> {
        match self.updates.recv().await {
            Ok(update) => Ok(BusEvent::Update(update)),
            Err(broadcast::error::RecvError::Lagged(lost)) => Ok(BusEvent::Gap { lost }),
            Err(broadcast::error::RecvError::Closed) => Err(BusError::Unavailable),
        }
    }
}
