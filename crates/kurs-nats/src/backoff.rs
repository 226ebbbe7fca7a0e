//! Pauses between attempts: full jitter, so that a thousand programs do not come at once.

use std::time::Duration;

#[derive(Debug)]
pub(crate) struct Backoff {
    random: fastrand::Rng,
    first_ms: u64,
    most_ms: u64,
    now_ms: u64,
}

impl Backoff {
    pub(crate) fn new(seed: u64, first: Duration, most: Duration) -> Self {
        let first_ms = u64::try_from(first.as_millis()).unwrap_or(u64::MAX).max(1);
        Self {
            random: fastrand::Rng::with_seed(seed),
            first_ms,
            most_ms: u64::try_from(most.as_millis()).unwrap_or(u64::MAX),
            now_ms: first_ms,
        }
    }

    /// The next pause; its bound doubles.
    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.random.u64(0..=self.now_ms);
        self.now_ms = self.now_ms.saturating_mul(2).min(self.most_ms);
        Duration::from_millis(pause)
    }

    /// It went well: pauses are short again.
    pub(crate) const fn reset(&mut self) {
        self.now_ms = self.first_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound_and_begin_anew() {
        let (first, most) = (Duration::from_millis(10), Duration::from_millis(100));
        let mut backoff = Backoff::new(7, first, most);
        assert!(backoff.pause() <= first);
        let longest = (0..200).map(|_| backoff.pause()).max().unwrap();
        assert!(longest > most / 2 && longest <= most, "{longest:?}");
        backoff.reset();
        assert!(backoff.pause() <= first);
    }
}
