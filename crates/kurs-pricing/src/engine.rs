//! The engine: one plain struct that takes events with their time and says what to publish,
//! record and report. It reads no clock, waits for nothing and holds no channel, so that the
//! same events give the same effects, live, replayed or on a standby.

mod own_prices;
mod publish;
mod reasons;
mod slots;

use crate::candidate::{candidate_for, is_conversion_market};
use crate::config::{EngineConfig, SourceInfo};
use crate::cross::Graph;
use crate::effect::Effect;
use crate::quoted::{Quoted, Taken};
use foldhash::fast::RandomState;
use kurs_core::event::NOT_TRACKED;
use kurs_core::{EventKind, Mono, Now, Pair, SourceEvent, SourceId, SourceState, Tick};
use slots::{PairSlot, PriceSlot, SourceSlot};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The engine looks for expired prices at most this often; a Reader counts validity down by
/// itself, so this delays no refusal, only the message about it.
const SCAN_EVERY: Duration = Duration::from_millis(20);

/// Prices all pairs of a shard.
#[derive(Debug)]
pub struct Engine {
    config: EngineConfig,
    sources: Vec<SourceSlot>,
    source_index: HashMap<SourceId, usize, RandomState>,
    prices: Vec<PriceSlot>,
    price_index: HashMap<(usize, Pair), usize, RandomState>,
    pairs: Vec<PairSlot>,
    pair_index: HashMap<Pair, usize, RandomState>,
    /// Pairs with a derived candidate: looked at again when the conversion markets change.
    derived: Vec<usize>,
    /// Pairs to be priced again before the present call ends.
    queue: Vec<usize>,
    /// Source prices that changed within the conflation time of their last message.
    unpublished: Vec<usize>,
    /// Grows whenever a conversion market appears or disappears.
    version: u64,
    conversions: Conversions,
    next_scan: Mono,
    rejected: u64,
    /// The reason of what is live: none. Shared, since it goes with every price.
    no_reason: Arc<str>,
}

/// The graph of conversion markets at one version; node `i` of the graph is pair `pairs[i]`.
#[derive(Debug, Default)]
struct Conversions {
    version: u64,
    graph: Graph,
    pairs: Vec<usize>,
}

impl Engine {
    /// An engine that has heard nothing yet.
    #[must_use]
    pub fn new(config: EngineConfig) -> Self {
        let sources: Vec<SourceSlot> = config.sources.iter().map(|_| SourceSlot::new()).collect();
        let source_index = config
            .sources
            .iter()
            .enumerate()
            .map(|(index, info)| (info.id, index))
            .collect();
        let directions = config.directions.clone();
        let mut engine = Self {
            config,
            sources,
            source_index,
            prices: Vec::new(),
            price_index: HashMap::default(),
            pairs: Vec::new(),
            pair_index: HashMap::default(),
            derived: Vec::new(),
            queue: Vec::new(),
            unpublished: Vec::new(),
            version: 1,
            conversions: Conversions::default(),
            next_scan: Mono(0),
            rejected: 0,
            no_reason: Arc::from(""),
        };
        for direction in directions {
            let index = engine.pair_slot(direction.canonical());
            engine.pairs[index].kept = true;
        }
        engine
    }

    /// Prices that were refused because they cannot be computed with.
    #[must_use]
    pub const fn rejected(&self) -> u64 {
        self.rejected
    }

    /// When [`Self::advance`] must be called at the latest.
    #[must_use]
    pub const fn next_deadline(&self) -> Mono {
        self.next_scan
    }

    /// Takes what a source said.
    pub fn handle(&mut self, now: Now, event: &SourceEvent, effects: &mut Vec<Effect>) {
        let Some(source) = self.source_index.get(&event.source).copied() else {
            self.rejected += 1;
            return;
        };
        match &event.kind {
            EventKind::Tick(tick) => self.take(now, source, tick, event.received, true, effects),
            EventKind::Table(ticks) => {
                for tick in ticks.iter() {
                    self.take(now, source, tick, event.received, false, effects);
                }
            }
            // A trade proves the venue alive; the price comes from its book.
            EventKind::Trade { .. } => {}
            EventKind::PairState { pair, state, why } => {
                self.mark(now, source, *pair, *state, why, effects);
            }
            EventKind::State { state, why } => self.set_source(now, source, *state, why, effects),
            EventKind::Untracked(pair) => self.untrack(now, source, *pair, effects),
        }
        self.price_queued(now, effects);
    }

