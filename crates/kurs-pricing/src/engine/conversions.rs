//! Markets that carry other prices on, and the ways over them.

use super::{Conversions, Engine};
use crate::cross::{Graph, MAX_LEGS};
use kurs_core::{Mono, Now, RateState, SourceState};

impl Engine {
    /// A candidate is live when its price is, and its conversion exists.
    #[inline]
    pub(super) fn is_live(&mut self, now: Now, index: usize, candidate: usize) -> bool {
        let price = self.pairs[index].candidates[candidate].price;
        if self.prices[price].state != SourceState::Live
            || now.mono >= self.prices[price].quoted.valid_until
        {
            return false;
        }
        let Some(conversion) = &self.pairs[index].candidates[candidate].conversion else {
            return true;
        };
        if conversion.version != self.version {
            self.find_steps(now, index, candidate);
        }
        let conversion = self.pairs[index].candidates[candidate].conversion.as_ref();
        let Some(steps) = conversion.and_then(|conversion| conversion.steps.as_ref()) else {
            return false;
        };
        steps.iter().all(|(leg, _)| self.is_open(*leg, now.mono))
    }

    /// True when the pair may carry others on at this moment.
    fn is_open(&self, index: usize, now: Mono) -> bool {
        let slot = &self.pairs[index];
        slot.was_conversion
            && slot.published.as_ref().is_some_and(|published| {
                published.state == RateState::Fresh && now < published.valid_until
            })
    }

    fn find_steps(&mut self, now: Now, index: usize, candidate: usize) {
        self.rebuild_conversions(now.mono);
        let pair = self.pairs[index].pair;
        let Some(conversion) = &mut self.pairs[index].candidates[candidate].conversion else {
            return;
        };
        let graph = &self.conversions.graph;
        let steps: Option<Vec<(usize, bool)>> =
            graph.path(conversion.from, pair.quote).map(|path| {
                path.steps
                    .iter()
                    .map(|(node, inverted)| (self.conversions.pairs[*node], *inverted))
                    .collect()
            });
        // The pair itself is no leg of its own rate, and with its first leg the way has at most
        // four legs.
        let steps = steps
            .filter(|steps| steps.len() < MAX_LEGS && steps.iter().all(|(leg, _)| *leg != index));
        for (leg, _) in steps.iter().flatten() {
            let used_by = &mut self.pairs[*leg].used_by;
            if !used_by.contains(&index) {
                used_by.push(index);
            }
        }
        if let Some(conversion) = &mut self.pairs[index].candidates[candidate].conversion {
            conversion.steps = steps;
            conversion.version = self.version;
        }
    }

    fn rebuild_conversions(&mut self, now: Mono) {
        if self.conversions.version == self.version {
            return;
        }
        let pairs: Vec<usize> = (0..self.pairs.len())
            .filter(|index| self.is_open(*index, now))
            .collect();
        let markets = pairs
            .iter()
            .filter_map(|index| Some(self.pairs[*index].published.as_ref()?.market));
        let graph = Graph::new(markets);
        self.conversions = Conversions {
            version: self.version,
            graph,
            pairs,
        };
    }

    /// Keeps the set of conversion markets right; when it changes, derived pairs look again.
    #[inline]
    pub(super) fn note_conversion(&mut self, now: Now, index: usize) {
        let slot = &self.pairs[index];
        let is_conversion = slot.published.as_ref().is_some_and(|published| {
            published.legs.is_none()
                && published.state == RateState::Fresh
                && now.mono < published.valid_until
                && match published.candidate {
                    Some(candidate) => self.is_conversion(
                        self.prices[slot.candidates[candidate].price].source,
                        slot.pair,
                    ),
                    None => published.carries,
                }
        });
        if is_conversion != slot.was_conversion {
            self.pairs[index].was_conversion = is_conversion;
            self.version += 1;
            self.enqueue_derived();
        }
    }
}
