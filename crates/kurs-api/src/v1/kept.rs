//! What else is kept: official rates with their corrections, gaps, and order books of the past.

use super::history::{TURN, store_problem};
use super::missing::pair_problem;
use crate::answer::{Answer, Outcome};
use crate::call::Call;
use crate::conditional::Caching;
use crate::problem::{Kind, Problem};
use crate::route::Work;
use kurs_core::{Pair, Price, SourceId, Wall};
use kurs_store::{BookSnapshot, Gap, GapQuery, OfficialQuery, OfficialVersion, SnapshotQuery};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// Least, most and default entries of an answer.
pub(crate) const LIMITS: (u32, u32, u32) = (1, 1_000, 100);
/// What is shown when no start is given: days, and books.
const DEFAULT_DAYS: Duration = Duration::from_secs(30 * 86_400);
const DEFAULT_HOURS: Duration = Duration::from_secs(3_600);
/// How far ahead of now the default end lies: to the next microsecond, or some days.
const NO_TIME: Duration = Duration::from_micros(1);
const AHEAD: Duration = Duration::from_secs(7 * 86_400);

/// Official rates of one bank and pair.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct OfficialDocument {
    /// The bank.
    source: SourceId,
    /// The pair as the bank quotes it.
    pair: Pair,
    /// The rates, by day and version.
    rates: Vec<OfficialRateDocument>,
}

/// The rate that a bank set for a day.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct OfficialRateDocument {
    /// The calendar day it is for, such as `2026-11-21`.
    #[schemars(regex(pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"))]
    day: String,
    /// 1 for what was seen first of this day, one more for each correction.
    version: u32,
    /// The rate.
    value: Price,
    /// When this version was first seen.
    seen_at: Wall,
}

impl From<&OfficialVersion> for OfficialRateDocument {
    fn from(version: &OfficialVersion) -> Self {
        let day = version.rate.day.to_string();
        Self {
            day: day.split('T').next().unwrap_or(&day).to_owned(),
            version: version.version,
            value: version.rate.value,
            seen_at: version.rate.seen_at,
        }
    }
}

/// `GET /api/v1/official/{source}/{symbol}`.
pub(crate) fn official(call: Call) -> Work {
    Box::pin(async move {
        let (source, pair) = market(&call)?;
        // A bank sets the rate of tomorrow, and on Friday that of Monday.
        let (start, end) = span(&call, DEFAULT_DAYS, AHEAD)?;
        let _turn = turn(&call).await?;
        let query = OfficialQuery {
            source,
            pair,
            start,
            end,
            limit: limit(&call),
        };
        let rates = call.api.store.official(query).await;
        let rates = rates.map_err(|error| store_problem(&error))?;
        if rates.is_empty() {
            known(&call, source)?;
        }
        answer(&OfficialDocument {
            source,
            pair,
            rates: rates.iter().map(Into::into).collect(),
        })
    })
}

/// The gap ledger.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct GapsDocument {
    /// Gaps, by their begin.
    gaps: Vec<GapDocument>,
}

/// A time in which a source gave nothing usable of a pair.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct GapDocument {
    /// Who.
    source: SourceId,
    /// The market.
    pair: Pair,
    /// The last moment at which its price was usable.
    began: Wall,
    /// When it was usable again; absent while it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<Wall>,
    /// Why, for people.
    why: Arc<str>,
    /// True once candles of that time were filled in from the source's archive.
    filled: bool,
}

impl From<Gap> for GapDocument {
    fn from(gap: Gap) -> Self {
        Self {
            source: gap.source,
            pair: gap.pair,
            began: gap.began,
            ended: gap.ended,
            why: gap.why,
            filled: gap.is_filled,
        }
    }
}

/// `GET /api/v1/gaps`.
pub(crate) fn gaps(call: Call) -> Work {
    Box::pin(async move {
        let (start, end) = span(&call, DEFAULT_DAYS, NO_TIME)?;
        let pair = match call.arguments.text("pair") {
            None => None,
            Some(text) => Some(pair_of(&call, "pair", text)?),
        };
        let named = call.arguments.source("source");
        let _turn = turn(&call).await?;
        let query = GapQuery {
            pair,
            source: named.map(|name| call.api.view.find_source(name).unwrap_or(name)),
            start,
            end,
            limit: limit(&call),
        };
        let gaps = call.api.store.gaps(query).await;
        let gaps = gaps.map_err(|error| store_problem(&error))?;
        answer(&GapsDocument {
            gaps: gaps.into_iter().map(Into::into).collect(),
        })
    })
}

