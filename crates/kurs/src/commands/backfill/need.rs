//! Which candles are missing. A candle from an archive is there for good; a live one is good
//! unless a gap of the ledger lies in it.

use kurs_core::{Pair, SourceId, Wall};
use kurs_store::{CandleQuery, Gap, Interval, Origin, Store, StoreError};
use std::ops::Range;
use std::time::Duration;

/// Candles asked for at a time.
const PAGE: u32 = 10_000;

/// One series of candles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SeriesKey {
    pub(super) source: SourceId,
    pub(super) pair: Pair,
    pub(super) interval: Interval,
}

/// The begin of the first candle at or after a moment.
pub(super) fn first_start(interval: Interval, at: Wall) -> Wall {
    let start = interval.start_of(at);
    if start == at {
        start
    } else {
        start.plus(interval.length())
    }
}

/// Spans in which every candle is missing, oldest first. Looked at are the candles that lie
/// wholly within `span`.
pub(super) async fn missing(
    store: &dyn Store,
    key: SeriesKey,
    span: &Range<Wall>,
    gaps: &[Gap],
) -> Result<Vec<Range<Wall>>, StoreError> {
    let length = key.interval.length();
    let end = key.interval.start_of(span.end);
    let mut next = first_start(key.interval, span.start);
    let mut missing = Vec::new();
    while next < end {
        let query = CandleQuery {
            pair: key.pair,
            source: Some(key.source),
            interval: key.interval,
            start: next,
            end,
            limit: PAGE,
        };
        let page = store.candles(query).await?;
        let is_last = page.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        for candle in &page {
            let is_good = match candle.origin {
                Origin::Backfill => true,
                Origin::Live => !touched(gaps, candle.start, length),
            };
            if is_good && candle.start >= next {
                add(&mut missing, next..candle.start);
                next = candle.start.plus(length);
            }
        }
        let seen = page.last().map(|candle| candle.start.plus(length));
        match seen {
            Some(seen) if !is_last => {
                // Live candles with a gap in them may stand at the end of a page.
                add(&mut missing, next..seen);
                next = next.max(seen);
            }
            _ => {
                add(&mut missing, next..end);
                break;
            }
        }
    }
    Ok(missing)
}

/// Adds a span behind the others; joins it to the last one where they touch.
fn add(spans: &mut Vec<Range<Wall>>, span: Range<Wall>) {
    if span.is_empty() {
        return;
    }
    match spans.last_mut() {
        Some(last) if last.end >= span.start => last.end = last.end.max(span.end),
        _ => spans.push(span),
    }
}

/// True when a gap lies in a candle.
fn touched(gaps: &[Gap], start: Wall, length: Duration) -> bool {
    let end = start.plus(length);
    gaps.iter()
        .any(|gap| gap.began < end && gap.ended.is_none_or(|ended| ended > start))
}

/// Joins spans that lie no farther apart than `distance`; sorted or not.
pub(super) fn joined(mut spans: Vec<Range<Wall>>, distance: Duration) -> Vec<Range<Wall>> {
    spans.sort_by_key(|span| span.start);
    let mut joined: Vec<Range<Wall>> = Vec::new();
    for span in spans {
        match joined.last_mut() {
            Some(last) if last.end.plus(distance) >= span.start => {
                last.end = last.end.max(span.end);
            }
            _ => joined.push(span),
        }
    }
    joined
}

/// True when a moment lies in one of the spans, which are sorted and apart.
pub(super) fn contains(spans: &[Range<Wall>], at: Wall) -> bool {
    let after = spans.partition_point(|span| span.start <= at);
    after
        .checked_sub(1)
        .and_then(|last| spans.get(last))
        .is_some_and(|span| at < span.end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kurs_core::Price;
    use kurs_store::{Batch, Candle, StoreConfig};

    fn at(minute: i64) -> Wall {
        Wall::from_unix_seconds(1_795_255_200 + minute * 60)
    }

    fn key() -> SeriesKey {
        SeriesKey {
            source: SourceId::parse("binance").unwrap(),
            pair: Pair::parse("BTC-USDT").unwrap(),
            interval: Interval::Minute,
        }
    }

    fn candle(minute: i64, origin: Origin) -> Candle {
        let price = Price::parse("2").unwrap();
        Candle {
            pair: key().pair,
            source: Some(key().source),
            interval: Interval::Minute,
            start: at(minute),
            open: price,
            high: price,
            low: price,
            close: price,
            count: 1,
            origin,
        }
    }

    fn gap(began: Wall, ended: Wall) -> Gap {
        Gap {
            source: key().source,
            pair: key().pair,
            began,
            ended: Some(ended),
            why: "test".into(),
            is_filled: false,
        }
    }

    #[tokio::test]
    async fn missing_is_what_no_archive_gave_and_no_whole_minute_was_heard() {
        let config = StoreConfig {
            url: "sqlite::memory:".to_owned(),
            ..StoreConfig::default()
        };
        let store = kurs_store::config::open(&config).unwrap();
        store.migrate().await.unwrap();
        let mut candles: Vec<Candle> = (0..10).map(|one| candle(one, Origin::Live)).collect();
        candles.extend((14..16).map(|one| candle(one, Origin::Backfill)));
        candles.push(candle(4, Origin::Backfill));
        let batch = Batch {
            candles,
            ..Batch::default()
        };
        store.write(batch).await.unwrap();
        // From the middle of minute 3 to that of minute 5; 4 was fetched already.
        let gaps = [gap(Wall(at(3).0 + 1), Wall(at(5).0 + 1))];
        let found = missing(&*store, key(), &(at(0)..Wall(at(20).0 + 7)), &gaps).await;
        let minutes: Vec<(i64, i64)> = found
            .unwrap()
            .iter()
            .map(|span| (span.start, span.end))
            .map(|(start, end)| {
                (
                    (start.0 - at(0).0) / 60_000_000,
                    (end.0 - at(0).0) / 60_000_000,
                )
            })
            .collect();
        assert_eq!(minutes, [(3, 4), (5, 6), (10, 14), (16, 20)]);
    }

    #[test]
    fn spans_are_joined_and_searched() {
        let spans = vec![at(10)..at(12), at(0)..at(1), at(3)..at(5)];
        let found = joined(spans, Duration::from_secs(120));
        assert_eq!(found, [at(0)..at(5), at(10)..at(12)]);
        for (minute, expect) in [
            (0, true),
            (4, true),
            (5, false),
            (9, false),
            (11, true),
            (12, false),
        ] {
            assert_eq!(contains(&found, at(minute)), expect, "{minute}");
        }
        assert!(!contains(&found, Wall(at(0).0 - 1)) && !contains(&[], at(0)));
    }

    #[test]
    fn the_first_candle_begins_at_or_after_the_moment() {
        assert_eq!(first_start(Interval::Minute, at(3)), at(3));
        assert_eq!(first_start(Interval::Minute, Wall(at(3).0 + 1)), at(4));
    }
}
