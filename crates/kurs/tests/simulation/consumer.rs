//! A consumer of everything: what it hears must be in order, whatever happens.

use kurs_bus::{Body, Order, Place, Update};
use kurs_core::{Pair, UpdateId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A consumer that hears everything the broker takes, and remembers all of it.
#[derive(Debug, Default)]
pub(crate) struct Consumer {
    order: Order,
    /// Updates in the order in which they were accepted.
    pub(crate) accepted: Vec<(u64, Arc<Update>)>,
    words: BTreeMap<Pair, BTreeSet<u64>>,
    pub(crate) complaints: Vec<String>,
    /// Words may come twice: a standby that could not hear the bus took over.
    pub(crate) forgives_doubles: bool,
}

impl Consumer {
    pub(crate) fn hear(&mut self, now: u64, update: &Arc<Update>) {
        match self.order.place(update) {
            Place::Again | Place::Outdated => return,
            Place::Next | Place::After { .. } => {}
        }
        if let (Body::Rate(rate), Some(cause)) = (&update.body, update.cause) {
            let is_new = self
                .words
                .entry(rate.pair)
                .or_default()
                .insert(cause.event_id);
            if !is_new && !self.forgives_doubles {
                self.complaints.push(format!(
                    "at {now} ms: {} of word {} a second time, as {}",
                    rate.pair, cause.event_id, update.id
                ));
            }
        }
        self.accepted.push((now, Arc::clone(update)));
    }

    /// Words of a pair that never led to an update.
    pub(crate) fn missing(&self, pair: Pair, said: u64) -> Vec<u64> {
        let heard = self.words.get(&pair);
        (1..=said)
            .filter(|word| heard.is_none_or(|heard| !heard.contains(word)))
            .collect()
    }

    /// Rates that were accepted.
    pub(crate) fn rates(&self) -> impl Iterator<Item = UpdateId> {
        let rates = self
            .accepted
            .iter()
            .filter(|(_, update)| matches!(update.body, Body::Rate(_)));
        rates.map(|(_, update)| update.id)
    }

    /// The longest time without any update after the first.
    pub(crate) fn longest_silence(&self) -> u64 {
        let times = self.accepted.windows(2);
        times
            .map(|pair| pair[1].0 - pair[0].0)
            .max()
            .unwrap_or_default()
    }
}
