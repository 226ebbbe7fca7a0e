//! Working days of the two banks, and dates as they and HTTP write them.

use jiff::civil::{Date, Weekday, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use kurs_core::Wall;

/// The wall time in a zone; UTC when the zone is not known to the machine.
pub(crate) fn in_zone(wall: Wall, zone: &str) -> Zoned {
    let timestamp = Timestamp::from_microsecond(wall.0).unwrap_or(Timestamp::UNIX_EPOCH);
    timestamp.to_zoned(TimeZone::get(zone).unwrap_or(TimeZone::UTC))
}

/// Days since 1970.
pub(crate) fn day_number(day: Date) -> u64 {
    let since = day
        .since(date(1970, 1, 1))
        .map_or(0, |span| span.get_days());
    u64::try_from(since).unwrap_or(0)
}

pub(crate) fn before(day: Date) -> Date {
    day.checked_sub(1.day()).unwrap_or(day)
}

pub(crate) fn after(day: Date) -> Date {
    day.checked_add(1.day()).unwrap_or(day)
}

/// `Wed, 21 Oct 2026 07:28:00 GMT`
pub(crate) fn http_date(wall: Wall) -> String {
    in_zone(wall, "UTC")
        .strftime("%a, %d %b %Y %H:%M:%S GMT")
        .to_string()
}

fn is_weekend(day: Date) -> bool {
    matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// Easter Sunday of the Gregorian calendar (the anonymous computus of 1876).
fn easter(year: i16) -> Date {
    let y = i32::from(year);
    let (a, b, c) = (y % 19, y / 100, y % 100);
    let h = (19 * a + b - b / 4 - (b - (b + 8) / 25 + 1) / 3 + 15) % 30;
    let l = (32 + 2 * (b % 4) + 2 * (c / 4) - h - c % 4) % 7;
    let m = (a + 11 * h + 22 * l) / 451;
    let sum = h + l - 7 * m + 114;
    let month = i8::try_from(sum / 31).unwrap_or(4);
    let day = i8::try_from(sum % 31 + 1).unwrap_or(1);
    Date::new(year, month, day).unwrap_or(date(2026, 4, 5))
}

/// Whether the ECB sets reference rates on this day.
pub(crate) fn is_target_day(day: Date) -> bool {
    let fixed = [(1, 1), (5, 1), (12, 25), (12, 26)];
    if is_weekend(day) || fixed.contains(&(day.month(), day.day())) {
        return false;
    }
    let sunday = easter(day.year());
    let good_friday = before(before(sunday));
    day != good_friday && day != after(sunday)
}

/// Whether the Bank of Russia sets rates on this day.
pub(crate) fn is_russian_working_day(day: Date) -> bool {
    let (month, number) = (day.month(), day.day());
    let holiday = matches!(
        (month, number),
        (1, 1..=8) | (2, 23) | (3, 8) | (5, 1) | (5, 9) | (6, 12) | (11, 4)
    );
    !is_weekend(day) && !holiday
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn easter_days_are_known() {
        assert_eq!(easter(2024), date(2024, 3, 31));
        assert_eq!(easter(2026), date(2026, 4, 5));
        assert_eq!(easter(2038), date(2038, 4, 25));
        assert!(!is_target_day(date(2026, 4, 3)) && !is_target_day(date(2026, 4, 6)));
        assert!(is_target_day(date(2026, 4, 7)));
    }

    #[test]
    fn http_dates_are_written_as_http_wants() {
        assert_eq!(
            http_date(Wall::from_unix_ms(784_111_777_000)),
            "Sun, 06 Nov 1994 08:49:37 GMT"
        );
        assert_eq!(day_number(date(1970, 1, 2)), 1);
    }
}
