//! The `priority` policy: the first live candidate serves. When it fails, the next one serves at
//! once; a better one that was lost serves again only after it was live for its hold time, so
//! that a flapping source cannot make the rate jump. One that is lost again and again within a
//! minute waits longer each time. `pricing.md` section 2.

use kurs_core::Mono;
use std::time::Duration;

/// What the policy remembers of one candidate.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Memory {
    /// Live without a break since then.
    live_since: Option<Mono>,
    /// It was live once and lost: its way back takes the hold time.
    was_lost: bool,
    /// Losses in a row with less than [`FLAPPING`] between them.
    losses: u32,
    /// When it was last lost.
    lost_at: Option<Mono>,
}

/// Losses closer together than this are flapping.
const FLAPPING: Duration = Duration::from_secs(60);
/// A flapping candidate waits for as many hold times as it was lost, up to this many.
const HOLDS_MAX: u32 = 6;

impl Memory {
    fn lose(&mut self, now: Mono) {
        let again = self.lost_at.is_some_and(|at| now.since(at) < FLAPPING);
        self.losses = if again {
            self.losses.saturating_add(1)
        } else {
            1
        };
        self.lost_at = Some(now);
        self.live_since = None;
        self.was_lost = true;
    }
}

/// Chooses among candidates that are given in order of preference, always the same ones.
#[derive(Debug, Clone, Default)]
pub struct Priority {
    memory: Vec<Memory>,
    current: Option<usize>,
}

/// The outcome of a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chosen {
    /// The candidate that serves; `None` when none is live.
    pub candidate: Option<usize>,
    /// True when it differs from the last outcome.
    pub changed: bool,
    /// When a better candidate will have been live for its hold time.
    pub next_change: Option<Mono>,
}

impl Priority {
    /// A policy for this many candidates.
    #[must_use]
    pub fn new(candidates: usize) -> Self {
        Self {
            memory: vec![Memory::default(); candidates],
            current: None,
        }
    }

    /// The candidates were reordered or became more: `from[i]` is where the new candidate `i`
    /// stood before, `None` for a new one. What is remembered moves with them.
    pub fn rearrange(&mut self, from: &[Option<usize>]) {
        let old = std::mem::take(&mut self.memory);
        self.memory = from
            .iter()
            .map(|place| {
                place
                    .and_then(|index| old.get(index).copied())
                    .unwrap_or_default()
            })
            .collect();
        self.current = self
            .current
            .and_then(|current| from.iter().position(|place| *place == Some(current)));
    }

    /// The candidate that served last.
    #[must_use]
    pub const fn current(&self) -> Option<usize> {
        self.current
    }

    /// A candidate was found unfit: its way back takes the hold time, even if it never served.
    pub fn lose(&mut self, candidate: usize) {
        if let Some(memory) = self.memory.get_mut(candidate) {
            memory.live_since = None;
            memory.was_lost = true;
        }
    }

