//! Computes candles again from the store: rows and events into the shortest, those into the
//! longer ones. Page by page, so that memory stays bounded however long the span.

mod past;

use super::bar::Bar;
use super::folder::{Dirty, Folder};
use super::series::{Place, Series};
use kurs_core::{Epoch, Seq, UpdateId, Wall};
use kurs_store::{Batch, Candle, CandleQuery, Interval, Origin, Store, StoreError};
use parking_lot::Mutex;
use past::{Past, last_stored};
use std::time::Duration;

/// Before the last stored candle of a series that comes up, this much is computed again: values
/// that came late just before the end of an earlier process were not mended by it.
const LOOK_BACK: Duration = Duration::from_secs(600);
/// A series without any stored candle is taken up from this long ago.
const FIRST_LOOK_BACK: Duration = Duration::from_secs(3_600);
/// Candles written, and read, at once.
const PAGE: u32 = 2_000;

/// Mends what [`Folder::dirty`] of `folder` named. To be called when everything that the folder
/// was given and gave up to its last [`Folder::take`] before that is stored.
///
/// # Errors
/// What the store says. What was not mended is named again.
pub async fn mend(
    folder: &Mutex<Folder>,
    store: &dyn Store,
    dirty: Vec<Dirty>,
) -> Result<(), StoreError> {
    for (number, one) in dirty.iter().enumerate() {
        let outcome = match *one {
            Dirty::Tail(series, before) => match tail(store, series, before).await {
                Ok((heads, ahead)) => {
                    folder.lock().complete(series, before, &heads, ahead);
                    Ok(())
                }
                Err(error) => Err(error),
            },
            Dirty::Candle(series, interval, start) => candle(store, series, interval, start).await,
        };
        if let Err(error) = outcome {
            let rest = dirty.get(number..).unwrap_or_default();
            folder.lock().again(rest.iter().copied());
            return Err(error);
        }
    }
    Ok(())
}

/// Brings the candles of a series up to everything that is stored of it until `now`: for a series
/// that may not come up any more, such as one whose source was taken out, after a process that
/// ended without handing out what was open. Before its first value here, or not at all.
///
/// # Errors
/// What the store says.
pub async fn take_up(store: &dyn Store, series: Series, now: Wall) -> Result<(), StoreError> {
    let last = UpdateId {
        shard: u16::MAX,
        epoch: Epoch(u64::MAX),
        seq: Seq(u64::MAX),
    };
    let (heads, _) = tail(store, series, (now, last)).await?;
    let mut out = Out::new(store, series);
    for (interval, start, head) in heads {
        if let Some(head) = head {
            out.put(interval, start, head).await?;
        }
    }
    out.finish().await.map(|_| ())
}

/// Computes the candles of a series that begin in a span again, and writes them: for a store that
/// holds rows older than its candles. `start` is taken as the begin of its day, and the candle
/// that holds `end` is left out. Returns how many were written.
///
/// # Errors
/// What the store says.
pub async fn rebuild(
    store: &dyn Store,
    series: Series,
    start: Wall,
    end: Wall,
) -> Result<u64, StoreError> {
    let mut out = Out::new(store, series);
    let span = (Interval::Day.start_of(start), end);
    let (_, longer) = split(series);
    base_candles(&mut out, span, None).await?;
    let mut shorter = split(series).0;
    for interval in longer {
        composed(&mut out, *interval, shorter, span).await?;
        shorter = *interval;
    }
    out.finish().await
}

/// The shortest interval of a series, and the longer ones.
fn split(series: Series) -> (Interval, &'static [Interval]) {
    let (base, longer) = match series.intervals() {
        [base, longer @ ..] => (Some(*base), longer),
        [] => (None, [].as_slice()),
    };
    (base.unwrap_or(Interval::Minute), longer)
}

/// One closed candle.
async fn candle(
    store: &dyn Store,
    series: Series,
    interval: Interval,
    start: Wall,
) -> Result<(), StoreError> {
    let mut out = Out::new(store, series);
    let span = (start, start.plus(interval.length()));
    let (base, _) = split(series);
    let shorter = series.intervals().iter().rev().find(|one| **one < interval);
    match shorter {
        Some(shorter) if interval != base => composed(&mut out, interval, *shorter, span).await?,
        _ => {
            base_candles(&mut out, span, None).await?;
        }
    }
    out.finish().await.map(|_| ())
}

