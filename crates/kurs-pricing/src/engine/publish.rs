//! From candidates to published rates.

use super::reasons::phrase;
use super::slots::Published;
use super::{Conversions, Engine};
use crate::cross::{CrossRate, Graph, Market, multiply};
use crate::effect::{Effect, Failover};
use kurs_core::price::HALF;
use kurs_core::{Choice, Leg, Mono, Now, Price, Rate, RateState, SourceState};
use rust_decimal::Decimal;
use std::sync::Arc;
use std::time::Duration;

/// A priced candidate.
struct Priced {
    market: Market,
    cross: Option<CrossRate>,
    valid_until: Mono,
}

impl Engine {
    /// Prices every queued pair, and those that follow from them.
    pub(super) fn price_queued(&mut self, now: Now, effects: &mut Vec<Effect>) {
        // Each round settles a layer of dependants; the bound only guards against a mistake in
        // the rules, since conversion markets never depend on derived rates.
        let mut budget = 16 * (self.pairs.len() + 1);
        let mut position = 0;
        while position < self.queue.len() && budget > 0 {
            let index = self.queue[position];
            position += 1;
            budget -= 1;
            self.pairs[index].queued = false;
            self.price(now, index, effects);
        }
        for index in self.queue.drain(..).skip(position) {
            self.pairs[index].queued = false;
        }
    }

    fn price(&mut self, now: Now, index: usize, effects: &mut Vec<Effect>) {
        let mut live = std::mem::take(&mut self.pairs[index].live);
        live.clear();
        for candidate in 0..self.pairs[index].candidates.len() {
            live.push(self.is_live(now, index, candidate));
        }
        let slot = &mut self.pairs[index];
        let (sources, prices, candidates) = (&self.config.sources, &self.prices, &slot.candidates);
        let policy_hold = self
            .config
            .policies
            .get(&slot.pair)
            .and_then(|policy| policy.hold_ms)
            .map(Duration::from_millis);
        let chosen = slot.policy.choose(now.mono, &live, |candidate| {
            policy_hold.unwrap_or_else(|| sources[prices[candidates[candidate].price].source].hold)
        });
        slot.live = live;
        slot.next_change = chosen.next_change;
        if let Some(at) = chosen.next_change {
            self.next_scan = self.next_scan.min(at);
        }
        match chosen.candidate {
            Some(candidate) => {
                let Some(priced) = self.compute(index, candidate) else {
                    self.rejected += 1;
                    return;
                };
                self.publish(now, index, candidate, priced, effects);
            }
            None => self.expire(now, index, effects),
        }
        self.note_conversion(now, index);
    }

    /// A candidate is live when its price is, and its conversion exists.
    fn is_live(&mut self, now: Now, index: usize, candidate: usize) -> bool {
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
        let steps = steps.filter(|steps| {
            steps.len() < crate::cross::MAX_LEGS && steps.iter().all(|(leg, _)| *leg != index)
        });
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

    fn compute(&self, index: usize, candidate: usize) -> Option<Priced> {
        let candidate = &self.pairs[index].candidates[candidate];
        let slot = &self.prices[candidate.price];
        let quoted = &slot.quoted;
        let (bid, ask) = (quoted.quote.bid(), quoted.quote.ask());
        let first = Market {
            pair: quoted.pair,
            value: quoted.value,
            bid,
            ask,
            confidence: half_spread(bid, ask),
            source: self.config.sources[slot.source].id,
            observed_at: quoted.as_of(),
            expires_at: quoted
                .received
                .wall
                .plus(quoted.valid_until.since(quoted.received.mono)),
        };
        let mut valid_until = quoted.valid_until;
        let mut legs = Vec::new();
        if let Some(conversion) = &candidate.conversion {
            for (leg, inverted) in conversion.steps.as_ref()? {
                let published = self.pairs[*leg].published.as_ref()?;
                valid_until = valid_until.min(published.valid_until);
                legs.push((&published.market, *inverted));
            }
        } else if !candidate.inverted {
            return Some(Priced {
                market: first,
                cross: None,
                valid_until,
            });
        }
        let cross = multiply(std::iter::once((&first, candidate.inverted)).chain(legs)).ok()?;
        let market = Market {
            pair: self.pairs[index].pair,
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
            cross: Some(cross),
            valid_until,
        })
    }

