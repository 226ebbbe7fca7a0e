//! How often: the generic cell rate algorithm (GCRA), one number per caller.
//!
//! The number is the moment at which all that was used is given back. A request moves it on by the
//! share of time that one request takes; it may not lie further ahead than the whole window. So a
//! caller may use its quota at once, and gets it back evenly.
//!
//! The table is bounded: when it is full, somebody who has used little is forgotten, which gives
//! them their whole quota again and takes nothing from anybody.

use kurs_core::Mono;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hash};
use std::time::Duration;

/// Parts of the table with a lock each.
const SHARDS: usize = 16;
/// So many are looked at to find one that may be forgotten.
const LOOKED_AT: usize = 16;

/// So many requests in so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Requests, at least one.
    pub requests: u32,
    /// In so long, whole seconds, at least one.
    pub window_seconds: u32,
}

/// What is left of a quota after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Requests that may follow at once.
    pub requests: u32,
    /// Seconds until all of it is there again.
    pub reset_seconds: u32,
}

/// Nothing is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exhausted {
    /// Seconds until one request is allowed, at least one.
    pub retry_seconds: u32,
}

/// Counts the requests of each caller.
#[derive(Debug)]
pub struct Limiter<K> {
    quota: Quota,
    /// Time that one request takes, nanoseconds.
    share: u64,
    /// Most that may be used ahead, nanoseconds.
    window: u64,
    per_shard: usize,
    hasher: RandomState,
    shards: Vec<Mutex<HashMap<K, u64>>>,
}

impl<K: Hash + Eq + Clone> Limiter<K> {
    /// Everybody gets this quota; at most so many are remembered.
    #[must_use]
    pub fn new(quota: Quota, remembered: usize) -> Self {
        let window = u64::from(quota.window_seconds.max(1)) * 1_000_000_000;
        Self {
            quota,
            share: (window / u64::from(quota.requests.max(1))).max(1),
            window,
            per_shard: remembered.div_ceil(SHARDS).max(1),
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    /// The quota that everybody gets.
    #[must_use]
    pub const fn quota(&self) -> Quota {
        self.quota
    }

    /// Counts one request of this caller, if it is allowed. What is refused is not counted.
    ///
    /// # Errors
    /// [`Exhausted`].
    pub fn take(&self, caller: &K, now: Mono) -> Result<Left, Exhausted> {
        self.ask(caller, now, true)
    }

    /// Whether a request would be allowed; counts none.
    ///
    /// # Errors
    /// [`Exhausted`].
    pub fn look(&self, caller: &K, now: Mono) -> Result<Left, Exhausted> {
        self.ask(caller, now, false)
    }

    fn ask(&self, caller: &K, now: Mono, counts: bool) -> Result<Left, Exhausted> {
        let place = usize::try_from(self.hasher.hash_one(caller) % (SHARDS as u64)).unwrap_or(0);
        let Some(shard) = self.shards.get(place) else {
            return Err(Exhausted { retry_seconds: 1 });
        };
        let mut shard = shard.lock();
        let known = shard.get(caller).copied();
        let given_back = known.unwrap_or(now.0).max(now.0);
        let next = given_back.saturating_add(self.share);
        let ahead = next - now.0;
        if ahead > self.window {
            let wait = ahead - self.window;
            return Err(Exhausted {
                retry_seconds: seconds_up(wait).max(1),
            });
        }
        if counts {
            if known.is_none() && shard.len() >= self.per_shard {
                make_room(&mut shard, now);
            }
            match shard.get_mut(caller) {
                Some(known) => *known = next,
                None => {
                    shard.insert(caller.clone(), next);
                }
            }
        }
        let free = (self.window - ahead) / self.share;
        Ok(Left {
            requests: u32::try_from(free).unwrap_or(u32::MAX),
            reset_seconds: seconds_up(ahead),
        })
    }

    /// How many are remembered.
    #[must_use]
    pub fn remembered(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().len()).sum()
    }
}

/// Forgets those who have all of their quota; or else, among a few, who has used least.
fn make_room<K: Hash + Eq + Clone>(shard: &mut HashMap<K, u64>, now: Mono) {
    let some = shard.iter().take(LOOKED_AT);
    let mut over: Vec<(K, u64)> = some.map(|(caller, at)| (caller.clone(), *at)).collect();
    over.sort_unstable_by_key(|(_, at)| *at);
    for (place, (caller, at)) in over.into_iter().enumerate() {
        if place == 0 || at <= now.0 {
            shard.remove(&caller);
        }
    }
}

fn seconds_up(nanoseconds: u64) -> u32 {
    let seconds = Duration::from_nanos(nanoseconds)
        .as_millis()
        .div_ceil(1_000);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    fn limiter(requests: u32, window_seconds: u32) -> Limiter<u32> {
        let quota = Quota {
            requests,
            window_seconds,
        };
        Limiter::new(quota, 1_000)
    }

    #[test]
    fn a_quota_may_be_used_at_once_and_comes_back_evenly() {
        let limiter = limiter(60, 60);
        let now = Mono(5 * SECOND);
        for left in (0..60).rev() {
            assert_eq!(limiter.take(&1, now).unwrap().requests, left);
        }
        let exhausted = limiter.take(&1, now).unwrap_err();
        assert_eq!(exhausted.retry_seconds, 1);
        assert!(limiter.take(&2, now).is_ok(), "others have their own");
        let later = Mono(8 * SECOND);
        let left = limiter.look(&1, later).unwrap();
        assert_eq!((left.requests, left.reset_seconds), (2, 58));
        for _ in 0..3 {
            assert!(limiter.take(&1, later).is_ok());
        }
        assert!(limiter.take(&1, later).is_err());
    }

    #[test]
    fn whoever_waits_as_told_is_let_in() {
        let limiter = limiter(2, 60);
        let now = Mono(SECOND);
        for _ in 0..2 {
            limiter.take(&1, now).unwrap();
        }
        let wait = limiter.take(&1, now).unwrap_err().retry_seconds;
        assert_eq!(wait, 30);
        let then = Mono(now.0 + u64::from(wait) * SECOND);
        assert!(limiter.take(&1, then).is_ok());
    }

    #[test]
    fn the_table_is_bounded_and_who_is_over_quota_is_remembered() {
        let limiter = Limiter::new(
            Quota {
                requests: 4,
                window_seconds: 60,
            },
            SHARDS * 32,
        );
        let now = Mono(SECOND);
        let greedy = 1_000_000;
        while limiter.take(&greedy, now).is_ok() {}
        for caller in 0..100_000_u32 {
            assert!(limiter.take(&caller, now).is_ok());
        }
        assert!(limiter.remembered() <= SHARDS * 32);
        assert!(limiter.take(&greedy, now).is_err());
    }

    proptest! {
        #[test]
        fn nobody_gets_more_than_the_quota_and_what_came_back(
            requests in 1_u32..50,
            window in 1_u32..20,
            steps in prop::collection::vec(0_u64..3_000, 1..200),
        ) {
            let limiter = limiter(requests, window);
            let (mut now_ms, mut taken) = (0_u64, 0_u64);
            for step in steps {
                now_ms += step;
                if limiter.take(&1, Mono(now_ms * 1_000_000)).is_ok() {
                    taken += 1;
                }
            }
            let came_back = now_ms * u64::from(requests) / (u64::from(window) * 1_000);
            prop_assert!(taken <= u64::from(requests) + came_back + 1);
        }
    }
}
