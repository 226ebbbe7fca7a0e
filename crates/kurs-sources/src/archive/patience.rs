//! What to do after a request that brought nothing.

use kurs_net::Backoff;
use kurs_net::backoff::BackoffSettings;
use std::time::Duration;

/// Failures of one request before its errand is given up.
const FAILURES_MAX: u32 = 6;
/// A limit lasts at least this long, whatever the source says.
const SHORTEST_LIMIT: Duration = Duration::from_secs(1);
/// First wait after a limit for which the source named no time; doubles.
const UNNAMED_LIMIT: Duration = Duration::from_secs(60);
/// A source that wants a longer pause is left alone: whoever runs the backfill can come again.
const LONGEST_WAIT: Duration = Duration::from_secs(900);

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// May be over soon.
    Passing,
    /// The source limits requests; with the time it named, if it did.
    Limited(Option<Duration>),
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Ask the same again after this.
    After(Duration),
    /// Give this errand up; the next may fare better.
    GiveUp,
    /// Leave the source alone altogether.
    Leave,
}

/// Counts the failures of one request.
#[derive(Debug)]
pub struct Patience {
    backoff: Backoff,
    random: fastrand::Rng,
    failures: u32,
    limits: u32,
}

fn fresh() -> Backoff {
    Backoff::new(BackoffSettings {
        base: Duration::from_secs(1),
        cap: Duration::from_secs(30),
        reset_after: Duration::ZERO,
    })
}

impl Patience {
    /// Nothing failed yet; `seed` of the jitter.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            backoff: fresh(),
            random: fastrand::Rng::with_seed(seed),
            failures: 0,
            limits: 0,
        }
    }

    /// A request brought something.
    pub fn succeeded(&mut self) {
        if self.failures > 0 || self.limits > 0 {
            self.backoff = fresh();
        }
        self.failures = 0;
        self.limits = 0;
    }

    /// A request brought nothing.
    pub fn failed(&mut self, trouble: Trouble) -> Next {
        match trouble {
            Trouble::Passing => {
                self.failures += 1;
                if self.failures >= FAILURES_MAX {
                    self.succeeded();
                    return Next::GiveUp;
                }
                Next::After(self.backoff.next_delay(&mut self.random))
            }
            Trouble::Limited(named) => {
                self.limits += 1;
                let unnamed = UNNAMED_LIMIT.saturating_mul(1 << (self.limits - 1).min(8));
                let wait = named.unwrap_or(unnamed).max(SHORTEST_LIMIT);
                if wait > LONGEST_WAIT || self.limits > FAILURES_MAX {
                    return Next::Leave;
                }
                Next::After(wait)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_wait_is_kept_and_a_long_one_ends_it() {
        let mut patience = Patience::new(1);
        let named = |seconds| Trouble::Limited(Some(Duration::from_secs(seconds)));
        assert_eq!(
            patience.failed(named(7)),
            Next::After(Duration::from_secs(7))
        );
        assert_eq!(patience.failed(named(0)), Next::After(SHORTEST_LIMIT));
        assert_eq!(patience.failed(named(7_200)), Next::Leave);
        patience.succeeded();
        let unnamed = Trouble::Limited(None);
        assert_eq!(patience.failed(unnamed), Next::After(UNNAMED_LIMIT));
        assert_eq!(patience.failed(unnamed), Next::After(UNNAMED_LIMIT * 2));
    }

    #[test]
    fn failures_in_a_row_are_bounded() {
        let mut patience = Patience::new(1);
        let outcomes: Vec<Next> = (0..6).map(|_| patience.failed(Trouble::Passing)).collect();
        assert_eq!(outcomes.last(), Some(&Next::GiveUp));
        assert!(
            outcomes[..5]
                .iter()
                .all(|next| matches!(next, Next::After(wait) if *wait <= Duration::from_secs(30)))
        );
        let mut patience = Patience::new(1);
        let mut rounds = 0;
        while patience.failed(Trouble::Limited(Some(Duration::ZERO))) != Next::Leave {
            rounds += 1;
        }
        assert_eq!(rounds, FAILURES_MAX);
    }
}