    /// Chooses. `live[i]` says whether candidate `i` can serve, `hold(i)` how long it must have
    /// been live to serve again after it was lost.
    pub fn choose(&mut self, now: Mono, live: &[bool], hold: impl Fn(usize) -> Duration) -> Chosen {
        for (memory, is_live) in self.memory.iter_mut().zip(live) {
            match (memory.live_since, *is_live) {
                (None, true) => memory.live_since = Some(now),
                (Some(_), false) => memory.lose(now),
                _ => {}
            }
        }
        let before = self.current;
        let still_live = before.filter(|index| live.get(*index).copied().unwrap_or(false));
        let mut next_change = None;
        let mut chosen = still_live;
        let better_than = still_live.unwrap_or(self.memory.len());
        for (index, memory) in self.memory.iter().enumerate().take(better_than) {
            let Some(live_since) = memory.live_since else {
                continue;
            };
            let holds = memory.losses.clamp(1, HOLDS_MAX);
            let back_at = live_since.plus(hold(index).saturating_mul(holds));
            // With nothing else to serve, a returning source is used at once.
            if still_live.is_none() || !memory.was_lost || now >= back_at {
                chosen = Some(index);
                break;
            }
            next_change = Some(next_change.map_or(back_at, |at: Mono| at.min(back_at)));
        }
        if let Some(index) = chosen {
            self.current = Some(index);
        }
        // A candidate that serves again has paid for its loss.
        if let Some(memory) = chosen.and_then(|index| self.memory.get_mut(index)) {
            memory.was_lost = false;
        }
        let outcome = chosen;
        if outcome.is_none() {
            self.current = None;
        }
        Chosen {
            candidate: outcome,
            changed: outcome != before,
            next_change,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HOLD: Duration = Duration::from_secs(10);

    fn at(ms: u64) -> Mono {
        Mono(ms * 1_000_000)
    }

    fn choose(policy: &mut Priority, ms: u64, live: &[bool]) -> Option<usize> {
        policy.choose(at(ms), live, |_| HOLD).candidate
    }

    #[test]
    fn the_first_live_candidate_serves_and_the_next_takes_over_at_once() {
        let mut policy = Priority::new(3);
        assert_eq!(choose(&mut policy, 0, &[true, true, true]), Some(0));
        assert_eq!(choose(&mut policy, 1, &[false, true, true]), Some(1));
        assert_eq!(choose(&mut policy, 2, &[false, false, true]), Some(2));
        assert_eq!(choose(&mut policy, 3, &[false, false, false]), None);
    }

    #[test]
    fn a_better_source_that_speaks_for_the_first_time_is_used_at_once() {
        let mut policy = Priority::new(2);
        assert_eq!(choose(&mut policy, 0, &[false, true]), Some(1));
        assert_eq!(choose(&mut policy, 200, &[true, true]), Some(0));
    }

    #[test]
    fn a_better_source_that_was_lost_is_used_again_only_after_the_hold_time() {
        let mut policy = Priority::new(2);
        choose(&mut policy, 0, &[true, true]);
        assert_eq!(choose(&mut policy, 1_000, &[false, true]), Some(1));
        let back = policy.choose(at(2_000), &[true, true], |_| HOLD);
        assert_eq!(back.candidate, Some(1));
        assert_eq!(back.next_change, Some(at(12_000)));
        assert_eq!(choose(&mut policy, 11_999, &[true, true]), Some(1));
        assert_eq!(choose(&mut policy, 12_000, &[true, true]), Some(0));
    }

    #[test]
    fn a_source_that_is_lost_again_within_a_minute_waits_longer_each_time() {
        let mut policy = Priority::new(2);
        choose(&mut policy, 0, &[true, true]);
        for lost in 0..3 {
            choose(&mut policy, 1_000 + lost * 1_000, &[false, true]);
            choose(&mut policy, 1_500 + lost * 1_000, &[true, true]);
        }
        assert_eq!(choose(&mut policy, 33_499, &[true, true]), Some(1));
        assert_eq!(choose(&mut policy, 33_500, &[true, true]), Some(0));
        choose(&mut policy, 200_000, &[false, true]);
        choose(&mut policy, 200_500, &[true, true]);
        assert_eq!(choose(&mut policy, 210_500, &[true, true]), Some(0));
    }

    #[test]
    fn with_nothing_else_live_a_returning_source_serves_at_once() {
        let mut policy = Priority::new(2);
        choose(&mut policy, 0, &[true, false]);
        assert_eq!(choose(&mut policy, 1_000, &[false, false]), None);
        assert_eq!(choose(&mut policy, 1_001, &[true, false]), Some(0));
    }

    #[test]
    fn a_source_flapping_at_one_hertz_for_ten_minutes_causes_at_most_two_switches_a_minute() {
        let mut policy = Priority::new(2);
        let mut switches = Vec::new();
        for step in 0..1_200_u64 {
            let outcome = policy.choose(at(step * 500), &[step % 2 == 0, true], |_| HOLD);
            if outcome.changed {
                switches.push(step * 500);
            }
        }
        for start in &switches {
            let within = switches
                .iter()
                .filter(|at| (*start..start + 60_000).contains(at))
                .count();
            assert!(
                within <= 2,
                "{within} switches in the minute after {start} ms"
            );
        }
    }

    #[test]
    fn what_is_remembered_moves_with_the_candidates() {
        let mut policy = Priority::new(2);
        choose(&mut policy, 0, &[true, true]);
        choose(&mut policy, 1_000, &[false, true]);
        policy.rearrange(&[None, Some(0), Some(1)]);
        assert_eq!(policy.current(), Some(2));
        assert_eq!(choose(&mut policy, 2_000, &[false, true, true]), Some(2));
        assert_eq!(choose(&mut policy, 12_000, &[false, true, true]), Some(1));
    }

    proptest! {
        #[test]
        fn a_dead_candidate_never_serves_while_another_is_live(
            steps in prop::collection::vec(prop::collection::vec(any::<bool>(), 4), 1..200),
            gap_ms in 1_u64..5_000,
        ) {
            let mut policy = Priority::new(4);
            for (step, live) in (0_u64..).zip(&steps) {
                let outcome = policy.choose(at(step * gap_ms), live, |_| HOLD);
                match outcome.candidate {
                    Some(index) => prop_assert!(live[index]),
                    None => prop_assert!(live.iter().all(|is_live| !is_live)),
                }
            }
        }
    }
}
