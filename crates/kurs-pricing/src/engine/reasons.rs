//! Why a pair is served by the source it is served by.

use super::Engine;
use super::slots::Published;
use crate::config::PolicyKind;
use crate::effect::{Effect, Failover};
use crate::gate::Shut;
use crate::marks::Marks;
use kurs_core::price::round_published;
use kurs_core::{Choice, Now, Pair, RateState, Skipped, SourceId, SourceState};
use std::sync::Arc;

impl Engine {
    /// Says why this candidate serves, and reports a change of source.
    pub(super) fn explain(
        &mut self,
        now: Now,
        index: usize,
        candidate: usize,
        switched: bool,
        effects: &mut Vec<Effect>,
    ) {
        let slot = &self.pairs[index];
        let source = self
            .info(self.prices[slot.candidates[candidate].price].source)
            .id;
        let skipped = self.skipped(index, candidate);
        let since = match (&slot.choice, switched) {
            (Some(choice), false) => choice.since,
            _ => now.wall,
        };
        let reason: Arc<str> = if skipped.is_empty() {
            format!("{source} since {since}: first in order of preference").into()
        } else {
            format!("{source} since {since}: {}", phrase(&skipped)).into()
        };
        let from = slot
            .published
            .as_ref()
            .filter(|published| published.state == RateState::Fresh)
            .map(|published| published.market.source);
        if switched && from != Some(source) {
            let recovered = slot
                .published
                .as_ref()
                .is_some_and(|before| before.state != RateState::Fresh);
            let report = Failover {
                pair: slot.pair,
                from,
                to: Some(source),
                recovered,
                is_best: skipped.is_empty(),
                reason: Arc::clone(&reason),
            };
            effects.push(Effect::Report(report));
        }
        self.pairs[index].choice = Some(Arc::new(Choice {
            source,
            since,
            reason,
            skipped,
        }));
    }

    /// Candidates better than `candidate`, with the reason each is not used.
    pub(super) fn skipped(&self, index: usize, candidate: usize) -> Vec<Skipped> {
        let slot = &self.pairs[index];
        let mut skipped: Vec<Skipped> = Vec::new();
        for position in 0..candidate.min(slot.candidates.len()) {
            let one = self.skipped_one(index, position);
            // A source with two ways to the pair fails once.
            if !skipped.contains(&one) {
                skipped.push(one);
            }
        }
        skipped
    }

    /// Why a candidate is not used.
    pub(super) fn skipped_one(&self, index: usize, position: usize) -> Skipped {
        let slot = &self.pairs[index];
        let price = &self.prices[slot.candidates[position].price];
        let state = price.state;
        let live = slot.live.get(position).copied().unwrap_or(false);
        let why: Arc<str> = if live {
            "live again, waiting for its hold time".into()
        } else if state == SourceState::Live {
            match slot.gate.shut(price.source) {
                Some(shut) => out_of_line(shut),
                None => {
                    let from = price.quoted.pair.quote;
                    format!("no live way from {from} to {}", slot.pair.quote).into()
                }
            }
        } else {
            self.why(slot.candidates[position].price)
        };
        let source = self.info(price.source).id;
        Skipped { source, state, why }
    }

    /// True when what is to be said of the better candidates differs from what was said.
    pub(super) fn skipped_changed(&self, index: usize, candidate: usize) -> bool {
        let slot = &self.pairs[index];
        let Some(choice) = &slot.choice else {
            return true;
        };
        candidate > 0 && choice.skipped != self.skipped(index, candidate)
    }

    /// Why a price is in its state, for people.
    pub(super) fn why(&self, price: usize) -> Arc<str> {
        self.why_in(price, self.prices[price].state)
    }

    /// Why a price is in this state, for people.
    fn why_in(&self, price: usize, state: SourceState) -> Arc<str> {
        let slot = &self.prices[price];
        let source = &self.sources[slot.source];
        match state {
            SourceState::Live => Arc::clone(&self.no_reason),
            SourceState::Down if slot.quoted.streamed && source.state == SourceState::Down => {
                Arc::clone(&source.why)
            }
            _ if slot.quoted.mark.is_some() => slot
                .quoted
                .mark
                .as_ref()
                .map_or_else(|| Arc::clone(&self.no_reason), |(_, why)| Arc::clone(why)),
            SourceState::Down => Arc::clone(&source.why),
            SourceState::Stale => "its last price is too old".into(),
            SourceState::Syncing => "not in sync yet".into(),
        }
    }
}

