//! Counts warnings and errors that repeat instead of writing them again and again.

use super::record::Record;
use std::time::{Duration, Instant};

/// So many different events are watched at a time; more would be no repetition.
const KINDS_MAX: usize = 64;

struct Seen {
    record: Record,
    written_at: Instant,
    left_out: u64,
}

/// Decides what is written. Time is passed in.
pub(crate) struct Repeats {
    window: Duration,
    seen: Vec<Seen>,
}

impl Repeats {
    /// Repetitions within `window` of the last written one are counted; zero writes all.
    pub(crate) const fn new(window: Duration) -> Self {
        Self {
            window,
            seen: Vec::new(),
        }
    }

    /// Takes an event and returns what has to be written now: summaries of repetitions whose
    /// window is over, then the event itself unless it is a repetition.
    pub(crate) fn take(&mut self, record: Record, now: Instant) -> Vec<Record> {
        if self.window.is_zero() {
            return vec![record];
        }
        let mut lines = self.expire(&record.ts, now);
        if let Some(seen) = self
            .seen
            .iter_mut()
            .find(|seen| seen.record.same_as(&record))
        {
            seen.left_out += 1;
            return lines;
        }
        if self.seen.len() >= KINDS_MAX {
            let mut oldest = self.seen.remove(0);
            lines.extend(oldest.summary(&record.ts));
        }
        self.seen.push(Seen {
            record: record.clone(),
            written_at: now,
            left_out: 0,
        });
        lines.push(record);
        lines
    }

    /// Summaries of repetitions whose window is over. Those that went on are watched further.
    pub(crate) fn expire(&mut self, ts: &str, now: Instant) -> Vec<Record> {
        let window = self.window;
        let mut lines = Vec::new();
        self.seen.retain_mut(|seen| {
            if now.saturating_duration_since(seen.written_at) < window {
                return true;
            }
            let summary = seen.summary(ts);
            let goes_on = summary.is_some();
            lines.extend(summary);
            seen.written_at = now;
            goes_on
        });
        lines
    }

    /// Summaries of everything left out so far, for the end of the program.
    pub(crate) fn finish(&mut self, ts: &str) -> Vec<Record> {
        self.seen
            .drain(..)
            .filter_map(|mut seen| seen.summary(ts))
            .collect()
    }
}

impl Seen {
    fn summary(&mut self, ts: &str) -> Option<Record> {
        if self.left_out == 0 {
            return None;
        }
        let left_out = std::mem::take(&mut self.left_out);
        Some(Record {
            ts: ts.to_owned(),
            left_out,
            ..self.record.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Fields;
    use super::*;
    use crate::level::Level;

    fn event(message: &str) -> Record {
        Record {
            ts: "now".into(),
            level: Level::Error,
            target: "t".into(),
            fields: Fields {
                message: message.into(),
                ..Fields::default()
            },
            left_out: 0,
        }
    }

    #[test]
    fn a_storm_of_one_error_is_two_lines_and_the_second_carries_the_count() {
        let start = Instant::now();
        let mut repeats = Repeats::new(Duration::from_secs(10));
        let mut written = Vec::new();
        for step in 0..1_000 {
            written.extend(repeats.take(event("down"), start + Duration::from_millis(step)));
        }
        assert_eq!(written.len(), 1);
        let later = repeats.take(event("other"), start + Duration::from_secs(11));
        assert_eq!(later.len(), 2);
        assert_eq!(
            (later[0].left_out, &*later[0].fields.message),
            (999, "down")
        );
    }

    #[test]
    fn an_error_that_returns_after_a_quiet_time_is_written_at_once() {
        let start = Instant::now();
        let mut repeats = Repeats::new(Duration::from_secs(10));
        repeats.take(event("down"), start);
        assert_eq!(
            repeats
                .take(event("down"), start + Duration::from_secs(11))
                .len(),
            1
        );
    }

    #[test]
    fn counts_are_not_lost_at_the_end_nor_when_many_kinds_come() {
        let start = Instant::now();
        let mut repeats = Repeats::new(Duration::from_secs(10));
        repeats.take(event("a"), start);
        repeats.take(event("a"), start);
        let mut summaries = Vec::new();
        for kind in 0..KINDS_MAX {
            summaries.extend(repeats.take(event(&format!("kind {kind}")), start));
        }
        assert!(
            summaries
                .iter()
                .any(|line| line.left_out == 1 && line.fields.message == "a")
        );
        repeats.take(event("kind 5"), start);
        assert_eq!(repeats.finish("end").len(), 1);
    }
}
