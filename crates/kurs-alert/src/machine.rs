//! When an alert fires. Pure: what was seen and the time go in; what it remembers, and whether it
//! fired, come out.
//!
//! - It fires once. Before it can fire again what it watches must have come back by a margin: half
//!   a percent of a threshold's value by default, half of the percent of a move or a depeg, the
//!   same time of being well for what was bad for a time. A move since it was told last is counted
//!   from that value, so it must move as far again.
//! - Between two firings lies the cooldown. What holds at its end is told then.
//! - A rate that is not fresh fires nothing and arms nothing, but a freeze is just that.

use crate::condition::{Condition, Side, Terms};
use kurs_core::{Price, RateState, SourceId, SourceState, Wall};
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// Parts of a window whose least and greatest value are remembered.
const SLICES: u32 = 24;
/// Digits after the point of a percentage that is told.
const CHANGE_DIGITS: u32 = 4;

/// What a machine remembers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AlertState {
    /// It may fire.
    pub is_armed: bool,
    /// When it fired last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fired_at: Option<Wall>,
    /// The value that a move is counted from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<Price>,
    /// Since when it is bad.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bad_since: Option<Wall>,
    /// Since when it is well again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub well_since: Option<Wall>,
    /// The values within the window, in time order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub window: Vec<Slice>,
}

/// The least and the greatest value within a part of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slice {
    /// When it began, in milliseconds.
    pub at_ms: i64,
    /// The least value.
    pub low: Price,
    /// The greatest value.
    pub high: Price,
}

impl Default for AlertState {
    fn default() -> Self {
        Self {
            is_armed: true,
            fired_at: None,
            reference: None,
            bad_since: None,
            well_since: None,
            window: Vec::new(),
        }
    }
}

impl AlertState {
    /// As it is stored.
    #[must_use]
    pub fn json(&self) -> Arc<str> {
        serde_json::to_string(self).unwrap_or_default().into()
    }

    /// True when a restart that forgot the difference could tell twice, or not at all. Everything
    /// else costs at most the time since it was stored.
    #[must_use]
    pub fn must_be_stored(&self, stored: &Self) -> bool {
        self.is_armed != stored.is_armed
            || self.fired_at != stored.fired_at
            || self.reference != stored.reference
    }
}

/// What was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observation {
    /// The rate of the pair, if there is one.
    Rate(Option<SeenRate>),
    /// The state of the source, if it is known.
    Source(Option<SeenSource>),
}

/// A rate that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenRate {
    /// The value.
    pub value: Price,
    /// Its state.
    pub state: RateState,
    /// Its source.
    pub source: SourceId,
    /// When it was observed.
    pub observed_at: Wall,
}

/// The state of a source that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenSource {
    /// The source.
    pub source: SourceId,
    /// Its state.
    pub state: SourceState,
}

/// What an alert saw when it fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fired {
    /// When.
    pub at: Wall,
    /// The rate, if there is one.
    pub value: Option<Price>,
    /// State of the rate.
    pub state: Option<RateState>,
    /// The source of the rate, or the source that is looked at.
    pub source: Option<SourceId>,
    /// State of the source that is looked at.
    pub source_state: Option<SourceState>,
    /// When the rate was observed.
    pub observed_at: Option<Wall>,
    /// The value that the move is counted from.
    pub reference: Option<Price>,
    /// The move, or the distance from the dollar.
    pub change_percent: Option<Decimal>,
    /// Since when it is bad.
    pub since: Option<Wall>,
}

impl Fired {
    fn of(observation: &Observation, at: Wall) -> Self {
        let (rate, source) = match observation {
            Observation::Rate(rate) => (*rate, None),
            Observation::Source(source) => (None, *source),
        };
        Self {
            at,
            value: rate.map(|rate| rate.value),
            state: rate.map(|rate| rate.state),
            source: rate
                .map(|rate| rate.source)
                .or(source.map(|source| source.source)),
            source_state: source.map(|source| source.state),
            observed_at: rate.map(|rate| rate.observed_at),
            reference: None,
            change_percent: None,
            since: None,
        }
    }
}

/// How a condition stands.
struct Reading {
    /// It holds.
    is_met: bool,
    /// It has come back far enough to fire again.
    is_back: bool,
    reference: Option<Price>,
    change: Option<Decimal>,
    since: Option<Wall>,
}

/// One step: what is remembered afterwards, and whether it fired.
#[must_use]
pub fn step(
    terms: &Terms,
    state: &AlertState,
    observation: &Observation,
    now: Wall,
) -> (AlertState, Option<Fired>) {
    // As it is stored, so that a restart counts from the same moments.
    let now = now.to_millisecond();
    let mut next = state.clone();
    let Some(reading) = read(terms, &mut next, observation, now) else {
        return (next, None);
    };
    if !next.is_armed && reading.is_back && !reading.is_met {
        next.is_armed = true;
    }
    let has_cooled = next
        .fired_at
        .is_none_or(|fired_at| now.since(fired_at) >= terms.cooldown);
    if !(next.is_armed && reading.is_met && has_cooled) {
        return (next, None);
    }
    let fired = Fired {
        reference: reading.reference,
        change_percent: reading.change.map(told),
        since: reading.since,
        ..Fired::of(observation, now)
    };
    next.fired_at = Some(now);
    if is_counted_from_last(&terms.condition) {
        next.reference = fired.value;
    } else {
        next.is_armed = false;
    }
    (next, Some(fired))
}

