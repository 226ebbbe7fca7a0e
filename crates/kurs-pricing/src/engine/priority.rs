//! The policy `priority`: from candidates to the one that serves.

use super::Engine;
use super::fair_prices::Fair;
use super::slots::PriceSlot;
use crate::config::FairMethod;
use crate::cross::{Market, multiply};
use crate::depeg;
use crate::effect::Effect;
use kurs_core::price::HALF;
use kurs_core::rate::{Constituent, Depeg, Evidence};
use kurs_core::{Leg, Mono, Now, Pair, Price};
use rust_decimal::Decimal;
use std::sync::Arc;
use std::time::Duration;

/// A priced candidate.
pub(super) struct Priced {
    pub(super) market: Market,
    /// The markets on the way; `None` for a source's own market.
    pub(super) legs: Option<Vec<Leg>>,
    pub(super) valid_until: Mono,
    pub(super) fair: Fair,
    pub(super) depegs: Vec<Depeg>,
}

impl Priced {
    /// The markets on the way, when there is one.
    pub(super) fn path(&self) -> Vec<Pair> {
        self.legs.iter().flatten().map(|leg| leg.pair).collect()
    }

    /// What is told of it.
    pub(super) fn constituent(&self, used: bool, why: Arc<str>) -> Constituent {
        Constituent {
            source: self.market.source,
            pair: self.market.pair,
            path: self.path(),
            value: Some(self.market.value),
            bid: self.market.bid,
            ask: self.market.ask,
            price: self.fair.method,
            used,
            why,
            observed_at: Some(self.market.observed_at),
            expires_at: Some(self.market.expires_at),
        }
    }
}

impl Engine {
    /// Which candidates are live, in the slot's own buffer, which has to be put back.
    #[inline]
    pub(super) fn live_candidates(&mut self, now: Now, index: usize) -> Vec<bool> {
        let mut live = std::mem::take(&mut self.pairs[index].live);
        live.clear();
        for candidate in 0..self.pairs[index].candidates.len() {
            live.push(self.is_live(now, index, candidate));
        }
        live
    }

    #[inline]
    pub(super) fn price_by_priority(&mut self, now: Now, index: usize, effects: &mut Vec<Effect>) {
        let mut live = self.live_candidates(now, index);
        let guard_change = self.guard(now.mono, index, &mut live);
        let slot = &mut self.pairs[index];
        let (sources, prices, candidates) = (&self.config.sources, &self.prices, &slot.candidates);
        let policy_hold = slot.plan.policy.hold_ms.map(Duration::from_millis);
        let chosen = slot.policy.choose(now.mono, &live, |candidate| {
            policy_hold.unwrap_or_else(|| sources[prices[candidates[candidate].price].source].hold)
        });
        slot.live = live;
        slot.next_change = match (chosen.next_change, guard_change) {
            (Some(left), Some(right)) => Some(left.min(right)),
            (left, right) => left.or(right),
        };
        if let Some(at) = slot.next_change {
            self.next_scan = self.next_scan.min(at);
        }
        match chosen.candidate {
            Some(candidate) => match &mut self.compute(now.mono, index, candidate) {
                Some(priced) => self.publish_candidate(now, index, candidate, priced, effects),
                None => self.rejected += 1,
            },
            None if self.is_over(now, index) => {
                let skipped = self.skipped(index, self.pairs[index].candidates.len());
                self.expire(now, index, None, skipped, effects);
            }
            None => {}
        }
    }

    /// What is told of a rate that is one source's, where it is more than its mid.
    pub(super) fn evidence_of(&self, index: usize, priced: &Priced) -> Option<Arc<Evidence>> {
        let plan = &self.pairs[index].plan;
        if plan.price == FairMethod::Mid && plan.policy.spread.is_none() {
            return None;
        }
        let why = priced.fair.why.clone();
        Some(Arc::new(Evidence {
            constituents: vec![priced.constituent(true, why.unwrap_or_default())],
            ..self.evidence(index)
        }))
    }

    /// A source's own market. Written where it is wanted: it is great, and made for every tick.
    #[inline(always)]
    fn market_of(&self, price: &PriceSlot, fair: &Fair) -> Market {
        let quoted = &price.quoted;
        let (bid, ask) = fair.within(quoted.quote.bid(), quoted.quote.ask());
        Market {
            pair: quoted.pair,
            value: fair.value,
            bid,
            ask,
            confidence: half_spread(bid, ask),
            source: self.config.sources[price.source].id,
            observed_at: quoted.as_of(),
            expires_at: quoted.expires_at(),
        }
    }

    /// The price of a pair by one of its candidates.
    #[inline]
    pub(super) fn compute(&self, now: Mono, index: usize, candidate: usize) -> Option<Priced> {
        let slot = &self.pairs[index];
        let candidate = &slot.candidates[candidate];
        let price = &self.prices[candidate.price];
        let quoted = &price.quoted;
        let fair = self.fair(now, candidate.price, &slot.plan);
        let mut depegs: Vec<Depeg> = Vec::new();
        if price.is_peg {
            depegs.extend(depeg::mark(quoted.pair, fair.value));
        }
        if candidate.conversion.is_none() && !candidate.inverted {
            return Some(Priced {
                market: self.market_of(price, &fair),
                legs: None,
                valid_until: quoted.valid_until,
                fair,
                depegs,
            });
        }
        let first = self.market_of(price, &fair);
        let mut valid_until = quoted.valid_until;
        let mut legs = Vec::new();
        if let Some(conversion) = &candidate.conversion {
            for (leg, inverted) in conversion.steps.as_ref()? {
                let published = self.pairs[*leg].published.as_ref()?;
                valid_until = valid_until.min(published.valid_until);
                depegs.extend(
                    published
                        .depeg
                        .iter()
                        .flat_map(|marks| marks.iter().copied()),
                );
                legs.push((&published.market, *inverted));
            }
        }
        let cross = multiply(std::iter::once((&first, candidate.inverted)).chain(legs)).ok()?;
        let market = Market {
            pair: slot.pair,
            value: cross.value,
            bid: cross.bid,
            ask: cross.ask,
            confidence: cross.confidence,
            source: first.source,
            observed_at: cross.observed_at,
            expires_at: cross.expires_at,
        };
        Some(Priced {
            market,
            legs: Some(cross.legs),
            valid_until,
            fair,
            depegs,
        })
    }
}

pub(super) fn half_spread(bid: Option<Price>, ask: Option<Price>) -> Option<Decimal> {
    let width = ask?.value().checked_sub(bid?.value())?;
    Some(width.checked_mul(HALF)?.normalize())
}
