//! Every stored rate of a pair, page by page. A page is at most a thousand rows, so that what a
//! request holds in memory is bounded in every form.

mod cursor;
mod points;

use super::missing::problem;
use crate::answer::{Answer, JSON};
use crate::call::Call;
use crate::conditional::Caching;
use crate::problem::{Kind, Problem};
use crate::route::Work;
use cursor::{After, cursor_of, cursor_text, published_cursor_text};
use http::header::LINK;
use kurs_core::{Pair, SourceId, Wall};
use kurs_reader::Missing;
use kurs_reader::series::{self, SeriesQuery};
use kurs_store::{HistoryQuery, StoreError};
pub(crate) use points::{CSV, NDJSON, PointDocument};
use points::{csv, ndjson};
use schemars::JsonSchema;
use serde::Serialize;
use std::time::Duration;

/// Least, most and default rows of a page.
pub(crate) const LIMITS: (u32, u32, u32) = (1, 1_000, 100);
/// What is shown when no start is given.
const DEFAULT_SPAN: Duration = Duration::from_secs(24 * 3_600);
/// How long a request waits for its turn at the store.
pub(crate) const TURN: Duration = Duration::from_secs(2);

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
        let page = page(&call, asked, &query).await?;
        let next = page.next;
        let points = page.points.into_iter();
        let answer = match call.media {
            NDJSON => Answer::text(ndjson(points), NDJSON),
            CSV => Answer::text(csv(points), CSV),
            _ => Answer::json(&HistoryDocument {
                pair: query.pair,
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

/// Points of a page, and the cursor of the next one.
struct Page {
    points: Vec<PointDocument>,
    next: Option<String>,
}

/// What was received, or what was published where that is asked for: by name, or of a pair that
/// no source gives itself. A cursor goes on as it began.
async fn page(call: &Call, asked: Pair, query: &Asked) -> Result<Page, Problem> {
    let goes_on_published = matches!(query.after, Some(After::Published(..)));
    if call.arguments.flag("published") || goes_on_published {
        return published(call, asked, query).await;
    }
    let page = received(call, query).await?;
    if !page.points.is_empty() {
        return Ok(page);
    }
    let is_open = query.after.is_none() && query.source.is_none();
    if is_open && !has_rows(call, query.pair, None).await? {
        return published(call, asked, query).await;
    }
    known(call, asked)?;
    let unknown = query
        .source
        .filter(|source| call.api.view.find_source(*source).is_none());
    if let Some(source) = unknown
        && !has_rows(call, query.pair, Some(source)).await?
    {
        let detail = format!("{source} is not enabled, and nothing of it is stored");
        return Err(Problem::new(Kind::UnknownSource, detail));
    }
    Ok(page)
}

async fn published(call: &Call, asked: Pair, query: &Asked) -> Result<Page, Problem> {
    if query.source.is_some() {
        let detail = "does not go with published: a rate is published once, whoever serves it";
        return Err(Problem::parameter("source", detail));
    }
    let after = match query.after {
        Some(After::Published(at, id)) => Some((at, id)),
        Some(After::Received(_)) => {
            return Err(Problem::parameter("cursor", "is of received rates"));
        }
        None => None,
    };
    let series = SeriesQuery {
        asked,
        start: query.start,
        end: query.end,
        limit: query.limit,
        after,
    };
    let api = &call.api;
    let page = series::page(&api.view, &*api.store, series).await;
    let page = page.map_err(|error| store_problem(&error))?;
    if page.points.is_empty() && after.is_none() {
        known(call, asked)?;
    }
    Ok(Page {
        points: page.points.iter().map(|rate| (&**rate).into()).collect(),
        next: page.next.map(|(at, id)| published_cursor_text(at, id)),
    })
}

/// A problem when nothing is known of a pair.
fn known(call: &Call, asked: Pair) -> Result<(), Problem> {
    match call.api.view.rate(asked, None) {
        Err(missing @ (Missing::UnknownAsset(_) | Missing::NoPath(_))) => Err(problem(&missing)),
        _ => Ok(()),
    }
}

async fn received(call: &Call, query: &Asked) -> Result<Page, Problem> {
    let after = match query.after {
        Some(After::Received(cursor)) => Some(cursor),
        _ => None,
    };
    let page = call
        .api
        .store
        .history(HistoryQuery {
            pair: query.pair,
            source: query.source,
            start: query.start,
            end: query.end,
            limit: query.limit,
            after,
        })
        .await
        .map_err(|error| store_problem(&error))?;
    Ok(Page {
        points: page.rows.iter().map(PointDocument::from).collect(),
        next: page.next.as_ref().map(cursor_text),
    })
}

/// True when anything of a source, or of any, is stored for a pair, whenever it was received.
async fn has_rows(call: &Call, pair: Pair, source: Option<SourceId>) -> Result<bool, Problem> {
    let query = HistoryQuery {
        pair,
        source,
        start: Wall(0),
        end: Wall(i64::MAX),
        limit: 1,
        after: None,
    };
    let page = call.api.store.history(query).await;
    let page = page.map_err(|error| store_problem(&error))?;
    Ok(!page.rows.is_empty())
}

/// What a request asks for.
#[derive(Debug, Clone)]
struct Asked {
    pair: Pair,
    source: Option<SourceId>,
    start: Wall,
    end: Wall,
    limit: u32,
    after: Option<After>,
}

fn query_of(call: &Call, pair: Pair) -> Result<Asked, Problem> {
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
    Ok(Asked {
        pair,
        source: named.map(|name| call.api.view.find_source(name).unwrap_or(name)),
        start,
        end,
        limit: arguments.whole("limit").unwrap_or(LIMITS.2),
        after,
    })
}

pub(super) fn store_problem(error: &StoreError) -> Problem {
    tracing::warn!(%error, "the history could not be read");
    Problem::new(
        Kind::StoreUnavailable,
        "the history cannot be read at present",
    )
}

/// The same request with the cursor of the next page.
pub(crate) fn next_link(path: &str, cursor: &str) -> String {
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

/// The media types of a page.
pub(crate) const FORMS: [&str; 3] = [JSON, NDJSON, CSV];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_link_keeps_the_question_and_replaces_the_cursor() {
        assert_eq!(
            next_link("/api/v1/history/BTC/USDT?limit=2&cursor=a&source=x", "b"),
            "</api/v1/history/BTC/USDT?limit=2&source=x&cursor=b>; rel=\"next\""
        );
        assert_eq!(next_link("/h", "b"), "</h?cursor=b>; rel=\"next\"");
    }
}
