//! How long updates were on their way, without comparing two machines' clocks: of all updates of
//! an epoch the quickest one shows how far the Writer's monotonic clock is from ours; whatever
//! took longer was late by the difference. It waited in a Writer that could not reach its broker,
//! or is a last value of a pair that is silent since.

use kurs_core::{Epoch, Mono};
use std::time::Duration;

/// For how long the quickest update counts: two clocks drift apart.
const WINDOW: Duration = Duration::from_secs(30);

/// What two clocks cannot drift apart within a window. Where all of a window took longer than the
/// one before by more than this, they came out of a queue.
const DRIFT_MAX: i128 = 1_000_000_000;
/// How long a queue may be, at most: then the Writer's clock is taken to have stood still.
const QUEUE_MAX: Duration = Duration::from_secs(300);

/// What is known of the updates of one shard.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transit {
    pub(crate) epoch: Epoch,
    /// The least difference of the two clocks, in the window before this and in this one.
    former: Option<i128>,
    present: Option<i128>,
    began: Mono,
    /// When the window before this one began.
    former_began: Mono,
}

impl Transit {
    /// Nothing was heard of this epoch yet.
    pub(crate) const fn new(epoch: Epoch) -> Self {
        Self {
            epoch,
            former: None,
            present: None,
            began: Mono(0),
            former_began: Mono(0),
        }
    }

    /// True once something was heard that tells the time.
    pub(crate) const fn is_known(&self) -> bool {
        self.former.is_some() || self.present.is_some()
    }

    /// An update arrives that was published at `at` on the Writer's clock.
    pub(crate) fn hear(&mut self, at: Mono, now: Mono) {
        let difference = difference(at, now);
        if self.present.is_none() || now.since(self.began) >= WINDOW {
            let is_queue = self
                .former
                .zip(self.present)
                .is_some_and(|(former, present)| present - former > DRIFT_MAX)
                && now.since(self.former_began) < QUEUE_MAX;
            if !is_queue {
                self.former = self.present;
                self.former_began = self.began;
            }
            self.present = Some(difference);
            self.began = now;
        } else {
            self.present = self.present.map(|least| least.min(difference));
        }
    }

    /// How late it is; zero where nothing is known.
    pub(crate) fn lateness(&self, at: Mono, now: Mono) -> Duration {
        let least = match (self.former, self.present) {
            (Some(former), Some(present)) => former.min(present),
            (Some(least), None) | (None, Some(least)) => least,
            (None, None) => return Duration::ZERO,
        };
        let late = difference(at, now) - least;
        Duration::from_nanos(u64::try_from(late).unwrap_or(0))
    }
}

fn difference(at: Mono, now: Mono) -> i128 {
    i128::from(now.0) - i128::from(at.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Mono {
        Mono(milliseconds * 1_000_000)
    }

    #[test]
    fn what_takes_longer_than_the_quickest_is_late_by_the_difference() {
        let mut transit = Transit::new(Epoch(1));
        assert_eq!(transit.lateness(ms(5), ms(9_000)), Duration::ZERO);
        // Our clock began 50 s after the Writer's.
        transit.hear(ms(60_000), ms(10_020));
        transit.hear(ms(61_000), ms(11_005));
        assert_eq!(transit.lateness(ms(62_000), ms(12_005)), Duration::ZERO);
        let waited = transit.lateness(ms(62_000), ms(15_005));
        assert_eq!(waited, Duration::from_secs(3));
    }

    #[test]
    fn a_long_queue_stays_late_until_it_is_through_or_too_long_to_be_one() {
        let mut transit = Transit::new(Epoch(1));
        for second in 0..60 {
            transit.hear(ms(second * 1_000), ms(second * 1_000 + 5));
        }
        // The broker was away for 100 s; what waited then comes at its own pace.
        for second in 60..180_u64 {
            let (at, now) = (ms(second * 1_000), ms(second * 1_000 + 100_000));
            transit.hear(at, now);
            let late = transit.lateness(at, now);
            assert!(late > Duration::from_secs(99), "{late:?} at {second} s");
        }
        transit.hear(ms(280_000), ms(280_005));
        assert_eq!(transit.lateness(ms(281_000), ms(281_005)), Duration::ZERO);
        // The Writer's machine slept for an hour: its clock is another one from then on.
        let mut now = 0;
        for second in 282..900_u64 {
            now = second * 1_000 + 3_600_000;
            transit.hear(ms(second * 1_000), ms(now));
        }
        assert_eq!(
            transit.lateness(ms(900_000), ms(now + 1_000)),
            Duration::ZERO
        );
    }

    #[test]
    fn a_clock_that_runs_slower_makes_nothing_old_in_the_long_run() {
        let mut transit = Transit::new(Epoch(1));
        for second in 0..36_000_u64 {
            // The Writer's clock loses half a millisecond a second.
            let at = Mono(second * 999_500_000);
            let now = ms(second * 1_000);
            transit.hear(at, now);
            let late = transit.lateness(at, now);
            assert!(
                late <= Duration::from_millis(31),
                "{late:?} after {second} s"
            );
        }
    }
}
