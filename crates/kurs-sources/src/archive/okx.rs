//! `GET /api/v5/market/history-candles`: up to 300 candles, newest first, times in milliseconds;
//! `before` and `after` name times that do not count themselves, and `after` is the later one.
//! Days are asked for by `1Dutc`: `1D` begins at midnight in Hong Kong. A span without trades
//! repeats the last price with a volume of 0; counts are not told.

use super::candle::{ArchivedCandle, Order};
use super::codec::{CandleCodec, refusal_by, rows};
use super::error::ArchiveError;
use super::pace::Limits;
use crate::okx::Okx;
use crate::venue::codec::{Codec, Request};
use kurs_core::{Pair, Wall};
use kurs_store::Interval;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::ops::Range;

/// Candles of one answer at most.
const PAGE: u32 = 300;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
    #[serde(borrow)]
    data: Vec<Vec<&'a RawValue>>,
}

/// The archive of OKX spot.
#[derive(Debug, Clone, Copy, Default)]
pub struct OkxArchive;

impl CandleCodec for OkxArchive {
    fn name(&self) -> &'static str {
        "okx"
    }

    fn symbol(&self, pair: Pair) -> String {
        Okx::new().symbol(pair)
    }

    fn page(&self) -> u32 {
        PAGE
    }

    fn order(&self) -> Order {
        Order::NewestFirst
    }

    fn limits(&self) -> Limits {
        Limits {
            // 5 requests a second; the venue takes 20 per 2 s.
            weight_per_minute: 300,
            used: None,
            has_quota: false,
        }
    }

    fn ask(&self, symbol: &str, interval: Interval, span: &Range<Wall>) -> Request {
        let bar = match interval {
            Interval::FiveMinutes => "5m",
            Interval::Hour => "1H",
            Interval::Day => "1Dutc",
            Interval::Second | Interval::Minute => "1m",
        };
        let (before, after) = (span.start.unix_ms() - 1, span.end.unix_ms());
        Request {
            path: format!(
                "/api/v5/market/history-candles?instId={symbol}&bar={bar}&before={before}&after={after}&limit={PAGE}"
            ),
            weight: 1,
        }
    }

    fn read(&self, body: &[u8], _: &Range<Wall>) -> Result<Vec<ArchivedCandle>, ArchiveError> {
        let answer = match serde_json::from_slice::<Answer<'_>>(body) {
            Ok(answer) if answer.code == "0" => answer,
            _ => return Err(self.refusal(200, body)),
        };
        rows(&answer.data, PAGE, |row| {
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
        refusal_by(&Okx::new(), status, body)
    }
}
