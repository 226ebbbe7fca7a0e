//! How many messages a connection may send: never more than a number in any second.

use kurs_core::Mono;
use std::collections::VecDeque;
use std::time::Duration;

/// The window the limit holds for, whichever second one looks at.
const WINDOW: Duration = Duration::from_secs(1);

/// A sliding window over what was sent. Pongs are spent whether or not there is room, since
/// they cannot wait; commands wait.
#[derive(Debug, Clone)]
pub struct CommandRate {
    limit: usize,
    sent: VecDeque<Mono>,
}

impl CommandRate {
    /// At most `per_second` messages (at least one) in any second.
    #[must_use]
    pub fn new(per_second: u32) -> Self {
        let limit = usize::try_from(per_second).unwrap_or(1).clamp(1, 1_000);
        Self {
            limit,
            sent: VecDeque::new(),
        }
    }

    /// Takes a permit for one command if there is one.
    pub fn take(&mut self, now: Mono) -> bool {
        if self.next_permit(now) > now {
            return false;
        }
        self.spend(now);
        true
    }

    /// Something was sent that could not wait.
    pub fn spend(&mut self, now: Mono) {
        self.sent.push_back(now);
        // Only the last `limit` sendings decide when the next one may go.
        while self.sent.len() > self.limit {
            self.sent.pop_front();
        }
    }

    /// When the next command may be sent; `now` when at once.
    #[must_use]
    pub fn next_permit(&self, now: Mono) -> Mono {
        if self.sent.len() < self.limit {
            return now;
        }
        match self.sent.front() {
            // One nanosecond more, so that two sendings a whole window apart are never in one.
            Some(oldest) => oldest.plus(WINDOW).plus(Duration::from_nanos(1)).max(now),
            None => now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_second_ever_sees_more_commands_than_the_limit(
            limit in 1_u32..10,
            gaps_ms in prop::collection::vec(0_u64..700, 1..200),
        ) {
            let mut rate = CommandRate::new(limit);
            let mut now = Mono(0);
            let mut sent = Vec::new();
            for gap in gaps_ms {
                now = now.plus(Duration::from_millis(gap));
                if rate.take(now) {
                    sent.push(now);
                }
            }
            for (index, first) in sent.iter().enumerate() {
                let within = sent[index..].iter().filter(|at| at.since(*first) <= WINDOW).count();
                prop_assert!(within <= usize::try_from(limit).unwrap());
            }
        }

        #[test]
        fn a_permit_is_there_when_it_was_promised(limit in 1_u32..10, pongs in 0_usize..20) {
            let mut rate = CommandRate::new(limit);
            let now = Mono(5);
            for _ in 0..pongs {
                rate.spend(now);
            }
            let promised = rate.next_permit(now);
            prop_assert!(promised.since(now) <= WINDOW + Duration::from_nanos(1));
            prop_assert!(rate.take(promised));
        }
    }

    #[test]
    fn pongs_take_room_from_commands() {
        let mut rate = CommandRate::new(2);
        rate.spend(Mono(0));
        rate.spend(Mono(0));
        assert!(!rate.take(Mono(1)));
        assert!(rate.take(rate.next_permit(Mono(1))));
    }
}
