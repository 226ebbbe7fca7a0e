//! For which days the Bank of Russia sets rates.

use crate::zone;
use jiff::civil::{Date, Weekday};

/// The date of the table expected after one of this date. A working day sets the rates of the
/// day after it, so that tables are dated Tuesday to Saturday and Saturday's stays in force
/// until Tuesday. The fixed public holidays are known here; days off that are transferred by
/// decree each year are not, which a grace must cover.
#[must_use]
pub fn next_expected(date: Date) -> Date {
    let mut day = date;
    for _ in 0..30 {
        if is_working_day(day) {
            break;
        }
        day = zone::days_after(day, 1);
    }
    zone::days_after(day, 1)
}

fn is_working_day(day: Date) -> bool {
    let weekend = |day: Date| matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday);
    // A holiday on a weekend makes the Monday after it a day off.
    let transferred = day.weekday() == Weekday::Monday
        && (1..=2).any(|back| is_spring_to_autumn_holiday(zone::days_after(day, -back)));
    !(weekend(day) || is_new_year_stretch(day) || is_spring_to_autumn_holiday(day) || transferred)
}

/// New Year to Christmas, with the days before and after that mostly are days off as well.
fn is_new_year_stretch(day: Date) -> bool {
    matches!((day.month(), day.day()), (12, 31) | (1, 1..=9))
}

fn is_spring_to_autumn_holiday(day: Date) -> bool {
    matches!(
        (day.month(), day.day()),
        (2, 23) | (3, 8) | (5, 1 | 9) | (6, 12) | (11, 4)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn check(from: Date, expect: Date) {
        assert_eq!(next_expected(from), expect, "after {from}");
    }

    #[test]
    fn tables_follow_tuesday_to_saturday() {
        check(date(2026, 4, 21), date(2026, 4, 22));
        check(date(2026, 4, 24), date(2026, 4, 25));
        check(date(2026, 4, 25), date(2026, 4, 28));
        // What was recorded: between 1 and 5 March 2026 tables of the 3rd, 4th and 5th only.
        check(date(2026, 2, 28), date(2026, 3, 3));
        check(date(2026, 3, 3), date(2026, 3, 4));
    }

    #[test]
    fn one_table_lasts_over_the_january_holidays() {
        check(date(2025, 12, 31), date(2026, 1, 13));
        check(date(2026, 1, 1), date(2026, 1, 13));
    }

    #[test]
    fn a_holiday_on_a_weekend_makes_monday_free() {
        // 9 May 2026 is a Saturday: Monday the 11th is off, Tuesday sets Wednesday's rates.
        check(date(2026, 5, 9), date(2026, 5, 13));
        check(date(2026, 6, 12), date(2026, 6, 16));
    }
}
