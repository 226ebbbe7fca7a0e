//! What a pair was worth during the last hour, and a line of that.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use std::collections::BTreeMap;

/// Seconds that share one point.
const GRAIN: i64 = 5;
/// What is older is forgotten, seconds.
pub(super) const HOUR: i64 = 3_600;
/// How far from an hour ago a value may be to stand for it, seconds.
const NEAR: i64 = 150;
/// A line over less than this says nothing, seconds.
const SPAN_MIN: i64 = 60;

const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const PLAIN_LEVELS: [char; 8] = ['_', '.', '-', '~', '=', '+', '*', '#'];

/// Values by time.
#[derive(Debug, Clone, Default)]
pub(super) struct Trend {
    points: BTreeMap<i64, Decimal>,
}

impl Trend {
    /// A value at this second since 1970.
    pub(super) fn add(&mut self, second: i64, value: Decimal) {
        self.points.insert(second.div_euclid(GRAIN), value);
        let oldest = (second - HOUR - NEAR).div_euclid(GRAIN);
        while let Some(first) = self.points.first_entry() {
            if *first.key() >= oldest {
                break;
            }
            first.remove();
        }
    }

    /// A value of the past, where none is known.
    pub(super) fn fill(&mut self, second: i64, value: Decimal) {
        let entry = self.points.entry(second.div_euclid(GRAIN));
        entry.or_insert(value);
    }

    /// The first second of which something is known.
    pub(super) fn begin(&self) -> Option<i64> {
        self.points.keys().next().map(|point| point * GRAIN)
    }

    /// The value an hour before; `None` when nothing near is known.
    pub(super) fn hour_ago(&self, now: i64) -> Option<Decimal> {
        let then = (now - HOUR).div_euclid(GRAIN);
        let near = NEAR / GRAIN;
        // What was last known then; just after it, where nothing is.
        let before = self.points.range(then - near..=then).next_back();
        let after = self.points.range(then..=then + near).next();
        before.or(after).map(|(_, value)| *value)
    }

    /// A line of this many characters, from a second on up to now. A value stands until the next
    /// one; where none is known yet there is nothing.
    pub(super) fn line(&self, from: i64, now: i64, width: usize, is_plain: bool) -> String {
        let width_seconds = (now - from).max(SPAN_MIN);
        let count = i64::try_from(width).unwrap_or(1).max(1);
        let values: Vec<Option<Decimal>> = (1..=count)
            .map(|place| {
                let until = now - width_seconds + width_seconds * place / count;
                let known = self.points.range(..=until.div_euclid(GRAIN));
                known.last().map(|(_, value)| *value)
            })
            .collect();
        let known = values.iter().flatten();
        let (least, most) = (known.clone().min(), known.max());
        let (Some(least), Some(most)) = (least.copied(), most.copied()) else {
            return " ".repeat(width);
        };
        let levels = if is_plain { PLAIN_LEVELS } else { LEVELS };
        let level = |value: Decimal| {
            let range = most.checked_sub(least)?;
            let share = value.checked_sub(least)?.checked_div(range)?;
            let level = share.checked_mul(Decimal::from(7_u8))?.round().to_usize()?;
            levels.get(level).copied()
        };
        // Equal values stand in the middle.
        let even = if is_plain { '-' } else { '▄' };
        values
            .into_iter()
            .map(|value| value.map_or(' ', |value| level(value).unwrap_or(even)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trend(points: &[(i64, i64)]) -> Trend {
        let mut trend = Trend::default();
        for (second, value) in points {
            trend.add(*second, Decimal::from(*value));
        }
        trend
    }

    #[test]
    fn a_line_rises_with_the_value_and_is_empty_before_the_first() {
        let trend = trend(&[(1_030, 10), (1_040, 11), (1_050, 17)]);
        assert_eq!(trend.line(1_000, 1_060, 12, false), "     ▁▁▂▂███");
        assert_eq!(trend.line(1_000, 1_060, 12, true), "     __..###");
    }

    #[test]
    fn equal_values_make_a_line_in_the_middle() {
        let trend = trend(&[(1_000, 10), (1_055, 10)]);
        assert_eq!(trend.line(1_000, 1_060, 3, false), "▄▄▄");
        assert_eq!(Trend::default().line(0, 60, 3, false), "   ");
    }

    #[test]
    fn an_hour_ago_is_known_only_when_something_near_it_is() {
        let mut known = trend(&[(10_000, 10), (13_590, 20)]);
        assert_eq!(known.hour_ago(13_600), Some(Decimal::from(10)));
        assert_eq!(known.hour_ago(13_700), Some(Decimal::from(10)));
        assert_eq!(known.hour_ago(14_000), None);
        known.fill(10_300, Decimal::from(11));
        assert_eq!(known.hour_ago(14_000), Some(Decimal::from(11)));
    }

    #[test]
    fn what_is_older_than_an_hour_is_forgotten() {
        let mut long = Trend::default();
        for second in 0..20_000 {
            long.add(second, Decimal::ONE);
        }
        assert!(long.points.len() < 760, "{}", long.points.len());
    }
}
