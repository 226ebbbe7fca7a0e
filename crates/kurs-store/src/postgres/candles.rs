//! Candles.

use super::fault::Fault;
use super::names::{self, Names};
use super::pool::{execute, query};
use super::types::{Number, Time, read_price, read_time};
use crate::{Candle, CandleQuery, Origin};
use deadpool_postgres::Client;
use std::collections::BTreeMap;

/// The number of kurs itself among the sources: candles of what it published.
const PUBLISHED: i32 = 0;
/// Most candles of one answer.
const LIMIT_MAX: u32 = 10_000;
/// Candles of one statement.
const CHUNK_ROWS: usize = 10_000;

/// Stores candles; each replaces what is stored of the same series, interval, start and origin.
pub(super) async fn replace(
    transaction: &Client,
    names: &Names,
    candles: &[Candle],
) -> Result<(), Fault> {
    // The last one of each; one statement takes it once, and all in the same order.
    let mut newest = BTreeMap::new();
    for candle in candles {
        let source = match candle.source {
            Some(source) => names.source(source)?,
            None => PUBLISHED,
        };
        let seconds = i32::try_from(candle.interval.seconds()).unwrap_or(i32::MAX);
        let start = candle.interval.start_of(candle.start);
        let origin = i16::from(candle.origin.number());
        newest.insert(
            (names.pair(candle.pair)?, source, seconds, start, origin),
            candle,
        );
    }
    let newest: Vec<_> = newest.into_iter().collect();
    for chunk in newest.chunks(CHUNK_ROWS) {
        replace_chunk(transaction, chunk).await?;
    }
    Ok(())
}

type Key = (i32, i32, i32, kurs_core::Wall, i16);

async fn replace_chunk(transaction: &Client, chunk: &[(Key, &Candle)]) -> Result<(), Fault> {
    const UPSERT: &str = "
        INSERT INTO candles
            (pair, source, seconds, start, origin, open, high, low, close, tick_count)
        SELECT * FROM unnest($1::int[], $2::int[], $3::int[], $4::timestamptz[], $5::smallint[],
            $6::numeric[], $7::numeric[], $8::numeric[], $9::numeric[], $10::bigint[])
        ON CONFLICT (pair, source, seconds, start, origin) DO UPDATE
        SET open = excluded.open, high = excluded.high, low = excluded.low,
            close = excluded.close, tick_count = excluded.tick_count";
    let (mut pairs, mut sources, mut seconds) = (Vec::new(), Vec::new(), Vec::new());
    let (mut starts, mut origins, mut counts) = (Vec::new(), Vec::new(), Vec::new());
    let (mut open, mut high, mut low, mut close) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for ((pair, source, length, start, origin), candle) in chunk {
        pairs.push(*pair);
        sources.push(*source);
        seconds.push(*length);
        starts.push(Time(*start));
        origins.push(*origin);
        open.push(Number::from(candle.open));
        high.push(Number::from(candle.high));
        low.push(Number::from(candle.low));
        close.push(Number::from(candle.close));
        counts.push(i64::try_from(candle.count).unwrap_or(i64::MAX));
    }
    execute(
        transaction,
        UPSERT,
        &[
            &pairs, &sources, &seconds, &starts, &origins, &open, &high, &low, &close, &counts,
        ],
    )
    .await?;
    Ok(())
}

/// Candles of one series, oldest first; of two that begin at once the backfilled one.
pub(super) async fn find(client: &Client, wanted: &CandleQuery) -> Result<Vec<Candle>, Fault> {
    // A live and a backfilled candle at most begin at once, so twice the limit is enough.
    let sql = "
        SELECT start, origin, tick_count, open, high, low, close FROM candles
        WHERE pair = $1 AND source = $2 AND seconds = $3 AND start >= $4 AND start < $5
        ORDER BY start, origin LIMIT $6";
    let source = match wanted.source {
        Some(source) => names::find_source(client, source).await?,
        None => Some(PUBLISHED),
    };
    let mut found: Vec<Candle> = Vec::new();
    let Some((pair, source)) = names::find_pair(client, wanted.pair).await?.zip(source) else {
        return Ok(found);
    };
    let limit = wanted.limit.clamp(1, LIMIT_MAX);
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let seconds = i32::try_from(wanted.interval.seconds()).unwrap_or(i32::MAX);
    let (start, end) = (Time(wanted.start), Time(wanted.end));
    let rows_max = i64::from(limit) * 2;
    for row in query(
        client,
        sql,
        &[&pair, &source, &seconds, &start, &end, &rows_max],
    )
    .await?
    {
        let corrupt = || Fault::corrupt(format!("a candle {} of {}", wanted.interval, wanted.pair));
        let origin: i16 = row.try_get(1)?;
        let origin = u8::try_from(origin).ok().and_then(Origin::of_number);
        let count: i64 = row.try_get(2)?;
        let candle = Candle {
            pair: wanted.pair,
            source: wanted.source,
            interval: wanted.interval,
            start: read_time(&row, 0)?,
            open: read_price(&row, 3)?,
            high: read_price(&row, 4)?,
            low: read_price(&row, 5)?,
            close: read_price(&row, 6)?,
            count: u64::try_from(count).map_err(|_| corrupt())?,
            origin: origin.ok_or_else(corrupt)?,
        };
        let count = found.len();
        match found.last_mut() {
            // Live comes first, backfilled second.
            Some(last) if last.start == candle.start => *last = candle,
            _ if count == most => break,
            _ => found.push(candle),
        }
    }
    Ok(found)
}
