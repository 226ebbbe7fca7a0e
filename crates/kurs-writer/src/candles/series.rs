//! Whose prices of which pair.

use kurs_core::{Pair, RateState, SourceId, UpdateId, Wall};
use kurs_store::{HistoryRow, Interval, Published};

/// Order of values: by time, then by id.
pub type Place = (Wall, UpdateId);

/// One row of candles per interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Series {
    /// The pair.
    pub pair: Pair,
    /// Whose prices; `None`: the rates that kurs published.
    pub source: Option<SourceId>,
}

impl Series {
    /// The intervals it is kept in, shortest first. Seconds are kept of published rates only.
    #[must_use]
    pub fn intervals(self) -> &'static [Interval] {
        match self.source {
            None => &Interval::ALL,
            Some(_) => &[
                Interval::Minute,
                Interval::FiveMinutes,
                Interval::Hour,
                Interval::Day,
            ],
        }
    }

    /// The series of a received rate.
    #[must_use]
    pub const fn of_row(row: &HistoryRow) -> Self {
        Self {
            pair: row.pair,
            source: Some(row.source),
        }
    }

    /// The series of a published event.
    #[must_use]
    pub const fn of_published(event: &Published) -> Self {
        Self {
            pair: event.pair,
            source: None,
        }
    }
}

/// The place of a received rate.
pub(super) const fn place_of_row(row: &HistoryRow) -> Place {
    (row.received_at, row.id)
}

/// The place and the value of an event; `None` for one that gives no rate. A suspect rate was
/// published and served, and its candle shows it; one that had run out was not.
pub(super) fn value_of_published(event: &Published) -> Option<(Place, kurs_core::Price)> {
    let rate = event.as_rate()?;
    matches!(rate.state, RateState::Fresh | RateState::Suspect)
        .then_some(((event.published_at, event.id), rate.value))
}