/// What is said of a source that was asked for a price it never gave.
const NO_PRICE_YET: &str = "it has given no price yet";

impl Engine {
    /// A price that a policy asks for by name and that cannot be used at present.
    pub(super) fn unusable(&self, price: usize) -> Skipped {
        let slot = &self.prices[price];
        let state = match slot.state {
            // Its time is over, which is about to be noticed.
            SourceState::Live => SourceState::Stale,
            state => state,
        };
        Skipped {
            source: self.info(slot.source).id,
            state,
            why: self.why_in(price, state),
        }
    }

    /// A source that a policy names and that has given nothing of what is asked for.
    pub(super) fn silent(&self, name: SourceId) -> Skipped {
        let Some(index) = self.source_named(name) else {
            return Skipped {
                source: self.marked(name),
                state: SourceState::Down,
                why: "it is not switched on".into(),
            };
        };
        let (state, why) = match &self.sources[index] {
            slot if slot.state == SourceState::Down => (slot.state, Arc::clone(&slot.why)),
            _ => (SourceState::Syncing, NO_PRICE_YET.into()),
        };
        Skipped {
            source: self.info(index).id,
            state,
            why,
        }
    }

    /// A pair that a rule asks for and that has no rate: by whom it was served last or would be
    /// served first.
    pub(super) fn unpriced(&self, pair: Pair) -> Skipped {
        let slot = self.pair_index.get(&pair).map(|at| &self.pairs[*at]);
        let published = slot.and_then(|slot| slot.published.as_ref());
        let of = |published: &Published| {
            let mut candidates = slot.iter().flat_map(|slot| &slot.candidates);
            let is =
                |price: usize| self.info(self.prices[price].source).id == published.market.source;
            candidates.find(|candidate| is(candidate.price))
        };
        let first = slot.and_then(|slot| slot.candidates.first());
        let candidate = published.map_or(first, of);
        let kind = slot.map_or(PolicyKind::Priority, |slot| slot.plan.kind);
        match (published, candidate) {
            (Some(published), candidate) => Skipped {
                source: published.market.source,
                state: candidate.map_or(SourceState::Stale, |one| self.unusable(one.price).state),
                why: format!("{pair} is stale").into(),
            },
            (None, candidate) => Skipped {
                source: match (kind, candidate) {
                    (PolicyKind::Priority, Some(one)) => {
                        self.info(self.prices[one.price].source).id
                    }
                    _ => self.marked(self.names.of(kind)),
                },
                state: match candidate.map(|one| self.prices[one.price].state) {
                    Some(state) if state != SourceState::Live => state,
                    _ => SourceState::Syncing,
                },
                why: format!("{pair} has no rate yet").into(),
            },
        }
    }

    /// A name without a price of its own, with the marks of the sources around it.
    fn marked(&self, name: SourceId) -> SourceId {
        let all = self.config.sources.iter();
        let marks = all.fold(Marks::default(), |marks, info| {
            marks.and(Marks::of(info.id))
        });
        marks.put_on(name)
    }
}

/// What put a price out. It does not follow the price: a liar's every tick would be news.
pub(super) fn out_of_line(shut: &Shut) -> Arc<str> {
    let (value, against) = (round_published(shut.value), round_published(shut.against));
    format!("out of line: {value} where the median was {against}").into()
}

/// What the passed-over sources are doing, in one phrase.
pub(super) fn phrase(skipped: &[Skipped]) -> String {
    let parts: Vec<String> = skipped
        .iter()
        .map(|skipped| {
            format!(
                "{} {} ({})",
                skipped.source,
                skipped.state.as_str(),
                skipped.why
            )
        })
        .collect();
    if parts.is_empty() {
        "no source has spoken yet".to_owned()
    } else {
        parts.join(", ")
    }
}
