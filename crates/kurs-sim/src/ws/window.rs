//! Rate limits: so many events within so much time, counted over any stretch of time and not by
//! the clock.

use std::collections::VecDeque;

/// The events of the last while. Times are milliseconds since the sim started.
#[derive(Debug)]
pub(crate) struct RateWindow {
    most: usize,
    within_ms: u64,
    at_ms: VecDeque<u64>,
}

impl RateWindow {
    /// Allows `most` events in any `within_ms` milliseconds.
    pub(crate) const fn new(most: usize, within_ms: u64) -> Self {
        Self {
            most,
            within_ms,
            at_ms: VecDeque::new(),
        }
    }

    /// Whether one more event is allowed now; only an allowed one is counted.
    pub(crate) fn allows(&mut self, now_ms: u64) -> bool {
        while self
            .at_ms
            .front()
            .is_some_and(|at| now_ms.saturating_sub(*at) >= self.within_ms)
        {
            self.at_ms.pop_front();
        }
        if self.at_ms.len() >= self.most {
            return false;
        }
        self.at_ms.push_back(now_ms);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_over_any_stretch_of_time() {
        let mut window = RateWindow::new(2, 300_000);
        assert!(window.allows(0) && window.allows(1_000));
        assert!(!window.allows(299_999));
        assert!(window.allows(300_000));
        assert!(!window.allows(300_999));
        assert!(window.allows(301_000));
    }
}
