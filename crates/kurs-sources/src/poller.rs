//! When to poll: a state machine that is told the time and the outcomes.

#[cfg(test)]
mod tests;

use crate::timetable::Timetable;
use kurs_core::{Mono, Now, Wall};
use kurs_net::Backoff;
use kurs_net::backoff::BackoffSettings;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

/// After an error the first wait is up to this long.
const BACKOFF_BASE: Duration = Duration::from_secs(1);

/// No retry comes sooner than this, whatever the jitter says.
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
    /// May be over soon: ask again after a growing, jittered delay, and in any case at the next
    /// moment of the schedule.
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
    /// After a passing failure: the retry or the next moment of the schedule, the sooner one.
    Retry(Mono, Wall),
    /// After a refusal or a limit, whatever the schedule says.
    Barred(Mono),
}

/// Decides when a source is polled: at start, at the moments of its schedule, and between them
/// after a passing failure. One poll at a time; a limit named by the server is kept to.
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
            Due::Barred(at) => at.since(now.mono),
            Due::Retry(at, slot) => {
                let slot = self.after_clock_step(slot, now.wall);
                self.due = Due::Retry(at, slot);
                at.since(now.mono).min(slot.since(now.wall))
            }
            Due::Slot(at) => {
                let at = self.after_clock_step(at, now.wall);
                self.due = Due::Slot(at);
                at.since(now.wall)
            }
        };
        if !wait.is_zero() {
            return Step::Wait(wait);
        }
        if let Due::Slot(slot) | Due::Retry(_, slot) = self.due
            && slot <= now.wall
        {
            self.served = slot;
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
        self.due = Due::Slot(self.next_unserved_slot(now.wall));
    }

    fn next_unserved_slot(&self, now: Wall) -> Wall {
        // After a small step back the moment just served lies ahead again: not twice.
        let far_back = self.served.since(now) > self.interval_at(now);
        let from = if far_back { now } else { now.max(self.served) };
        self.schedule.next_after(from)
    }

    /// The poll failed.
    pub fn failed(&mut self, now: Now, failure: &PollFailure) {
        self.busy = false;
        self.failures_in_row = self.failures_in_row.saturating_add(1);
        let wait = match failure {
            PollFailure::Passing => {
                let delay = self.backoff.next_delay(&mut self.random);
                let retry_at = now.mono.plus(delay.max(SHORTEST_RETRY));
                self.due = Due::Retry(retry_at, self.next_unserved_slot(now.wall));
                return;
            }
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
        self.due = Due::Barred(now.mono.plus(wait.min(LONGEST_WAIT)));
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
            Due::Retry(at, slot) => now.wall.plus(at.since(now.mono)).min(slot),
            Due::Barred(at) => now.wall.plus(at.since(now.mono)),
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