    /// Lets time pass: expires prices, ends hold times, publishes what was conflated.
    pub fn advance(&mut self, now: Now, effects: &mut Vec<Effect>) {
        if now.mono < self.next_scan {
            return;
        }
        for price in 0..self.prices.len() {
            self.refresh_state(now, price, effects);
        }
        for index in 0..self.pairs.len() {
            if self.pairs[index].is_due(now.mono) {
                self.enqueue(index);
            }
        }
        self.flush_source_prices(now, effects);
        self.price_queued(now, effects);
        self.next_scan = self.earliest_deadline(now.mono);
    }

    fn earliest_deadline(&self, now: Mono) -> Mono {
        let mut earliest = now.plus(Duration::from_secs(1));
        for slot in &self.prices {
            if slot.state == SourceState::Live {
                earliest = earliest.min(slot.quoted.valid_until);
            }
        }
        for slot in &self.pairs {
            earliest = earliest.min(slot.deadline());
        }
        if !self.unpublished.is_empty() {
            earliest = earliest.min(now.plus(self.config.conflate));
        }
        earliest.max(now.plus(SCAN_EVERY))
    }

    fn take(
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

    fn add_price(&mut self, source: usize, quoted: Quoted) -> usize {
        let price = self.prices.len();
        let market = quoted.pair;
        self.price_index.insert((source, market), price);
        self.prices.push(PriceSlot::new(source, quoted));
        self.pair_slot(market);
        for index in 0..self.pairs.len() {
            self.consider(index, price);
        }
        price
    }

    /// The slot of a pair, made when it is new: prices that can serve it become candidates.
    fn pair_slot(&mut self, pair: Pair) -> usize {
        if let Some(index) = self.pair_index.get(&pair) {
            return *index;
        }
        let index = self.pairs.len();
        self.pair_index.insert(pair, index);
        self.pairs.push(PairSlot::new(pair));
        for price in 0..self.prices.len() {
            self.consider(index, price);
        }
        index
    }

    /// Makes a price a candidate of a pair, if it can be one and is not yet.
    fn consider(&mut self, index: usize, price: usize) {
        let slot = &self.prices[price];
        let pair = self.pairs[index].pair;
        let Some(candidate) =
            candidate_for(&self.config, pair, slot.source, price, slot.quoted.pair)
        else {
            return;
        };
        let is_derived = candidate.conversion.is_some();
        if !self.pairs[index].add(candidate) {
            return;
        }
        self.prices[price].readers.push(index);
        if is_derived && !self.derived.contains(&index) {
            self.derived.push(index);
        }
        self.enqueue(index);
    }

    fn mark(
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
        self.prices[price].quoted.mark = mark;
        self.refresh_state(now, price, effects);
    }

    fn set_source(
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
            }
            self.refresh_state(now, price, effects);
            if is_news {
                // The reason that is told may be another one, although the state is the same.
                self.enqueue_readers(price);
            }
        }
    }

    fn untrack(&mut self, now: Now, source: usize, pair: Pair, effects: &mut Vec<Effect>) {
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
                }
            }
        }
        self.version += 1;
        self.enqueue_derived();
    }

    /// Looks at a price's state again; a change is published and its pairs are priced again.
    fn refresh_state(&mut self, now: Now, price: usize, effects: &mut Vec<Effect>) {
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

    fn enqueue(&mut self, index: usize) {
        let slot = &mut self.pairs[index];
        if !slot.queued {
            slot.queued = true;
            self.queue.push(index);
        }
    }

    fn enqueue_readers(&mut self, price: usize) {
        for position in 0..self.prices[price].readers.len() {
            let index = self.prices[price].readers[position];
            self.enqueue(index);
        }
    }

    fn enqueue_derived(&mut self) {
        for position in 0..self.derived.len() {
            self.enqueue(self.derived[position]);
        }
    }

    fn info(&self, source: usize) -> &SourceInfo {
        &self.config.sources[source]
    }

    fn is_conversion(&self, source: usize, pair: Pair) -> bool {
        is_conversion_market(&self.config, self.info(source), pair)
    }
}

#[cfg(test)]
mod tests;
