//! The pages of the store as rows of cells.

use super::{ExportArgs, What};
use kurs_core::UpdateId;
use kurs_core::{Pair, SourceId, Wall};
use kurs_store::{
    Candle, CandleQuery, Cursor, HistoryQuery, HistoryRow, Interval, Origin, Published,
    PublishedEvent, PublishedQuery, Store, StoreError,
};
use rust_decimal::Decimal;

/// Rows that are read at once.
const PAGE: u32 = 10_000;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Text that few rows differ in, or none.
    Text,
    /// A moment, to the microsecond.
    Time,
    /// An exact decimal number.
    Number,
    /// A whole number.
    Whole,
}

/// A column.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Some rows have nothing there.
    pub(super) optional: bool,
}

/// What a row holds in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell {
    Nothing,
    Text(String),
    Time(Wall),
    Number(Decimal),
    Whole(i64),
}

const fn always(name: &'static str, kind: Kind) -> Column {
    Column {
        name,
        kind,
        optional: false,
    }
}

const fn maybe(name: &'static str, kind: Kind) -> Column {
    Column {
        name,
        kind,
        optional: true,
    }
}

const RECEIVED: &[Column] = &[
    always("pair", Kind::Text),
    always("source", Kind::Text),
    always("received_at", Kind::Time),
    maybe("observed_at", Kind::Time),
    always("value", Kind::Number),
    maybe("bid", Kind::Number),
    maybe("ask", Kind::Number),
    always("shard", Kind::Whole),
    always("epoch", Kind::Whole),
    always("seq", Kind::Whole),
];

const PUBLISHED: &[Column] = &[
    always("pair", Kind::Text),
    always("published_at", Kind::Time),
    always("event", Kind::Text),
    maybe("source", Kind::Text),
    maybe("state", Kind::Text),
    maybe("value", Kind::Number),
    maybe("bid", Kind::Number),
    maybe("ask", Kind::Number),
    maybe("confidence", Kind::Number),
    maybe("observed_at", Kind::Time),
    maybe("expires_at", Kind::Time),
    maybe("legs", Kind::Text),
    maybe("why", Kind::Text),
    always("shard", Kind::Whole),
    always("epoch", Kind::Whole),
    always("seq", Kind::Whole),
];

const CANDLES: &[Column] = &[
    always("pair", Kind::Text),
    maybe("source", Kind::Text),
    always("interval", Kind::Text),
    always("start", Kind::Time),
    always("open", Kind::Number),
    always("high", Kind::Number),
    always("low", Kind::Number),
    always("close", Kind::Number),
    always("count", Kind::Whole),
    always("origin", Kind::Text),
];

/// Where a reading of one pair goes on.
enum Place {
    Start,
    Received(Cursor),
    Published(Wall, UpdateId),
    Candles(Wall),
}

/// Reads what was asked for, page by page.
pub(super) struct Reading {
    what: What,
    source: Option<SourceId>,
    interval: Interval,
    start: Wall,
    end: Wall,
    /// Pairs that are not read yet, the next one last.
    pairs: Vec<Pair>,
    place: Place,
}

impl Reading {
    pub(super) fn new(
        arguments: &ExportArgs,
        mut pairs: Vec<Pair>,
        start: Wall,
        end: Wall,
    ) -> Self {
        pairs.reverse();
        Self {
            what: arguments.what,
            source: arguments.source,
            interval: arguments.interval,
            start,
            end,
            pairs,
            place: Place::Start,
        }
    }

