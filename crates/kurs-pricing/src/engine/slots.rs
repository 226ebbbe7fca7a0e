//! What the engine remembers: a slot per source, per price of a source, and per pair.

use crate::candidate::Candidate;
use crate::cross::Market;
use crate::failover::Priority;
use crate::quoted::Quoted;
use kurs_core::{Choice, Leg, Mono, Pair, RateState, SourceState};
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
}

impl PriceSlot {
    pub(super) fn new(source: usize, quoted: Quoted) -> Self {
        Self {
            source,
            quoted,
            state: SourceState::Live,
            untracked: false,
            readers: Vec::new(),
            published_at: None,
            waiting: false,
        }
    }
}

/// One pair.
#[derive(Debug)]
pub(super) struct PairSlot {
    pub(super) pair: Pair,
    /// Configured: stays even when no source gives it.
    pub(super) kept: bool,
    /// Ways to price it, best first.
    pub(super) candidates: Vec<Candidate>,
    pub(super) policy: Priority,
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

/// What was last published of a pair.
#[derive(Debug, Clone)]
pub(super) struct Published {
    pub(super) market: Market,
    /// The markets it is made of; `None` for a source's own price.
    pub(super) legs: Option<Arc<[Leg]>>,
    pub(super) state: RateState,
    /// Candidate it came from.
    pub(super) candidate: usize,
    pub(super) at: Mono,
    pub(super) valid_until: Mono,
}

impl PairSlot {
    pub(super) fn new(pair: Pair) -> Self {
        Self {
            pair,
            kept: false,
            candidates: Vec::new(),
            policy: Priority::default(),
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
        if let Some(published) = &mut self.published
            && published.candidate >= at
        {
            published.candidate += 1;
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
            Some(published) if published.state == RateState::Fresh => published.valid_until,
            _ => Mono(u64::MAX),
        };
        change.min(expiry)
    }
}
