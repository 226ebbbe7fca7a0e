//! What the requests of one minute may cost together, and how many may go in one second.

use kurs_core::Mono;
use kurs_net::CommandRate;
use std::collections::VecDeque;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
/// Requests in a second, however large the budget is.
const REQUESTS_PER_SECOND_MAX: u32 = 8;

/// A sliding window over what was spent.
#[derive(Debug)]
pub(super) struct Budget {
    limit: u32,
    spent: VecDeque<(Mono, u32)>,
    rate: CommandRate,
}

impl Budget {
    /// So much weight in any minute.
    pub(super) fn new(limit: u32) -> Self {
        Self {
            limit: limit.max(1),
            spent: VecDeque::new(),
            rate: CommandRate::new((limit / 60).clamp(1, REQUESTS_PER_SECOND_MAX)),
        }
    }

    fn used(&mut self, now: Mono) -> u32 {
        while let Some((at, _)) = self.spent.front()
            && now.since(*at) > MINUTE
        {
            self.spent.pop_front();
        }
        self.spent.iter().map(|(_, weight)| *weight).sum()
    }

    /// True when a request could be sent now within this share of the budget.
    pub(super) fn has_room(&mut self, now: Mono, weight: u32, percent: u32) -> bool {
        let share = self.limit.saturating_mul(percent) / 100;
        let used = self.used(now);
        // A request that is heavier than the whole share goes alone.
        let fits = used == 0 || used.saturating_add(weight) <= share;
        fits && self.rate.next_permit(now) <= now
    }

    /// Takes the place of a request. An error tells when to try again.
    pub(super) fn take(&mut self, now: Mono, weight: u32) -> Result<(), Mono> {
        let used = self.used(now);
        if used > 0 && used.saturating_add(weight) > self.limit {
            let oldest = self.spent.front().map_or(now, |(at, _)| *at);
            return Err(oldest.plus(MINUTE + Duration::from_nanos(1)));
        }
        if !self.rate.take(now) {
            return Err(self.rate.next_permit(now));
        }
        self.spent.push_back((now, weight));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_minute_ever_costs_more_than_the_budget(
            limit in 10_u32..200,
            requests in prop::collection::vec((0_u64..5_000, 1_u32..10), 1..200),
        ) {
            let mut budget = Budget::new(limit);
            let mut now = Mono(0);
            let mut sent = Vec::new();
            for (gap_ms, weight) in requests {
                now = now.plus(Duration::from_millis(gap_ms));
                if budget.take(now, weight).is_ok() {
                    sent.push((now, weight));
                }
            }
            for (index, (first, _)) in sent.iter().enumerate() {
                let within = sent[index..].iter().filter(|(at, _)| at.since(*first) <= MINUTE);
                prop_assert!(within.map(|(_, weight)| weight).sum::<u32>() <= limit);
            }
        }
    }

    #[test]
    fn a_place_is_there_when_it_was_promised() {
        let mut budget = Budget::new(600);
        let now = Mono(1);
        assert_eq!(budget.take(now, 400), Ok(()));
        assert!(!budget.has_room(now, 100, 75));
        assert!(budget.has_room(now, 50, 75));
        let Err(until) = budget.take(now, 400) else {
            panic!("overdrawn")
        };
        assert_eq!(budget.take(until, 400), Ok(()));
    }
}
