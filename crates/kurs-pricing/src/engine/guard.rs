//! The guard over `priority`: a source that is far from what the majority says does not serve,
//! however well it is liked. `pricing.md` section 2, conventions 49.

use super::Engine;
use super::slots::InLine;
use crate::decimal::times_or_max;
use crate::gate::{GateSettings, MAJORITY_OF, Vote};
use kurs_core::Mono;
use rust_decimal::Decimal;

/// Sources that one bit each can stand for.
const BITS: usize = 64;
/// Two prices that are both within a quarter of the band of a third are within half of it of
/// each other.
const QUARTER: Decimal = Decimal::from_parts(25, 0, 0, false, 2);

impl Engine {
    /// Takes sources that are out of line out of `live`; returns when time alone lets one in.
    #[inline]
    pub(super) fn guard(&mut self, now: Mono, index: usize, live: &mut [bool]) -> Option<Mono> {
        let slot = &self.pairs[index];
        let settings = slot.plan.guard.as_ref()?;
        if slot.gate.is_quiet() {
            if slot.candidates.len() < MAJORITY_OF && slot.in_line.is_none() {
                return None;
            }
            let settings = *settings;
            if self.is_plainly_in_line(now, index, live, &settings) {
                return None;
            }
        }
        self.judge_candidates(now, index, live)
    }

    /// The usual case, settled by comparing alone: the first of all serves, and with itself a
    /// majority is near to it. Nobody is judged either where there are too few to compare.
    fn is_plainly_in_line(
        &mut self,
        now: Mono,
        index: usize,
        live: &[bool],
        settings: &GateSettings,
    ) -> bool {
        let slot = &mut self.pairs[index];
        let Some(first) = live.iter().position(|is_live| *is_live) else {
            return true;
        };
        let top = &slot.candidates[first];
        let serves_first = slot.policy.current().is_none_or(|current| current == first);
        if !serves_first {
            return false;
        }
        if !top.is_comparable {
            return true;
        }
        let top_price = &self.prices[top.price];
        if top_price.source >= BITS {
            return false;
        }
        let value = top_price.quoted.value.value();
        let window = match slot.in_line {
            Some(window) if window.low <= value && value <= window.high => window,
            _ => match window_around(value, settings, slot.in_line) {
                Some(window) => window,
                None => return false,
            },
        };
        let mut seen = 1_u64 << top_price.source;
        let (mut count, mut supporters) = (1_usize, 0_usize);
        for (candidate, is_live) in slot.candidates.iter().zip(live).skip(first + 1) {
            let price = &self.prices[candidate.price];
            if !is_live || !candidate.is_comparable {
                continue;
            }
            if price.source >= BITS {
                return false;
            }
            let bit = 1_u64 << price.source;
            if seen & bit != 0 {
                continue;
            }
            seen |= bit;
            count += 1;
            let other = price.quoted.value.value();
            if window.low <= other && other <= window.high && candidate.has_the_way_of(top) {
                supporters += 1;
            }
        }
        if count < MAJORITY_OF {
            let agreed_at = slot.in_line.and_then(|window| window.at);
            return agreed_at.is_none_or(|at| now >= at.plus(settings.readmit_after));
        }
        if supporters >= count / 2 {
            slot.in_line = Some(InLine {
                at: Some(now),
                ..window
            });
            return true;
        }
        false
    }

    /// Holds all that can be compared against one another.
    fn judge_candidates(&mut self, now: Mono, index: usize, live: &mut [bool]) -> Option<Mono> {
        let mut votes: Vec<Vote> = Vec::new();
        for (position, is_live) in live.iter().enumerate() {
            let candidate = &self.pairs[index].candidates[position];
            let source = self.prices[candidate.price].source;
            if !is_live || !candidate.is_comparable || votes.iter().any(|vote| vote.key == source) {
                continue;
            }
            if let Some(value) = self.candidate_value(index, position) {
                let key = source;
                votes.push(Vote { key, value });
            }
        }
        let slot = &mut self.pairs[index];
        let settings = slot.plan.guard?;
        // What served while a majority agreed with it is what was agreed on.
        let agreed_at = slot.in_line.and_then(|window| window.at);
        if let (Some(at), Some(published)) = (agreed_at, &slot.published) {
            slot.gate.note(at, published.market.value.value());
        }
        let is_of_use = votes.len() >= MAJORITY_OF
            || !slot.gate.is_quiet()
            || slot.gate.remembers(now, &settings);
        if votes.is_empty() || !is_of_use {
            return None;
        }
        let verdict = slot.gate.judge(now, &votes, &settings);
        for (vote, is_out) in votes.iter().zip(&verdict.out) {
            if !*is_out {
                continue;
            }
            // A source that is wrong about one market is not asked for another way to the pair.
            for (position, candidate) in slot.candidates.iter().enumerate() {
                if self.prices[candidate.price].source == vote.key {
                    slot.policy.lose(position);
                    if let Some(is_live) = live.get_mut(position) {
                        *is_live = false;
                    }
                }
            }
        }
        verdict.next_change
    }

    /// What a candidate says of the pair: its mid, carried on over the values of its legs.
    fn candidate_value(&self, index: usize, position: usize) -> Option<Decimal> {
        let candidate = &self.pairs[index].candidates[position];
        let mut value = self.prices[candidate.price].quoted.value.value();
        if candidate.inverted {
            value = Decimal::ONE.checked_div(value)?;
        }
        let steps = candidate
            .conversion
            .as_ref()
            .and_then(|conversion| conversion.steps.as_ref());
        for (leg, inverted) in steps.into_iter().flatten() {
            let leg = self.pairs[*leg].published.as_ref()?.market.value.value();
            value = if *inverted {
                value.checked_div(leg)?
            } else {
                value.checked_mul(leg)?
            };
        }
        Some(value)
    }
}

/// A quarter of the band to both sides; when they last agreed stays.
fn window_around(value: Decimal, settings: &GateSettings, old: Option<InLine>) -> Option<InLine> {
    let width = times_or_max(times_or_max(value, settings.band), QUARTER);
    Some(InLine {
        low: value.checked_sub(width)?,
        high: value.checked_add(width)?,
        at: old.and_then(|old| old.at),
    })
}
