//! When to poll: a state machine that is told the time and the outcomes.

use crate::timetable::Timetable;
use kurs_core::{Mono, Now, Wall};
use kurs_net::Backoff;
use kurs_net::backoff::BackoffSettings;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// After an error the first wait is up to this long.
const BACKOFF_BASE: Duration = Duration::from_secs(1);

/// No two polls start closer together than this after a failure, whatever the jitter says.
const SHORTEST_RETRY: Duration = Duration::from_millis(250);

/// First wait after a limit for which the server named no time; doubles up to the longest.
const UNNAMED_LIMIT: Duration = Duration::from_secs(60);
const LONGEST_UNNAMED_LIMIT: Duration = Duration::from_secs(3_600);

/// A limit lasts at least this long, whatever the server says.
const SHORTEST_LIMIT: Duration = Duration::from_secs(1);

/// A server that forbids requests for longer is asked again all the same.
const LONGEST_WAIT: Duration = Duration::from_secs(86_400);

/// When polls are due while all is well.
pub trait Schedule: Debug + Send + Sync {
    /// The first due moment strictly after a time.
    fn next_after(&self, wall: Wall) -> Wall;
}

impl Schedule for Timetable {
    fn next_after(&self, wall: Wall) -> Wall {
        Self::next_after(self, wall)
    }
}

/// Why a poll brought nothing, named by when to ask again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PollFailure {
    /// May be over soon: ask again after a growing, jittered delay.
    Passing,
    /// The server limits requests; with the time it named, if it did.
    Limited(Option<Duration>),
    /// Asking again the same way will not help for long.
    Lasting(Duration),
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Start a poll, then report [`Poller::succeeded`] or [`Poller::failed`].
    Poll,
    /// Nothing before this much time has passed. Wall clocks may jump meanwhile, so that the
    /// caller may ask again sooner.
    Wait(Duration),
    /// A poll is under way.
    Busy,
}

#[derive(Debug, Clone, Copy)]
enum Due {
    /// The first poll ever, at once.
    Start,
    /// The next moment of the schedule.
    Slot(Wall),
    /// After a failure, whatever the schedule says.
    Retry(Mono),
}

/// Decides when a source is polled: at start, at the moments of its schedule, and after a
/// failure by its own back-off. One poll at a time; a limit named by the server is kept to.
#[derive(Debug)]
pub struct Poller {
    schedule: Arc<dyn Schedule>,
    backoff_cap: Duration,
    backoff: Backoff,
    random: fastrand::Rng,
    due: Due,
    busy: bool,
    /// The moment that the latest poll answered to; not polled again if the clock steps back.
    served: Wall,
    unnamed_limits_in_row: u32,
    failures_in_row: u32,
    limited_until: Option<Mono>,
}

impl Poller {
    /// A poller whose first poll is due at once. Delays after errors grow up to `backoff_cap`.
    #[must_use]
    pub fn new(schedule: Arc<dyn Schedule>, backoff_cap: Duration, seed: u64) -> Self {
        Self {
            schedule,
            backoff_cap,
            backoff: fresh_backoff(backoff_cap),
            random: fastrand::Rng::with_seed(seed),
            due: Due::Start,
            busy: false,
            served: Wall::MIN,
            unnamed_limits_in_row: 0,
            failures_in_row: 0,
            limited_until: None,
        }
    }

    /// What to do now.
    pub fn step(&mut self, now: Now) -> Step {
        if self.busy {
            return Step::Busy;
        }
        let wait = match self.due {
            Due::Start => Duration::ZERO,
            Due::Retry(at) => at.since(now.mono),
            Due::Slot(at) => {
                let at = self.after_clock_step(at, now.wall);
                self.due = Due::Slot(at);
                at.since(now.wall)
            }
        };
        if !wait.is_zero() {
            return Step::Wait(wait);
        }
        if let Due::Slot(at) = self.due {
            self.served = at;
        }
        self.busy = true;
        self.limited_until = None;
        Step::Poll
    }

    /// A clock set back leaves the awaited moment far away. Within one interval of the schedule
    /// it is waited for, so that no moment is served twice; beyond that the old time was wrong
    /// and the schedule starts anew.
    fn after_clock_step(&self, awaited: Wall, now: Wall) -> Wall {
        let next = self.schedule.next_after(now);
        let interval = self.schedule.next_after(next).since(next);
        if awaited > next.plus(interval) {
            next
        } else {
            awaited
        }
    }

    /// The poll brought an answer.
    pub fn succeeded(&mut self, now: Now) {
        self.busy = false;
        self.unnamed_limits_in_row = 0;
        self.failures_in_row = 0;
        self.backoff = fresh_backoff(self.backoff_cap);
        // After a small step back the moment just served lies ahead again: not twice.
        let from = now.wall.max(self.served);
        let far_back = self.served.since(now.wall) > self.interval_at(now.wall);
        self.due = Due::Slot(
            self.schedule
                .next_after(if far_back { now.wall } else { from }),
        );
    }

