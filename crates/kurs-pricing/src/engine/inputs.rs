//! What sources say, taken in.

use super::Engine;
use crate::effect::Effect;
use crate::quoted::{Quoted, Taken};
use kurs_core::event::NOT_TRACKED;
use kurs_core::{Depth, Mono, Now, Pair, SourceState, Tick};
use std::sync::Arc;

impl Engine {
    pub(super) fn take(
        &mut self,
        now: Now,
        source: usize,
        tick: &Tick,
        received: Now,
        streamed: bool,
        effects: &mut Vec<Effect>,
    ) {
        let Ok(value) = tick.quote.value() else {
            self.rejected += 1;
            return;
        };
        let (price, taken) = match self.price_index.get(&(source, tick.pair)) {
            Some(price) => {
                let slot = &mut self.prices[*price];
                let was_gone = std::mem::take(&mut slot.untracked);
                let taken = slot.quoted.take(tick, value, received, streamed);
                (*price, if was_gone { Taken::Changed } else { taken })
            }
            None => (
                self.add_price(source, Quoted::new(tick, value, received, streamed)),
                Taken::Changed,
            ),
        };
        if taken == Taken::Repeated {
            return;
        }
        let source_state = self.sources[source].state;
        let slot = &mut self.prices[price];
        let state = slot.quoted.state(now.mono, source_state);
        slot.state = state;
        let changed = taken == Taken::Changed;
        if changed || !streamed {
            effects.push(Effect::Record(self.source_rate(now, price)));
        }
        let next_deadline = self.prices[price].quoted.valid_until;
        self.next_scan = self.next_scan.min(next_deadline);
        self.publish_source(now, price, changed, effects);
        self.enqueue_readers(price);
    }

    /// Takes the best levels of a book. They count only beside a price of the same market.
    pub(super) fn take_depth(
        &mut self,
        source: usize,
        pair: Pair,
        depth: Option<&Arc<Depth>>,
        until: Mono,
    ) {
        let Some(price) = self.price_index.get(&(source, pair)).copied() else {
            return;
        };
        let is_book = |depth: &&Arc<Depth>| match (depth.bids.first(), depth.asks.first()) {
            (Some(bid), Some(ask)) => bid.price < ask.price,
            _ => false,
        };
        let good = depth.filter(is_book);
        if depth.is_some() && good.is_none() {
            self.rejected += 1;
        }
        self.prices[price].depth = good.map(|depth| (Arc::clone(depth), until));
        for position in 0..self.prices[price].readers.len() {
            let index = self.prices[price].readers[position];
            if self.pairs[index].plan.needs_depth {
                self.enqueue(index);
            }
        }
    }

    pub(super) fn mark(
        &mut self,
        now: Now,
        source: usize,
        pair: Pair,
        state: SourceState,
        why: &Arc<str>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(price) = self.price_index.get(&(source, pair)).copied() else {
            return;
        };
        let mark = (state != SourceState::Live).then(|| (state, Arc::clone(why)));
        if mark.is_some() {
            self.prices[price].depth = None;
        }
        self.prices[price].quoted.mark = mark;
        self.refresh_state(now, price, effects);
    }

    pub(super) fn set_source(
        &mut self,
        now: Now,
        source: usize,
        state: SourceState,
        why: &Arc<str>,
        effects: &mut Vec<Effect>,
    ) {
        let is_news = self.sources[source].set(state, why);
        for price in 0..self.prices.len() {
            let slot = &mut self.prices[price];
            if slot.source != source || !slot.quoted.streamed {
                continue;
            }
            if state == SourceState::Down {
                // Only a new price may revive it: what was true before the loss may not be now.
                slot.quoted.valid_until = slot.quoted.valid_until.min(now.mono);
                slot.depth = None;
            }
            self.refresh_state(now, price, effects);
            if is_news {
                // The reason that is told may be another one, although the state is the same.
                self.enqueue_readers(price);
            }
        }
    }

    pub(super) fn untrack(
        &mut self,
        now: Now,
        source: usize,
        pair: Pair,
        effects: &mut Vec<Effect>,
    ) {
        let Some(price) = self.price_index.get(&(source, pair)).copied() else {
            return;
        };
        self.prices[price].untracked = true;
        self.prices[price].quoted.valid_until = now.mono;
        self.prices[price].quoted.mark = Some((SourceState::Down, NOT_TRACKED.into()));
        self.refresh_state(now, price, effects);
        for index in self.prices[price].readers.clone() {
            let slot = &mut self.pairs[index];
            let has_source = slot
                .candidates
                .iter()
                .any(|candidate| !self.prices[candidate.price].untracked);
            if !has_source && !slot.kept {
                let was_published = slot.published.take().is_some();
                slot.was_conversion = false;
                if was_published {
                    effects.push(Effect::Withdraw(slot.pair));
                    self.enqueue_users(index);
                }
            }
        }
        self.version += 1;
        self.enqueue_derived();
    }

    /// Looks at a price's state again; a change is published and its pairs are priced again.
    pub(super) fn refresh_state(&mut self, now: Now, price: usize, effects: &mut Vec<Effect>) {
        let source_state = self.sources[self.prices[price].source].state;
        let slot = &mut self.prices[price];
        let state = slot.quoted.state(now.mono, source_state);
        if state == slot.state {
            return;
        }
        slot.state = state;
        self.publish_source(now, price, true, effects);
        self.enqueue_readers(price);
    }
}
