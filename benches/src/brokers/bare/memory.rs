//! A channel of tokio, and a map of last values.

use super::super::contest::{Contestant, Heard};
use super::super::flow::Market;
use kurs_bus::Update;
use kurs_bus::update::Key;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::runtime::Runtime;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::AbortHandle;

/// As many as the bus has.
const CAPACITY: usize = 16_384;

pub(in super::super) struct Channel {
    market: Arc<Market>,
    updates: broadcast::Sender<Arc<Update>>,
    last: Mutex<HashMap<Key, Arc<Update>>>,
    heard: Arc<Heard>,
    task: AbortHandle,
}

impl Channel {
    pub(in super::super) fn new(runtime: &Runtime, market: &Arc<Market>) -> Self {
        let (updates, mut come) = broadcast::channel(CAPACITY);
        let heard = Arc::new(Heard::default());
        let ear = Arc::clone(&heard);
        let task = runtime.spawn(async move {
            loop {
                match come.recv().await {
                    Ok(_) => ear.one(),
                    Err(RecvError::Lagged(lost)) => ear.fail(format!("{lost} were lost")),
                    Err(RecvError::Closed) => return,
                }
            }
        });
        Self {
            market: Arc::clone(market),
            updates,
            last: Mutex::default(),
            heard,
            task: task.abort_handle(),
        }
    }
}

impl Contestant for Channel {
    fn publish(&self, seq: u64) {
        let update = self.market.update(seq);
        self.last.lock().insert(update.key(), Arc::clone(&update));
        // An error only says that nobody listens, which shows.
        let _ = self.updates.send(update);
    }

    fn heard(&self) -> &Heard {
        &self.heard
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.task.abort();
    }
}
