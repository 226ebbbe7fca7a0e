//! How fast an archive is asked: requests evenly spread, well below the source's limit, since a
//! running kurs may ask the same source from the same address.

use kurs_core::Mono;
use std::time::Duration;

/// What a source allows and what of it is used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Weight used per minute at most, in the source's own unit.
    pub weight_per_minute: u32,
    /// Header of answers that tells the weight used in this minute by everybody at this address,
    /// and the weight from which on this errand waits.
    pub used: Option<(&'static str, u32)>,
    /// True where every request is paid from a quota of the user's.
    pub has_quota: bool,
}

/// Wait when others at this address have used most of the minute's weight.
const CROWDED_DELAY: Duration = Duration::from_secs(10);

/// Spreads requests evenly: no burst, whatever happened before.
#[derive(Debug, Clone)]
pub struct Pace {
    limits: Limits,
    next: Mono,
}

impl Pace {
    /// The first request may go at once.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        let next = Mono(0);
        Self { limits, next }
    }

    /// How long to wait before the next request.
    #[must_use]
    pub fn wait(&self, now: Mono) -> Duration {
        self.next.since(now)
    }

    /// A request of this weight goes now.
    pub fn sent(&mut self, now: Mono, weight: u32) {
        let minute = Duration::from_secs(60);
        let share = minute
            .saturating_mul(weight.max(1))
            .checked_div(self.limits.weight_per_minute.max(1))
            .unwrap_or(minute);
        self.next = now.plus(share);
    }

    /// An answer came with these headers, names in lower case.
    pub fn answered(&mut self, now: Mono, headers: &[(String, String)]) {
        let Some((name, limit)) = self.limits.used else {
            return;
        };
        let used = headers
            .iter()
            .find(|(known, _)| known == name)
            .and_then(|(_, value)| value.trim().parse::<u32>().ok());
        if used.is_some_and(|used| used >= limit) {
            self.next = self.next.max(now.plus(CROWDED_DELAY));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_spread_evenly_and_wait_where_others_ask_too() {
        let mut pace = Pace::new(Limits {
            weight_per_minute: 120,
            used: Some(("x-used", 4_500)),
            has_quota: false,
        });
        let start = Mono(1_000_000_000);
        assert_eq!(pace.wait(start), Duration::ZERO);
        pace.sent(start, 2);
        assert_eq!(pace.wait(start), Duration::from_secs(1));
        let header = |value: &str| [("x-used".to_owned(), value.to_owned())];
        for harmless in ["100", "-1", "many", ""] {
            pace.answered(start, &header(harmless));
            assert_eq!(pace.wait(start), Duration::from_secs(1));
        }
        pace.answered(start, &header("4500"));
        assert_eq!(pace.wait(start), CROWDED_DELAY);
    }
}
