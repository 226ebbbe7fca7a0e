//! Delays between attempts: exponential with full jitter, so that many clients that lost the
//! same server do not come back at the same moment.

use kurs_core::Mono;
use std::time::Duration;

/// How delays grow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackoffSettings {
    /// Upper end of the first delay.
    pub base: Duration,
    /// Upper end of every delay.
    pub cap: Duration,
    /// Data must flow this long before the next delay is short again: a server that accepts
    /// and drops at once must not be hammered.
    pub reset_after: Duration,
}

impl Default for BackoffSettings {
    fn default() -> Self {
        Self {
            base: Duration::from_millis(250),
            cap: Duration::from_secs(30),
            reset_after: Duration::from_secs(10),
        }
    }
}

/// The delays of one chain of attempts.
#[derive(Debug, Clone)]
pub struct Backoff {
    settings: BackoffSettings,
    attempt: u32,
    flowing_since: Option<Mono>,
}

impl Backoff {
    /// No attempt has failed yet.
    #[must_use]
    pub const fn new(settings: BackoffSettings) -> Self {
        Self {
            settings,
            attempt: 0,
            flowing_since: None,
        }
    }

    /// Upper end of the next delay.
    #[must_use]
    pub fn ceiling(&self) -> Duration {
        let factor = 1_u32.checked_shl(self.attempt).unwrap_or(u32::MAX);
        self.settings
            .base
            .saturating_mul(factor)
            .min(self.settings.cap)
    }

    /// An attempt failed, or what it had reached is lost: how long to wait before the next.
    /// Uniform between zero and [`Backoff::ceiling`], which then doubles.
    pub fn next_delay(&mut self, random: &mut fastrand::Rng) -> Duration {
        self.flowing_since = None;
        let ceiling = u64::try_from(self.ceiling().as_nanos()).unwrap_or(u64::MAX);
        self.attempt = self.attempt.saturating_add(1).min(31);
        Duration::from_nanos(random.u64(0..=ceiling))
    }

    /// Data arrived.
    pub fn data(&mut self, now: Mono) {
        let since = *self.flowing_since.get_or_insert(now);
        if self.attempt > 0 && now.since(since) >= self.settings.reset_after {
            self.attempt = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn delays_stay_below_a_ceiling_that_doubles_up_to_the_cap(seed in any::<u64>(), attempts in 1_usize..80) {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut backoff = Backoff::new(BackoffSettings::default());
            let mut ceiling = Duration::from_millis(250);
            for _ in 0..attempts {
                prop_assert_eq!(backoff.ceiling(), ceiling);
                prop_assert!(backoff.next_delay(&mut random) <= ceiling);
                ceiling = (ceiling * 2).min(Duration::from_secs(30));
            }
        }

        #[test]
        fn the_same_seed_gives_the_same_delays(seed in any::<u64>()) {
            let delays = || {
                let mut random = fastrand::Rng::with_seed(seed);
                let mut backoff = Backoff::new(BackoffSettings::default());
                (0..20).map(|_| backoff.next_delay(&mut random)).collect::<Vec<_>>()
            };
            prop_assert_eq!(delays(), delays());
        }

        #[test]
        fn delays_are_spread_over_the_whole_range(seed in any::<u64>()) {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut backoff = Backoff::new(BackoffSettings::default());
            for _ in 0..10 {
                backoff.next_delay(&mut random);
            }
            let delays: Vec<_> = (0..200).map(|_| backoff.next_delay(&mut random)).collect();
            let early = delays.iter().filter(|delay| **delay < Duration::from_secs(15)).count();
            prop_assert!((50..=150).contains(&early), "{} of 200 in the lower half", early);
        }
    }

    #[test]
    fn only_data_that_flowed_for_a_while_makes_the_next_delay_short_again() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut backoff = Backoff::new(BackoffSettings::default());
        for _ in 0..10 {
            backoff.next_delay(&mut random);
        }
        let start = Mono(0);
        backoff.data(start);
        backoff.data(start.plus(Duration::from_secs(9)));
        assert_eq!(
            backoff.ceiling(),
            Duration::from_secs(30),
            "nine seconds are too few"
        );
        backoff.next_delay(&mut random);
        backoff.data(start.plus(Duration::from_secs(12)));
        assert_eq!(
            backoff.ceiling(),
            Duration::from_secs(30),
            "a loss starts the count anew"
        );
        backoff.data(start.plus(Duration::from_secs(22)));
        assert_eq!(backoff.ceiling(), Duration::from_millis(250));
    }
}
