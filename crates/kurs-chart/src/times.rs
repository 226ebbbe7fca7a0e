//! The axis of time, in UTC.

use crate::bars::Bars;
use kurs_core::Wall;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// Steps of the axis, seconds.
const STEPS: [i64; 30] = [
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1_800,
    3_600,
    7_200,
    10_800,
    21_600,
    43_200,
    86_400,
    172_800,
    432_000,
    864_000,
    1_728_000,
    3_456_000,
    8_640_000,
    17_280_000,
    34_560_000,
    86_400_000,
    172_800_000,
    345_600_000,
    864_000_000,
];

/// A mark on the axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Microseconds after the begin of the axis.
    pub(crate) after: i64,
    pub(crate) label: String,
}

/// Marks at round times, at most about this many.
pub(crate) fn marks(bars: &Bars, about: i64) -> Vec<Mark> {
    let span = bars.step.saturating_mul(bars.places);
    let end = bars.begin.saturating_add(span);
    let wanted = span / about.max(1);
    let steps = STEPS.iter().map(|seconds| seconds * SECOND);
    let mut finer = steps.filter(|step| *step >= bars.step.min(DAY));
    let Some(step) = finer.find(|step| *step >= wanted) else {
        return Vec::new();
    };
    let years = year(bars.begin) != year(end);
    let mut at = bars.begin.saturating_add(step - 1).div_euclid(step) * step;
    let mut marks = Vec::new();
    while at < end && marks.len() < 100 {
        let label = match (at.rem_euclid(DAY) == 0, years) {
            (true, true) => part(at, 0, 10),
            (true, false) => part(at, 5, 10),
            (false, _) if step < 60 * SECOND => part(at, 11, 19),
            (false, _) => part(at, 11, 16),
        };
        let after = at - bars.begin;
        marks.push(Mark { after, label });
        at = at.saturating_add(step);
    }
    marks
}

/// The whole time of a chart in words.
pub(crate) fn span(bars: &Bars) -> String {
    let end = bars
        .begin
        .saturating_add(bars.step.saturating_mul(bars.places));
    let whole_days = bars.step >= DAY;
    let to = match (
        bars.begin.rem_euclid(60 * SECOND),
        end.rem_euclid(60 * SECOND),
    ) {
        _ if whole_days => 10,
        (0, 0) => 16,
        _ => 19,
    };
    // The last day is a whole one: its own name says so.
    let end = if whole_days { end - 1 } else { end };
    let from = part(bars.begin, 0, to).replace('T', " ");
    let same_day = part(bars.begin, 0, 10) == part(end - 1, 0, 10);
    let until = match (same_day, whole_days) {
        (true, true) => return format!("{from} UTC"),
        (true, false) if end.rem_euclid(DAY) == 0 => "24:00".to_owned(),
        (true, false) => part(end, 11, to),
        (false, _) => part(end, 0, to).replace('T', " "),
    };
    format!("{from} to {until} UTC")
}

fn year(at: i64) -> String {
    part(at, 0, 4)
}

/// A part of the time as RFC 3339 writes it.
fn part(at: i64, from: usize, to: usize) -> String {
    let text = Wall(at).to_string();
    text.get(from..to).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(begin: &str, step_seconds: i64, places: i64) -> Bars {
        Bars {
            bars: Vec::new(),
            places,
            begin: begin.parse::<Wall>().unwrap().0,
            step: step_seconds * SECOND,
            folded: 1,
            missing: 0,
        }
    }

    fn labels(bars: &Bars, about: i64) -> String {
        let marks = marks(bars, about);
        let labels: Vec<String> = marks.into_iter().map(|mark| mark.label).collect();
        labels.join(" ")
    }

    #[test]
    fn marks_stand_at_round_times_and_name_the_day_where_it_changes() {
        let minutes = axis("2026-11-21T23:10:00Z", 60, 100);
        assert_eq!(labels(&minutes, 6), "23:30 11-22 00:30");
        let seconds = axis("2026-11-21T10:00:07Z", 1, 60);
        assert_eq!(labels(&seconds, 5), "10:00:15 10:00:30 10:00:45 10:01:00");
        let days = axis("2025-12-30T00:00:00Z", 86_400, 4);
        assert_eq!(
            labels(&days, 4),
            "2025-12-30 2025-12-31 2026-01-01 2026-01-02"
        );
    }

    #[test]
    fn the_span_is_said_in_utc_and_no_longer_than_needed() {
        let said = |begin, step, places| span(&axis(begin, step, places));
        assert_eq!(
            said("2026-11-21T10:00:00Z", 60, 100),
            "2026-11-21 10:00 to 11:40 UTC"
        );
        assert_eq!(
            said("2026-11-21T23:00:00Z", 60, 60),
            "2026-11-21 23:00 to 24:00 UTC"
        );
        assert_eq!(
            said("2026-11-21T23:00:00Z", 3_600, 3),
            "2026-11-21 23:00 to 2026-11-22 02:00 UTC"
        );
        assert_eq!(
            said("2026-11-21T00:00:00Z", 86_400, 2),
            "2026-11-21 to 2026-11-22 UTC"
        );
        assert_eq!(said("2026-11-21T00:00:00Z", 86_400, 1), "2026-11-21 UTC");
        assert_eq!(
            said("2026-11-21T10:00:07Z", 1, 3),
            "2026-11-21 10:00:07 to 10:00:10 UTC"
        );
    }
}
