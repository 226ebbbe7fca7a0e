//! Pauses between attempts to reach a broker: full jitter, so that a thousand programs that lost
//! the same one do not come back at once.

use std::time::Duration;

/// The pauses of one chain of attempts.
#[derive(Debug, Clone)]
pub struct Backoff {
    random: fastrand::Rng,
    first: Duration,
    most: Duration,
    /// Longest next pause.
    bound: Duration,
}

impl Backoff {
    /// The first pause is at most `first` long; the bound doubles with each up to `most`. Tasks
    /// that should not wait in step have different seeds.
    #[must_use]
    pub fn new(seed: u64, first: Duration, most: Duration) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            first,
            most: most.max(first),
            bound: first,
        }
    }

    /// The next pause: a millisecond at least, so that nobody tries without a rest.
    pub fn pause(&mut self) -> Duration {
        let bound_ms = u64::try_from(self.bound.as_millis()).unwrap_or(u64::MAX);
        self.bound = self.bound.saturating_mul(2).min(self.most);
        Duration::from_millis(self.random.u64(1..=bound_ms.max(1)))
    }

    /// It went well: pauses are short again.
    pub const fn reset(&mut self) {
        self.bound = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(10);
    const MOST: Duration = Duration::from_millis(100);

    fn pauses(backoff: &mut Backoff) -> Vec<Duration> {
        (0..200).map(|_| backoff.pause()).collect()
    }

    #[test]
    fn pauses_grow_to_their_bound_and_are_short_again_after_a_success() {
        let mut backoff = Backoff::new(7, FIRST, MOST);
        for bound_ms in [10, 20, 40, 80, 100] {
            assert_eq!(backoff.bound, Duration::from_millis(bound_ms));
            assert!(backoff.pause() <= Duration::from_millis(bound_ms));
        }
        let longest = pauses(&mut backoff).into_iter().max().unwrap();
        assert!(longest > MOST / 2 && longest <= MOST, "{longest:?}");
        backoff.reset();
        assert!(backoff.pause() <= FIRST);
    }

    #[test]
    fn pauses_are_spread_over_all_of_their_bound_and_are_never_none() {
        let mut backoff = Backoff::new(7, MOST, MOST);
        let pauses = pauses(&mut backoff);
        let short = pauses.iter().filter(|pause| **pause < MOST / 2).count();
        assert!((50..=150).contains(&short), "{short} of 200 are short");
        assert!(pauses.iter().all(|pause| !pause.is_zero()));
        assert!(!Backoff::new(7, Duration::ZERO, MOST).pause().is_zero());
    }

    #[test]
    fn the_same_seed_gives_the_same_pauses_and_another_one_others() {
        let of = |seed| pauses(&mut Backoff::new(seed, FIRST, MOST));
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
    }
}