/// A move since it was told last needs nothing to come back.
const fn is_counted_from_last(condition: &Condition) -> bool {
    matches!(condition, Condition::Percent { window: None, .. })
}

fn told(change: Decimal) -> Decimal {
    change
        .round_dp_with_strategy(CHANGE_DIGITS, RoundingStrategy::MidpointNearestEven)
        .normalize()
}

/// `None` when what was seen says nothing.
fn read(
    terms: &Terms,
    state: &mut AlertState,
    observation: &Observation,
    now: Wall,
) -> Option<Reading> {
    match (&terms.condition, observation) {
        (Condition::SourceLoss { after, .. }, Observation::Source(seen)) => {
            let is_bad = (*seen)?.state != SourceState::Live;
            Some(time(state, is_bad, *after, now))
        }
        (Condition::Freeze { after, .. }, Observation::Rate(seen)) => {
            let is_bad = seen.is_none_or(|rate| rate.state != RateState::Fresh);
            Some(time(state, is_bad, *after, now))
        }
        (Condition::Threshold { side, value, .. }, Observation::Rate(seen)) => {
            threshold(*side, *value, terms.margin_percent, fresh(seen.as_ref())?)
        }
        (
            Condition::Percent {
                percent,
                window: None,
                ..
            },
            Observation::Rate(seen),
        ) => {
            let value = fresh(seen.as_ref())?;
            let reference = *state.reference.get_or_insert(value);
            moved(reference, value, *percent)
        }
        (
            Condition::Percent {
                percent,
                window: Some(window),
                ..
            },
            Observation::Rate(seen),
        ) => {
            let value = fresh(seen.as_ref())?;
            look_back(&mut state.window, value, *window, now);
            within(&state.window, value, *percent)
        }
        (Condition::Depeg { percent, .. }, Observation::Rate(seen)) => {
            let one = Price::new(Decimal::ONE).ok()?;
            let reading = moved(one, fresh(seen.as_ref())?, *percent)?;
            Some(Reading {
                reference: None,
                ..reading
            })
        }
        // Whoever asks looks at what the condition names.
        (_, Observation::Source(_)) | (Condition::SourceLoss { .. }, Observation::Rate(_)) => None,
    }
}

fn fresh(seen: Option<&SeenRate>) -> Option<Price> {
    seen.filter(|rate| rate.state == RateState::Fresh)
        .map(|rate| rate.value)
}

/// Bad for a time; back when it was well for as long.
fn time(state: &mut AlertState, is_bad: bool, after: Duration, now: Wall) -> Reading {
    let has_lasted = |since: Option<Wall>| since.is_some_and(|since| now.since(since) >= after);
    if is_bad {
        state.well_since = None;
        state.bad_since.get_or_insert(now);
    } else {
        state.bad_since = None;
        state.well_since.get_or_insert(now);
    }
    Reading {
        is_met: has_lasted(state.bad_since),
        is_back: has_lasted(state.well_since),
        reference: None,
        change: None,
        since: state.bad_since,
    }
}

fn threshold(side: Side, limit: Price, margin_percent: Decimal, value: Price) -> Option<Reading> {
    let (limit, value) = (limit.value(), value.value());
    let margin = limit
        .checked_mul(margin_percent)?
        .checked_div(Decimal::ONE_HUNDRED)?;
    let (is_met, is_back) = match side {
        Side::Above => (value >= limit, value <= limit.checked_sub(margin)?),
        Side::Below => (value <= limit, value >= limit.checked_add(margin)?),
    };
    Some(Reading {
        is_met,
        is_back,
        reference: None,
        change: None,
        since: None,
    })
}

fn change(reference: Price, value: Price) -> Option<Decimal> {
    value
        .value()
        .checked_sub(reference.value())?
        .checked_div(reference.value())?
        .checked_mul(Decimal::ONE_HUNDRED)
}

fn moved(reference: Price, value: Price, percent: Decimal) -> Option<Reading> {
    let change = change(reference, value)?;
    Some(Reading {
        is_met: change.abs() >= percent,
        is_back: change.abs() <= percent.checked_div(Decimal::TWO)?,
        reference: Some(reference),
        change: Some(change),
        since: None,
    })
}

/// The further one of the moves from the least and from the greatest value.
fn within(window: &[Slice], value: Price, percent: Decimal) -> Option<Reading> {
    let low = window.iter().map(|slice| slice.low).min()?;
    let high = window.iter().map(|slice| slice.high).max()?;
    let (up, down) = (moved(low, value, percent)?, moved(high, value, percent)?);
    let is_up = up.change?.abs() >= down.change?.abs();
    Some(if is_up { up } else { down })
}

/// Takes a value into the window, and lets go what has left it.
fn look_back(window: &mut Vec<Slice>, value: Price, length: Duration, now: Wall) {
    let length_ms = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
    let slice_ms = length_ms.div_euclid(i64::from(SLICES)).max(1);
    let now_ms = now.unix_ms();
    let begin = now_ms.saturating_sub(length_ms);
    // What begins after now is of a clock that was set back since.
    window.retain(|slice| slice.at_ms.saturating_add(slice_ms) > begin && slice.at_ms <= now_ms);
    match window.last_mut() {
        Some(last) if now_ms < last.at_ms.saturating_add(slice_ms) => {
            last.low = last.low.min(value);
            last.high = last.high.max(value);
        }
        _ => window.push(Slice {
            at_ms: now_ms,
            low: value,
            high: value,
        }),
    }
}

#[cfg(test)]
mod tests;
