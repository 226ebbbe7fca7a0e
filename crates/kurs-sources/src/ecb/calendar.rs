//! The working days of TARGET, on which the ECB publishes.

use crate::zone;
use jiff::civil::{Date, Weekday};

/// True when the ECB sets rates on this day: no weekend and no TARGET closing day.
#[must_use]
pub fn is_working_day(date: Date) -> bool {
    let weekend = matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday);
    let fixed = matches!((date.month(), date.day()), (1 | 5, 1) | (12, 25 | 26));
    let easter = easter_sunday(date.year());
    let moving = easter.is_some_and(|sunday| {
        date == zone::days_after(sunday, -2) || date == zone::days_after(sunday, 1)
    });
    !(weekend || fixed || moving)
}

/// The first working day after a day.
#[must_use]
pub fn next_working_day(date: Date) -> Date {
    // The longest closed stretch is Good Friday to Easter Monday, or Christmas with a weekend.
    let mut day = zone::days_after(date, 1);
    for _ in 0..14 {
        if is_working_day(day) {
            break;
        }
        day = zone::days_after(day, 1);
    }
    day
}

/// Easter Sunday by the Gregorian computus: the Sunday after the paschal full moon, which the
/// golden number and the century corrections give.
fn easter_sunday(year: i16) -> Option<Date> {
    let year = i32::from(year);
    let golden = year.rem_euclid(19);
    let century = year.div_euclid(100);
    let leap_correction = century - century / 4;
    let moon_correction = (century - (century + 8) / 25 + 1) / 3;
    let epact_days = (19 * golden + leap_correction - moon_correction + 15).rem_euclid(30);
    // Days from 21 March to the full moon; the two exceptions keep it before 19 April.
    let late = epact_days == 29 || (epact_days == 28 && golden > 10);
    let full_moon = if late { epact_days - 1 } else { epact_days };
    let first_of_march = Date::new(i16::try_from(year).ok()?, 3, 21).ok()?;
    let moon = zone::days_after(first_of_march, full_moon);
    let until_sunday = 7 - i32::from(moon.weekday().to_sunday_zero_offset());
    Some(zone::days_after(moon, until_sunday))
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn easter_is_where_the_almanac_has_it() {
        for (year, month, day) in [
            (1961, 4, 2),
            (1981, 4, 19),
            (1999, 4, 4),
            (2000, 4, 23),
            (2008, 3, 23),
            (2011, 4, 24),
            (2015, 4, 5),
            (2019, 4, 21),
            (2024, 3, 31),
            (2025, 4, 20),
            (2026, 4, 5),
            (2027, 3, 28),
            (2038, 4, 25),
            (2049, 4, 18),
            (2076, 4, 19),
        ] {
            assert_eq!(easter_sunday(year), Some(date(year, month, day)));
        }
    }

    #[test]
    fn closing_days_are_skipped() {
        let check = |from: Date, expect: Date| assert_eq!(next_working_day(from), expect);
        check(date(2026, 4, 2), date(2026, 4, 7));
        check(date(2026, 4, 30), date(2026, 5, 4));
        check(date(2025, 12, 24), date(2025, 12, 29));
        check(date(2025, 12, 31), date(2026, 1, 2));
        check(date(2026, 8, 14), date(2026, 8, 17));
        check(date(2026, 8, 17), date(2026, 8, 18));
    }
}