    pub(super) const fn columns(&self) -> &'static [Column] {
        match self.what {
            What::Received => RECEIVED,
            What::Published => PUBLISHED,
            What::Candles => CANDLES,
        }
    }

    /// The next rows; `None` after the last.
    pub(super) async fn next(
        &mut self,
        store: &dyn Store,
    ) -> Result<Option<Vec<Vec<Cell>>>, StoreError> {
        let Some(pair) = self.pairs.last().copied() else {
            return Ok(None);
        };
        let (rows, next) = match self.what {
            What::Received => self.received(store, pair).await?,
            What::Published => self.published(store, pair).await?,
            What::Candles => self.candles(store, pair).await?,
        };
        match next {
            Some(place) => self.place = place,
            None => {
                self.pairs.pop();
                self.place = Place::Start;
            }
        }
        Ok(Some(rows))
    }

    async fn received(
        &self,
        store: &dyn Store,
        pair: Pair,
    ) -> Result<(Vec<Vec<Cell>>, Option<Place>), StoreError> {
        let query = HistoryQuery {
            pair,
            source: self.source,
            start: self.start,
            end: self.end,
            limit: PAGE,
            after: match self.place {
                Place::Received(cursor) => Some(cursor),
                _ => None,
            },
        };
        let page = store.history(query).await?;
        let rows = page.rows.iter().map(received_cells).collect();
        Ok((rows, page.next.map(Place::Received)))
    }

    async fn published(
        &self,
        store: &dyn Store,
        pair: Pair,
    ) -> Result<(Vec<Vec<Cell>>, Option<Place>), StoreError> {
        let query = PublishedQuery {
            pair,
            start: self.start,
            end: self.end,
            limit: PAGE,
            after: match self.place {
                Place::Published(at, id) => Some((at, id)),
                _ => None,
            },
        };
        let page = store.published(query).await?;
        let is_wanted = |event: &&Published| {
            self.source
                .is_none_or(|source| event.as_rate().is_some_and(|rate| rate.source == source))
        };
        let rows = page.events.iter().filter(is_wanted).map(published_cells);
        let next = page.next.map(|(at, id)| Place::Published(at, id));
        Ok((rows.collect(), next))
    }

    async fn candles(
        &self,
        store: &dyn Store,
        pair: Pair,
    ) -> Result<(Vec<Vec<Cell>>, Option<Place>), StoreError> {
        let query = CandleQuery {
            pair,
            source: self.source,
            interval: self.interval,
            start: match self.place {
                Place::Candles(start) => start,
                _ => self.start,
            },
            end: self.end,
            limit: PAGE,
        };
        let candles = store.candles(query).await?;
        let is_full = u32::try_from(candles.len()).is_ok_and(|count| count >= PAGE);
        let last = candles.last().filter(|_| is_full);
        let next = last.map(|last| Place::Candles(last.start.plus(self.interval.length())));
        Ok((candles.iter().map(candle_cells).collect(), next))
    }
}

fn text(value: impl ToString) -> Cell {
    Cell::Text(value.to_string())
}

fn number(value: Option<kurs_core::Price>) -> Cell {
    value.map_or(Cell::Nothing, |price| Cell::Number(price.value()))
}

fn whole(value: u64) -> Cell {
    Cell::Whole(i64::try_from(value).unwrap_or(i64::MAX))
}

fn id_cells(id: UpdateId) -> [Cell; 3] {
    [
        Cell::Whole(i64::from(id.shard)),
        whole(id.epoch.0),
        whole(id.seq.0),
    ]
}

fn received_cells(row: &HistoryRow) -> Vec<Cell> {
    let mut cells = vec![
        text(row.pair),
        text(row.source),
        Cell::Time(row.received_at),
        row.observed_at.map_or(Cell::Nothing, Cell::Time),
        number(Some(row.value)),
        number(row.bid),
        number(row.ask),
    ];
    cells.extend(id_cells(row.id));
    cells
}

fn published_cells(event: &Published) -> Vec<Cell> {
    let mut cells = vec![text(event.pair), Cell::Time(event.published_at)];
    match &event.event {
        PublishedEvent::Rate(rate) => {
            // Plain data into memory: this cannot fail.
            let legs = rate.legs.as_ref();
            let legs = legs.and_then(|legs| serde_json::to_string(&**legs).ok());
            cells.extend([
                text("rate"),
                text(rate.source),
                text(rate.state.as_str()),
                number(Some(rate.value)),
                number(rate.bid),
                number(rate.ask),
                rate.confidence.map_or(Cell::Nothing, Cell::Number),
                Cell::Time(rate.observed_at),
                Cell::Time(rate.expires_at()),
                legs.map_or(Cell::Nothing, Cell::Text),
                text(&rate.choice.reason),
            ]);
        }
        PublishedEvent::NoRate { why, .. } => {
            cells.push(text("no_rate"));
            cells.extend(std::iter::repeat_n(Cell::Nothing, 9));
            cells.push(text(why));
        }
        PublishedEvent::Withdrawn => {
            cells.push(text("withdrawn"));
            cells.extend(std::iter::repeat_n(Cell::Nothing, 10));
        }
    }
    cells.extend(id_cells(event.id));
    cells
}

fn candle_cells(candle: &Candle) -> Vec<Cell> {
    vec![
        text(candle.pair),
        candle.source.map_or(Cell::Nothing, text),
        text(candle.interval),
        Cell::Time(candle.start),
        number(Some(candle.open)),
        number(Some(candle.high)),
        number(Some(candle.low)),
        number(Some(candle.close)),
        whole(candle.count),
        text(match candle.origin {
            Origin::Live => "live",
            Origin::Backfill => "backfill",
        }),
    ]
}