    fn publish(
        &mut self,
        now: Now,
        index: usize,
        candidate: usize,
        priced: Priced,
        effects: &mut Vec<Effect>,
    ) {
        let before = self.pairs[index].published.as_ref();
        let switched = before
            .is_none_or(|before| before.candidate != candidate || before.state != RateState::Fresh);
        let market = &priced.market;
        let same_price = before.is_some_and(|before| {
            (before.market.value, before.market.bid, before.market.ask)
                == (market.value, market.bid, market.ask)
        });
        let recent = before.is_some_and(|before| now.mono.since(before.at) < self.config.refresh);
        let worse_choice = self.skipped_changed(index, candidate);
        if same_price && recent && !switched && !worse_choice {
            return;
        }
        if switched || worse_choice || self.pairs[index].choice.is_none() {
            self.explain(now, index, candidate, switched, effects);
        }
        let slot = &mut self.pairs[index];
        let Some(choice) = slot.choice.clone() else {
            return;
        };
        let legs: Option<Arc<[Leg]>> = priced.cross.map(|cross| Arc::from(cross.legs));
        slot.published = Some(Published {
            market: priced.market,
            legs: legs.clone(),
            state: RateState::Fresh,
            candidate,
            at: now.mono,
            valid_until: priced.valid_until,
        });
        let rate = rate_of(
            &priced.market,
            RateState::Fresh,
            legs,
            now,
            priced.valid_until,
            choice,
        );
        effects.push(Effect::Publish(rate));
        self.next_scan = self.next_scan.min(priced.valid_until);
        for position in 0..self.pairs[index].used_by.len() {
            let dependant = self.pairs[index].used_by[position];
            self.enqueue(dependant);
        }
    }

    /// Nothing is live. What was published stays valid to its end, then it is said to be stale.
    fn expire(&mut self, now: Now, index: usize, effects: &mut Vec<Effect>) {
        let slot = &self.pairs[index];
        let Some(published) = &slot.published else {
            return;
        };
        if published.state != RateState::Fresh || now.mono < published.valid_until {
            return;
        }
        let skipped = self.skipped(index, slot.candidates.len());
        let source = published.market.source;
        let reason: Arc<str> = format!("no source is live: {}", phrase(&skipped)).into();
        let choice = Arc::new(Choice {
            source,
            since: now.wall,
            reason: Arc::clone(&reason),
            skipped,
        });
        let (market, legs) = (published.market, published.legs.clone());
        let pair = slot.pair;
        let slot = &mut self.pairs[index];
        slot.choice = None;
        if let Some(published) = &mut slot.published {
            published.state = RateState::Stale;
        }
        effects.push(Effect::Publish(rate_of(
            &market,
            RateState::Stale,
            legs,
            now,
            now.mono,
            choice,
        )));
        effects.push(Effect::Report(Failover {
            pair,
            from: Some(source),
            to: None,
            recovered: false,
            is_best: false,
            reason,
        }));
    }

    /// Keeps the set of conversion markets right; when it changes, derived pairs look again.
    fn note_conversion(&mut self, now: Now, index: usize) {
        let slot = &self.pairs[index];
        let is_conversion = slot.published.as_ref().is_some_and(|published| {
            published.legs.is_none()
                && published.state == RateState::Fresh
                && now.mono < published.valid_until
                && self.is_conversion(
                    self.prices[slot.candidates[published.candidate].price].source,
                    slot.pair,
                )
        });
        if is_conversion != slot.was_conversion {
            self.pairs[index].was_conversion = is_conversion;
            self.version += 1;
            self.enqueue_derived();
        }
    }
}

fn half_spread(bid: Option<Price>, ask: Option<Price>) -> Option<Decimal> {
    let width = ask?.value().checked_sub(bid?.value())?;
    Some(width.checked_mul(HALF)?.normalize())
}

fn rate_of(
    market: &Market,
    state: RateState,
    legs: Option<Arc<[Leg]>>,
    now: Now,
    valid_until: Mono,
    choice: Arc<Choice>,
) -> Rate {
    Rate {
        pair: market.pair,
        value: market.value,
        bid: market.bid,
        ask: market.ask,
        confidence: market.confidence,
        source: market.source,
        state,
        legs,
        observed_at: market.observed_at,
        published_at: now.wall,
        valid_for: valid_until.since(now.mono),
        choice,
    }
}
