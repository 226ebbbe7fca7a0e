//! From what a policy came to, to published rates.

use super::Engine;
use super::priority::Priced;
use super::reasons::phrase;
use super::slots::Published;
use crate::config::PolicyKind;
use crate::cross::Market;
use crate::effect::{Effect, Failover};
use kurs_core::rate::{Depeg, Evidence};
use kurs_core::{Choice, Leg, Mono, Now, Price, Rate, RateState, Skipped};
use rust_decimal::Decimal;
use std::sync::Arc;
use std::time::Duration;

/// The reason why a policy comes to nothing is looked at again at most this often: it may name
/// ages, and prices come thousands of times a second.
const TELL_NONE_EVERY: Duration = Duration::from_secs(1);
/// A pair whose books are looked into deeply is priced at most this often.
const DEPTH_EVERY: Duration = Duration::from_millis(20);

/// What a policy came to, besides the numbers.
pub(super) struct Offer {
    /// The markets it is made of; `None` for a market of its own.
    pub(super) legs: Option<Arc<[Leg]>>,
    pub(super) depeg: Option<Arc<[Depeg]>>,
    pub(super) state: RateState,
    /// The candidate that serves; `None` when it is made of several.
    pub(super) candidate: Option<usize>,
    /// When made of several: it may carry other prices on.
    pub(super) carries: bool,
    pub(super) valid_until: Mono,
    pub(super) evidence: Option<Arc<Evidence>>,
}

/// Wall and monotonic clock are read one after the other: what ends at one moment may seem to
/// end this much apart on the wall clock.
const CLOCK_JITTER: Duration = Duration::from_millis(100);

