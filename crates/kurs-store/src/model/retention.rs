//! How long what is kept.

use super::candle::Interval;
use kurs_core::Wall;

/// What is to go: everything older than these moments. `None` keeps all of it. Official rates
/// stay for good.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outdated {
    /// Rates as received, and changes of state, before this.
    pub rows: Option<Wall>,
    /// Published events before this; the last one of each pair stays.
    pub published: Option<Wall>,
    /// Candles of each interval of [`Interval::ALL`] that began before this.
    pub candles: [Option<Wall>; Interval::ALL.len()],
    /// Order books taken before this.
    pub books: Option<Wall>,
    /// Gaps that ended before this.
    pub gaps: Option<Wall>,
    /// Entries of the audit log before this.
    pub audit: Option<Wall>,
}

impl Outdated {
    /// Only received rates.
    #[must_use]
    pub fn rows(before: Wall) -> Self {
        Self {
            rows: Some(before),
            ..Self::default()
        }
    }
}

/// How many days what is kept. 0 keeps it for good, as hours, days and official rates always are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Rates as received, and changes of state.
    pub history_days: u32,
    /// Published events.
    pub published_days: u32,
    /// Candles of one second.
    pub second_candles_days: u32,
    /// Candles of one and of five minutes.
    pub minute_candles_days: u32,
    /// Order books.
    pub book_days: u32,
    /// Gaps.
    pub gap_days: u32,
    /// The audit log.
    pub audit_days: u32,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            history_days: 30,
            published_days: 400,
            second_candles_days: 7,
            minute_candles_days: 400,
            book_days: 7,
            gap_days: 400,
            audit_days: 3_650,
        }
    }
}

impl Retention {
    /// What is outdated at this moment.
    #[must_use]
    pub fn outdated(&self, now: Wall) -> Outdated {
        Outdated {
            rows: before(now, self.history_days),
            published: before(now, self.published_days),
            candles: Interval::ALL.map(|interval| match interval {
                Interval::Second => before(now, self.second_candles_days),
                Interval::Minute | Interval::FiveMinutes => before(now, self.minute_candles_days),
                Interval::Hour | Interval::Day => None,
            }),
            books: before(now, self.book_days),
            gaps: before(now, self.gap_days),
            audit: before(now, self.audit_days),
        }
    }
}

/// So many days ago; `None` for zero.
fn before(now: Wall, days: u32) -> Option<Wall> {
    let micros = i64::from(days) * 86_400 * 1_000_000;
    (days > 0).then(|| Wall(now.0.saturating_sub(micros)))
}

/// What a step of packing did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Packing {
    /// Received rates that were moved into blocks.
    pub rows: u64,
    /// Published events that were moved into blocks.
    pub published: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_for_good_is_never_outdated() {
        let day = 86_400_000_000;
        let retention = Retention {
            history_days: 1,
            gap_days: 0,
            ..Retention::default()
        };
        let outdated = retention.outdated(Wall(1_000 * day));
        assert_eq!(outdated.rows, Some(Wall(999 * day)));
        assert_eq!(outdated.published, Some(Wall(600 * day)));
        assert_eq!(
            outdated.candles,
            [
                Some(Wall(993 * day)),
                Some(Wall(600 * day)),
                Some(Wall(600 * day)),
                None,
                None
            ]
        );
        assert_eq!(outdated.gaps, None);
    }
}
