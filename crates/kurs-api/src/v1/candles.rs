//! Candles of a pair, page by page.

use super::history::{CSV, LIMITS, NDJSON, TURN, next_link, store_problem};
use super::missing::problem;
use crate::answer::Answer;
use crate::call::Call;
use crate::conditional::Caching;
use crate::problem::{Kind, Problem};
use crate::route::Work;
use http::header::LINK;
use kurs_core::{Pair, Price, SourceId, Wall};
use kurs_reader::Missing;
use kurs_reader::candles::{CandlesError, CandlesPage, CandlesQuestion, Way, candles as read};
use kurs_store::{Candle, CandleQuery, Interval, Origin};
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt::Write;
use std::time::Duration;

/// A page of candles.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CandlesDocument {
    /// The pair under the name it was asked for.
    pair: Pair,
    /// Length of each candle.
    interval: Interval,
    /// Whose prices; absent for what was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<SourceId>,
    /// True when the candles were joined from those of the markets of `path`; absent otherwise.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    derived: bool,
    /// The markets that the candles were joined from, from base to quote; absent otherwise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    path: Vec<Pair>,
    /// The candles, oldest first.
    candles: Vec<CandleDocument>,
    /// Cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// One candle.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CandleDocument {
    /// Its begin, a whole multiple of its length since 1970.
    start: Wall,
    /// First price.
    open: Price,
    /// Greatest price.
    high: Price,
    /// Least price.
    low: Price,
    /// Last price.
    close: Price,
    /// Prices in it, those of all its markets when it is derived; 0 where the archive it was
    /// filled in from does not say.
    count: u64,
    /// Folded from what this server saw, or filled in from an archive.
    origin: Origin,
    /// False while its time has not passed: it will change.
    closed: bool,
}

/// One candle that stands alone.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CandleRow {
    /// The pair under the name it was asked for.
    pair: Pair,
    /// Its length.
    interval: Interval,
    /// Whose prices; absent for what was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<SourceId>,
    /// True when it was joined from candles of several markets; absent otherwise.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    derived: bool,
    #[serde(flatten)]
    candle: CandleDocument,
}

impl CandleDocument {
    fn of(candle: &Candle, now: Wall) -> Self {
        Self {
            start: candle.start,
            open: candle.open,
            high: candle.high,
            low: candle.low,
            close: candle.close,
            count: candle.count,
            origin: candle.origin,
            closed: candle.start.plus(candle.interval.length()) <= now,
        }
    }
}

/// `GET /api/v1/candles/{base}/{quote}`.
pub(crate) fn candles(call: Call) -> Work {
    Box::pin(async move {
        let asked = call.path_pair()?;
        let question = question_of(&call, asked)?;
        let (interval, source) = (question.interval, question.source);
        let page = read_page(&call, question).await?;
        if page.candles.is_empty() {
            explain_nothing(&call, asked, source).await?;
        }
        Ok(answer(&call, asked, interval, source, &page))
    })
}

/// Reads a page when it is its turn.
pub(super) async fn read_page(
    call: &Call,
    question: CandlesQuestion,
) -> Result<CandlesPage, Problem> {
    let turn = tokio::time::timeout(TURN, call.api.history_reads.acquire());
    let Ok(Ok(_turn)) = turn.await else {
        let detail = "too many candles and histories are being read";
        return Err(Problem::new(Kind::TooBusy, detail));
    };
    let page = read(&call.api.view, &*call.api.store, question).await;
    page.map_err(|error| match error {
        CandlesError::Missing(missing) => problem(&missing),
        CandlesError::Store(error) => store_problem(&error),
    })
}

fn answer(
    call: &Call,
    asked: Pair,
    interval: Interval,
    source: Option<SourceId>,
    page: &CandlesPage,
) -> Answer {
    let now = call.api.view.now().wall;
    let next = (page.next).map(|start| format!("{}_{}", start.0, page.way.to_text()));
    let derived = page.way != Way::Own;
    let rows = page.candles.iter().map(|candle| CandleRow {
        pair: asked,
        interval,
        source,
        derived,
        candle: CandleDocument::of(candle, now),
    });
    let answer = match call.media {
        NDJSON => Answer::text(ndjson(rows), NDJSON),
        CSV => Answer::text(csv(rows), CSV),
        _ => Answer::json(&CandlesDocument {
            pair: asked,
            interval,
            source,
            derived,
            path: page.way.markets(),
            candles: rows.map(|row| row.candle).collect(),
            next: next.clone(),
        }),
    };
    let answer = answer.cached(Caching::Revalidate).varies_by_accept();
    match next {
        None => answer,
        Some(cursor) => answer.with_header(LINK, &next_link(&call.path, &cursor)),
    }
}

