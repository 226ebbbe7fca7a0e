//! The engine: one plain struct that takes events with their time and says what to publish,
//! record and report. It reads no clock, waits for nothing and holds no channel, so that the
//! same events give the same effects, live, replayed or on a standby.

mod bench;
mod combined;
mod conversions;
mod fair_prices;
mod guard;
mod inputs;
mod judged;
mod own_prices;
mod plan;
mod priority;
mod publish;
mod reasons;
mod rules;
mod slots;

use crate::candidate::{candidate_for, is_conversion_market};
use crate::config::{EngineConfig, Policy, PolicyKind, SourceInfo};
use crate::cross::Graph;
use crate::effect::Effect;
use crate::quoted::Quoted;
use crate::rule::Rule;
use foldhash::fast::RandomState;
use kurs_core::{Asset, EventKind, Mono, Now, Pair, SourceEvent, SourceId, SourceState};
use plan::Plan;
use slots::{PairSlot, PriceSlot, SourceSlot};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// The engine looks for expired prices at most this often; a Reader counts validity down by
/// itself, so this delays no refusal, only the message about it.
const SCAN_EVERY: Duration = Duration::from_millis(20);

/// Names of combined rates.
#[derive(Debug, Clone, Copy)]
struct Names {
    priority: SourceId,
    median: SourceId,
    merged: SourceId,
    rule: SourceId,
    fixed: SourceId,
}

impl Names {
    #[expect(
        clippy::expect_used,
        reason = "constants that parse, see the tests of SourceId"
    )]
    fn new() -> Self {
        let name = |kind: PolicyKind| SourceId::parse(kind.as_str()).expect("a valid source name");
        Self {
            priority: name(PolicyKind::Priority),
            median: name(PolicyKind::Median),
            merged: name(PolicyKind::Merged),
            rule: name(PolicyKind::Rule),
            fixed: name(PolicyKind::Fixed),
        }
    }

    const fn of(&self, kind: PolicyKind) -> SourceId {
        match kind {
            PolicyKind::Priority => self.priority,
            PolicyKind::Median => self.median,
            PolicyKind::Merged => self.merged,
            PolicyKind::Rule => self.rule,
            PolicyKind::Fixed => self.fixed,
        }
    }
}

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
    /// The plan of pairs without a policy of their own.
    default_plan: Arc<Plan>,
    names: Names,
    bitcoin: Option<Asset>,
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
    pub fn new(mut config: EngineConfig) -> Self {
        // USDTTRC is priced as USDT, so a policy of the one is a policy of the other.
        config.policies = config
            .policies
            .into_iter()
            .map(|(pair, policy)| (pair.canonical(), policy))
            .collect();
        let sources: Vec<SourceSlot> = config.sources.iter().map(|_| SourceSlot::new()).collect();
        let source_index = config
            .sources
            .iter()
            .enumerate()
            .map(|(index, info)| (info.id, index))
            .collect();
        let mut always = config.directions.clone();
        // Where a pair without a policy is priced only if somebody quotes it, one with a policy is
        // always wanted: if there is no rate by it, that is said.
        always.extend(config.policies.keys().copied());
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
            default_plan: Arc::new(Plan::new(&Policy::default())),
            names: Names::new(),
            bitcoin: Asset::parse("BTC").ok(),
        };
        for pair in always {
            let index = engine.pair_slot(pair.canonical());
            engine.pairs[index].kept = true;
            engine.enqueue(index);
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
            EventKind::Depth {
                pair,
                depth,
                valid_for,
            } => self.take_depth(
                source,
                *pair,
                depth.as_ref(),
                event.received.mono.plus(*valid_for),
            ),
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
        let plan = match self.config.policies.get(&pair) {
            Some(policy) => Arc::new(Plan::of(pair, policy)),
            None => Arc::clone(&self.default_plan),
        };
        self.pair_index.insert(pair, index);
        let mut slot = PairSlot::new(pair, Arc::clone(&plan));
        slot.ruled = self.config.policies.contains_key(&pair);
        slot.yields = !slot.ruled && self.config.policies.contains_key(&pair.inverse());
        self.pairs.push(slot);
        for price in 0..self.prices.len() {
            self.consider(index, price);
        }
        if let Some(rule) = &plan.rule {
            for leg in rule.iter().flat_map(Rule::pairs) {
                let leg = self.pair_slot(leg);
                let slot = &mut self.pairs[leg];
                slot.kept = true;
                if !slot.used_by.contains(&index) {
                    slot.used_by.push(index);
                }
            }
            self.enqueue(index);
        }
        index
    }

    /// Makes a price a candidate of a pair, if it can be one and is not yet.
    fn consider(&mut self, index: usize, price: usize) {
        let slot = &self.prices[price];
        let pair = self.pairs[index].pair;
        if !self.pairs[index].plan.has_candidates() {
            if self.asks_for(index, slot.source, slot.quoted.pair)
                && !self.prices[price].readers.contains(&index)
            {
                self.prices[price].readers.push(index);
                self.enqueue(index);
            }
            return;
        }
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

    #[inline]
    fn enqueue(&mut self, index: usize) {
        let slot = &mut self.pairs[index];
        if !slot.queued {
            slot.queued = true;
            self.queue.push(index);
        }
    }

    #[inline]
    fn enqueue_readers(&mut self, price: usize) {
        for position in 0..self.prices[price].readers.len() {
            let index = self.prices[price].readers[position];
            self.enqueue(index);
        }
    }

    /// Pairs that have this one as a leg are to be priced again.
    #[inline]
    fn enqueue_users(&mut self, index: usize) {
        for position in 0..self.pairs[index].used_by.len() {
            let user = self.pairs[index].used_by[position];
            self.enqueue(user);
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
