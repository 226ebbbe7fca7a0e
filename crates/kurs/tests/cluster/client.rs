//! A client of one Reader: asks again and again, remembers what it was told, and complains.

use crate::world::Node;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Pairs that it asks for.
const PAIRS: [&str; 2] = ["BTC-USDT", "ETH-USDT"];
const PAUSE: Duration = Duration::from_millis(10);

/// Epoch and number of what is served.
pub(crate) type Id = (u64, u64);

pub(crate) struct Client {
    told: Arc<Mutex<Told>>,
    has_ended: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    /// Answers, and those of them that were no rate or no fresh one.
    pub(crate) looks: u32,
    pub(crate) failed: u32,
    pub(crate) stale: u32,
    /// How often a fresh rate of the first pair was newer than the one before.
    pub(crate) renewals: u32,
    /// What was served last of each pair.
    pub(crate) last: BTreeMap<&'static str, Id>,
    pub(crate) ids: BTreeSet<Id>,
    /// Whatever went back.
    pub(crate) complaints: Vec<String>,
}

impl Told {
    fn note(&mut self, pair: &'static str, status: u16, rate: &serde_json::Value) {
        self.looks += 1;
        self.failed += u32::from(status != 200);
        let is_fresh = rate["state"] == "fresh";
        self.stale += u32::from(!is_fresh);
        if status != 200 {
            return;
        }
        let number = |name: &str| rate[name].as_u64().unwrap();
        let id = (number("epoch"), number("seq"));
        let former = self.last.insert(pair, id);
        let is_newer = former.is_some_and(|former| former < id);
        self.renewals += u32::from(pair == PAIRS[0] && is_fresh && is_newer);
        if let Some(former) = former.filter(|former| *former > id) {
            let text = format!("{pair} went back from {former:?} to {id:?}");
            self.complaints.push(text);
        }
        self.ids.insert(id);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Client {
    /// Asks from now on. The Reader must have a rate of each pair.
    pub(crate) fn start(reader: &Node) -> Self {
        let told = Arc::new(Mutex::new(Told::default()));
        let has_ended = Arc::new(AtomicBool::new(false));
        let (shared, ended) = (Arc::clone(&told), Arc::clone(&has_ended));
        let door = reader.door.clone();
        let task = tokio::spawn(async move {
            while !ended.load(Ordering::Relaxed) {
                for pair in PAIRS {
                    let pair_path = pair.replace('-', "/");
                    let path = format!("/api/v1/rates/{pair_path}?allow_stale=true");
                    let (status, rate) = door.get(&path).await;
                    shared.lock().unwrap().note(pair, status, &rate);
                }
                tokio::time::sleep(PAUSE).await;
            }
        });
        Self {
            told,
            has_ended,
            task,
        }
    }

    /// What it has been told so far.
    pub(crate) fn told(&self) -> Told {
        self.told.lock().unwrap().clone()
    }

    /// True when for every pair it was told something at least as new.
    pub(crate) fn has(&self, newest: &BTreeMap<&'static str, Id>) -> bool {
        let told = self.told.lock().unwrap();
        newest
            .iter()
            .all(|(pair, id)| told.last.get(pair) >= Some(id))
    }

    /// All that it was told, when the last answer is there.
    pub(crate) async fn end(mut self) -> Told {
        self.has_ended.store(true, Ordering::Relaxed);
        (&mut self.task).await.unwrap();
        self.told()
    }
}
