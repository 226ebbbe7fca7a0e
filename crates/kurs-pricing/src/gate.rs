//! The outlier gate: which of several prices are out of line. `pricing.md` section 2.
//!
//! With three or more prices the majority decides: a price is out when it is further from the
//! median of all than max(k * 1.4826 * MAD, band * median), and comes back below half of that.
//! A price that stays between half and the whole limit for `readmit_after` comes back too, and
//! when half or more would be out, what was remembered is forgotten and all are judged anew:
//! the gate follows the majority wherever it goes. With two prices there is no majority; a
//! price that was out stays out, and for a while the last agreed median tells which of two is
//! the liar. Where nothing does, and what is in stands in two camps of equal size too far apart,
//! the middle between them is nobody's price: the verdict says that they contradict each other.

use crate::config::units::Percent;
use crate::decimal::{distance, median, median_of_sorted, times_or_max};
use kurs_core::Mono;
use kurs_core::price::HALF;
use kurs_core::rate::GateReading;
use rust_decimal::Decimal;
use std::fmt::Display;
use std::time::Duration;

/// Fewest prices that have a majority.
pub const MAJORITY_OF: usize = 3;
/// Makes the median of distances comparable to a standard deviation.
const MAD_SCALE: Decimal = Decimal::from_parts(14_826, 0, 0, false, 4);
/// Prices whose median distance from their median is more than this many bands do not agree.
const BANDS_OF_DISAGREEMENT: Decimal = Decimal::TWO;

/// How far apart honest prices may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateSettings {
    /// Multiple of the scaled MAD that is let in.
    pub k: Decimal,
    /// What is always let in, as a fraction of the median.
    pub band: Decimal,
    /// Two prices, or two camps of equal size, further apart than this fraction and the band
    /// contradict each other; zero: never.
    pub apart: Decimal,
    /// How long memory may keep a price out that the majority agrees with.
    pub readmit_after: Duration,
}

/// One price to be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vote {
    /// Whose; the gate's memory goes by it.
    pub key: usize,
    /// The price.
    pub value: Decimal,
}

/// What the gate remembers of a price that is out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shut {
    /// Whose price.
    pub key: usize,
    /// Out since then.
    pub since: Mono,
    /// The price that put it out.
    pub value: Decimal,
    /// The median it was held against.
    pub against: Decimal,
    /// Within the limit, though not within half of it, since then.
    near_since: Option<Mono>,
}

/// The memory of a gate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gate {
    shut: Vec<Shut>,
    /// The last median that a majority agreed on.
    reference: Option<(Decimal, Mono)>,
}

/// What was judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// For each vote whether it is out.
    pub out: Vec<bool>,
    /// The median of those that are in; `None` when none is.
    pub median: Option<Decimal>,
    /// What was measured, when there was a majority.
    pub reading: Option<GateReading>,
    /// True when those that are in do not agree with one another.
    pub is_dispersed: bool,
    /// True when those that are in stand in two camps of equal size that contradict each other:
    /// nobody can tell which one is right, and the median is nobody's price.
    pub contradicts: bool,
    /// When time alone will let a price in.
    pub next_change: Option<Mono>,
}

impl Gate {
    /// True when no price is out.
    #[must_use]
    pub const fn is_quiet(&self) -> bool {
        self.shut.is_empty()
    }

    /// Why a price is out, if it is.
    #[must_use]
    pub fn shut(&self, key: usize) -> Option<&Shut> {
        self.shut.iter().find(|shut| shut.key == key)
    }

    /// True while the last agreed median may still help to judge two prices.
    #[must_use]
    pub fn remembers(&self, now: Mono, settings: &GateSettings) -> bool {
        self.reference_at(now, settings).is_some()
    }

    /// Notes a price that a majority was found to agree with, unless something later is known.
    pub fn note(&mut self, at: Mono, value: Decimal) {
        if self.reference.is_none_or(|(_, known)| known < at) {
            self.reference = Some((value, at));
        }
    }

    fn reference_at(&self, now: Mono, settings: &GateSettings) -> Option<(Decimal, Mono)> {
        let (value, at) = self.reference?;
        let end = at.plus(settings.readmit_after);
        (now < end).then_some((value, end))
    }

    /// Judges prices of different keys.
    pub fn judge(&mut self, now: Mono, votes: &[Vote], settings: &GateSettings) -> Verdict {
        let mut next_change = None;
        let mut reading = None;
        let mut out = if votes.len() >= MAJORITY_OF {
            let measured = measure(votes, settings);
            reading = Some(measured);
            let line = Line {
                center: measured.median,
                limit: measured.limit,
                shuts: true,
            };
            let mut out = self.sift(now, votes, line, settings, &mut next_change);
            if 2 * out.iter().filter(|is_out| **is_out).count() >= votes.len() {
                self.shut.clear();
                next_change = None;
                out = self.sift(now, votes, line, settings, &mut next_change);
            }
            out
        } else {
            self.judge_few(now, votes, settings, &mut next_change)
        };
        out.resize(votes.len(), false);
        let mut kept: Vec<Decimal> = votes
            .iter()
            .zip(&out)
            .filter(|(_, is_out)| !**is_out)
            .map(|(vote, _)| vote.value)
            .collect();
        kept.sort_unstable();
        let center = median_of_sorted(&kept);
        let is_dispersed = center.is_some_and(|center| {
            let allowed = times_or_max(times_or_max(settings.band, center), BANDS_OF_DISAGREEMENT);
            spread_around(center, &kept) > allowed
        });
        let contradicts = center.is_some_and(|center| contradict(center, &kept, settings));
        if let Some(center) = center
            && votes.len() >= MAJORITY_OF
            && !is_dispersed
        {
            self.reference = Some((center, now));
        }
        Verdict {
            out,
            median: center,
            reading,
            is_dispersed,
            contradicts,
            next_change,
        }
    }