/// What the candles that are open now held before, and where the last candle begins that the
/// clock was ahead of.
type Tail = (Vec<(Interval, Wall, Option<Bar>)>, Option<Wall>);

/// Everything of a series before the place of its first value here: what was left open is
/// written, and what belongs into the candles that are open now is returned, with the begin of
/// the last candle that there is already, if the clock was set back.
async fn tail(store: &dyn Store, series: Series, before: Place) -> Result<Tail, StoreError> {
    let now = before.0;
    let from = match last_stored(store, series, now).await? {
        Some(last) => last.0.saturating_sub(micros(LOOK_BACK)),
        None => now.0.saturating_sub(micros(FIRST_LOOK_BACK)),
    };
    let (base, longer) = split(series);
    let mut out = Out::new(store, series);
    // At a begin of the longer ones too, so that none of them is composed of a part.
    let from = Interval::FiveMinutes.start_of(Wall(from));
    let head = base_candles(&mut out, (from, base.start_of(now)), Some(before)).await?;
    let mut heads = vec![(base, base.start_of(now), head)];
    let mut shorter = base;
    for interval in longer {
        let start = interval.start_of(now);
        composed(
            &mut out,
            *interval,
            shorter,
            (interval.start_of(from), start),
        )
        .await?;
        // What the candle holds in finished shorter ones, and in the open one of them.
        out.flush().await?;
        let finished = (start, shorter.start_of(now));
        let earlier = compose(store, series, shorter, finished).await?;
        let head = match (earlier, heads.last().and_then(|(_, _, head)| *head)) {
            (Some(earlier), Some(last)) => Some(earlier.then(last)),
            (earlier, last) => earlier.or(last),
        };
        heads.push((*interval, start, head));
        shorter = *interval;
    }
    out.finish().await?;
    let mut ahead: Option<Wall> = None;
    for (interval, start, head) in &mut heads {
        // Rows that were given up for want of room left their mark in the candle all the same.
        // Or else it holds values of later than now: then it is to be mended when it is closed.
        let stored = stored_live(store, series, *interval, *start).await?;
        if let Some(stored) = stored
            && head.is_none_or(|head| stored.count > head.count)
        {
            ahead = Some(now);
        }
        *head = match (*head, stored) {
            (Some(head), Some(stored)) => Some(fuller(stored, head)),
            (head, stored) => head.or(stored),
        };
    }
    let later = (Wall(now.0.saturating_add(1)), Wall::MAX);
    let later = page(store, series, base, later, PAGE).await?;
    ahead = ahead.max(later.last().map(|candle| candle.start));
    Ok((heads, ahead))
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Folds rows or events of a span into candles of the shortest interval. With `before` it goes on
/// up to that place, and returns what came after the span.
async fn base_candles(
    out: &mut Out<'_>,
    (start, end): (Wall, Wall),
    before: Option<Place>,
) -> Result<Option<Bar>, StoreError> {
    let series = out.series;
    let (base, _) = split(series);
    let until = before.map_or(end, |(time, _)| Wall(time.0.saturating_add(1)));
    let mut past = Past::new(out.store, series, start, until);
    let mut open: Option<(Wall, Bar)> = None;
    while let Some(page) = past.next().await? {
        for (place, value) in page {
            if before.is_some_and(|before| place >= before) {
                continue;
            }
            let slice = base.start_of(place.0);
            open = match open {
                Some((begun, bar)) if begun == slice => Some((begun, bar.then(Bar::of(value)))),
                other => {
                    if let Some((begun, bar)) = other {
                        out.put(base, begun, bar).await?;
                    }
                    Some((slice, Bar::of(value)))
                }
            };
        }
    }
    match open {
        Some((begun, bar)) if begun < end => {
            out.put(base, begun, bar).await?;
            Ok(None)
        }
        other => Ok(other.map(|(_, bar)| bar)),
    }
}

/// Composes the candles of a span from shorter ones.
async fn composed(
    out: &mut Out<'_>,
    interval: Interval,
    shorter: Interval,
    (start, end): (Wall, Wall),
) -> Result<(), StoreError> {
    out.flush().await?;
    let mut from = start;
    while from < end {
        // The next shorter candle says which one comes next; what lies between is empty.
        let next = page(out.store, out.series, shorter, (from, end), 1).await?;
        let Some(next) = next.first() else { break };
        let begun = interval.start_of(next.start);
        let span = (begun, begun.plus(interval.length()));
        if let Some(bar) = compose(out.store, out.series, shorter, span).await? {
            out.put(interval, begun, bar).await?;
        }
        from = span.1;
    }
    Ok(())
}

/// What shorter candles of a span hold together. Where one was filled in from an archive the
/// values themselves are folded: a live candle holds what was received, and nothing else.
async fn compose(
    store: &dyn Store,
    series: Series,
    shorter: Interval,
    (start, end): (Wall, Wall),
) -> Result<Option<Bar>, StoreError> {
    if start >= end {
        return Ok(None);
    }
    let candles = page(store, series, shorter, (start, end), PAGE).await?;
    if candles
        .iter()
        .all(|candle| candle.origin == Origin::Live && candle.count > 0)
    {
        let bars = candles.iter().map(Bar::of_candle);
        return Ok(bars.reduce(Bar::then));
    }
    let mut past = Past::new(store, series, start, end);
    let mut whole: Option<Bar> = None;
    while let Some(page) = past.next().await? {
        for (_, value) in page {
            whole = Some(Bar::of(value).after(whole));
        }
    }
    Ok(whole)
}

async fn page(
    store: &dyn Store,
    series: Series,
    interval: Interval,
    (start, end): (Wall, Wall),
    limit: u32,
) -> Result<Vec<Candle>, StoreError> {
    let query = CandleQuery {
        pair: series.pair,
        source: series.source,
        interval,
        start,
        end,
        limit,
    };
    store.candles(query).await
}

/// What is stored of one live candle.
async fn stored_live(
    store: &dyn Store,
    series: Series,
    interval: Interval,
    start: Wall,
) -> Result<Option<Bar>, StoreError> {
    let span = (start, Wall(start.0.saturating_add(1)));
    let found = page(store, series, interval, span, 1).await?;
    let live = found
        .iter()
        .find(|candle| candle.origin == Origin::Live && candle.start == start);
    Ok(live.map(Bar::of_candle))
}

/// The one that holds more values, widened by the other: rows may have been deleted, or given up
/// for want of room, since they were folded, and what was folded was received.
fn fuller(stored: Bar, computed: Bar) -> Bar {
    let most = if stored.count > computed.count {
        stored
    } else {
        computed
    };
    Bar {
        high: stored.high.max(computed.high),
        low: stored.low.min(computed.low),
        ..most
    }
}

/// Candles on their way to the store.
struct Out<'a> {
    store: &'a dyn Store,
    series: Series,
    waiting: Vec<(Interval, Wall, Bar)>,
    written: u64,
}

