//! What comes into the view: updates off the bus, rates out of the store.

use super::RateView;
use crate::slot::{Held, HeldPrice, Slot, Unpriced};
use kurs_bus::{Body, NoRate, Update};
use kurs_core::event::NOT_TRACKED;
use kurs_core::{Mono, Pair, TrackedSymbol};
use kurs_store::StoredRate;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl RateView {
    /// Takes an update off the bus. False when it is not newer than what is held.
    pub fn apply(&self, update: &Arc<Update>) -> bool {
        let now = self.clock.mono();
        let _moment = self.moment.write();
        let taken = match &update.body {
            Body::Rate(rate) => {
                let index = self.index.load();
                let made;
                let slot = match index.get(&rate.pair) {
                    Some(slot) => slot,
                    None => {
                        made = self.slot_or_new(rate.pair);
                        &made
                    }
                };
                Held::from_bus(Arc::clone(update), now)
                    .is_some_and(|held| self.replace(slot, held, now))
            }
            Body::Withdrawn(pair) => {
                let slot = self.slot_or_new(*pair);
                let newer = slot.last_id().is_some_and(|last| update.id > last);
                if newer {
                    slot.store(None);
                    slot.set_unpriced(None);
                    self.topology.fetch_add(1, Ordering::Relaxed);
                }
                newer
            }
            Body::NoRate(NoRate {
                pair,
                why,
                withdraws,
            }) => {
                let slot = self.slot_or_new(*pair);
                let newer = slot.last_id().is_none_or(|last| update.id > last);
                if newer {
                    if *withdraws {
                        slot.store(None);
                    }
                    slot.set_unpriced(Some(Unpriced {
                        id: update.id,
                        why: Arc::clone(why),
                    }));
                    self.topology.fetch_add(1, Ordering::Relaxed);
                }
                newer
            }
            Body::SourcePrice(price) => {
                let key = (price.source, price.pair);
                let mut prices = self.prices.write();
                let newer = prices.get(&key).is_none_or(|held| update.id > held.id);
                if newer && &*price.why == NOT_TRACKED {
                    prices.remove(&key);
                } else if newer {
                    prices.insert(key, Arc::new(HeldPrice::new(update.id, price.clone(), now)));
                }
                newer
            }
            Body::SourceStatus(status) => {
                let told = (update.id.epoch, status.clone());
                let mut statuses = self.statuses.write();
                // A source that the present Writer does not run is not shown any more.
                statuses.retain(|_, (epoch, _)| *epoch >= update.id.epoch);
                statuses.insert(status.source, told);
                true
            }
            Body::Tracked(symbols) => {
                self.parser
                    .write()
                    .learn(symbols.iter().flat_map(|s| [s.pair.base, s.pair.quote]));
                self.tracked.store(Arc::new(symbols.to_vec()));
                true
            }
        };
        if taken {
            self.revision.fetch_add(1, Ordering::Release);
        }
        taken
    }

    /// Takes out the pairs of the present Writer that are missing from the bus' last values: they
    /// were withdrawn while this Reader was not listening.
    pub(crate) fn keep_only(&self, last_values: &[Arc<Update>]) {
        let epoch = last_values.iter().map(|update| update.id.epoch).max();
        let published: HashSet<Pair> = last_values
            .iter()
            .filter_map(|update| match &update.body {
                Body::Rate(rate) => Some(rate.pair),
                _ => None,
            })
            .collect();
        for slot in self.slots() {
            // What came from the store is of an earlier epoch, and may be confirmed yet.
            let is_of_this_writer = slot
                .load()
                .is_some_and(|held| Some(held.id().epoch) == epoch);
            if is_of_this_writer && !published.contains(&slot.pair) {
                slot.store(None);
                self.topology.fetch_add(1, Ordering::Relaxed);
                self.revision.fetch_add(1, Ordering::Release);
            }
        }
    }

    /// Takes a rate out of the store, unless a newer one is held.
    pub fn restore(&self, stored: StoredRate) {
        let now = self.clock.now();
        let slot = self.slot_or_new(stored.rate.pair);
        self.replace(
            &slot,
            Held::from_store(stored.id, stored.rate, now),
            now.mono,
        );
        self.revision.fetch_add(1, Ordering::Release);
    }

    /// Takes the tracked symbols out of the store, unless the Writer has told them already.
    pub(crate) fn restore_tracked(&self, symbols: Vec<TrackedSymbol>) {
        if !self.tracked.load().is_empty() {
            return;
        }
        self.parser
            .write()
            .learn(symbols.iter().flat_map(|s| [s.pair.base, s.pair.quote]));
        self.tracked.store(Arc::new(symbols));
    }

    fn replace(&self, slot: &Slot, held: Held, now: Mono) -> bool {
        let (is_newer, was_edge) = slot.look(|old| {
            let is_newer = old.is_none_or(|old| held.id() > old.id());
            (is_newer, old.is_some_and(|old| old.is_edge(now)))
        });
        if !is_newer {
            return false;
        }
        let is_edge = held.is_edge(now);
        let id = held.id();
        slot.store(Some(Arc::new(held)));
        if slot.unpriced().is_some_and(|none| none.id < id) {
            slot.set_unpriced(None);
        }
        if was_edge != is_edge {
            self.topology.fetch_add(1, Ordering::Relaxed);
        }
        true
    }
}
