//! Updates on their way to a broker: in order, bounded, and kept until the broker has them.

use crate::update::Key;
use crate::{Body, Update};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use tokio::sync::Notify;

/// Updates that wait for a broker, at most, before those are dropped that a later one of the same
/// key has replaced. Subscribers notice by the numbers, and take the last values again.
pub const OUTBOX_MAX: usize = 65_536;

/// The way from the engine's thread to a broker. Putting in never waits.
#[derive(Debug)]
pub struct Outbox {
    inner: Mutex<Inner>,
    filled: Notify,
    emptied: Notify,
    most: usize,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: VecDeque<Arc<Update>>,
    /// Handed to the broker, which has not said yet that it has them.
    in_flight: VecDeque<Arc<Update>>,
    last: HashMap<Key, Arc<Update>>,
    superseded: u64,
}

impl Default for Outbox {
    fn default() -> Self {
        Self::new(OUTBOX_MAX)
    }
}

impl Outbox {
    /// An empty outbox that holds about `most` updates.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self {
            inner: Mutex::default(),
            filled: Notify::new(),
            emptied: Notify::new(),
            most: most.max(1),
        }
    }

    /// Puts an update behind all others.
    pub fn put(&self, update: Arc<Update>) {
        let mut inner = self.inner.lock();
        inner.remember(&update);
        inner.waiting.push_back(update);
        if inner.waiting.len() > self.most {
            inner.keep_newest_of_each_key();
        }
        drop(inner);
        self.filled.notify_one();
    }

    /// Waits until something waits.
    pub async fn ready(&self) {
        loop {
            // Asked for before looking, so that nothing is missed in between.
            let filled = self.filled.notified();
            if !self.inner.lock().waiting.is_empty() {
                return;
            }
            filled.await;
        }
    }

    /// Takes up to `most` updates, in order. They stay in flight until they are confirmed.
    pub fn take(&self, most: usize) -> Vec<Arc<Update>> {
        let mut inner = self.inner.lock();
        let count = inner.waiting.len().min(most);
        let taken: Vec<Arc<Update>> = inner.waiting.drain(..count).collect();
        inner.in_flight.extend(taken.iter().cloned());
        taken
    }

    /// The broker has the `count` oldest of those in flight.
    pub fn confirm(&self, count: usize) {
        let mut inner = self.inner.lock();
        let count = count.min(inner.in_flight.len());
        inner.in_flight.drain(..count);
        let is_empty = inner.in_flight.is_empty() && inner.waiting.is_empty();
        drop(inner);
        if is_empty {
            self.emptied.notify_waiters();
        }
    }

    /// Puts everything in flight back in front: nobody knows whether the broker has it. It may
    /// come to subscribers twice, who know it by its id.
    pub fn put_back(&self) {
        let mut inner = self.inner.lock();
        while let Some(update) = inner.in_flight.pop_back() {
            inner.waiting.push_front(update);
        }
        if inner.waiting.len() > self.most {
            inner.keep_newest_of_each_key();
        }
        drop(inner);
        self.filled.notify_one();
    }

    /// Puts the last value of every key in front of everything that waits, in the order of their
    /// ids: the broker has lost what it had. What waits is among them or comes later.
    pub fn put_everything_again(&self) {
        let mut inner = self.inner.lock();
        inner.in_flight.clear();
        let waiting: HashSet<_> = inner.waiting.iter().map(|update| update.id).collect();
        let mut all: Vec<Arc<Update>> = inner.last.values().cloned().collect();
        all.retain(|update| !waiting.contains(&update.id));
        all.extend(inner.waiting.drain(..));
        all.sort_unstable_by_key(|update| update.id);
        inner.waiting = all.into();
        drop(inner);
        self.filled.notify_one();
    }

    /// Waits until the broker has everything that was put in.
    pub async fn flushed(&self) {
        loop {
            let emptied = self.emptied.notified();
            tokio::pin!(emptied);
            emptied.as_mut().enable();
            let is_empty = {
                let inner = self.inner.lock();
                inner.waiting.is_empty() && inner.in_flight.is_empty()
            };
            if is_empty {
                return;
            }
            emptied.await;
        }
    }

    /// Updates that wait or are in flight.
    #[must_use]
    pub fn len(&self) -> usize {
        let inner = self.inner.lock();
        inner.waiting.len() + inner.in_flight.len()
    }

    /// True when the broker has everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Updates that were dropped because a later one of the same key waited too.
    #[must_use]
    pub fn superseded(&self) -> u64 {
        self.inner.lock().superseded
    }
}

impl Inner {
    fn remember(&mut self, update: &Arc<Update>) {
        if let Body::Withdrawn(withdrawn) = &update.body {
            self.last.retain(|key, _| !key.is_of(*withdrawn));
        }
        // A withdrawal too: a broker that lost it must hear it again.
        self.last.insert(update.key(), Arc::clone(update));
    }

    fn keep_newest_of_each_key(&mut self) {
        let before = self.waiting.len();
        let mut seen = HashSet::new();
        let mut kept: VecDeque<Arc<Update>> = VecDeque::new();
        while let Some(update) = self.waiting.pop_back() {
            if seen.insert(update.key()) {
                kept.push_front(update);
            }
        }
        self.waiting = kept;
        let dropped = before - self.waiting.len();
        self.superseded += u64::try_from(dropped).unwrap_or(u64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::rate;

    fn seqs(updates: &[Arc<Update>]) -> Vec<u64> {
        updates.iter().map(|update| update.id.seq.0).collect()
    }

    #[tokio::test]
    async fn what_is_not_confirmed_comes_again_in_order() {
        let outbox = Outbox::new(100);
        for seq in 1..=5 {
            outbox.put(rate("BTC-USDT", seq));
        }
        outbox.ready().await;
        assert_eq!(seqs(&outbox.take(3)), [1, 2, 3]);
        outbox.confirm(1);
        outbox.put_back();
        assert_eq!(seqs(&outbox.take(10)), [2, 3, 4, 5]);
        assert_eq!(outbox.len(), 4);
        outbox.confirm(4);
        outbox.flushed().await;
        assert!(outbox.is_empty());
    }

    #[test]
    fn beyond_its_bound_only_the_newest_of_each_key_waits() {
        let outbox = Outbox::new(10);
        outbox.put(rate("ETH-USDT", 1));
        for seq in 2..=1_000 {
            outbox.put(rate("BTC-USDT", seq));
        }
        assert!(outbox.len() <= 10, "{} wait", outbox.len());
        let taken = seqs(&outbox.take(100));
        assert_eq!(taken.first(), Some(&1));
        assert_eq!(taken.last(), Some(&1_000));
        assert_eq!(outbox.superseded() + taken.len() as u64, 1_000);
    }

    #[test]
    fn a_broker_that_lost_everything_gets_the_last_values_and_what_waits() {
        let outbox = Outbox::new(100);
        for seq in 1..=3 {
            outbox.put(rate("BTC-USDT", seq));
        }
        outbox.put(rate("ETH-USDT", 4));
        outbox.take(100);
        outbox.confirm(4);
        outbox.put(rate("BTC-USDT", 5));
        outbox.put_everything_again();
        assert_eq!(seqs(&outbox.take(100)), [4, 5]);
    }
}
