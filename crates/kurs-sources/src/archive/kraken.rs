//! `GET /0/public/OHLC`: always the newest 720 candles of a length, whatever is asked for, oldest
//! first, times in seconds; the last one is not closed yet. What is older cannot be had.

use super::candle::{ArchivedCandle, Order, unreadable};
use super::codec::{CandleCodec, refusal_by, rows};
use super::error::ArchiveError;
use super::pace::Limits;
use crate::kraken::Kraken;
use crate::venue::codec::{Codec, Request};
use kurs_core::{Pair, Wall};
use kurs_store::Interval;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::ops::Range;

/// Candles of one answer at most.
const PAGE: u32 = 720;
/// Closed candles of one answer: the last one is still under way.
const REACH: u32 = 719;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(default)]
    error: Vec<String>,
    /// The candles under the pair's name, and `last`, a time.
    #[serde(borrow, default)]
    result: BTreeMap<String, &'a RawValue>,
}

/// The archive of Kraken spot.
#[derive(Debug, Clone, Copy, Default)]
pub struct KrakenArchive;

impl CandleCodec for KrakenArchive {
    fn name(&self) -> &'static str {
        "kraken"
    }

    /// REST has its own names for pairs; the codec of the stream knows them when it asks for
    /// best prices.
    fn symbol(&self, pair: Pair) -> String {
        let codec = Kraken::new();
        let symbol = codec.symbol(pair);
        let asked = codec.ask_tops(std::slice::from_ref(&symbol));
        asked
            .first()
            .and_then(|request| request.path.split_once("pair="))
            .map_or(symbol, |(_, name)| name.to_owned())
    }

    fn page(&self) -> u32 {
        PAGE
    }

    fn order(&self) -> Order {
        Order::OldestFirst
    }

    fn reach(&self) -> Option<u32> {
        Some(REACH)
    }

    fn limits(&self) -> Limits {
        Limits {
            // A request every 3 s; the venue takes about one a second.
            weight_per_minute: 20,
            used: None,
            has_quota: false,
        }
    }

    fn ask(&self, symbol: &str, interval: Interval, span: &Range<Wall>) -> Request {
        let minutes = interval.seconds() / 60;
        // Candles after this time: that of the first one wanted does not count.
        let since = span.start.unix_seconds() - 1;
        Request {
            path: format!("/0/public/OHLC?pair={symbol}&interval={minutes}&since={since}"),
            weight: 1,
        }
    }

    /// Candles before and after the span come too, and are left out here.
    fn read(&self, body: &[u8], span: &Range<Wall>) -> Result<Vec<ArchivedCandle>, ArchiveError> {
        let answer: Answer<'_> =
            serde_json::from_slice(body).map_err(|_| unreadable("not an answer of Kraken"))?;
        // Warnings begin with W and come beside a result.
        if answer.error.iter().any(|error| error.starts_with('E')) {
            return Err(self.refusal(200, body));
        }
        let mut series = answer.result.iter().filter(|(name, _)| *name != "last");
        let (Some((_, candles)), None) = (series.next(), series.next()) else {
            return Err(unreadable("not the candles of one pair"));
        };
        let page: Vec<Vec<&RawValue>> =
            serde_json::from_str(candles.get()).map_err(|_| unreadable("not a page of candles"))?;
        let mut page = rows(&page, PAGE, |row| {
            let count =
                u64::try_from(row.whole(7)?).map_err(|_| unreadable("a count below zero"))?;
            let start = Wall::from_unix_seconds(row.whole(0)?);
            let prices = row.prices([1, 2, 3, 4])?;
            Ok(ArchivedCandle::read(start, prices, count, count > 0)?)
        })?;
        page.retain(|candle| span.contains(&candle.start));
        Ok(page)
    }

    fn refusal(&self, status: u16, body: &[u8]) -> ArchiveError {
        refusal_by(&Kraken::new(), status, body)
    }
}
