//! The ways of a cross rate: all shortest ones, of which the best is chosen at every price.

use super::{Basis, Derived, Taken, answer_of, take_leg, unless_expired};
use crate::document::RateDocument;
use crate::slot::{Held, Slot};
use crate::view::{Answer, Missing, RateView};
use kurs_core::{Mono, Now, Pair, RateState};
use kurs_pricing::Graph;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Ways of equal length that are compared at every price; more are searched for in the graph.
const WAYS_MAX: usize = 64;

/// A way over published markets; true = from a market's quote to its base.
pub(super) type Way = [(Arc<Slot>, bool)];

/// All shortest ways between two assets, as long as no market comes or goes.
#[derive(Debug)]
pub(super) struct Ways {
    pub(super) topology: u64,
    ways: Vec<Vec<(Arc<Slot>, bool)>>,
}

impl Ways {
    /// The best of them at this moment: what is answered depends on the prices held and on
    /// nothing else, so that it can be found again later.
    pub(super) fn best(&self, now: Mono) -> Option<&Way> {
        let usable = |(slot, _): &(Arc<Slot>, bool)| {
            slot.look(|held| held.filter(|held| held.is_usable(now))?.market())
        };
        let best = Graph::best_of(self.ways.iter().map(Vec::as_slice), usable)?;
        self.ways.get(best).map(Vec::as_slice)
    }
}

impl Derived {
    /// True when it was made of these legs as they are now.
    pub(super) fn is_of(&self, way: &Way) -> bool {
        let mut legs = self.legs.iter().zip(way);
        self.legs.len() == way.len()
            && legs.all(|((slot, id), (other, _))| {
                Arc::ptr_eq(slot, other) && slot.look(|held| held.map(Held::id)) == Some(*id)
            })
    }
}

impl RateView {
    /// The cross rate along a way, kept ready.
    pub(super) fn along(
        &self,
        asked: Pair,
        way: &Way,
        ways: &Arc<Ways>,
        now: Now,
    ) -> Result<Answer, Missing> {
        let mut taken = Vec::with_capacity(way.len());
        let mut legs = Vec::with_capacity(way.len());
        for (slot, inverted) in way {
            let held = slot.load().ok_or(Missing::NoRateYet(asked))?;
            let leg = take_leg(&held, *inverted).ok_or(Missing::NoPath(asked))?;
            legs.push((Arc::clone(slot), leg.id));
            taken.push(leg);
        }
        let answer = answer_of(asked, &taken, RateState::Fresh).ok_or(Missing::NoPath(asked))?;
        let answer = unless_expired(answer, now.mono)?;
        let derived = Derived {
            basis: Basis::Ways(Arc::clone(ways)),
            start: None,
            legs,
            answer: answer.clone(),
        };
        self.keep_derived((asked, None), Arc::new(derived));
        Ok(answer)
    }

    /// The ways of a cross rate over fresh markets.
    pub(super) fn ways(&self, asked: Pair, now: Now) -> Result<Ways, Missing> {
        let pair = asked.canonical();
        if pair.base == pair.quote {
            return Err(Missing::NoPath(asked));
        }
        // Read first: a market that comes meanwhile makes the ways outdated, not wrong.
        let topology = self.topology.load(Ordering::Relaxed);
        let fresh = self.make_snapshot(topology, now, |held| held.is_usable(now.mono));
        let graph = &fresh.graph;
        let found = graph
            .shortest_paths(pair.base, pair.quote, WAYS_MAX)
            .unwrap_or_else(|| {
                let best = graph.path(pair.base, pair.quote);
                best.map(|path| path.steps).into_iter().collect()
            });
        if !found.is_empty() {
            let ways = found.into_iter().map(|steps| {
                let step =
                    |(node, inverted): (usize, bool)| (Arc::clone(&fresh.slots[node]), inverted);
                steps.into_iter().map(step).collect()
            });
            return Ok(Ways {
                topology,
                ways: ways.collect(),
            });
        }
        for asset in [asked.base, asked.quote] {
            if !self.is_known(asset) {
                return Err(Missing::UnknownAsset(asset));
            }
        }
        // Not reachable over fresh markets. With the last known ones it may be: then the rate
        // has run out, and that is what the caller must hear.
        let last_known = self.make_snapshot(0, now, |_| true);
        if let Some(path) = last_known.graph.path(pair.base, pair.quote) {
            let taken: Option<Vec<Taken>> = path
                .steps
                .iter()
                .map(|(node, inverted)| take_leg(&*last_known.slots[*node].load()?, *inverted))
                .collect();
            if let Some(answer) = taken.and_then(|taken| answer_of(asked, &taken, RateState::Stale))
            {
                return Err(Missing::Expired(Box::new(RateDocument::clone(
                    &answer.document,
                ))));
            }
        }
        let is_there = self.is_expected(asked) || !self.is_loaded() || self.is_connected(pair);
        Err(if is_there {
            Missing::NoRateYet(asked)
        } else {
            Missing::NoPath(asked)
        })
    }

    /// True when the markets of all sources together, live or not, lead from base to quote: then
    /// the pair exists, and it is only the moment that has no rate.
    fn is_connected(&self, pair: Pair) -> bool {
        let markets = self.source_markets();
        Graph::new(markets).path(pair.base, pair.quote).is_some()
    }
}
