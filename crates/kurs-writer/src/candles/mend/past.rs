//! What the store knows of a series.

use super::super::series::{Place, Series, place_of_row, value_of_published};
use super::page;
use kurs_core::{Price, UpdateId, Wall};
use kurs_store::{Cursor, HistoryQuery, Interval, PublishedQuery, Store, StoreError};

/// Rows read at once.
const ROWS: u32 = 5_000;
/// Events read at once; they are larger.
const EVENTS: u32 = 500;
/// How far back the last candle of a series is looked for.
const DAYS: i64 = 400;

/// Values of a span, in their order, page by page.
pub(super) struct Past<'a> {
    store: &'a dyn Store,
    series: Series,
    span: (Wall, Wall),
    next: Next,
}

enum Next {
    First,
    AfterRow(Cursor),
    AfterEvent((Wall, UpdateId)),
    Nothing,
}

impl<'a> Past<'a> {
    pub(super) const fn new(store: &'a dyn Store, series: Series, start: Wall, end: Wall) -> Self {
        Self {
            store,
            series,
            span: (start, end),
            next: Next::First,
        }
    }

    /// The next page; `None` after the last. A page may be empty.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<(Place, Price)>>, StoreError> {
        let (start, end) = self.span;
        if start >= end || matches!(self.next, Next::Nothing) {
            return Ok(None);
        }
        let pair = self.series.pair;
        if self.series.source.is_some() {
            let after = match &self.next {
                Next::AfterRow(cursor) => Some(*cursor),
                _ => None,
            };
            let query = HistoryQuery {
                pair,
                source: self.series.source,
                start,
                end,
                limit: ROWS,
                after,
            };
            let page = self.store.history(query).await?;
            self.next = page.next.map_or(Next::Nothing, Next::AfterRow);
            let values = page.rows.iter().map(|row| (place_of_row(row), row.value));
            return Ok(Some(values.collect()));
        }
        let after = match &self.next {
            Next::AfterEvent(place) => Some(*place),
            _ => None,
        };
        let query = PublishedQuery {
            pair,
            start,
            end,
            limit: EVENTS,
            after,
        };
        let page = self.store.published(query).await?;
        self.next = page.next.map_or(Next::Nothing, Next::AfterEvent);
        Ok(Some(
            page.events.iter().filter_map(value_of_published).collect(),
        ))
    }
}

/// Begin of the last and shortest candle that is stored of a series, not after `now`.
pub(super) async fn last_stored(
    store: &dyn Store,
    series: Series,
    now: Wall,
) -> Result<Option<Wall>, StoreError> {
    let after = Wall(now.0.saturating_add(1));
    let day = 86_400_000_000;
    let mut start = Interval::Day.start_of(Wall(now.0.saturating_sub(DAYS * day)));
    let mut last = None;
    for interval in series.intervals().iter().rev() {
        // At most a day's worth of five minutes, and so on: never more than one page.
        let found = page(store, series, *interval, (start, after), 1_000).await?;
        if let Some(candle) = found.last() {
            last = Some(candle.start);
            start = candle.start;
        }
    }
    Ok(last)
}