impl<'a> Out<'a> {
    const fn new(store: &'a dyn Store, series: Series) -> Self {
        Self {
            store,
            series,
            waiting: Vec::new(),
            written: 0,
        }
    }

    async fn put(&mut self, interval: Interval, start: Wall, bar: Bar) -> Result<(), StoreError> {
        self.waiting.push((interval, start, bar));
        if self.waiting.len() >= PAGE as usize {
            self.flush().await?;
        }
        Ok(())
    }

    /// Writes what differs from what is stored.
    async fn flush(&mut self) -> Result<(), StoreError> {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.sort_unstable_by_key(|(interval, start, _)| (*interval, *start));
        let mut candles = Vec::new();
        let mut stored: Vec<Candle> = Vec::new();
        let mut read_to: Option<(Interval, Wall)> = None;
        for (interval, start, bar) in &waiting {
            if read_to.is_none_or(|(of, to)| of != *interval || *start >= to) {
                let to = start.plus(interval.length() * PAGE);
                stored = page(self.store, self.series, *interval, (*start, to), PAGE).await?;
                read_to = Some((*interval, to));
            }
            let place = stored.binary_search_by_key(start, |candle| candle.start);
            let known = place
                .ok()
                .and_then(|place| stored.get(place))
                .filter(|candle| candle.origin == Origin::Live)
                .map(Bar::of_candle);
            let bar = known.map_or(*bar, |known| fuller(known, *bar));
            if known != Some(bar) {
                candles.push(bar.candle(self.series, *interval, *start));
            }
        }
        self.written += candles.len() as u64;
        if !candles.is_empty() {
            let batch = Batch {
                candles,
                ..Batch::default()
            };
            self.store.write(batch).await?;
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<u64, StoreError> {
        self.flush().await?;
        Ok(self.written)
    }
}