    /// The poll failed.
    pub fn failed(&mut self, now: Now, failure: &PollFailure) {
        self.busy = false;
        self.failures_in_row = self.failures_in_row.saturating_add(1);
        let wait = match failure {
            PollFailure::Passing => self
                .backoff
                .next_delay(&mut self.random)
                .max(SHORTEST_RETRY),
            PollFailure::Lasting(wait) => *wait,
            PollFailure::Limited(named) => {
                let wait = match named {
                    // "Retry after 0 s" answered literally would be a loop of refusals.
                    Some(named) => (*named).max(SHORTEST_LIMIT),
                    None => self.next_unnamed_limit(),
                };
                self.limited_until = Some(now.mono.plus(wait.min(LONGEST_WAIT)));
                wait
            }
        };
        self.due = Due::Retry(now.mono.plus(wait.min(LONGEST_WAIT)));
    }

    fn next_unnamed_limit(&mut self) -> Duration {
        let doubled = UNNAMED_LIMIT.saturating_mul(1 << self.unnamed_limits_in_row.min(10));
        self.unnamed_limits_in_row = self.unnamed_limits_in_row.saturating_add(1);
        doubled.min(LONGEST_UNNAMED_LIMIT)
    }

    /// Failures since the last success.
    #[must_use]
    pub const fn failures_in_row(&self) -> u32 {
        self.failures_in_row
    }

    /// When the next poll starts; `None` while one is under way.
    #[must_use]
    pub fn next_poll_at(&self, now: Now) -> Option<Wall> {
        if self.busy {
            return None;
        }
        Some(match self.due {
            Due::Start => now.wall,
            Due::Slot(at) => at,
            Due::Retry(at) => now.wall.plus(at.since(now.mono)),
        })
    }

    /// Until when the server forbade requests.
    #[must_use]
    pub fn limited_until(&self, now: Now) -> Option<Wall> {
        self.limited_until
            .map(|until| now.wall.plus(until.since(now.mono)))
    }

    /// The first moment of the schedule strictly after a time.
    #[must_use]
    pub fn next_slot_after(&self, wall: Wall) -> Wall {
        self.schedule.next_after(wall)
    }

    fn interval_at(&self, wall: Wall) -> Duration {
        let next = self.schedule.next_after(wall);
        self.schedule.next_after(next).since(next)
    }
}