    /// Opens or shuts each price.
    fn sift(
        &mut self,
        now: Mono,
        votes: &[Vote],
        line: Line,
        settings: &GateSettings,
        next_change: &mut Option<Mono>,
    ) -> Vec<bool> {
        let Line {
            center,
            limit,
            shuts,
        } = line;
        let half = times_or_max(limit, HALF);
        let mut out = Vec::with_capacity(votes.len());
        for vote in votes {
            let away = distance(vote.value, center);
            let Some(at) = self.shut.iter().position(|shut| shut.key == vote.key) else {
                let is_out = shuts && away > limit;
                if is_out {
                    self.shut_out(now, vote, center);
                }
                out.push(is_out);
                continue;
            };
            let shut = &mut self.shut[at];
            if away > limit {
                shut.near_since = None;
                out.push(true);
                continue;
            }
            let near_since = *shut.near_since.get_or_insert(now);
            let back_at = near_since.plus(settings.readmit_after);
            if away <= half || now >= back_at {
                self.shut.swap_remove(at);
                out.push(false);
            } else {
                *next_change = Some(next_change.map_or(back_at, |other| other.min(back_at)));
                out.push(true);
            }
        }
        out
    }

    fn shut_out(&mut self, now: Mono, vote: &Vote, against: Decimal) {
        self.shut.push(Shut {
            key: vote.key,
            since: now,
            value: vote.value,
            against,
            near_since: None,
        });
    }

    /// One or two prices: no majority, only memory.
    fn judge_few(
        &mut self,
        now: Mono,
        votes: &[Vote],
        settings: &GateSettings,
        next_change: &mut Option<Mono>,
    ) -> Vec<bool> {
        let open = votes.iter().filter(|vote| self.shut(vote.key).is_none());
        let center = median(open.map(|vote| vote.value));
        let reference = self.reference_at(now, settings);
        if let ([left, right], Some((agreed, _)), true) = (votes, reference, self.is_quiet()) {
            let limit = times_or_max(agreed, settings.band);
            let far = |vote: &Vote| distance(vote.value, agreed) > limit;
            match (far(left), far(right)) {
                (true, false) => self.shut_out(now, left, agreed),
                (false, true) => self.shut_out(now, right, agreed),
                _ => {}
            }
            return votes
                .iter()
                .map(|vote| self.shut(vote.key).is_some())
                .collect();
        }
        let center = match (center, reference) {
            (Some(center), _) => center,
            (None, Some((agreed, end))) => {
                *next_change = Some(end);
                agreed
            }
            // Nothing is left to hold them against: an outage must not freeze a price.
            (None, None) => {
                self.shut
                    .retain(|shut| votes.iter().all(|vote| vote.key != shut.key));
                return vec![false; votes.len()];
            }
        };
        let line = Line {
            center,
            limit: times_or_max(center, settings.band),
            shuts: false,
        };
        self.sift(now, votes, line, settings, next_change)
    }
}

/// What prices are held against.
#[derive(Debug, Clone, Copy)]
struct Line {
    center: Decimal,
    limit: Decimal,
    /// Whether a price that is in may be put out.
    shuts: bool,
}

fn measure(votes: &[Vote], settings: &GateSettings) -> GateReading {
    let mut values: Vec<Decimal> = votes.iter().map(|vote| vote.value).collect();
    values.sort_unstable();
    let center = median_of_sorted(&values).unwrap_or_default();
    let mad = spread_around(center, &values);
    let by_spread = times_or_max(times_or_max(mad, MAD_SCALE), settings.k);
    let by_band = times_or_max(center, settings.band);
    GateReading {
        median: center,
        mad: mad.normalize(),
        limit: by_spread.max(by_band).normalize(),
    }
}

/// True when sorted prices have two middle ones that are too far apart.
fn contradict(center: Decimal, sorted: &[Decimal], settings: &GateSettings) -> bool {
    let middle = sorted.len() / 2;
    let is_even = sorted.len() >= 2 && sorted.len().is_multiple_of(2);
    let (true, Some(low), Some(high)) = (
        is_even,
        sorted.get(middle.wrapping_sub(1)),
        sorted.get(middle),
    ) else {
        return false;
    };
    let allowed = times_or_max(center, settings.apart.max(settings.band));
    !settings.apart.is_zero() && distance(*low, *high) > allowed
}

/// Median of the distances from the center.
fn spread_around(center: Decimal, values: &[Decimal]) -> Decimal {
    median(values.iter().map(|value| distance(*value, center))).unwrap_or_default()
}

/// Why there is no number of sources that contradict each other.
pub(crate) fn contradiction(names: &[impl Display], allowed: Percent) -> String {
    let listed = match names {
        [first @ .., last] if !first.is_empty() => {
            let first: Vec<String> = first.iter().map(ToString::to_string).collect();
            format!("{} and {last}", first.join(", "))
        }
        _ => "its prices".to_owned(),
    };
    let whom = if names.len() > 2 {
        "in two camps of equal size, and no other says which of them is right"
    } else {
        "and no third says which of them is right"
    };
    let comma = if names.len() > 2 { " " } else { ", " };
    format!("{listed} contradict each other by more than {allowed}{comma}{whom}")
}

#[cfg(test)]
mod tests;
