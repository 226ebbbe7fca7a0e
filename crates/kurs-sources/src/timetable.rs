//! The timetable of a polled source: an anchor and a period within the day.

use crate::period::{Period, TimeOfDay};
use crate::zone;
use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use kurs_core::Wall;
use std::time::Duration;
use thiserror::Error;

const DAY: Duration = Duration::from_secs(86_400);

/// Moments at the anchor, anchor + period and so on for 24 hours, starting anew at the anchor
/// every day: anchor 04:00 with period 9 h gives 04, 13 and 22 o'clock.
#[derive(Debug, Clone)]
pub struct Timetable {
    anchor: TimeOfDay,
    period: Duration,
    zone: TimeZone,
}

/// Why there is no such timetable.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TimetableError {
    /// The period is below one second or above one day.
    #[error("a period is between 1s and 24h, not {0}")]
    Period(Period),
    /// No such time zone.
    #[error(
        "there is no time zone {0:?}; use a name such as Europe/Berlin, or leave it out for UTC"
    )]
    Zone(String),
}

impl Timetable {
    /// A timetable in the named zone, in UTC when none is named.
    ///
    /// # Errors
    /// [`TimetableError`] naming the value that cannot be.
    pub fn new(
        anchor: TimeOfDay,
        period: Period,
        zone_name: Option<&str>,
    ) -> Result<Self, TimetableError> {
        if !(Duration::from_secs(1)..=DAY).contains(&period.0) {
            return Err(TimetableError::Period(period));
        }
        let zone = match zone_name {
            None => TimeZone::UTC,
            Some(name) => zone::find(name).ok_or_else(|| TimetableError::Zone(name.to_owned()))?,
        };
        Ok(Self {
            anchor,
            period: period.0,
            zone,
        })
    }

    /// Time between two moments; shorter before the anchor where a day is no multiple of it.
    #[must_use]
    pub const fn period(&self) -> Duration {
        self.period
    }

    /// The first moment strictly after a time. In a zone whose clocks are set back, a moment in
    /// the doubled hour comes once; one in the hour that is left out comes at that hour's end.
    #[must_use]
    pub fn next_after(&self, wall: Wall) -> Wall {
        if wall >= Wall::MAX {
            return Wall::MAX;
        }
        let now = zone::civil(wall, &self.zone);
        let mut start = self.start_of_day_at(now);
        // The slot at or before the civil time; slots map to moments in order, so that the
        // search ends within the slots of a clock change, at most a few hours.
        let elapsed = now.duration_since(start).unsigned_abs();
        let mut slot = elapsed.as_nanos() / self.period.as_nanos().max(1);
        // More slots than a day and a clock change have are never looked at.
        for _ in 0..=2 * DAY.as_secs() {
            let Some(offset) = self.offset_of(slot) else {
                start = next_day(start);
                slot = 0;
                continue;
            };
            let moment = zone::moment(start.saturating_add(offset), &self.zone);
            if moment > wall {
                return moment;
            }
            slot += 1;
        }
        wall.plus(self.period)
    }

    /// Start of the timetable's day that a civil time lies in.
    fn start_of_day_at(&self, now: DateTime) -> DateTime {
        let seconds = i64::from(self.anchor.second_of_day());
        let today = now
            .date()
            .at(0, 0, 0, 0)
            .saturating_add(SignedDuration::from_secs(seconds));
        if today <= now {
            today
        } else {
            today.saturating_sub(SignedDuration::from_secs(86_400))
        }
    }

    /// Where in the timetable's day a slot lies; `None` past its end.
    fn offset_of(&self, slot: u128) -> Option<SignedDuration> {
        let nanos = self.period.as_nanos().checked_mul(slot)?;
        if nanos >= DAY.as_nanos() {
            return None;
        }
        i64::try_from(nanos).ok().map(SignedDuration::from_nanos)
    }
}

