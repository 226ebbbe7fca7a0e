//! What the engine remembers: a slot per source, per price of a source, and per pair.

use super::plan::Plan;
use crate::candidate::Candidate;
use crate::cross::Market;
use crate::depeg::is_peg;
use crate::failover::Priority;
use crate::gate::Gate;
use crate::quoted::Quoted;
use kurs_core::rate::Depeg;
use kurs_core::{Choice, Depth, Leg, Mono, Pair, RateState, SourceId, SourceState};
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One source.
#[derive(Debug)]
pub(super) struct SourceSlot {
    pub(super) state: SourceState,
    pub(super) why: Arc<str>,
}

impl SourceSlot {
    pub(super) fn new() -> Self {
        Self {
            state: SourceState::Syncing,
            why: "starting".into(),
        }
    }

    /// True when state or reason differ from the last ones.
    pub(super) fn set(&mut self, state: SourceState, why: &Arc<str>) -> bool {
        let is_news = self.state != state || self.why != *why;
        self.state = state;
        self.why = Arc::clone(why);
        is_news
    }
}

/// One source's price for one market.
#[derive(Debug)]
pub(super) struct PriceSlot {
    pub(super) source: usize,
    pub(super) quoted: Quoted,
    /// State as last seen; a change is an event.
    pub(super) state: SourceState,
    /// The source does not follow the market any more.
    pub(super) untracked: bool,
    /// Pairs that have this price among their candidates.
    pub(super) readers: Vec<usize>,
    /// When its price was last published.
    pub(super) published_at: Option<Mono>,
    /// It waits in the list of unpublished prices.
    pub(super) waiting: bool,
    /// A stablecoin against its dollar.
    pub(super) is_peg: bool,
    /// The best levels of its book and until when they may be used.
    pub(super) depth: Option<(Arc<Depth>, Mono)>,
}

impl PriceSlot {
    pub(super) fn new(source: usize, quoted: Quoted) -> Self {
        Self {
            source,
            is_peg: is_peg(quoted.pair),
            quoted,
            state: SourceState::Live,
            untracked: false,
            readers: Vec::new(),
            published_at: None,
            waiting: false,
            depth: None,
        }
    }

    /// The best levels of its book, if they are live.
    pub(super) fn live_depth(&self, now: Mono) -> Option<&Arc<Depth>> {
        let (depth, until) = self.depth.as_ref()?;
        (now < *until).then_some(depth)
    }
}

/// One pair.
#[derive(Debug)]
pub(super) struct PairSlot {
    pub(super) pair: Pair,
    /// How it is priced.
    pub(super) plan: Arc<Plan>,
    /// Configured: stays even when no source gives it.
    pub(super) kept: bool,
    /// It has a policy of its own.
    pub(super) ruled: bool,
    /// Its inverse has a policy and it has none: what it comes to is for rules only, everybody else
    /// is given the inverse of the other.
    pub(super) yields: bool,
    /// When it was last told that there is no rate, and why.
    pub(super) told_none: Option<(Mono, Arc<str>)>,
    /// Ways to price it, best first.
    pub(super) candidates: Vec<Candidate>,
    pub(super) policy: Priority,
    /// Which sources are out of line.
    pub(super) gate: Gate,
    /// Prices from here to there are of one mind, and when they last were.
    pub(super) in_line: Option<InLine>,
    /// The same for the medians of its rule, by where they stand in it.
    pub(super) rule_gates: BTreeMap<usize, Gate>,
    /// What the rate was made of last, where it is made of several.
    pub(super) makeup: Option<Makeup>,
    /// When it was last priced, where that is not done at every tick.
    pub(super) priced_at: Option<Mono>,
    /// Which candidates are live; kept to save an allocation per tick.
    pub(super) live: Vec<bool>,
    /// When a better candidate will have paid its hold time.
    pub(super) next_change: Option<Mono>,
    pub(super) published: Option<Published>,
    pub(super) choice: Option<Arc<Choice>>,
    /// Pairs that use this one as a leg.
    pub(super) used_by: Vec<usize>,
    /// It stands in the set of conversion markets.
    pub(super) was_conversion: bool,
    /// It waits to be priced.
    pub(super) queued: bool,
}

/// A narrow window in which a majority was found, kept so that the usual tick is settled by
/// comparing alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct InLine {
    pub(super) low: Decimal,
    pub(super) high: Decimal,
    pub(super) at: Option<Mono>,
}

/// What a combined rate is made of; when it changes, the reason is told anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Makeup {
    /// The sources in it.
    pub(super) used: Vec<SourceId>,
    /// Those left out.
    pub(super) left_out: Vec<(SourceId, SourceState)>,
    pub(super) state: RateState,
}

/// What was last published of a pair.
#[derive(Debug, Clone)]
pub(super) struct Published {
    pub(super) market: Market,
    /// The markets it is made of; `None` for a source's own price.
    pub(super) legs: Option<Arc<[Leg]>>,
    pub(super) depeg: Option<Arc<[Depeg]>>,
    pub(super) state: RateState,
    /// Candidate it came from; `None` when it was made of several.
    pub(super) candidate: Option<usize>,
    /// It may carry other prices on.
    pub(super) carries: bool,
    pub(super) at: Mono,
    pub(super) valid_until: Mono,
}

impl Published {
    /// True unless it was said to be over.
    pub(super) const fn is_usable(&self) -> bool {
        matches!(self.state, RateState::Fresh | RateState::Suspect)
    }
}

impl PairSlot {
    pub(super) fn new(pair: Pair, plan: Arc<Plan>) -> Self {
        Self {
            pair,
            plan,
            kept: false,
            ruled: false,
            yields: false,
            told_none: None,
            candidates: Vec::new(),
            policy: Priority::default(),
            gate: Gate::default(),
            in_line: None,
            rule_gates: BTreeMap::new(),
            makeup: None,
            priced_at: None,
            live: Vec::new(),
            next_change: None,
            published: None,
            choice: None,
            used_by: Vec::new(),
            was_conversion: false,
            queued: false,
        }
    }

    /// Adds a candidate at its place; what the policy remembers moves along. False when it was
    /// there already.
    pub(super) fn add(&mut self, candidate: Candidate) -> bool {
        if self
            .candidates
            .iter()
            .any(|other| other.price == candidate.price)
        {
            return false;
        }
        let at = self
            .candidates
            .partition_point(|other| other.rank < candidate.rank);
        self.candidates.insert(at, candidate);
        let from: Vec<Option<usize>> = (0..self.candidates.len())
            .map(|index| match index.cmp(&at) {
                std::cmp::Ordering::Less => Some(index),
                std::cmp::Ordering::Equal => None,
                std::cmp::Ordering::Greater => Some(index - 1),
            })
            .collect();
        self.policy.rearrange(&from);
        if let Some(candidate) = self
            .published
            .as_mut()
            .and_then(|published| published.candidate.as_mut())
            && *candidate >= at
        {
            *candidate += 1;
        }
        true
    }

    /// True when time alone may change its rate.
    pub(super) fn is_due(&self, now: Mono) -> bool {
        now >= self.deadline()
    }

    /// When time alone may change its rate.
    pub(super) fn deadline(&self) -> Mono {
        let change = self.next_change.unwrap_or(Mono(u64::MAX));
        let expiry = match &self.published {
            Some(published) if published.is_usable() => published.valid_until,
            _ => Mono(u64::MAX),
        };
        change.min(expiry)
    }
}
