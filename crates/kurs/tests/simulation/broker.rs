//! The broker, played: takes what Writers hand over, keeps the last value of each key, and hands
//! everything to those who can hear it.

use async_trait::async_trait;
use kurs_bus::update::Key;
use kurs_bus::{Body, Bus, BusError, Command, Outbox, Reply, Requests, Subscription, Update};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct Broker {
    last: HashMap<Key, Arc<Update>>,
    pub(crate) is_down: bool,
}

impl Broker {
    pub(crate) fn take(&mut self, update: &Arc<Update>) {
        if let Body::Withdrawn(pair) = &update.body {
            self.last.retain(|key, _| !key.is_of(*pair));
        } else {
            self.last.insert(update.key(), Arc::clone(update));
        }
    }

    /// By id, so that the same seed gives the same order.
    pub(crate) fn last_values(&self) -> Vec<Arc<Update>> {
        let mut values: Vec<_> = self.last.values().cloned().collect();
        values.sort_by_key(|update| update.id);
        values
    }
}

/// The way of one Writer to the broker: what is published waits in a real outbox.
pub(crate) struct Line(pub(crate) Arc<Outbox>);

#[async_trait]
impl Bus for Line {
    fn publish(&self, update: Arc<Update>) -> Result<(), BusError> {
        self.0.put(update);
        Ok(())
    }

    async fn flush(&self) -> Result<(), BusError> {
        Ok(())
    }

    async fn subscribe(&self) -> Result<Box<dyn Subscription>, BusError> {
        Err(BusError::Unavailable)
    }

    async fn last_values(&self) -> Result<Vec<Arc<Update>>, BusError> {
        Err(BusError::Unavailable)
    }

    async fn request(&self, _: Command, patience: Duration) -> Result<Reply, BusError> {
        Err(BusError::NoAnswer(patience))
    }

    async fn requests(&self) -> Result<Box<dyn Requests>, BusError> {
        Err(BusError::Unavailable)
    }
}
