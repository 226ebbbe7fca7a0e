//! Every stored rate of a pair, page by page. A page is at most a thousand rows, so that what a
//! request holds in memory is bounded in every form.

use super::missing::problem;
use crate::answer::{Answer, JSON};
use crate::call::Call;
use crate::conditional::Caching;
use crate::problem::{Kind, Problem};
use crate::route::Work;
use http::header::LINK;
use kurs_core::{Epoch, Pair, Price, Seq, SourceId, UpdateId, Wall};
use kurs_reader::Missing;
use kurs_store::{Cursor, HistoryQuery, HistoryRow, StoreError};
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt::Write;
use std::time::Duration;

pub(crate) const NDJSON: &str = "application/x-ndjson";
pub(crate) const CSV: &str = "text/csv; charset=utf-8";
/// Least, most and default rows of a page.
pub(crate) const LIMITS: (u32, u32, u32) = (1, 1_000, 100);
/// What is shown when no start is given.
const DEFAULT_SPAN: Duration = Duration::from_secs(24 * 3_600);
/// How long a request waits for its turn at the store.
const TURN: Duration = Duration::from_secs(2);

/// A page of history.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct HistoryDocument {
    /// The market, canonical.
    pair: Pair,
    /// The rows, oldest first.
    points: Vec<PointDocument>,
    /// Cursor of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// One rate as received from a source.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PointDocument {
    /// The market, canonical.
    pair: Pair,
    /// Who gave it.
    source: SourceId,
    /// Fair price.
    value: Price,
    /// Best bid, if the source gives sides.
    #[serde(skip_serializing_if = "Option::is_none")]
    bid: Option<Price>,
    /// Best ask, if the source gives sides.
    #[serde(skip_serializing_if = "Option::is_none")]
    ask: Option<Price>,
    /// When the source says it was true, if it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_at: Option<Wall>,
    /// When it arrived.
    received_at: Wall,
    /// Lease epoch of the Writer that received it.
    epoch: u64,
    /// Order within the epoch.
    seq: u64,
}

impl From<&HistoryRow> for PointDocument {
    fn from(row: &HistoryRow) -> Self {
        Self {
            pair: row.pair,
            source: row.source,
            value: row.value,
            bid: row.bid,
            ask: row.ask,
            observed_at: row.observed_at,
            received_at: row.received_at,
            epoch: row.id.epoch.0,
            seq: row.id.seq.0,
        }
    }
}

/// `GET /api/v1/history/{base}/{quote}`.
pub(crate) fn history(call: Call) -> Work {
    Box::pin(async move {
        let asked = call.path_pair()?;
        let query = query_of(&call, asked.canonical())?;
        let turn = tokio::time::timeout(TURN, call.api.history_reads.acquire());
        let Ok(Ok(_turn)) = turn.await else {
            return Err(Problem::new(
                Kind::TooBusy,
                "too many histories are being read",
            ));
        };
        let pair = query.pair;
        let unknown = query
            .source
            .filter(|source| call.api.view.find_source(*source).is_none());
        let page = call
            .api
            .store
            .history(query)
            .await
            .map_err(|error| store_problem(&error))?;
        if page.rows.is_empty()
            && let Err(missing @ (Missing::UnknownAsset(_) | Missing::NoPath(_))) =
                call.api.view.rate(asked, None)
        {
            return Err(problem(&missing));
        }
        if let Some(source) = unknown
            && page.rows.is_empty()
            && !has_rows(&call, pair, source).await?
        {
            let detail = format!("{source} is not enabled, and nothing of it is stored");
            return Err(Problem::new(Kind::UnknownSource, detail));
        }
        let points = page.rows.iter().map(PointDocument::from);
        let next = page.next.as_ref().map(cursor_text);
        let answer = match call.media {
            NDJSON => Answer::text(ndjson(points), NDJSON),
            CSV => Answer::text(csv(points), CSV),
            _ => Answer::json(&HistoryDocument {
                pair,
                points: points.collect(),
                next: next.clone(),
            }),
        };
        let answer = answer.cached(Caching::Revalidate).varies_by_accept();
        Ok(match next {
            None => answer,
            Some(cursor) => answer.with_header(LINK, &next_link(&call.path, &cursor)),
        })
    })
}

/// True when anything of a source is stored for a pair, whenever it was received.
async fn has_rows(call: &Call, pair: Pair, source: SourceId) -> Result<bool, Problem> {
    let query = HistoryQuery {
        pair,
        source: Some(source),
        start: Wall(0),
        end: Wall(i64::MAX),
        limit: 1,
        after: None,
    };
    let page = call.api.store.history(query).await;
    let page = page.map_err(|error| store_problem(&error))?;
    Ok(!page.rows.is_empty())
}

