//! `GET /products/<id>/candles`: up to 300 candles, newest first, times in seconds, prices as
//! bare JSON numbers in the order low, high, open, close. Both ends of the span count; candles
//! before it may come too. A span without trades has no candle; counts are not told.

use super::candle::{ArchivedCandle, Order, unreadable};
use super::codec::{CandleCodec, refusal_by, rows};
use super::error::ArchiveError;
use super::pace::Limits;
use crate::coinbase::Coinbase;
use crate::venue::codec::{Codec, Request};
use kurs_core::{Pair, Wall};
use kurs_store::Interval;
use serde_json::value::RawValue;
use std::ops::Range;

/// Candles of one answer at most; a longer span is refused.
const PAGE: u32 = 300;

/// The archive of Coinbase Exchange.
#[derive(Debug, Clone, Copy, Default)]
pub struct CoinbaseArchive;

impl CandleCodec for CoinbaseArchive {
    fn name(&self) -> &'static str {
        "coinbase"
    }

    fn symbol(&self, pair: Pair) -> String {
        Coinbase::new().symbol(pair)
    }

    fn page(&self) -> u32 {
        PAGE
    }

    fn order(&self) -> Order {
        Order::NewestFirst
    }

    fn limits(&self) -> Limits {
        Limits {
            // 4 requests a second; the venue takes about 10.
            weight_per_minute: 240,
            used: None,
            has_quota: false,
        }
    }

    fn ask(&self, symbol: &str, interval: Interval, span: &Range<Wall>) -> Request {
        let seconds = interval.seconds();
        let last = span.end.unix_seconds() - i64::from(seconds);
        let (start, end) = (text_of(span.start.unix_seconds()), text_of(last));
        Request {
            path: format!(
                "/products/{symbol}/candles?granularity={seconds}&start={start}&end={end}"
            ),
            weight: 1,
        }
    }

    fn read(&self, body: &[u8], span: &Range<Wall>) -> Result<Vec<ArchivedCandle>, ArchiveError> {
        let page: Vec<Vec<&RawValue>> =
            serde_json::from_slice(body).map_err(|_| unreadable("not a page of candles"))?;
        let mut page = rows(&page, PAGE, |row| {
            let start = Wall::from_unix_seconds(row.whole(0)?);
            Ok(ArchivedCandle::read(
                start,
                row.prices([3, 2, 1, 4])?,
                0,
                true,
            )?)
        })?;
        page.retain(|candle| candle.start >= span.start);
        Ok(page)
    }

    fn refusal(&self, status: u16, body: &[u8]) -> ArchiveError {
        refusal_by(&Coinbase::new(), status, body)
    }
}

/// `2026-11-21T10:00:00Z`.
fn text_of(seconds: i64) -> String {
    let mut text = Wall::from_unix_seconds(seconds).to_string();
    text.truncate(19);
    text + "Z"
}
