//! Why a pair is served by the source it is served by.

use super::Engine;
use crate::effect::{Effect, Failover};
use crate::gate::Shut;
use kurs_core::price::round_published;
use kurs_core::{Choice, Now, RateState, Skipped, SourceState};
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
        let slot = &self.prices[price];
        let source = &self.sources[slot.source];
        match slot.state {
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