/// A page without candles is an answer, unless what was asked for does not exist.
pub(super) async fn explain_nothing(
    call: &Call,
    asked: Pair,
    source: Option<SourceId>,
) -> Result<(), Problem> {
    if let Err(missing @ (Missing::UnknownAsset(_) | Missing::NoPath(_))) =
        call.api.view.rate(asked, None)
    {
        return Err(problem(&missing));
    }
    let unknown = source.filter(|source| call.api.view.find_source(*source).is_none());
    let Some(source) = unknown else {
        return Ok(());
    };
    let pair = asked.canonical();
    for pair in [pair, pair.inverse()] {
        let query = CandleQuery {
            pair,
            source: Some(source),
            interval: Interval::Day,
            start: Wall::MIN,
            end: Wall::MAX,
            limit: 1,
        };
        let found = call.api.store.candles(query).await;
        if !found.map_err(|error| store_problem(&error))?.is_empty() {
            return Ok(());
        }
    }
    let detail = format!("{source} is not enabled, and nothing of it is stored");
    Err(Problem::new(Kind::UnknownSource, detail))
}

pub(super) fn question_of(call: &Call, asked: Pair) -> Result<CandlesQuestion, Problem> {
    let arguments = &call.arguments;
    let interval = arguments
        .text("interval")
        .and_then(|text| text.parse().ok())
        .unwrap_or(Interval::Minute);
    let named = arguments.source("source");
    if named.is_some() && interval == Interval::Second {
        let detail = "candles of 1s are kept of published rates only; leave `source` out";
        return Err(Problem::parameter("interval", detail));
    }
    let limit = arguments.whole("limit").unwrap_or(LIMITS.2);
    // The candle that begins at this very moment belongs to the page.
    let end = arguments
        .time("end")
        .unwrap_or_else(|| call.api.view.now().wall.plus(Duration::from_micros(1)));
    let span = i64::from(interval.seconds()) * i64::from(limit - 1) * 1_000_000;
    let last = interval.start_of(Wall(end.0.saturating_sub(1)));
    let start = arguments
        .time("start")
        .unwrap_or(Wall(last.0.saturating_sub(span)));
    if start >= end {
        return Err(Problem::parameter(
            "start",
            "must be before end, which is now unless given",
        ));
    }
    let (start, way) = match arguments.text("cursor") {
        None => (start, None),
        Some(text) => {
            let (from, way) = cursor_of(asked, text)
                .ok_or_else(|| Problem::parameter("cursor", "is not a cursor of this route"))?;
            (from, Some(way))
        }
    };
    Ok(CandlesQuestion {
        asked,
        source: named.map(|name| call.api.view.find_source(name).unwrap_or(name)),
        interval,
        start,
        end,
        limit,
        way,
    })
}

fn cursor_of(asked: Pair, text: &str) -> Option<(Wall, Way)> {
    let (start, way) = text.split_once('_')?;
    let start = Wall(start.parse().ok()?);
    (Wall::MIN..=Wall::MAX).contains(&start).then_some(())?;
    Some((start, Way::of_text(asked, way)?))
}

fn ndjson(rows: impl Iterator<Item = CandleRow>) -> Vec<u8> {
    let mut text = Vec::new();
    for row in rows {
        // Plain data into memory: this cannot fail.
        let _ = serde_json::to_writer(&mut text, &row);
        text.push(b'\n');
    }
    text
}

/// RFC 4180. No field can hold a comma, a quote or a line end, so none is quoted.
fn csv(rows: impl Iterator<Item = CandleRow>) -> String {
    let mut text = String::from(
        "pair,interval,source,derived,start,open,high,low,close,count,origin,closed\r\n",
    );
    for row in rows {
        let candle = &row.candle;
        let _ = write!(
            text,
            "{},{},{},{},{},{},{},{},{},{},{},{}\r\n",
            row.pair,
            row.interval,
            row.source
                .map(|source| source.to_string())
                .unwrap_or_default(),
            row.derived,
            candle.start,
            candle.open,
            candle.high,
            candle.low,
            candle.close,
            candle.count,
            match candle.origin {
                Origin::Live => "live",
                Origin::Backfill => "backfill",
            },
            candle.closed,
        );
    }
    text
}
