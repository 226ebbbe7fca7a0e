//! What is logged, and how often: a database that is away for a night is a few lines, not many.

use kurs_core::Mono;
use std::time::Duration;

/// The same trouble is said again after this long.
const EVERY: Duration = Duration::from_secs(60);

/// What was said.
#[derive(Debug, Default)]
pub(super) struct Telling {
    dropped: Tally,
    refused: Tally,
    has_failed: bool,
}

/// Counts what happens until it is said again.
#[derive(Debug, Default)]
struct Tally {
    count: u64,
    said: Option<Mono>,
}

impl Tally {
    /// The number that is to be said now: all since it was said last.
    fn add(&mut self, count: u64, now: Mono) -> Option<u64> {
        self.count = self.count.saturating_add(count);
        if self.said.is_some_and(|said| now.since(said) < EVERY) {
            return None;
        }
        self.said = Some(now);
        Some(std::mem::take(&mut self.count))
    }
}

impl Telling {
    /// Lines were dropped since the queue is full.
    pub(super) fn dropped(&mut self, lines: u64, now: Mono) {
        if let Some(lines) = self.dropped.add(lines, now) {
            tracing::warn!(
                lines,
                "too many lines wait for InfluxDB, dropped the oldest"
            );
        }
    }

    /// Lines were refused, or given up.
    pub(super) fn refused(&mut self, lines: u64, why: &str, now: Mono) {
        if let Some(lines) = self.refused.add(lines, now) {
            tracing::error!(lines, why, "InfluxDB refuses lines, they are dropped");
        }
    }

    /// A request failed; it will be repeated.
    pub(super) fn failed(&mut self, why: &str) {
        if !std::mem::replace(&mut self.has_failed, true) {
            tracing::warn!(why, "InfluxDB takes nothing at present, lines wait");
        }
    }

    /// A request succeeded.
    pub(super) fn works(&mut self) {
        if std::mem::take(&mut self.has_failed) {
            tracing::info!("InfluxDB takes lines again");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_said_at_once_and_then_once_a_minute_with_its_sum() {
        let mut tally = Tally::default();
        let at = |seconds: u64| Mono(seconds * 1_000_000_000);
        assert_eq!(tally.add(5, at(10)), Some(5));
        assert_eq!(tally.add(2, at(11)), None);
        assert_eq!(tally.add(3, at(69)), None);
        assert_eq!(tally.add(4, at(70)), Some(9));
        assert_eq!(tally.add(1, at(71)), None);
    }
}
