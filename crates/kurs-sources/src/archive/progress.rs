//! Up to where each series is done.

use super::errand::Series;
use kurs_core::Wall;
use std::collections::BTreeMap;

/// Up to where each series is done. Whoever runs errands keeps it, in whatever form: the series
/// are fetched oldest first, so that one moment says all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Progress {
    through: BTreeMap<Series, Wall>,
}

impl Progress {
    /// Everything of the series before this moment is done. Never goes back.
    pub fn advance(&mut self, series: Series, through: Wall) {
        let slot = self.through.entry(series).or_insert(through);
        *slot = through.max(*slot);
    }

    /// Up to where the series is done.
    #[must_use]
    pub fn through(&self, series: &Series) -> Option<Wall> {
        self.through.get(series).copied()
    }

    /// What of a span is left to do; `None` when nothing is.
    #[must_use]
    pub fn left_of(
        &self,
        series: &Series,
        span: std::ops::Range<Wall>,
    ) -> Option<std::ops::Range<Wall>> {
        let start = self
            .through(series)
            .map_or(span.start, |through| through.max(span.start));
        (start < span.end).then_some(start..span.end)
    }

    /// All series.
    pub fn iter(&self) -> impl Iterator<Item = (&Series, Wall)> {
        self.through
            .iter()
            .map(|(series, through)| (series, *through))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kurs_core::{Pair, SourceId};
    use kurs_store::Interval;

    #[test]
    fn what_is_left_begins_where_the_last_run_ended() {
        let series = Series {
            source: SourceId::parse("binance").unwrap(),
            pair: Pair::parse("BTC-USDT").ok(),
            interval: Some(Interval::Minute),
        };
        let mut progress = Progress::default();
        let span = Wall(10)..Wall(20);
        assert_eq!(progress.left_of(&series, span.clone()), Some(span.clone()));
        progress.advance(series, Wall(15));
        progress.advance(series, Wall(12));
        assert_eq!(
            progress.left_of(&series, span.clone()),
            Some(Wall(15)..Wall(20))
        );
        progress.advance(series, Wall(20));
        assert_eq!(progress.left_of(&series, span), None);
        assert_eq!(series.to_string(), "binance BTC-USDT 1m");
    }
}
