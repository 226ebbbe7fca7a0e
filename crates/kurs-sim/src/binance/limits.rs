//! Binance's limits. Times are milliseconds since the sim started.

use crate::config::BinanceLimits;
use crate::ws::window::RateWindow;
use std::collections::VecDeque;

/// REST weight, bans, and connection attempts of all clients together: they share one address.
#[derive(Debug)]
pub(crate) struct Limits {
    config: BinanceLimits,
    minute: u64,
    used: u32,
    refused: u32,
    banned_until_ms: u64,
    attempts: RateWindow,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ruling {
    Allowed { used: u32 },
    TooMuch { used: u32, retry_after_seconds: u64 },
    Banned { retry_after_seconds: u64 },
}

const MINUTE_MS: u64 = 60_000;

impl Limits {
    pub(crate) const fn new(config: BinanceLimits) -> Self {
        Self {
            attempts: RateWindow::new(config.attempts_per_five_minutes, 5 * MINUTE_MS),
            config,
            minute: 0,
            used: 0,
            refused: 0,
            banned_until_ms: 0,
        }
    }

    /// Asks for a request of this weight.
    pub(crate) fn spend(&mut self, now_ms: u64, weight: u32) -> Ruling {
        if now_ms < self.banned_until_ms {
            let left = (self.banned_until_ms - now_ms).div_ceil(1_000);
            return Ruling::Banned {
                retry_after_seconds: left,
            };
        }
        let minute = now_ms / MINUTE_MS;
        if minute != self.minute {
            (self.minute, self.used, self.refused) = (minute, 0, 0);
        }
        self.used = self.used.saturating_add(weight);
        let used = self.used;
        if used <= self.config.weight_per_minute {
            return Ruling::Allowed { used };
        }
        self.refused += 1;
        if self.refused > self.config.refusals_before_ban {
            let seconds = self.config.ban_seconds;
            self.banned_until_ms = now_ms.saturating_add(seconds.saturating_mul(1_000));
            return Ruling::Banned {
                retry_after_seconds: seconds,
            };
        }
        let left = (MINUTE_MS - now_ms % MINUTE_MS).div_ceil(1_000);
        Ruling::TooMuch {
            used,
            retry_after_seconds: left,
        }
    }

    /// Weight used in the minute of `now_ms`.
    pub(crate) const fn used(&self, now_ms: u64) -> u32 {
        if now_ms / MINUTE_MS == self.minute {
            self.used
        } else {
            0
        }
    }

    /// Whether one more connection may be opened.
    pub(crate) fn attempt(&mut self, now_ms: u64) -> bool {
        self.attempts.allows(now_ms)
    }
}

/// Incoming messages of one connection within a second.
#[derive(Debug, Default)]
pub(crate) struct MessageRate(VecDeque<u64>);

impl MessageRate {
    /// Counts one message; gives how many there were within the last second. `cap` bounds what
    /// is remembered.
    pub(crate) fn count(&mut self, now_ms: u64, cap: usize) -> usize {
        while self
            .0
            .front()
            .is_some_and(|at| now_ms.saturating_sub(*at) >= 1_000)
        {
            self.0.pop_front();
        }
        if self.0.len() > cap {
            self.0.pop_front();
        }
        self.0.push_back(now_ms);
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_much_weight_is_refused_until_the_minute_ends_and_going_on_is_banned() {
        let config = BinanceLimits {
            weight_per_minute: 100,
            refusals_before_ban: 2,
            ..Default::default()
        };
        let mut limits = Limits::new(config);
        assert_eq!(limits.spend(15_000, 90), Ruling::Allowed { used: 90 });
        assert_eq!(
            limits.spend(15_500, 20),
            Ruling::TooMuch {
                used: 110,
                retry_after_seconds: 45
            }
        );
        assert!(matches!(
            limits.spend(60_000, 100),
            Ruling::Allowed { used: 100 }
        ));
        assert!(matches!(limits.spend(60_001, 1), Ruling::TooMuch { .. }));
        assert!(matches!(limits.spend(60_002, 1), Ruling::TooMuch { .. }));
        assert_eq!(
            limits.spend(60_003, 1),
            Ruling::Banned {
                retry_after_seconds: 120
            }
        );
        assert_eq!(
            limits.spend(120_003, 1),
            Ruling::Banned {
                retry_after_seconds: 60
            }
        );
        assert!(matches!(
            limits.spend(180_003, 1),
            Ruling::Allowed { used: 1 }
        ));
    }

    #[test]
    fn attempts_are_counted_over_five_minutes() {
        let config = BinanceLimits {
            attempts_per_five_minutes: 2,
            ..Default::default()
        };
        let mut limits = Limits::new(config);
        assert!(limits.attempt(0) && limits.attempt(1_000));
        assert!(!limits.attempt(299_999));
        assert!(limits.attempt(300_000));
    }

    #[test]
    fn messages_are_counted_over_any_second_not_by_the_clock() {
        let mut rate = MessageRate::default();
        let counts: Vec<_> = [900, 950, 1_000, 1_050, 1_100, 1_899, 1_900]
            .map(|now_ms| rate.count(now_ms, 16))
            .into();
        assert_eq!(counts, [1, 2, 3, 4, 5, 6, 6]);
    }
}