fn fresh_backoff(cap: Duration) -> Backoff {
    Backoff::new(BackoffSettings {
        base: BACKOFF_BASE,
        cap,
        reset_after: Duration::ZERO,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::period::{Period, TimeOfDay};
    use proptest::prelude::*;

    const CAP: Duration = Duration::from_secs(300);

    fn poller(period: &str) -> Poller {
        let period: Period = period.parse().unwrap();
        let timetable = Timetable::new(TimeOfDay::default(), period, None).unwrap();
        Poller::new(Arc::new(timetable), CAP, 7)
    }

    fn noon() -> Now {
        Now {
            mono: Mono(1_000_000_000),
            wall: "2026-08-01T12:00:10Z".parse().unwrap(),
        }
    }

    /// Waits as told and returns the time of the next poll.
    fn until_poll(poller: &mut Poller, mut now: Now) -> Now {
        for _ in 0..10 {
            match poller.step(now) {
                Step::Poll => return now,
                Step::Wait(wait) => now = now.plus(wait),
                Step::Busy => panic!("busy"),
            }
        }
        panic!("never polled");
    }

    #[test]
    fn the_first_poll_is_at_once_and_the_next_at_the_timetable() {
        let mut poller = poller("1h");
        let now = until_poll(&mut poller, noon());
        assert_eq!(now, noon());
        assert_eq!(poller.step(now), Step::Busy);
        poller.succeeded(now.plus(Duration::from_secs(2)));
        assert_eq!(
            poller.next_poll_at(now),
            Some("2026-08-01T13:00:00Z".parse().unwrap())
        );
        let now = until_poll(&mut poller, now);
        assert_eq!(now.wall.to_string(), "2026-08-01T13:00:00.000Z");
    }

    #[test]
    fn errors_are_tried_again_by_back_off_whatever_the_timetable_says() {
        let mut poller = poller("24h");
        let mut now = until_poll(&mut poller, noon());
        let start = now;
        for _ in 0..5 {
            poller.failed(now, &PollFailure::Passing);
            now = until_poll(&mut poller, now);
        }
        assert!(now.mono.since(start.mono) <= Duration::from_secs(31));
        poller.succeeded(now);
        assert_eq!(
            poller.next_poll_at(now),
            Some("2026-08-02T00:00:00Z".parse().unwrap())
        );
        assert_eq!(poller.failures_in_row(), 0);
    }

    #[test]
    fn a_named_limit_is_kept_to_the_second_though_the_timetable_is_faster() {
        let mut poller = poller("1s");
        let now = until_poll(&mut poller, noon());
        poller.failed(now, &PollFailure::Limited(Some(Duration::from_secs(17))));
        assert_eq!(
            poller.limited_until(now),
            Some(now.wall.plus(Duration::from_secs(17)))
        );
        let almost = now.plus(Duration::from_millis(16_999));
        assert_eq!(poller.step(almost), Step::Wait(Duration::from_millis(1)));
        assert_eq!(poller.step(now.plus(Duration::from_secs(17))), Step::Poll);
        assert_eq!(poller.limited_until(now), None);
    }

    #[test]
    fn limits_without_a_time_wait_a_minute_and_double_up_to_an_hour() {
        let mut poller = poller("1s");
        let mut now = until_poll(&mut poller, noon());
        let mut waits = Vec::new();
        for _ in 0..8 {
            poller.failed(now, &PollFailure::Limited(None));
            let next = until_poll(&mut poller, now);
            waits.push(next.mono.since(now.mono).as_secs());
            now = next;
        }
        assert_eq!(waits, [60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
    }

    #[test]
    fn absurd_waits_are_bounded_both_ways() {
        let mut poller = poller("1s");
        let now = until_poll(&mut poller, noon());
        poller.failed(now, &PollFailure::Limited(Some(Duration::MAX)));
        assert_eq!(poller.step(now), Step::Wait(LONGEST_WAIT));
        let now = until_poll(&mut poller, now);
        poller.failed(now, &PollFailure::Limited(Some(Duration::ZERO)));
        assert_eq!(poller.step(now), Step::Wait(Duration::from_secs(1)));
    }

    #[test]
    fn a_clock_set_back_a_little_does_not_poll_a_moment_twice() {
        let mut poller = poller("1h");
        let now = until_poll(&mut poller, noon());
        poller.succeeded(now);
        let one = until_poll(&mut poller, now);
        let back = Now {
            mono: one.mono.plus(Duration::from_secs(1)),
            wall: "2026-08-01T12:58:00Z".parse().unwrap(),
        };
        poller.succeeded(back);
        let next = until_poll(&mut poller, back);
        assert_eq!(next.wall.to_string(), "2026-08-01T14:00:00.000Z");
    }

    #[test]
    fn a_clock_set_back_by_days_does_not_silence_the_source() {
        let mut poller = poller("1h");
        let now = until_poll(&mut poller, noon());
        poller.succeeded(now);
        let back = Now {
            mono: now.mono,
            wall: "2026-07-20T00:10:00Z".parse().unwrap(),
        };
        assert_eq!(poller.step(back), Step::Wait(Duration::from_secs(50 * 60)));
    }

    #[test]
    fn a_clock_set_forward_over_many_moments_polls_once() {
        let mut poller = poller("1h");
        let now = until_poll(&mut poller, noon());
        poller.succeeded(now);
        let ahead = Now {
            mono: now.mono,
            wall: "2026-08-05T00:10:00Z".parse().unwrap(),
        };
        assert_eq!(poller.step(ahead), Step::Poll);
        poller.succeeded(ahead);
        assert_eq!(poller.step(ahead), Step::Wait(Duration::from_secs(50 * 60)));
    }

    proptest! {
        #[test]
        fn quota_is_never_burned_in_a_loop(
            seed in any::<u64>(), period in 1_u64..90_000, outcomes in prop::collection::vec(0_u8..4, 1..60),
        ) {
            let period = Period::seconds(period.min(86_400));
            let timetable = Timetable::new(TimeOfDay::default(), period, None).unwrap();
            let mut poller = Poller::new(Arc::new(timetable), CAP, seed);
            let mut now = until_poll(&mut poller, noon());
            for outcome in outcomes {
                let shortest = match outcome {
                    0 => { poller.succeeded(now); Duration::from_nanos(1) }
                    1 => { poller.failed(now, &PollFailure::Passing); SHORTEST_RETRY }
                    2 => { poller.failed(now, &PollFailure::Limited(Some(Duration::from_secs(9)))); Duration::from_secs(9) }
                    _ => { poller.failed(now, &PollFailure::Lasting(Duration::from_secs(3_600))); Duration::from_secs(3_600) }
                };
                let next = until_poll(&mut poller, now);
                let waited = next.mono.since(now.mono);
                prop_assert!(waited >= shortest, "{waited:?} after {outcome}");
                prop_assert!(waited <= CAP.max(period.0).max(Duration::from_secs(3_600)));
                now = next;
            }
        }
    }
}
