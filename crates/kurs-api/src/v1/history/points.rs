//! The points of a page, and their forms.

use kurs_core::{Pair, Price, RateState, SourceId, Wall};
use kurs_reader::RateDocument;
use kurs_store::HistoryRow;
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt::Write;

pub(crate) const NDJSON: &str = "application/x-ndjson";
pub(crate) const CSV: &str = "text/csv; charset=utf-8";

/// One rate as received from a source, or as published.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PointDocument {
    /// The market, canonical; a published rate has the names that were asked for.
    pair: Pair,
    /// Who gave it; of a published rate the source as its answer had it.
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
    /// When it arrived; of a published rate when it was published.
    received_at: Wall,
    /// Of a published rate: its state then.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<RateState>,
    /// Of a published rate: the markets it was made of.
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<Vec<Pair>>,
    /// Lease epoch of the Writer that received it.
    epoch: u64,
    /// Order within the epoch.
    seq: u64,
}

impl From<&RateDocument> for PointDocument {
    fn from(rate: &RateDocument) -> Self {
        Self {
            pair: rate.pair,
            source: rate.source,
            value: rate.value,
            bid: rate.bid,
            ask: rate.ask,
            observed_at: Some(rate.observed_at),
            received_at: rate.published_at,
            state: Some(rate.state),
            path: Some(rate.path.clone()),
            epoch: rate.epoch,
            seq: rate.seq,
        }
    }
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
            state: None,
            path: None,
            epoch: row.id.epoch.0,
            seq: row.id.seq.0,
        }
    }
}

pub(super) fn ndjson(points: impl Iterator<Item = PointDocument>) -> Vec<u8> {
    let mut text = Vec::new();
    for point in points {
        // Plain data into memory: this cannot fail.
        let _ = serde_json::to_writer(&mut text, &point);
        text.push(b'\n');
    }
    text
}

/// RFC 4180. No field can hold a comma, a quote or a line end, so none is quoted.
pub(super) fn csv(points: impl Iterator<Item = PointDocument>) -> String {
    fn or_empty(value: Option<impl std::fmt::Display>) -> String {
        value.map(|value| value.to_string()).unwrap_or_default()
    }
    let mut text =
        String::from("pair,source,value,bid,ask,observed_at,received_at,epoch,seq,state,path\r\n");
    for point in points {
        let path: Vec<String> = point.path.iter().flatten().map(Pair::to_string).collect();
        let _ = write!(
            text,
            "{},{},{},{},{},{},{},{},{},{},{}\r\n",
            point.pair,
            point.source,
            point.value,
            or_empty(point.bid),
            or_empty(point.ask),
            or_empty(point.observed_at),
            point.received_at,
            point.epoch,
            point.seq,
            or_empty(point.state.map(RateState::as_str)),
            path.join(" "),
        );
    }
    text
}
