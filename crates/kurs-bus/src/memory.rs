//! The bus inside one process.

use crate::update::Key;
use crate::{
    Body, Bus, BusError, BusEvent, Command, Order, Place, Reply, Request, Requests, Subscription,
    Update,
};
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
    waiting: Arc<tokio::sync::Mutex<mpsc::Receiver<Request>>>,
}

impl MemoryBus {
    /// An empty bus.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(CAPACITY)
    }

    /// An empty bus whose subscribers may lie `capacity` updates behind (at least one, rounded
    /// up to a power of two).
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        let (updates, _) = broadcast::channel(capacity.max(1));
        let (commands, waiting) = mpsc::channel(COMMANDS);
        Self {
            updates,
            last: Mutex::new(HashMap::new()),
            commands,
            waiting: Arc::new(tokio::sync::Mutex::new(waiting)),
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
            // What its sources said goes too, or pairs that come and go would pile up.
            Body::Withdrawn(withdrawn) => last.retain(|key, _| !key.is_of(*withdrawn)),
            _ => {
                last.insert(update.key(), Arc::clone(&update));
            }
        }
        // An error only says that nobody listens.
        let _ = self.updates.send(update);
        Ok(())
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, BusError> {
        Ok(Box::new(MemorySubscription {
            updates: self.updates.subscribe(),
            order: Order::default(),
            lagged: 0,
            after: None,
        }))
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

    async fn requests(&self) -> Result<Box<dyn Requests>, BusError> {
        Ok(Box::new(MemoryRequests {
            waiting: Arc::clone(&self.waiting),
        }))
    }

    async fn flush(&self) -> Result<(), BusError> {
        Ok(())
    }
}

struct MemoryRequests {
    waiting: Arc<tokio::sync::Mutex<mpsc::Receiver<Request>>>,
}

#[async_trait]
impl Requests for MemoryRequests {
    async fn next(&mut self) -> Option<Request> {
        let mut waiting = self.waiting.lock().await;
        loop {
            let request = waiting.recv().await?;
            // Whoever asked was told that nobody answered, so it must not happen after all.
            if !request.reply.is_closed() {
                return Some(request);
            }
        }
    }
}

struct MemorySubscription {
    updates: broadcast::Receiver<Arc<Update>>,
    order: Order,
    /// Updates that went by unheard since the last event.
    lagged: u64,
    /// What was heard after a gap that is told first.
    after: Option<Arc<Update>>,
}

#[async_trait]
impl Subscription for MemorySubscription {
    async fn next(&mut self) -> Result<BusEvent, BusError> {
        if let Some(update) = self.after.take() {
            return Ok(BusEvent::Update(update));
        }
        loop {
            let update = match self.updates.recv().await {
                Ok(update) => update,
                Err(broadcast::error::RecvError::Lagged(lost)) => {
                    // The numbers say it too, but for a shard that was not heard yet.
                    self.lagged = lost;
                    continue;
                }
                Err(broadcast::error::RecvError::Closed) => return Err(BusError::Unavailable),
            };
            let lost = match self.order.place(&update) {
                Place::Next => std::mem::take(&mut self.lagged),
                Place::Again | Place::Outdated => continue,
                Place::After { lost } => lost.max(std::mem::take(&mut self.lagged)),
            };
            if lost == 0 {
                return Ok(BusEvent::Update(update));
            }
            self.after = Some(update);
            return Ok(BusEvent::Gap { lost });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance;

    #[tokio::test(flavor = "multi_thread")]
    async fn it_is_a_bus() {
        let fresh = || async {
            let bus: Arc<dyn Bus> = Arc::new(MemoryBus::with_capacity(256));
            conformance::Opened {
                writer: Arc::clone(&bus),
                reader: bus,
            }
        };
        conformance::run(fresh, 1_000).await;
    }

    #[tokio::test]
    async fn more_requests_than_may_wait_are_told_that_nobody_answered() {
        let bus = Arc::new(MemoryBus::new());
        let mut tasks = tokio::task::JoinSet::new();
        let patience = Duration::from_millis(20);
        for _ in 0..COMMANDS * 2 {
            let bus = Arc::clone(&bus);
            tasks
                .spawn(async move { bus.request(conformance::untrack("BTCUSDT"), patience).await });
        }
        while let Some(answer) = tasks.join_next().await {
            assert_eq!(answer.unwrap(), Err(BusError::NoAnswer(patience)));
        }
    }
}
