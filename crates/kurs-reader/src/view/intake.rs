//! What comes into the view: updates off the bus, rates out of the store.

use super::RateView;
use crate::slot::{Held, HeldPrice, Slot, Unpriced};
use crate::transit::Transit;
use kurs_bus::{Body, NoRate, Update};
use kurs_core::event::NOT_TRACKED;
use kurs_core::{Epoch, Mono, Pair, TrackedSymbol, UpdateId};
use kurs_store::{CurrentRate, StoredRate};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

impl RateView {
    /// Takes an update off the bus that was published a moment ago. False when it is not newer
    /// than what is held, or of an epoch that has ended.
    pub fn apply(&self, update: &Arc<Update>) -> bool {
        let Some(late) = self.date(update, true) else {
            return false;
        };
        if !self.undated.lock().is_empty() {
            self.apply_undated(update.id);
        }
        self.take(update, late)
    }

    /// True when an update that was just taken off the bus was on its way for no longer than this,
    /// as far as that is known. False when its epoch has ended.
    pub fn is_timely(&self, update: &Update, most: Duration) -> bool {
        self.date(update, false).is_some_and(|late| late <= most)
    }

    /// How late an update is; `None` when its epoch has ended. `is_live`: it comes over the flow,
    /// and so tells the time.
    fn date(&self, update: &Update, is_live: bool) -> Option<Duration> {
        let id = update.id;
        let mut transits = self.transits.lock();
        let transit = transits
            .entry(id.shard)
            .or_insert_with(|| Transit::new(id.epoch));
        if id.epoch < transit.epoch {
            return None;
        }
        if id.epoch > transit.epoch {
            *transit = Transit::new(id.epoch);
        }
        let Some(at) = update.at else {
            return Some(Duration::ZERO);
        };
        let now = self.clock.mono();
        if is_live {
            transit.hear(at, now);
        }
        Some(transit.lateness(at, now))
    }

    /// Takes in what waited until its age was known.
    fn apply_undated(&self, heard: UpdateId) {
        let is_dated = |update: &mut Arc<Update>| {
            update.id.shard == heard.shard && update.id.epoch <= heard.epoch
        };
        let dated: Vec<Arc<Update>> = self.undated.lock().extract_if(.., is_dated).collect();
        for update in dated {
            if let Some(late) = self.date(&update, false) {
                self.take(&update, late);
            }
        }
    }

    /// Nothing was heard for so long that nobody will tell the age of these last values: they are
    /// shown, but as run out.
    pub(crate) fn give_up_undated(&self) {
        let undated = std::mem::take(&mut *self.undated.lock());
        for update in undated {
            self.take(&update, Duration::MAX);
        }
    }

    /// Takes an update in that is so late.
    fn take(&self, update: &Arc<Update>, late: Duration) -> bool {
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
                Held::from_bus(Arc::clone(update), late, now)
                    .is_some_and(|held| self.replace(slot, held, now))
            }
            Body::Withdrawn(pair) => {
                let slot = self.slot_or_new(*pair);
                let last = slot.last_id();
                let newer = last.is_some_and(|last| replaces(update.id, last));
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
                let last = slot.last_id();
                let newer = last.is_none_or(|last| replaces(update.id, last));
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
                let held = prices.get(&key);
                let newer = held.is_none_or(|held| replaces(update.id, held.id));
                if newer && &*price.why == NOT_TRACKED {
                    prices.remove(&key);
                } else if newer {
                    let held = HeldPrice::new(update.id, price.clone(), late, now);
                    prices.insert(key, Arc::new(held));
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
            // It says that the Writer lives, and changes nothing that is served.
            Body::Heartbeat(_) | Body::Unknown(_) => return true,
        };
        if taken {
            self.revision.fetch_add(1, Ordering::Release);
        }
        taken
    }

    /// Takes in the bus' last values: the newest epoch of each shard may still hold values of
    /// earlier ones. Then takes out the pairs of the present Writers that are missing from them:
    /// they were withdrawn while this Reader was not listening.
    ///
    /// How old a last value is shows only beside something that is heard live. Before that it
    /// waits: what came from the store is the better answer.
    pub fn take_last_values(&self, mut updates: Vec<Arc<Update>>) {
        updates.sort_unstable_by_key(|update| update.id);
        // Whatever waited is in these or was withdrawn: taken again and again they do not pile up.
        self.undated.lock().clear();
        self.make_slots(updates.iter().filter_map(|update| match &update.body {
            Body::Rate(rate) => Some(rate.pair),
            Body::NoRate(none) => Some(none.pair),
            _ => None,
        }));
        for update in &updates {
            let Some(late) = self.date(update, false) else {
                continue;
            };
            let transits = self.transits.lock();
            let transit = transits.get(&update.id.shard);
            let is_known = transit.is_some_and(Transit::is_known);
            drop(transits);
            if update.at.is_none() || is_known {
                self.take(update, late);
            } else {
                self.undated.lock().push(Arc::clone(update));
            }
        }
        self.keep_only(&updates);
    }

    pub(crate) fn keep_only(&self, last_values: &[Arc<Update>]) {
        let mut epochs: HashMap<u16, Epoch> = HashMap::new();
        for update in last_values {
            let epoch = epochs.entry(update.id.shard).or_default();
            *epoch = (*epoch).max(update.id.epoch);
        }
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
                .is_some_and(|held| epochs.get(&held.id().shard) == Some(&held.id().epoch));
            if is_of_this_writer && !published.contains(&slot.pair) {
                slot.store(None);
                self.topology.fetch_add(1, Ordering::Relaxed);
                self.revision.fetch_add(1, Ordering::Release);
            }
        }
    }

    /// Takes current rates out of the store, each unless a newer one is held.
    pub fn restore_all(&self, rates: Vec<CurrentRate>) {
        self.make_slots(rates.iter().map(|current| current.stored.rate.pair));
        for current in rates {
            self.restore_current(current);
        }
    }

    /// Takes a current rate out of the store, unless a newer one is held. What is left of its
    /// validity is the store's word.
    pub fn restore_current(&self, current: CurrentRate) {
        let CurrentRate { stored, left } = current;
        {
            let mut transits = self.transits.lock();
            let epoch = stored.id.epoch;
            let transit = transits
                .entry(stored.id.shard)
                .or_insert_with(|| Transit::new(epoch));
            if epoch < transit.epoch {
                return;
            }
            if epoch > transit.epoch {
                *transit = Transit::new(epoch);
            }
        }
        let now = self.clock.now();
        let slot = self.slot_or_new(stored.rate.pair);
        let _moment = self.moment.write();
        let held = Held::with_left(stored.id, stored.rate, left, now);
        if self.replace(&slot, held, now.mono) {
            self.revision.fetch_add(1, Ordering::Release);
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
            let is_newer = old.is_none_or(|old| replaces(held.id(), old.id()));
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

/// Within a shard by the order of its ids. A pair that is of another shard now was spread anew.
fn replaces(new: UpdateId, old: UpdateId) -> bool {
    new.shard != old.shard || new > old
}
