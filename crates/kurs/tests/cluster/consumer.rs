//! An end consumer: hears everything, remembers all of it, and complains.

use kurs_bus::{Body, Bus, BusEvent, Update};
use kurs_core::{Epoch, UpdateId};
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::task::JoinHandle;

pub(crate) struct Consumer {
    heard: Arc<Mutex<Heard>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) updates: Vec<(Instant, Arc<Update>)>,
    pub(crate) complaints: Vec<String>,
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Consumer {
    pub(crate) async fn start(bus: Arc<dyn Bus>) -> Self {
        let mut subscription = loop {
            match bus.subscribe().await {
                Ok(subscription) => break subscription,
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            }
        };
        let heard = Arc::new(Mutex::new(Heard::default()));
        let shared = Arc::clone(&heard);
        let task = tokio::spawn(async move {
            let _bus = bus;
            let mut words = HashSet::new();
            while let Ok(event) = subscription.next().await {
                let mut heard = shared.lock().unwrap();
                match event {
                    BusEvent::Gap { lost } => {
                        heard.complaints.push(format!("{lost} updates are missing"));
                    }
                    BusEvent::Update(update) => {
                        if let Some((_, last)) = heard.updates.last()
                            && last.id >= update.id
                        {
                            let text = format!("{} after {}", update.id, last.id);
                            heard.complaints.push(text);
                        }
                        if let (Body::Rate(rate), Some(cause)) = (&update.body, update.cause)
                            && cause.pair == rate.pair
                            && !words.insert((cause, rate.value, rate.state))
                        {
                            let text = format!("{} twice: {cause:?} {}", update.id, rate.value);
                            heard.complaints.push(text);
                        }
                        heard.updates.push((Instant::now(), update));
                    }
                }
            }
        });
        Self { heard, task }
    }

    pub(crate) fn look<T>(&self, question: impl FnOnce(&Heard) -> T) -> T {
        question(&self.heard.lock().unwrap())
    }

    /// When the first rate of an epoch above this one was heard.
    pub(crate) fn first_after(&self, epoch: u64) -> Option<Instant> {
        self.look(|heard| {
            let is_first = |(_, update): &&(Instant, Arc<Update>)| {
                update.id.epoch > Epoch(epoch) && matches!(update.body, Body::Rate(_))
            };
            heard.updates.iter().find(is_first).map(|(at, _)| *at)
        })
    }

    /// The rates that were heard.
    pub(crate) fn rates(&self) -> Vec<UpdateId> {
        self.look(|heard| {
            let updates = heard.updates.iter();
            let rates = updates.filter(|(_, update)| matches!(update.body, Body::Rate(_)));
            rates.map(|(_, update)| update.id).collect()
        })
    }

    pub(crate) fn complaints(&self) -> Vec<String> {
        self.look(|heard| heard.complaints.clone())
    }
}