fn query_of(call: &Call, pair: Pair) -> Result<HistoryQuery, Problem> {
    let arguments = &call.arguments;
    // Rows of this very moment belong to the page, so the open end lies after them.
    let end = arguments
        .time("end")
        .unwrap_or_else(|| call.api.view.now().wall.plus(Duration::from_micros(1)));
    let day = i64::try_from(DEFAULT_SPAN.as_micros()).unwrap_or(0);
    let start = arguments
        .time("start")
        .unwrap_or(Wall(end.0.saturating_sub(day)));
    if start >= end {
        return Err(Problem::parameter(
            "start",
            "must be before end, which is now unless given",
        ));
    }
    let after = match arguments.text("cursor") {
        None => None,
        Some(text) => Some(
            cursor_of(text)
                .ok_or_else(|| Problem::parameter("cursor", "is not a cursor of this route"))?,
        ),
    };
    let named = arguments.source("source");
    Ok(HistoryQuery {
        pair,
        source: named.map(|name| call.api.view.find_source(name).unwrap_or(name)),
        start,
        end,
        limit: arguments.whole("limit").unwrap_or(LIMITS.2),
        after,
    })
}

fn store_problem(error: &StoreError) -> Problem {
    tracing::warn!(%error, "the history could not be read");
    Problem::new(
        Kind::StoreUnavailable,
        "the history cannot be read at present",
    )
}

fn ndjson(points: impl Iterator<Item = PointDocument>) -> Vec<u8> {
    let mut text = Vec::new();
    for point in points {
        // Plain data into memory: this cannot fail.
        let _ = serde_json::to_writer(&mut text, &point);
        text.push(b'\n');
    }
    text
}

/// RFC 4180. No field can hold a comma, a quote or a line end, so none is quoted.
fn csv(points: impl Iterator<Item = PointDocument>) -> String {
    fn or_empty(value: Option<impl std::fmt::Display>) -> String {
        value.map(|value| value.to_string()).unwrap_or_default()
    }
    let mut text = String::from("pair,source,value,bid,ask,observed_at,received_at,epoch,seq\r\n");
    for point in points {
        let _ = write!(
            text,
            "{},{},{},{},{},{},{},{},{}\r\n",
            point.pair,
            point.source,
            point.value,
            or_empty(point.bid),
            or_empty(point.ask),
            or_empty(point.observed_at),
            point.received_at,
            point.epoch,
            point.seq,
        );
    }
    text
}

/// The same request with the cursor of the next page.
fn next_link(path: &str, cursor: &str) -> String {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let kept: Vec<&str> = query
        .split('&')
        .filter(|part| !part.is_empty() && !part.starts_with("cursor="))
        .collect();
    let own = format!("cursor={cursor}");
    let query = kept
        .into_iter()
        .chain([own.as_str()])
        .collect::<Vec<_>>()
        .join("&");
    format!("<{path}?{query}>; rel=\"next\"")
}

/// A cursor as text: times and numbers in their order, the source in hexadecimal.
fn cursor_text(cursor: &Cursor) -> String {
    let id = cursor.id;
    let mut text = format!(
        "{}_{}_{}_{}_",
        cursor.received_at.0, id.shard, id.epoch.0, id.seq.0
    );
    for byte in cursor.source.as_str().bytes() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn cursor_of(text: &str) -> Option<Cursor> {
    let mut parts = text.split('_');
    let received_at = Wall(parts.next()?.parse().ok()?);
    let id = UpdateId {
        shard: parts.next()?.parse().ok()?,
        epoch: Epoch(parts.next()?.parse().ok()?),
        seq: Seq(parts.next()?.parse().ok()?),
    };
    let source: Option<Vec<u8>> = parts
        .next()?
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect();
    let source = SourceId::parse(std::str::from_utf8(&source?).ok()?).ok()?;
    parts.next().is_none().then_some(Cursor {
        received_at,
        source,
        id,
    })
}

/// The media types of a page.
pub(crate) const FORMS: [&str; 3] = [JSON, NDJSON, CSV];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text() {
        let cursor = Cursor {
            received_at: Wall(1_723_161_255_208_123),
            source: SourceId::parse("sim:binance").unwrap(),
            id: UpdateId {
                shard: 1,
                epoch: Epoch(2),
                seq: Seq(u64::MAX),
            },
        };
        let text = cursor_text(&cursor);
        assert!(crate::pattern::Form::Cursor.accepts(&text), "{text}");
        assert_eq!(cursor_of(&text), Some(cursor));
        for broken in ["", "a", "1_2_3_4", "1_2_3_4_zz", "1_2_3_4_62_5", "1_2_3_4_"] {
            assert_eq!(cursor_of(broken), None, "{broken}");
        }
    }

    #[test]
    fn the_next_link_keeps_the_question_and_replaces_the_cursor() {
        assert_eq!(
            next_link("/api/v1/history/BTC/USDT?limit=2&cursor=a&source=x", "b"),
            "</api/v1/history/BTC/USDT?limit=2&source=x&cursor=b>; rel=\"next\""
        );
        assert_eq!(next_link("/h", "b"), "</h?cursor=b>; rel=\"next\"");
    }
}
