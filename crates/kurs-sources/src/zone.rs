//! Civil dates and times of the places banks sit in.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};
use kurs_core::Wall;

/// A zone of the bundled time zone data; the machine's own is not asked, so that every machine
/// switches at the same moment. `None` for a name that is not there.
#[must_use]
pub fn find(name: &str) -> Option<TimeZone> {
    TimeZoneDatabase::bundled().get(name).ok()
}

/// Moscow, where CBR rates change at midnight.
#[must_use]
pub fn moscow() -> TimeZone {
    find("Europe/Moscow").unwrap_or_else(|| TimeZone::fixed(Offset::constant(3)))
}

/// Frankfurt, where the ECB publishes.
#[must_use]
pub fn frankfurt() -> TimeZone {
    find("Europe/Berlin").unwrap_or_else(|| TimeZone::fixed(Offset::constant(1)))
}

/// The civil date and time in a zone.
#[must_use]
pub fn civil(wall: Wall, zone: &TimeZone) -> DateTime {
    zone.to_datetime(timestamp(wall))
}

/// The moment of a civil time: the first of two where clocks were set back, the end of the gap
/// where they were set forward. Later civil times never give earlier moments.
#[must_use]
pub fn moment(civil: DateTime, zone: &TimeZone) -> Wall {
    let ambiguous = zone.to_ambiguous_timestamp(civil);
    let at = |offset: Offset| offset.to_timestamp(civil);
    let found = match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { offset } => at(offset),
        AmbiguousOffset::Fold { before, .. } => at(before),
        AmbiguousOffset::Gap { after, .. } => at(after).map(|early| {
            zone.following(early)
                .next()
                .map_or(early, |transition| transition.timestamp())
        }),
    };
    // Only civil times at the ends of history have no moment.
    let end = if civil.year() > 0 {
        Wall::MAX
    } else {
        Wall::MIN
    };
    found.map_or(end, |timestamp| Wall(timestamp.as_microsecond()))
}

/// The moment of a time on a date.
#[must_use]
pub fn at(date: Date, time: Time, zone: &TimeZone) -> Wall {
    moment(date.to_datetime(time), zone)
}

/// A date so many days later (earlier when negative); stops at the ends of the calendar.
#[must_use]
pub fn days_after(date: Date, days: i32) -> Date {
    date.saturating_add(SignedDuration::from_hours(i64::from(days) * 24))
}

fn timestamp(wall: Wall) -> Timestamp {
    let clamped = wall.0.clamp(Wall::MIN.0, Wall::MAX.0);
    Timestamp::from_microsecond(clamped).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::{date, time};

    fn wall(text: &str) -> Wall {
        text.parse().unwrap()
    }

    #[test]
    fn frankfurt_has_summer_time_and_moscow_has_none() {
        let four = time(16, 0, 0, 0);
        assert_eq!(
            at(date(2026, 1, 15), four, &frankfurt()),
            wall("2026-01-15T15:00:00Z")
        );
        assert_eq!(
            at(date(2026, 7, 15), four, &frankfurt()),
            wall("2026-07-15T14:00:00Z")
        );
        assert_eq!(
            at(date(2026, 1, 15), Time::midnight(), &moscow()),
            wall("2026-01-14T21:00:00Z")
        );
        assert_eq!(
            at(date(2026, 7, 15), Time::midnight(), &moscow()),
            wall("2026-07-14T21:00:00Z")
        );
    }

    #[test]
    fn a_time_in_the_gap_is_its_end_and_a_doubled_time_its_first() {
        let zone = frankfurt();
        assert_eq!(
            at(date(2026, 3, 29), time(2, 30, 0, 0), &zone),
            wall("2026-03-29T01:00:00Z")
        );
        assert_eq!(
            at(date(2026, 10, 25), time(2, 30, 0, 0), &zone),
            wall("2026-10-25T00:30:00Z")
        );
    }

    #[test]
    fn the_ends_of_time_do_not_panic() {
        for wall in [Wall(i64::MIN), Wall::MIN, Wall::MAX, Wall(i64::MAX)] {
            let civil = civil(wall, &moscow());
            let _ = moment(civil, &moscow());
            let _ = days_after(civil.date(), i32::MAX);
        }
    }
}