/// The validity, cut so that no leg is seen to end before the rate. A clock that was set in
/// between changes nothing.
#[inline]
fn no_longer_than_legs(now: Now, valid_for: Duration, legs: Option<&[Leg]>) -> Duration {
    let first = legs
        .unwrap_or_default()
        .iter()
        .map(|leg| leg.expires_at)
        .min();
    let over = first.map_or(Duration::ZERO, |first| {
        now.wall.plus(valid_for).since(first)
    });
    if over <= CLOCK_JITTER {
        valid_for.saturating_sub(over)
    } else {
        valid_for
    }
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
        let plan = &self.pairs[index].plan;
        if plan.needs_depth && self.is_too_soon(now.mono, index) {
            return;
        }
        match self.pairs[index].plan.kind {
            PolicyKind::Priority => self.price_by_priority(now, index, effects),
            PolicyKind::Median => self.price_by_median(now, index, effects),
            PolicyKind::Merged => self.price_by_merged_book(now, index, effects),
            PolicyKind::Rule | PolicyKind::Fixed => self.price_by_rule(now, index, effects),
        }
        self.note_conversion(now, index);
    }

    /// True when the pair was priced just now; then it comes again in a moment. A first rate is
    /// not made to wait.
    fn is_too_soon(&mut self, now: Mono, index: usize) -> bool {
        let slot = &mut self.pairs[index];
        let due = slot.priced_at.map(|at| at.plus(DEPTH_EVERY));
        match due {
            Some(due) if now < due && slot.published.is_some() => {
                slot.next_change = Some(slot.next_change.map_or(due, |change| change.min(due)));
                self.next_scan = self.next_scan.min(due);
                true
            }
            _ => {
                slot.priced_at = Some(now);
                false
            }
        }
    }

    /// Publishes what one candidate came to, when it differs from what was said.
    pub(super) fn publish_candidate(
        &mut self,
        now: Now,
        index: usize,
        candidate: usize,
        priced: &mut Priced,
        effects: &mut Vec<Effect>,
    ) {
        self.widen(index, &mut priced.market);
        let slot = &self.pairs[index];
        let before = slot.published.as_ref();
        let switched = before.is_none_or(|before| {
            before.candidate != Some(candidate) || before.state != RateState::Fresh
        });
        let is_known = self.is_known(now, index, &priced.market);
        let worse_choice = self.skipped_changed(index, candidate);
        if is_known && !switched && !worse_choice {
            return;
        }
        if switched || worse_choice || slot.choice.is_none() {
            self.explain(now, index, candidate, switched, effects);
        }
        let Some(choice) = self.pairs[index].choice.clone() else {
            return;
        };
        let offer = Offer {
            evidence: self.evidence_of(index, priced),
            legs: priced.legs.take().map(Arc::from),
            depeg: (!priced.depegs.is_empty()).then(|| priced.depegs.as_slice().into()),
            state: RateState::Fresh,
            candidate: Some(candidate),
            carries: false,
            valid_until: priced.valid_until,
        };
        self.put_out(now, index, &priced.market, offer, choice, effects);
    }

    /// True when these numbers were published a moment ago.
    #[inline]
    pub(super) fn is_known(&self, now: Now, index: usize, market: &Market) -> bool {
        self.pairs[index].published.as_ref().is_some_and(|before| {
            (before.market.value, before.market.bid, before.market.ask)
                == (market.value, market.bid, market.ask)
                && now.mono.since(before.at) < self.config.refresh
        })
    }

    /// Bid and ask around the value, where the policy says so.
    #[inline]
    pub(super) fn widen(&self, index: usize, market: &mut Market) {
        let Some(spread) = self.pairs[index].plan.policy.spread else {
            return;
        };
        let around = |share: Option<Decimal>| {
            let price = market.value.value().checked_mul(share?)?;
            Some(Price::new(price).ok()?.published())
        };
        let fraction = spread.fraction();
        let value = market.value;
        // A value with more digits than are published may be rounded over itself.
        market.bid = around(Decimal::ONE.checked_sub(fraction)).map(|bid| bid.min(value));
        market.ask = around(Decimal::ONE.checked_add(fraction)).map(|ask| ask.max(value));
    }

    #[inline]
    pub(super) fn put_out(
        &mut self,
        now: Now,
        index: usize,
        market: &Market,
        offer: Offer,
        choice: Arc<Choice>,
        effects: &mut Vec<Effect>,
    ) {
        let valid_for = offer.valid_until.since(now.mono);
        let valid_for = no_longer_than_legs(now, valid_for, offer.legs.as_deref());
        if !self.pairs[index].yields {
            effects.push(Effect::Publish(Rate {
                pair: market.pair,
                value: market.value,
                bid: market.bid,
                ask: market.ask,
                confidence: market.confidence,
                source: market.source,
                state: offer.state,
                legs: offer.legs.clone(),
                observed_at: market.observed_at,
                published_at: now.wall,
                valid_for,
                choice,
                evidence: offer.evidence,
                depeg: offer.depeg.clone(),
            }));
        }
        self.pairs[index].published = Some(Published {
            market: *market,
            legs: offer.legs,
            depeg: offer.depeg,
            state: offer.state,
            candidate: offer.candidate,
            carries: offer.carries,
            at: now.mono,
            valid_until: offer.valid_until,
        });
        self.next_scan = self.next_scan.min(offer.valid_until);
        self.enqueue_users(index);
    }

    /// True when what was published has run out and this was not said yet, or when a policy has
    /// come to nothing so far and it is time to say why.
    #[inline]
    pub(super) fn is_over(&self, now: Now, index: usize) -> bool {
        let slot = &self.pairs[index];
        match &slot.published {
            Some(published) => published.is_usable() && now.mono >= published.valid_until,
            None if slot.ruled => slot
                .told_none
                .as_ref()
                .is_none_or(|(at, _)| now.mono.since(*at) >= TELL_NONE_EVERY),
            None => false,
        }
    }

    /// There is no rate by the policy of this pair, and there was none before.
    fn tell_none(&mut self, now: Now, index: usize, why: Arc<str>, effects: &mut Vec<Effect>) {
        let slot = &mut self.pairs[index];
        let is_news = slot.told_none.as_ref().is_none_or(|(_, told)| *told != why);
        slot.told_none = Some((now.mono, Arc::clone(&why)));
        if is_news {
            let pair = slot.pair;
            effects.push(Effect::NoRate { pair, why });
        }
    }

    /// There is no rate. What was published stays valid to its end, then it is said to be
    /// stale. `why` is the reason where the passed-over sources do not tell it.
    pub(super) fn expire(
        &mut self,
        now: Now,
        index: usize,
        why: Option<&str>,
        skipped: Vec<Skipped>,
        effects: &mut Vec<Effect>,
    ) {
        if !self.is_over(now, index) {
            return;
        }
        let slot = &self.pairs[index];
        let reason: Arc<str> = match why {
            Some(why) => format!("no rate: {why}").into(),
            None if skipped.is_empty() => "no source has given a price yet".into(),
            None => format!("no source is live: {}", phrase(&skipped)).into(),
        };
        let Some(published) = &slot.published else {
            return self.tell_none(now, index, reason, effects);
        };
        let source = published.market.source;
        let choice = Arc::new(Choice {
            source,
            since: now.wall,
            reason: Arc::clone(&reason),
            skipped,
        });
        let (market, legs, depeg) = (
            published.market,
            published.legs.clone(),
            published.depeg.clone(),
        );
        let pair = slot.pair;
        let slot = &mut self.pairs[index];
        slot.choice = None;
        slot.makeup = None;
        if let Some(published) = &mut slot.published {
            published.state = RateState::Stale;
        }
        if slot.yields {
            return self.enqueue_users(index);
        }
        effects.push(Effect::Publish(Rate {
            pair,
            value: market.value,
            bid: market.bid,
            ask: market.ask,
            confidence: market.confidence,
            source,
            state: RateState::Stale,
            legs,
            observed_at: market.observed_at,
            published_at: now.wall,
            valid_for: Duration::ZERO,
            choice,
            evidence: None,
            depeg,
        }));
        effects.push(Effect::Report(Failover {
            pair,
            from: Some(source),
            to: None,
            recovered: false,
            is_best: false,
            reason,
        }));
        self.enqueue_users(index);
    }
}
