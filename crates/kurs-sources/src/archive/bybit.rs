//! `GET /v5/market/kline`: up to 1,000 candles, newest first, times in milliseconds. A span
//! without trades repeats the last price with a volume of 0; counts are not told.

use super::candle::{ArchivedCandle, Order};
use super::codec::{CandleCodec, refusal_by, rows};
use super::error::ArchiveError;
use super::pace::Limits;
use crate::bybit::Bybit;
use crate::venue::codec::{Codec, Request};
use kurs_core::{Pair, Wall};
use kurs_store::Interval;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::ops::Range;

/// Candles of one answer at most.
const PAGE: u32 = 1_000;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(rename = "retCode")]
    code: i64,
    #[serde(borrow)]
    result: Rows<'a>,
}

#[derive(Deserialize)]
struct Rows<'a> {
    #[serde(borrow)]
    list: Vec<Vec<&'a RawValue>>,
}

/// The archive of Bybit spot.
#[derive(Debug, Clone, Copy, Default)]
pub struct BybitArchive;

impl CandleCodec for BybitArchive {
    fn name(&self) -> &'static str {
        "bybit"
    }

    fn symbol(&self, pair: Pair) -> String {
        Bybit::new().symbol(pair)
    }

    fn page(&self) -> u32 {
        PAGE
    }

    fn order(&self) -> Order {
        Order::NewestFirst
    }

    fn limits(&self) -> Limits {
        Limits {
            // 5 requests a second; the venue takes 120, and shuts an address out beyond that.
            weight_per_minute: 300,
            used: None,
            has_quota: false,
        }
    }

    fn ask(&self, symbol: &str, interval: Interval, span: &Range<Wall>) -> Request {
        let interval = match interval {
            Interval::FiveMinutes => "5",
            Interval::Hour => "60",
            Interval::Day => "D",
            Interval::Second | Interval::Minute => "1",
        };
        let (start, end) = (span.start.unix_ms(), span.end.unix_ms() - 1);
        Request {
            path: format!(
                "/v5/market/kline?category=spot&symbol={symbol}&interval={interval}&start={start}&end={end}&limit={PAGE}"
            ),
            weight: 1,
        }
    }

    fn read(&self, body: &[u8], _: &Range<Wall>) -> Result<Vec<ArchivedCandle>, ArchiveError> {
        let answer = match serde_json::from_slice::<Answer<'_>>(body) {
            Ok(answer) if answer.code == 0 => answer,
            _ => return Err(self.refusal(200, body)),
        };
        rows(&answer.result.list, PAGE, |row| {
            let start = Wall::from_unix_ms(row.whole(0)?);
            let traded = row.is_above_zero(5)?;
            Ok(ArchivedCandle::read(
                start,
                row.prices([1, 2, 3, 4])?,
                0,
                traded,
            )?)
        })
    }

    fn refusal(&self, status: u16, body: &[u8]) -> ArchiveError {
        refusal_by(&Bybit::new(), status, body)
    }
}
