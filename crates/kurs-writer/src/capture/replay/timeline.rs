//! The time of a replay: the recorded one where it was noted, an even one where it was not.

use crate::capture::line::Line;
use kurs_core::{Mono, Now, Wall};
use std::time::Duration;

/// Between two moments at which what is due is looked at.
pub const GRID: Duration = Duration::from_millis(20);
/// Moments of the grid in one pause; what is left of a longer one is jumped over.
const STEPS_MAX: u32 = 100_000;
/// From line to line where no time was noted.
const SYNTHETIC: Duration = Duration::from_millis(10);
/// Where the monotonic clock of a replay begins that has none of its own.
const BEGINNING: Mono = Mono(1_000_000_000);

/// Gives each line its time. Monotonic time never goes back.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    now: Option<Now>,
    /// What is added to the monotonic times of the recording at hand.
    shift_ns: i128,
    /// The next line begins another recording.
    is_new: bool,
    next_step: Mono,
}

impl Timeline {
    /// The present; the beginning of all time before the first line.
    #[must_use]
    pub fn now(&self) -> Now {
        self.now.unwrap_or_default()
    }

    /// The lines that follow were recorded by another process, whose monotonic clock has nothing
    /// to do with the one before.
    pub const fn begin_recording(&mut self) {
        self.is_new = true;
    }

    /// The time of a line. The grid in between is still to be walked: [`Self::step`].
    pub fn of(&mut self, line: &Line<'_>) -> Now {
        // Nothing can compute with dates beyond those that can be written.
        let wall = line
            .t_ns
            .map(|t_ns| Wall(t_ns.div_euclid(1_000).clamp(0, Wall::MAX.0)));
        let Some(last) = self.now else {
            let mono = line.mono_ns.map_or(BEGINNING, Mono);
            let now = Now {
                mono,
                wall: wall.unwrap_or_default(),
            };
            self.is_new = false;
            self.next_step = mono.plus(GRID);
            self.now = Some(now);
            return now;
        };
        let since_last = wall.map_or(SYNTHETIC, |wall| wall.since(last.wall));
        let mono = match line.mono_ns {
            Some(mono_ns) => {
                if std::mem::take(&mut self.is_new) {
                    let follows = last.mono.plus(since_last);
                    self.shift_ns = i128::from(follows.0) - i128::from(mono_ns);
                }
                let shifted = (i128::from(mono_ns) + self.shift_ns).max(0);
                Mono(u64::try_from(shifted).unwrap_or(u64::MAX))
            }
            None => last.mono.plus(since_last),
        };
        Now {
            mono: mono.max(last.mono),
            wall: wall.unwrap_or_else(|| last.wall.plus(SYNTHETIC)),
        }
    }

    /// Moves on to the next moment of the grid before or at `until`, or to `until` itself, which
    /// is the last: `false` then. `steps` counts those of this pause.
    pub fn step(&mut self, until: Now, steps: &mut u32) -> Option<Now> {
        let last = self.now();
        if self.next_step <= until.mono && *steps < STEPS_MAX {
            *steps += 1;
            let now = Now {
                mono: self.next_step,
                wall: last.wall.plus(self.next_step.since(last.mono)),
            };
            self.next_step = self.next_step.plus(GRID);
            self.now = Some(now);
            return Some(now);
        }
        if self.next_step <= until.mono {
            self.next_step = until.mono.plus(GRID);
        }
        self.now = Some(until);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::line::Direction;

    fn line(t_ms: Option<i64>, mono_ms: Option<u64>) -> Line<'static> {
        Line {
            t_ns: t_ms.map(|ms| ms * 1_000_000),
            mono_ns: mono_ms.map(|ms| ms * 1_000_000),
            ..Line::new(Direction::Rx)
        }
    }

    fn walk(timeline: &mut Timeline, line: &Line<'_>) -> (u64, i64, u32) {
        let until = timeline.of(line);
        let mut steps = 0;
        while timeline.step(until, &mut steps).is_some() {}
        assert_eq!(timeline.now(), until);
        (until.mono.0 / 1_000_000, until.wall.unix_ms(), steps)
    }

    #[test]
    fn noted_times_are_kept_and_the_grid_is_walked_between_them() {
        let mut timeline = Timeline::default();
        assert_eq!(
            walk(&mut timeline, &line(Some(5_000), Some(100))),
            (100, 5_000, 0)
        );
        assert_eq!(
            walk(&mut timeline, &line(Some(5_050), Some(150))),
            (150, 5_050, 2)
        );
        assert_eq!(
            walk(&mut timeline, &line(Some(5_060), Some(160))),
            (160, 5_060, 1)
        );
        // Two sources whose lines changed places.
        assert_eq!(
            walk(&mut timeline, &line(Some(5_058), Some(158))),
            (160, 5_058, 0)
        );
    }

    #[test]
    fn another_recording_goes_on_where_the_one_before_ended() {
        let mut timeline = Timeline::default();
        walk(&mut timeline, &line(Some(5_000), Some(100_000)));
        timeline.begin_recording();
        assert_eq!(walk(&mut timeline, &line(Some(6_000), Some(3))).0, 101_000);
        assert_eq!(walk(&mut timeline, &line(Some(6_040), Some(43))).0, 101_040);
    }

    #[test]
    fn without_times_lines_are_ten_milliseconds_apart() {
        let mut timeline = Timeline::default();
        let first = walk(&mut timeline, &line(None, None));
        assert_eq!(
            walk(&mut timeline, &line(None, None)),
            (first.0 + 10, first.1 + 10, 0)
        );
        assert_eq!(
            walk(&mut timeline, &line(None, None)),
            (first.0 + 20, first.1 + 20, 1)
        );
    }

    #[test]
    fn no_time_in_a_line_makes_a_replay_endless() {
        for (first, second) in [
            (
                line(Some(0), Some(0)),
                line(Some(i64::MAX / 1_000_000), Some(u64::MAX / 1_000_000)),
            ),
            (
                line(Some(i64::MIN / 1_000_000), None),
                line(Some(i64::MAX / 1_000_000), None),
            ),
            (
                line(Some(5), Some(u64::MAX / 1_000_000)),
                line(Some(4), Some(0)),
            ),
        ] {
            let mut timeline = Timeline::default();
            walk(&mut timeline, &first);
            timeline.begin_recording();
            assert!(walk(&mut timeline, &second).2 <= STEPS_MAX);
            walk(&mut timeline, &second);
        }
    }
}
