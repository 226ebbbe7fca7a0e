//! What the hub keeps under its lock: who listens to what, and what was told of each pair.

use super::beginning::AllRates;
use crate::document::{Document, HeartbeatDocument};
use crate::event::Event;
use crate::mailbox::Mailbox;
use crate::ring::Ring;
use crate::topic::Topic;
use kurs_bus::{Body, NoRate, Update};
use kurs_core::{Mono, Pair, RateState};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

pub(super) type Mailboxes = BTreeMap<u64, Arc<Mailbox>>;

/// What the hub knows of its listeners, and what was told.
pub(crate) struct Inner {
    pub(super) ring: Ring,
    pub(super) listeners: Mailboxes,
    pub(super) topics: HashMap<Topic, Mailboxes>,
    /// What is told of pairs that are not published under the name that was asked for, and of
    /// those that somebody listens to one by one.
    pub(super) told: HashMap<Pair, ToldRate>,
    /// Pairs whose rate may have changed because a leg has.
    pub(super) changed: BTreeSet<Pair>,
    /// By the published pair that they are made of.
    pub(super) made_of: HashMap<Pair, BTreeSet<Pair>>,
    pub(super) all_rates: Option<AllRates>,
    /// Why updates may be late or missing; empty while all is well.
    pub(super) degraded: Arc<str>,
    pub(super) is_draining: bool,
    pub(super) random: fastrand::Rng,
}

/// What was told last of a pair.
#[derive(Debug, Default)]
pub(super) struct ToldRate {
    /// It is not published under this name: it is made anew when a leg changes.
    pub(super) is_derived: bool,
    pub(super) legs: BTreeSet<Pair>,
    /// State and number of what was told; `None` when there was no rate.
    pub(super) last: Option<(RateState, u64, u64)>,
}

impl Inner {
    pub(super) fn applied(&mut self, now: Mono, update: &Arc<Update>) {
        self.ring.moved(update.id);
        let Some(topic) = Topic::of(&update.body) else {
            return;
        };
        match &update.body {
            Body::Rate(rate) => {
                let last = (rate.state, update.id.epoch.0, update.id.seq.0);
                if self.topics.contains_key(&Topic::Rates) {
                    self.told.entry(rate.pair).or_default();
                }
                if let Some(told) = self.told.get_mut(&rate.pair) {
                    (told.last, told.is_derived) = (Some(last), false);
                }
                self.may_have_changed(rate.pair);
            }
            Body::NoRate(NoRate { pair, .. }) | Body::Withdrawn(pair) => self.no_rate(*pair),
            _ => {}
        }
        self.ring.keep(now, update);
        let is_heard = self.topics.contains_key(&topic)
            || (matches!(topic, Topic::Rate(_)) && self.topics.contains_key(&Topic::Rates));
        if !is_heard {
            return;
        }
        let Some(event) = Event::from_update(update, self.ring.head_text()) else {
            return;
        };
        let event = Arc::new(event);
        self.tell(topic, &event);
        if matches!(topic, Topic::Rate(_)) {
            self.tell(Topic::Rates, &event);
        }
    }

    pub(super) fn no_rate(&mut self, pair: Pair) {
        if let Some(told) = self.told.get_mut(&pair) {
            told.last = None;
        }
        self.may_have_changed(pair);
    }

    /// Everything that is made of this pair is looked at soon.
    pub(super) fn may_have_changed(&mut self, pair: Pair) {
        if let Some(made) = self.made_of.get(&pair) {
            self.changed.extend(made);
        }
    }

    /// A derived rate is made of these published pairs.
    pub(super) fn made_of_these(&mut self, pair: Pair, path: &[Pair]) {
        let legs: BTreeSet<Pair> = path.iter().copied().collect();
        let Some(told) = self.told.get_mut(&pair) else {
            return;
        };
        if told.legs == legs {
            return;
        }
        let former = std::mem::replace(&mut told.legs, legs.clone());
        for leg in former.difference(&legs) {
            if let Some(made) = self.made_of.get_mut(leg) {
                made.remove(&pair);
                if made.is_empty() {
                    self.made_of.remove(leg);
                }
            }
        }
        for leg in legs {
            self.made_of.entry(leg).or_default().insert(pair);
        }
    }

    pub(super) fn tell(&self, topic: Topic, event: &Arc<Event>) {
        if let Some(mailboxes) = self.topics.get(&topic) {
            for mailbox in mailboxes.values() {
                mailbox.push(event);
            }
        }
    }

    pub(super) fn tell_all(&self, event: &Arc<Event>) {
        for mailbox in self.listeners.values() {
            mailbox.push(event);
        }
    }

    pub(super) fn heartbeat(&mut self) -> Arc<Event> {
        let document = Document::Heartbeat(HeartbeatDocument {
            degraded: Arc::clone(&self.degraded),
        });
        Arc::new(Event::telling(document, self.ring.head_text()))
    }

    pub(super) fn join(&mut self, topic: Topic, number: u64, mailbox: &Arc<Mailbox>) {
        let mailboxes = self.topics.entry(topic).or_default();
        mailboxes.insert(number, Arc::clone(mailbox));
        if let Topic::Rate(pair) = topic {
            self.told.entry(pair).or_default();
        }
    }

    pub(super) fn part(&mut self, topic: Topic, number: u64) {
        let Some(mailboxes) = self.topics.get_mut(&topic) else {
            return;
        };
        mailboxes.remove(&number);
        if !mailboxes.is_empty() {
            return;
        }
        self.topics.remove(&topic);
        if let Topic::Rate(pair) = topic {
            self.made_of_these(pair, &[]);
            self.told.remove(&pair);
            self.changed.remove(&pair);
        }
    }
}