/// Order books of the past.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SnapshotsDocument {
    /// The exchange.
    source: SourceId,
    /// The market.
    pair: Pair,
    /// The books, oldest first.
    books: Vec<SnapshotDocument>,
}

/// The best levels of an order book at one moment.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SnapshotDocument {
    /// When the last message in it had arrived.
    at: Wall,
    /// Best first.
    bids: Vec<SnapshotLevel>,
    /// Best first.
    asks: Vec<SnapshotLevel>,
}

/// One price level of an order book of the past.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SnapshotLevel {
    /// In quote asset.
    price: Price,
    /// In base asset.
    #[schemars(with = "Price")]
    size: Decimal,
}

impl From<BookSnapshot> for SnapshotDocument {
    fn from(book: BookSnapshot) -> Self {
        let side = |levels: Vec<(Price, Decimal)>| {
            let levels = levels.into_iter();
            levels
                .map(|(price, size)| SnapshotLevel { price, size })
                .collect()
        };
        Self {
            at: book.at,
            bids: side(book.bids),
            asks: side(book.asks),
        }
    }
}

/// `GET /api/v1/books/{source}/{symbol}/snapshots`.
pub(crate) fn snapshots(call: Call) -> Work {
    Box::pin(async move {
        let (source, pair) = market(&call)?;
        let (start, end) = span(&call, DEFAULT_HOURS, NO_TIME)?;
        let _turn = turn(&call).await?;
        let query = SnapshotQuery {
            source,
            pair,
            start,
            end,
            limit: limit(&call),
        };
        let books = call.api.store.books(query).await;
        let books = books.map_err(|error| store_problem(&error))?;
        if books.is_empty() {
            known(&call, source)?;
        }
        answer(&SnapshotsDocument {
            source,
            pair,
            books: books.into_iter().map(Into::into).collect(),
        })
    })
}

fn answer<T: Serialize>(document: &T) -> Outcome {
    Ok(Answer::json(document).cached(Caching::Revalidate))
}

/// The source and the pair that a path names.
fn market(call: &Call) -> Result<(SourceId, Pair), Problem> {
    let text = call.arguments.text("symbol").unwrap_or("");
    let pair = pair_of(call, "symbol", text)?;
    let source = call.arguments.source("source");
    let source = source.ok_or_else(|| Problem::parameter("source", "is required"))?;
    let found = call.api.view.find_source(source).unwrap_or(source);
    Ok((found, pair))
}

/// Nothing of a source may mean that there is no such source.
fn known(call: &Call, source: SourceId) -> Result<(), Problem> {
    if call.api.view.find_source(source).is_some() {
        return Ok(());
    }
    let detail = format!("{source} is not enabled, and nothing of it is stored");
    Err(Problem::new(Kind::UnknownSource, detail))
}

fn pair_of(call: &Call, parameter: &str, text: &str) -> Result<Pair, Problem> {
    let pair = call.api.view.parse_pair(text);
    let pair = pair.map_err(|error| pair_problem(parameter, &error))?;
    Ok(pair.canonical())
}

/// From `start` to `end`; without `end` until `ahead` of now, without `start` as long as `usual`.
fn span(call: &Call, usual: Duration, ahead: Duration) -> Result<(Wall, Wall), Problem> {
    let now = call.api.view.now().wall.plus(ahead);
    let end = call.arguments.time("end").unwrap_or(now);
    let usual_us = i64::try_from(usual.as_micros()).unwrap_or(i64::MAX);
    let first = Wall(end.0.saturating_sub(usual_us));
    let start = call.arguments.time("start").unwrap_or(first);
    if start >= end {
        let detail = "must be before end, which is now unless given";
        return Err(Problem::parameter("start", detail));
    }
    Ok((start, end))
}

fn limit(call: &Call) -> u32 {
    call.arguments.whole("limit").unwrap_or(LIMITS.2)
}

/// A place among those who read from the store.
async fn turn(call: &Call) -> Result<tokio::sync::SemaphorePermit<'_>, Problem> {
    match tokio::time::timeout(TURN, call.api.history_reads.acquire()).await {
        Ok(Ok(turn)) => Ok(turn),
        _ => Err(Problem::new(
            Kind::TooBusy,
            "too many histories are being read",
        )),
    }
}
