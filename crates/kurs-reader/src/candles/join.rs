//! Candles of several legs made into one. Highs and lows come from finer candles than those asked
//! for, since within a slice nobody knows whether the legs' highs met.

use super::CandlesQuestion;
use super::slice::Bar;
use super::way::Step;
use kurs_core::{Pair, Price, SourceId, Wall};
use kurs_store::{Candle, CandleQuery, Interval, Origin, Store, StoreError};
use std::time::Duration;

/// A leg that was silent longer is not carried on any more. Banks have holidays of ten days.
const CARRY_MAX: Duration = Duration::from_secs(14 * 86_400);
/// Finer candles of one leg that are held at one time.
const SLICES_MAX: u32 = 6_000;
/// Pieces that one page is put together from; a page over sparse candles ends here, and the next
/// one goes on.
const WINDOWS_MAX: u32 = 64;

/// The interval that highs and lows are looked for in.
const fn finer(interval: Interval) -> Option<Interval> {
    match interval {
        Interval::Second => None,
        Interval::Minute => Some(Interval::Second),
        Interval::FiveMinutes | Interval::Hour => Some(Interval::Minute),
        Interval::Day => Some(Interval::Hour),
    }
}

/// Whose candles are read.
#[derive(Clone, Copy)]
struct From<'a> {
    store: &'a dyn Store,
    source: Option<SourceId>,
}

/// One leg: its candles of the present window, and its last close before the present slice.
struct Leg {
    step: Step,
    coarse: Vec<Candle>,
    fine: Vec<Candle>,
    last: Option<(Wall, Price)>,
}

/// One page of candles over these legs, and where the next one starts.
pub(super) async fn joined(
    store: &dyn Store,
    pair: Pair,
    steps: &[Step],
    question: &CandlesQuestion,
) -> Result<(Vec<Candle>, Option<Wall>), StoreError> {
    let interval = question.interval;
    let end = question.end;
    let store = From {
        store,
        source: question.source,
    };
    // One leg the other way round is exact as it is.
    let finer = finer(interval).filter(|_| steps.len() > 1);
    let slices = finer.map_or(1, |finer| interval.seconds() / finer.seconds());
    let mut legs: Vec<Leg> = Vec::new();
    let mut out: Vec<Candle> = Vec::new();
    let mut from = question.start;
    let most = usize::try_from(question.limit).unwrap_or(usize::MAX);
    let mut windows = 0;
    loop {
        let Some(begin) = next_start(store, steps, interval, (from, end)).await? else {
            return Ok((out, None));
        };
        if out.len() >= most || windows >= WINDOWS_MAX {
            return Ok((out, Some(begin)));
        }
        windows += 1;
        if legs.is_empty() {
            for step in steps {
                let last = match steps.len() {
                    1 => None,
                    _ => last_before(store, step.pair, interval, begin).await?,
                };
                legs.push(Leg {
                    step: *step,
                    coarse: Vec::new(),
                    fine: Vec::new(),
                    last,
                });
            }
        }
        let left = u32::try_from(most - out.len()).unwrap_or(u32::MAX);
        let width = left.min((SLICES_MAX / slices).max(1));
        let stop = begin.plus(interval.length() * width);
        for leg in &mut legs {
            let span = (begin, stop.min(end));
            leg.coarse = read(store, leg.step.pair, interval, span, width).await?;
            leg.fine = match finer {
                None => Vec::new(),
                Some(finer) => {
                    read(store, leg.step.pair, finer, (begin, stop), width * slices).await?
                }
            };
        }
        let mut start = begin;
        while start < stop && start < end {
            let candle = one(pair, &mut legs, (interval, finer), start);
            out.extend(candle.map(|candle| Candle {
                source: store.source,
                ..candle
            }));
            start = start.plus(interval.length());
        }
        from = stop;
    }
}

