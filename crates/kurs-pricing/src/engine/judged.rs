//! What the sources of a combined rate have in common.

use super::bench::Seat;
use crate::config::FairMethod;
use crate::config::units::Percent;
use crate::gate::Verdict;
use crate::marks::Marks;
use crate::votes::{self, Ballot};
use kurs_core::price::round_published;
use kurs_core::rate::{Constituent, Depeg, GateReading};
use kurs_core::{Mono, Pair, Skipped, SourceId, SourceState, Wall};
use rust_decimal::Decimal;
use std::sync::Arc;

/// Seats that were judged.
pub(super) struct Judged {
    pub(super) kept: Vec<Seat>,
    pub(super) left_out: Vec<(Seat, Arc<str>)>,
    pub(super) missing: Vec<Skipped>,
    pub(super) verdict: Verdict,
}

impl Judged {
    pub(super) fn used(&self) -> Vec<SourceId> {
        self.kept
            .iter()
            .map(|seat| seat.priced.market.source)
            .collect()
    }

    pub(super) fn skipped(&self) -> Vec<Skipped> {
        let left_out = self.left_out.iter().map(|(seat, why)| Skipped {
            source: seat.priced.market.source,
            state: SourceState::Live,
            why: Arc::clone(why),
        });
        left_out.chain(self.missing.iter().cloned()).collect()
    }

    /// Everybody, when those that are in line contradict each other.
    pub(super) fn contradicting(&self, allowed: Percent) -> Vec<Skipped> {
        let why: Arc<str> = format!("contradicted by more than {allowed}").into();
        let kept = self.kept.iter().map(|seat| Skipped {
            source: seat.priced.market.source,
            state: SourceState::Live,
            why: Arc::clone(&why),
        });
        kept.chain(self.skipped()).collect()
    }

    /// Simulated and replayed prices never appear without their mark.
    pub(super) fn name(&self, name: SourceId) -> SourceId {
        let mut marks = Marks::default();
        for seat in &self.kept {
            marks = marks.and(Marks::of(seat.priced.market.source));
            for leg in seat.priced.legs.iter().flatten() {
                marks = marks.and(Marks::of(leg.source));
            }
        }
        marks.put_on(name)
    }

    /// It holds as long as enough of its sources do.
    pub(super) fn valid_until(&self, min_sources: usize) -> Mono {
        let mut ends: Vec<Mono> = self
            .kept
            .iter()
            .map(|seat| seat.priced.valid_until)
            .collect();
        ends.sort_unstable_by_key(|end| std::cmp::Reverse(*end));
        let needed = min_sources.clamp(1, ends.len().max(1));
        ends.get(needed - 1).copied().unwrap_or_default()
    }

    pub(super) fn observed_at(&self, now: Wall) -> Wall {
        let times = self.kept.iter().map(|seat| seat.priced.market.observed_at);
        times.min().unwrap_or(now)
    }

    pub(super) fn confidence(&self) -> Option<Decimal> {
        if let [only] = self.kept.as_slice() {
            return only.priced.market.confidence;
        }
        let ballots = self.kept.iter().map(|seat| {
            let market = &seat.priced.market;
            match (market.bid, market.ask) {
                (Some(bid), Some(ask)) => Ballot {
                    low: bid.value(),
                    value: market.value.value(),
                    high: ask.value(),
                },
                _ => Ballot::around(market.value.value(), market.confidence.unwrap_or_default()),
            }
        });
        votes::count(ballots).map(|(_, confidence)| round_published(confidence))
    }

    /// True when every price is of the pair itself or its inverse.
    pub(super) fn is_own(&self) -> bool {
        self.kept
            .iter()
            .all(|seat| seat.priced.legs.as_ref().is_none_or(|legs| legs.len() == 1))
    }

    pub(super) fn depegs(&self) -> Vec<Depeg> {
        let mut depegs: Vec<Depeg> = Vec::new();
        for depeg in self.kept.iter().flat_map(|seat| &seat.priced.depegs) {
            if !depegs.iter().any(|other| other.pair == depeg.pair) {
                depegs.push(*depeg);
            }
        }
        depegs
    }

    pub(super) fn constituents(&self, pair: Pair) -> Vec<Constituent> {
        let kept = self.kept.iter().map(|seat| {
            let why = seat.priced.fair.why.clone().unwrap_or_default();
            seat.priced.constituent(true, why)
        });
        let left_out = self
            .left_out
            .iter()
            .map(|(seat, why)| seat.priced.constituent(false, Arc::clone(why)));
        let missing = self.missing.iter().map(|skipped| Constituent {
            source: skipped.source,
            pair,
            path: Vec::new(),
            value: None,
            bid: None,
            ask: None,
            price: FairMethod::Mid,
            used: false,
            why: format!("{}: {}", skipped.state.as_str(), skipped.why).into(),
            observed_at: None,
            expires_at: None,
        });
        kept.chain(left_out).chain(missing).collect()
    }
}

/// As everything that leaves the server: with 15 digits.
pub(super) fn published_reading(mut reading: GateReading) -> GateReading {
    for number in [&mut reading.median, &mut reading.mad, &mut reading.limit] {
        *number = round_published(*number);
    }
    reading
}
