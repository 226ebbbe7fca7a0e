//! `GET /klines`: up to 1,000 candles, oldest first, times in milliseconds. A minute without
//! trades repeats the last price with a count of 0; while the venue was closed there is none.

use super::candle::{ArchivedCandle, Order, unreadable};
use super::codec::{CandleCodec, refusal_by, rows};
use super::error::ArchiveError;
use super::pace::Limits;
use crate::binance::Binance;
use crate::venue::codec::{Codec, Request};
use kurs_core::{Pair, Wall};
use kurs_store::Interval;
use serde_json::value::RawValue;
use std::ops::Range;

/// Candles of one answer at most.
const PAGE: u32 = 1_000;

/// The archive of Binance spot.
#[derive(Debug, Clone, Copy, Default)]
pub struct BinanceArchive;

impl CandleCodec for BinanceArchive {
    fn name(&self) -> &'static str {
        "binance"
    }

    fn symbol(&self, pair: Pair) -> String {
        Binance::new().symbol(pair)
    }

    fn page(&self) -> u32 {
        PAGE
    }

    fn order(&self) -> Order {
        Order::OldestFirst
    }

    fn limits(&self) -> Limits {
        Limits {
            // The venue takes 6000, of which a running kurs uses what it needs.
            weight_per_minute: 1_200,
            used: Some(("x-mbx-used-weight-1m", 4_500)),
            has_quota: false,
        }
    }

    fn ask(&self, symbol: &str, interval: Interval, span: &Range<Wall>) -> Request {
        // Both ends are times at which a candle may begin, and both count.
        let (start, end) = (span.start.unix_ms(), span.end.unix_ms() - 1);
        Request {
            path: format!(
                "/klines?symbol={symbol}&interval={interval}&startTime={start}&endTime={end}&limit={PAGE}"
            ),
            weight: 2,
        }
    }

    fn read(&self, body: &[u8], _: &Range<Wall>) -> Result<Vec<ArchivedCandle>, ArchiveError> {
        let page: Vec<Vec<&RawValue>> =
            serde_json::from_slice(body).map_err(|_| unreadable("not a page of candles"))?;
        rows(&page, PAGE, |row| {
            let count =
                u64::try_from(row.whole(8)?).map_err(|_| unreadable("a count below zero"))?;
            let start = Wall::from_unix_ms(row.whole(0)?);
            let prices = row.prices([1, 2, 3, 4])?;
            Ok(ArchivedCandle::read(start, prices, count, count > 0)?)
        })
    }

    fn refusal(&self, status: u16, body: &[u8]) -> ArchiveError {
        refusal_by(&Binance::new(), status, body)
    }
}
