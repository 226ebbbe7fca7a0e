//! Candles.

use super::fault::Fault;
use super::names::{self, Names};
use crate::packed::candle;
use crate::{Candle, CandleQuery, Interval, Origin};
use kurs_core::{Pair, SourceId, Wall};
use rusqlite::{Connection, Row, params};

/// The number of kurs itself among the sources: candles of what it published.
const PUBLISHED: i64 = 0;
/// Most candles of one answer.
const LIMIT_MAX: u32 = 10_000;
const SECOND_US: i64 = 1_000_000;

/// Stores candles; each replaces what is stored of the same series, interval, start and origin.
pub(super) fn replace(
    connection: &Connection,
    names: &mut Names,
    candles: &[Candle],
) -> Result<(), Fault> {
    if candles.is_empty() {
        return Ok(());
    }
    let mut upsert = connection.prepare_cached(
        "INSERT INTO candles (pair, source, interval_s, start_s, origin, tick_count, prices)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (pair, source, interval_s, start_s, origin) DO UPDATE
         SET tick_count = excluded.tick_count, prices = excluded.prices",
    )?;
    for candle in candles {
        let source = match candle.source {
            Some(source) => names.source(connection, source)?,
            None => PUBLISHED,
        };
        // It begins at a whole multiple of its length, which is whole seconds.
        let start = candle.interval.start_of(candle.start);
        let prices = [candle.open, candle.high, candle.low, candle.close];
        upsert.execute(params![
            names.pair(connection, candle.pair)?,
            source,
            candle.interval.seconds(),
            start.unix_seconds(),
            candle.origin.number(),
            i64::try_from(candle.count).unwrap_or(i64::MAX),
            candle::encode(&prices),
        ])?;
    }
    Ok(())
}

/// Candles of one series, oldest first; of two that begin at once the backfilled one.
pub(super) fn find(connection: &Connection, query: &CandleQuery) -> Result<Vec<Candle>, Fault> {
    let mut found: Vec<Candle> = Vec::new();
    let source = match query.source {
        Some(source) => names::find_source(connection, source)?,
        None => Some(PUBLISHED),
    };
    let Some((pair, source)) = names::find_pair(connection, query.pair)?.zip(source) else {
        return Ok(found);
    };
    let limit = usize::try_from(query.limit.clamp(1, LIMIT_MAX)).unwrap_or(usize::MAX);
    let mut statement = connection.prepare_cached(
        "SELECT start_s, origin, tick_count, prices FROM candles
         WHERE pair = ?1 AND source = ?2 AND interval_s = ?3 AND start_s >= ?4 AND start_s < ?5
         ORDER BY start_s, origin",
    )?;
    let mut rows = statement.query(params![
        pair,
        source,
        query.interval.seconds(),
        first_second(query.start),
        first_second(query.end),
    ])?;
    let series = (query.pair, query.source, query.interval);
    while let Some(row) = rows.next()? {
        let candle = read(row, series)?;
        let is_full = found.len() == limit;
        match found.last_mut() {
            // Live comes first, backfilled second.
            Some(last) if last.start == candle.start => *last = candle,
            _ if is_full => break,
            _ => found.push(candle),
        }
    }
    Ok(found)
}

fn read(
    row: &Row<'_>,
    (pair, source, interval): (Pair, Option<SourceId>, Interval),
) -> Result<Candle, Fault> {
    let corrupt = || Fault::corrupt(format!("a candle {interval} of {pair}"));
    let start_s: i64 = row.get(0)?;
    let count: i64 = row.get(2)?;
    let bytes = row
        .get_ref(3)?
        .as_blob()
        .map_err(|error| Fault::corrupt(error.to_string()))?;
    let [open, high, low, close] = candle::decode(bytes).ok_or_else(corrupt)?;
    Ok(Candle {
        pair,
        source,
        interval,
        start: Wall(start_s.checked_mul(SECOND_US).ok_or_else(corrupt)?),
        open,
        high,
        low,
        close,
        count: u64::try_from(count).map_err(|_| corrupt())?,
        origin: Origin::of_number(row.get(1)?).ok_or_else(corrupt)?,
    })
}

/// The first whole second that is not before `time`.
fn first_second(time: Wall) -> i64 {
    let second = time.unix_seconds();
    if time.0.rem_euclid(SECOND_US) == 0 {
        second
    } else {
        second.saturating_add(1)
    }
}

/// Series that have candles of an interval that began before `before`.
pub(super) fn series_before(
    connection: &Connection,
    interval: Interval,
    before: Wall,
) -> Result<Vec<(i64, i64)>, Fault> {
    let mut statement = connection.prepare_cached(
        "SELECT p.id, s.id FROM pairs p
         CROSS JOIN (SELECT id FROM sources UNION ALL SELECT ?1) s
         WHERE EXISTS (SELECT 1 FROM candles c WHERE c.pair = p.id AND c.source = s.id
                         AND c.interval_s = ?2 AND c.start_s < ?3)",
    )?;
    let found = statement.query_map(
        params![PUBLISHED, interval.seconds(), first_second(before)],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    Ok(found.collect::<Result<_, _>>()?)
}

/// Deletes the oldest candles of one series and interval that began before `before`, about
/// `at_most`. Returns how many went.
pub(super) fn prune_step(
    connection: &Connection,
    (pair, source): (i64, i64),
    interval: Interval,
    before: Wall,
    at_most: usize,
) -> Result<usize, Fault> {
    let at_most = i64::try_from(at_most).unwrap_or(i64::MAX);
    Ok(connection
        .prepare_cached(
            "DELETE FROM candles WHERE (pair, source, interval_s, start_s, origin) IN (
                 SELECT pair, source, interval_s, start_s, origin FROM candles
                 WHERE pair = ?1 AND source = ?2 AND interval_s = ?3 AND start_s < ?4
                 ORDER BY start_s LIMIT ?5)",
        )?
        .execute(params![
            pair,
            source,
            interval.seconds(),
            first_second(before),
            at_most
        ])?)
}