fn next_day(start: DateTime) -> DateTime {
    start.saturating_add(SignedDuration::from_secs(86_400))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn table(anchor: &str, period: &str, zone: Option<&str>) -> Timetable {
        Timetable::new(anchor.parse().unwrap(), period.parse().unwrap(), zone).unwrap()
    }

    fn wall(text: &str) -> Wall {
        text.parse().unwrap()
    }

    fn check(table: &Timetable, from: &str, expect: &[&str]) {
        let mut at = wall(from);
        for expected in expect {
            at = table.next_after(at);
            assert_eq!(at, wall(expected));
        }
    }

    #[test]
    fn anchor_and_period_give_the_moments_of_the_day() {
        check(
            &table("04:00", "9h", None),
            "2026-08-01T00:00:00Z",
            &[
                "2026-08-01T04:00:00Z",
                "2026-08-01T13:00:00Z",
                "2026-08-01T22:00:00Z",
                "2026-08-02T04:00:00Z",
                "2026-08-02T13:00:00Z",
            ],
        );
        check(
            &table("00:00", "1h", None),
            "2026-08-01T22:59:59.999Z",
            &[
                "2026-08-01T23:00:00Z",
                "2026-08-02T00:00:00Z",
                "2026-08-02T01:00:00Z",
            ],
        );
        check(
            &table("00:00", "24h", None),
            "2026-08-01T00:00:00Z",
            &["2026-08-02T00:00:00Z", "2026-08-03T00:00:00Z"],
        );
        check(
            &table("20:00", "7h", None),
            "2026-08-01T21:00:00Z",
            &[
                "2026-08-02T03:00:00Z",
                "2026-08-02T10:00:00Z",
                "2026-08-02T17:00:00Z",
                "2026-08-02T20:00:00Z",
            ],
        );
    }

    #[test]
    fn a_moment_is_strictly_after() {
        let hourly = table("00:30", "1h", None);
        assert_eq!(
            hourly.next_after(wall("2026-08-01T00:30:00Z")),
            wall("2026-08-01T01:30:00Z")
        );
    }

    #[test]
    fn periods_outside_one_second_to_one_day_are_refused() {
        for text in ["0s", "999ms", "86401s", "25h", "2d"] {
            let period: Period = text.parse().unwrap();
            let made = Timetable::new(TimeOfDay::default(), period, None);
            assert_eq!(made.unwrap_err(), TimetableError::Period(period), "{text}");
        }
        assert!(matches!(
            Timetable::new(TimeOfDay::default(), Period::hours(1), Some("Mars/Olympus")),
            Err(TimetableError::Zone(_))
        ));
    }

    #[test]
    fn local_moments_come_once_a_day_through_both_clock_changes() {
        let berlin = table("02:30", "24h", Some("Europe/Berlin"));
        check(
            &berlin,
            "2026-03-27T12:00:00Z",
            &[
                "2026-03-28T01:30:00Z",
                "2026-03-29T01:00:00Z",
                "2026-03-30T00:30:00Z",
            ],
        );
        check(
            &berlin,
            "2026-10-23T12:00:00Z",
            &[
                "2026-10-24T00:30:00Z",
                "2026-10-25T00:30:00Z",
                "2026-10-26T01:30:00Z",
            ],
        );
    }

    proptest! {
        #[test]
        fn moments_rise_and_lie_at_most_a_period_apart(
            anchor in 0_u32..1_440, period in 1_u64..=86_400, from in 0_i64..4_000_000_000,
        ) {
            let table = Timetable::new(TimeOfDay::of(anchor / 60, anchor % 60), Period::seconds(period), None).unwrap();
            let start = Wall::from_unix_seconds(from);
            let next = table.next_after(start);
            prop_assert!(next > start);
            prop_assert!(next.since(start) <= Duration::from_secs(period));
            let second_of_day = next.unix_seconds().rem_euclid(86_400) - i64::from(anchor) * 60;
            prop_assert_eq!(second_of_day.rem_euclid(86_400) % i64::try_from(period).unwrap(), 0);
            prop_assert_eq!(next.0 % 1_000_000, 0);
        }

        #[test]
        fn every_time_between_two_moments_has_the_same_next_one(
            period in 1_u64..=86_400, from in 1_700_000_000_i64..1_800_000_000, part in 0_u64..1_000_000,
            zone in prop::sample::select(vec![None, Some("Europe/Berlin"), Some("Europe/Moscow")]),
        ) {
            let table = Timetable::new(TimeOfDay::of(2, 15), Period::seconds(period), zone).unwrap();
            let first = table.next_after(Wall::from_unix_seconds(from));
            let second = table.next_after(first);
            prop_assert!(second > first);
            let gap = u64::try_from(second.0 - first.0).unwrap();
            let between = first.plus(Duration::from_micros(part * gap / 1_000_001));
            prop_assert_eq!(table.next_after(between), second);
        }

        #[test]
        fn no_time_panics(micros in any::<i64>(), period in 1_u64..=86_400) {
            for zone in [None, Some("Europe/Berlin")] {
                let table = Timetable::new(TimeOfDay::of(4, 0), Period::seconds(period), zone).unwrap();
                let _ = table.next_after(Wall(micros));
            }
        }
    }
}
