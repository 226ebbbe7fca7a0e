//! When the ECB is polled: often while the day's rates are due, by the timetable otherwise.

use super::calendar;
use super::config::Config;
use crate::poller::Schedule;
use crate::timetable::{Timetable, TimetableError};
use crate::zone;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use kurs_core::Wall;
use std::time::Duration;

/// The ordinary timetable, and a denser one in the publication window of working days.
#[derive(Debug, Clone)]
pub struct PublicationSchedule {
    timetable: Timetable,
    opens: Time,
    closes: Time,
    step: Duration,
    zone: TimeZone,
}

impl PublicationSchedule {
    /// The schedule of a configuration.
    ///
    /// # Errors
    /// [`TimetableError`] when a period or the zone is wrong.
    pub fn new(config: &Config) -> Result<Self, TimetableError> {
        let timetable = Timetable::new(config.anchor, config.period, config.zone.as_deref())?;
        // The same bounds hold for the step of the window.
        let step = Timetable::new(config.window_from, config.window_period, None)?.period();
        Ok(Self {
            timetable,
            opens: config.window_from.time(),
            closes: config.window_to.time(),
            step,
            zone: zone::frankfurt(),
        })
    }

    /// The first moment of the window of one day strictly after a time, if there is one.
    fn in_window_of(&self, date: Date, wall: Wall) -> Option<Wall> {
        if !calendar::is_working_day(date) {
            return None;
        }
        let opens = zone::at(date, self.opens, &self.zone);
        let closes = zone::at(date, self.closes, &self.zone);
        let next = if wall < opens {
            opens
        } else {
            let steps = wall.since(opens).as_micros() / self.step.as_micros().max(1);
            opens.plus(
                self.step
                    .saturating_mul(u32::try_from(steps).ok()?.saturating_add(1)),
            )
        };
        (next <= closes).then_some(next)
    }
}

impl Schedule for PublicationSchedule {
    fn next_after(&self, wall: Wall) -> Wall {
        let ordinary = self.timetable.next_after(wall);
        let today = zone::civil(wall, &self.zone).date();
        // The timetable has a moment within a day, so that no later window can come first.
        (0..=1)
            .filter_map(|days| self.in_window_of(zone::days_after(today, days), wall))
            .fold(ordinary, Wall::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn schedule() -> PublicationSchedule {
        PublicationSchedule::new(&Config::default()).unwrap()
    }

    fn check(from: &str, expect: &[&str]) {
        let mut at: Wall = from.parse().unwrap();
        for expected in expect {
            at = schedule().next_after(at);
            assert_eq!(at, expected.parse().unwrap());
        }
    }

    #[test]
    fn the_window_is_polled_every_ten_minutes_in_winter_and_summer() {
        check(
            "2026-08-14T12:59:00Z",
            &[
                "2026-08-14T13:00:00Z",
                "2026-08-14T13:50:00Z",
                "2026-08-14T14:00:00Z",
                "2026-08-14T14:10:00Z",
            ],
        );
        check(
            "2026-01-14T14:00:00Z",
            &["2026-01-14T14:50:00Z", "2026-01-14T15:00:00Z"],
        );
        check(
            "2026-08-14T15:55:00Z",
            &["2026-08-14T16:00:00Z", "2026-08-14T17:00:00Z"],
        );
    }

    #[test]
    fn weekends_and_holidays_are_polled_hourly() {
        check(
            "2026-08-15T13:30:00Z",
            &["2026-08-15T14:00:00Z", "2026-08-15T15:00:00Z"],
        );
        check(
            "2026-04-03T13:30:00Z",
            &["2026-04-03T14:00:00Z", "2026-04-03T15:00:00Z"],
        );
    }

    proptest! {
        #[test]
        fn moments_rise_and_lie_at_most_an_hour_apart(seconds in 1_500_000_000_i64..2_500_000_000) {
            let at = Wall::from_unix_seconds(seconds);
            let next = schedule().next_after(at);
            prop_assert!(next > at && next.since(at) <= Duration::from_secs(3_600));
        }

        #[test]
        fn no_time_panics(micros in any::<i64>()) {
            let _ = schedule().next_after(Wall(micros));
        }
    }
}
