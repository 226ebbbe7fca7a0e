//! Who takes part in a combined rate, and who is out of line.

use super::Engine;
use super::judged::Judged;
use super::priority::Priced;
use super::reasons::out_of_line;
use crate::candidate::Candidate;
use crate::gate::Vote;
use kurs_core::{Now, Skipped, SourceId, SourceKind, SourceState};
use std::sync::Arc;

/// A source that takes part, with its price.
pub(super) struct Seat {
    pub(super) source: usize,
    pub(super) candidate: usize,
    pub(super) priced: Priced,
}

/// Everybody who was to take part.
struct Bench {
    seats: Vec<Seat>,
    /// Those who have nothing to say at present.
    missing: Vec<Skipped>,
}

impl Engine {
    /// The sources that take part, each with its best live way to the pair, held against one
    /// another.
    pub(super) fn judge(
        &mut self,
        now: Now,
        index: usize,
        takes: impl Fn(SourceKind, &Candidate) -> bool,
    ) -> Judged {
        let live = self.live_candidates(now, index);
        let Bench { seats, missing } = self.bench(now, index, &live, takes);
        self.pairs[index].live = live;
        let votes: Vec<Vote> = seats
            .iter()
            .map(|seat| Vote {
                key: seat.source,
                value: seat.priced.market.value.value(),
            })
            .collect();
        let slot = &mut self.pairs[index];
        let verdict = slot.gate.judge(now.mono, &votes, &slot.plan.gate);
        slot.next_change = verdict.next_change;
        if let Some(at) = slot.next_change {
            self.next_scan = self.next_scan.min(at);
        }
        let (mut kept, mut left_out) = (Vec::new(), Vec::new());
        for (seat, is_out) in seats.into_iter().zip(&verdict.out) {
            if *is_out {
                let shut = self.pairs[index].gate.shut(seat.source);
                let why = shut.map_or_else(|| Arc::from("out of line"), out_of_line);
                left_out.push((seat, why));
            } else {
                kept.push(seat);
            }
        }
        Judged {
            kept,
            left_out,
            missing,
            verdict,
        }
    }

    fn bench(
        &self,
        now: Now,
        index: usize,
        live: &[bool],
        takes: impl Fn(SourceKind, &Candidate) -> bool,
    ) -> Bench {
        let slot = &self.pairs[index];
        let named = &slot.plan.policy.sources;
        let mut seats: Vec<Seat> = Vec::new();
        let mut absent: Vec<(usize, Skipped)> = Vec::new();
        for (position, candidate) in slot.candidates.iter().enumerate() {
            let source = self.prices[candidate.price].source;
            let info = self.info(source);
            let is_wanted =
                named.is_empty() || named.iter().any(|id| id.plain() == info.id.plain());
            if !is_wanted
                || !takes(info.kind, candidate)
                || self.prices[candidate.price].untracked
                || seats.iter().any(|seat| seat.source == source)
            {
                continue;
            }
            let priced = if live.get(position).copied().unwrap_or(false) {
                self.compute(now.mono, index, position)
            } else {
                None
            };
            match priced {
                Some(priced) => seats.push(Seat {
                    source,
                    candidate: position,
                    priced,
                }),
                None if absent.iter().all(|(other, _)| *other != source) => {
                    absent.push((source, self.absent(index, position)));
                }
                None => {}
            }
        }
        let mut missing: Vec<Skipped> = absent
            .into_iter()
            .filter(|(source, _)| seats.iter().all(|seat| seat.source != *source))
            .map(|(_, skipped)| skipped)
            .collect();
        for id in named {
            let is = |other: SourceId| other.plain() == id.plain();
            let is_there = seats.iter().any(|seat| is(self.info(seat.source).id))
                || missing.iter().any(|skipped| is(skipped.source));
            if !is_there {
                missing.push(self.silent(*id));
            }
        }
        Bench { seats, missing }
    }

    /// Why a candidate has no price at present.
    fn absent(&self, index: usize, position: usize) -> Skipped {
        let slot = &self.pairs[index];
        let price = &self.prices[slot.candidates[position].price];
        let source = self.info(price.source).id;
        let why: Arc<str> = if price.state == SourceState::Live {
            let (from, to) = (price.quoted.pair.quote, slot.pair.quote);
            format!("no live way from {from} to {to}").into()
        } else {
            self.why(slot.candidates[position].price)
        };
        Skipped {
            source,
            state: price.state,
            why,
        }
    }
}