/// One candle, if any leg has something in it and every leg has a price.
fn one(
    pair: Pair,
    legs: &mut [Leg],
    (interval, finer): (Interval, Option<Interval>),
    start: Wall,
) -> Option<Candle> {
    let end = start.plus(interval.length());
    let finer = finer.filter(|_| legs.iter().all(|leg| is_whole(leg, start, end)));
    let mut starts: Vec<Wall> = Vec::new();
    for leg in legs.iter() {
        let own = match finer {
            Some(_) => between(&leg.fine, start, end),
            None => between(&leg.coarse, start, end),
        };
        starts.extend(own.iter().map(|candle| candle.start));
    }
    starts.sort_unstable();
    starts.dedup();
    let mut whole: Option<Bar> = None;
    let mut count = 0_u64;
    let mut origin = Origin::Live;
    for slice in starts {
        let mut moved = 0;
        let mut in_slice = 0_u64;
        let mut bar: Option<Bar> = None;
        let mut is_complete = true;
        for leg in legs.iter_mut() {
            let of = if finer.is_some() {
                &leg.fine
            } else {
                &leg.coarse
            };
            let own = match of.binary_search_by_key(&slice, |candle| candle.start) {
                Ok(place) => of.get(place),
                Err(_) => None,
            };
            let priced = match own {
                Some(candle) => {
                    moved += 1;
                    in_slice = in_slice.saturating_add(candle.count);
                    origin = origin.max(candle.origin);
                    leg.last = Some((slice, candle.close));
                    Bar::of(candle, leg.step.inverted).ok()
                }
                None => carried(leg, slice),
            };
            bar = match (bar, priced) {
                (None, priced) => priced,
                (Some(so_far), Some(priced)) => so_far.times(priced).ok(),
                (Some(_), None) => None,
            };
            is_complete &= bar.is_some();
        }
        if !is_complete {
            continue;
        }
        // Nothing finer is there than a second: where two legs moved, only its ends are known.
        let ends_only = interval == Interval::Second && moved > 1;
        let bar = bar.map(|bar| if ends_only { bar.ends() } else { bar });
        whole = match (whole, bar) {
            (Some(whole), Some(bar)) => Some(whole.then(bar)),
            (whole, bar) => whole.or(bar),
        };
        count = count.saturating_add(in_slice);
    }
    let bar = whole?.published();
    Some(Candle {
        pair,
        source: None,
        interval,
        start,
        open: bar.open,
        high: bar.high,
        low: bar.low,
        close: bar.close,
        count,
        origin,
    })
}

/// The last close of a leg that has no candle in a slice.
fn carried(leg: &Leg, slice: Wall) -> Option<Bar> {
    let (at, close) = leg.last?;
    if slice.since(at) > CARRY_MAX {
        return None;
    }
    let price = if leg.step.inverted {
        close.inverse().ok()?
    } else {
        close
    };
    Some(Bar::flat(price))
}

/// True when the finer candles of a leg hold all that its candle holds. They are kept shorter, so
/// of some time only the longer ones are left.
fn is_whole(leg: &Leg, start: Wall, end: Wall) -> bool {
    let coarse = between(&leg.coarse, start, end);
    let fine = between(&leg.fine, start, end);
    match coarse.first() {
        None => true,
        Some(candle) => {
            let counted: u64 = fine.iter().map(|candle| candle.count).sum();
            !fine.is_empty() && counted >= candle.count
        }
    }
}

/// The candles that begin in a span.
fn between(candles: &[Candle], start: Wall, end: Wall) -> &[Candle] {
    let from = candles.partition_point(|candle| candle.start < start);
    let to = candles.partition_point(|candle| candle.start < end);
    candles.get(from..to).unwrap_or_default()
}

/// Begin of the next candle of any leg.
async fn next_start(
    store: From<'_>,
    steps: &[Step],
    interval: Interval,
    span: (Wall, Wall),
) -> Result<Option<Wall>, StoreError> {
    let mut next: Option<Wall> = None;
    for step in steps {
        let until = next.unwrap_or(span.1);
        let found = read(store, step.pair, interval, (span.0, until), 1).await?;
        next = found.first().map(|candle| candle.start).or(next);
    }
    Ok(next)
}

/// The last close of a published pair before a moment, at which a candle of `interval` begins:
/// from the candles of this length just before it, then from longer ones before those.
async fn last_before(
    store: From<'_>,
    pair: Pair,
    interval: Interval,
    moment: Wall,
) -> Result<Option<(Wall, Price)>, StoreError> {
    let carry = i64::try_from(CARRY_MAX.as_micros()).unwrap_or(i64::MAX);
    let earliest = Interval::Day.start_of(Wall(moment.0.saturating_sub(carry)));
    let mut end = moment;
    for (number, level) in Interval::ALL.into_iter().enumerate() {
        if level < interval {
            continue;
        }
        let longer = Interval::ALL.get(number + 1);
        let start = longer.map_or(earliest, |longer| longer.start_of(end));
        let found = read(store, pair, level, (start, end), 100).await?;
        if let Some(candle) = found.last() {
            return Ok(Some((candle.start, candle.close)));
        }
        end = start;
    }
    Ok(None)
}

async fn read(
    store: From<'_>,
    pair: Pair,
    interval: Interval,
    (start, end): (Wall, Wall),
    limit: u32,
) -> Result<Vec<Candle>, StoreError> {
    if start >= end {
        return Ok(Vec::new());
    }
    let query = CandleQuery {
        pair,
        source: store.source,
        interval,
        start,
        end,
        limit,
    };
    store.store.candles(query).await
}
