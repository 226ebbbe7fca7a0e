//! The sources, and what is followed.

use crate::answer::{Answer, Outcome};
use crate::call::Call;
use kurs_bus::SourceStatus;
use kurs_core::{Pair, SourceId, SourceKind, SourceState, Wall};
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

/// All sources.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SourcesDocument {
    /// In order of preference.
    sources: Vec<SourceDocument>,
}

/// State and counters of one source.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct SourceDocument {
    /// Its name; `sim:` marks a simulated one.
    source: SourceId,
    /// What it is.
    kind: SourceKind,
    /// Its place in the order of preference; 1 is best.
    priority: u16,
    /// Its state.
    state: SourceState,
    /// Why, in one short phrase; empty when live.
    why: Arc<str>,
    /// Since when it is in this state.
    since: Wall,
    /// How data comes at present: `websocket`, `rest` or `poll`.
    mode: Arc<str>,
    /// Pairs it gives a price for.
    pairs: u32,
    /// Frames and replies received.
    messages: u64,
    /// Frames and replies that could not be read.
    decode_errors: u64,
    /// Connections or polls that were started again after a failure.
    reconnects: u64,
    /// Requests that failed.
    failures: u64,
    /// Connections that were replaced by a successor before they ended.
    overlaps: u64,
    /// What its order books went through; all zero for a source without books.
    books: BooksDocument,
    /// When data last arrived.
    last_message_at: Option<Wall>,
    /// Time since then, milliseconds.
    age_ms: Option<u64>,
    /// Next poll of a polled source.
    next_poll_at: Option<Wall>,
    /// Until when the venue forbade further requests.
    limited_until: Option<Wall>,
    /// Receive time minus the venue's own time of the last dated frame, milliseconds.
    lag_ms: Option<i64>,
}

/// What the order books of a source went through since it started.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct BooksDocument {
    /// Books that are in step at present.
    synced: u64,
    /// Times a book was lost: a message missing by its ids, a crossed book, a message that cannot
    /// be used.
    gaps: u64,
    /// Times the checksum of a book was not the venue's.
    checksum_failures: u64,
    /// Books brought back in step after they were lost.
    resyncs: u64,
    /// Snapshots taken in.
    snapshots: u64,
}

/// `GET /api/v1/sources`.
pub(crate) fn sources(call: &Call) -> Outcome {
    let now = call.api.view.now().wall;
    let mut statuses = call.api.view.sources();
    statuses.sort_unstable_by_key(|status| (status.priority, status.source));
    let sources = statuses
        .into_iter()
        .map(|status| document(status, now))
        .collect();
    Ok(Answer::json(&SourcesDocument { sources }))
}

fn document(status: SourceStatus, now: Wall) -> SourceDocument {
    let age = status.last_message_at.map(|at| now.since(at).as_millis());
    SourceDocument {
        source: status.source,
        kind: status.kind,
        priority: status.priority,
        state: status.state,
        why: status.why,
        since: status.since,
        mode: status.mode,
        pairs: status.pairs,
        messages: status.messages,
        decode_errors: status.decode_errors,
        reconnects: status.reconnects,
        failures: status.failures,
        overlaps: status.overlaps,
        books: BooksDocument {
            synced: status.books.synced,
            gaps: status.books.gaps,
            checksum_failures: status.books.checksum_failures,
            resyncs: status.books.resyncs,
            snapshots: status.books.snapshots,
        },
        last_message_at: status.last_message_at,
        age_ms: age.map(|age| u64::try_from(age).unwrap_or(u64::MAX)),
        next_poll_at: status.next_poll_at,
        limited_until: status.limited_until,
        lag_ms: status.lag_ms,
    }
}

/// What is followed.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PairsDocument {
    /// Pairs that are configured, under the names they are asked for.
    directions: Vec<Pair>,
    /// Pairs whose rate is published.
    published: Vec<Pair>,
    /// Symbols that are tracked.
    tracked: Vec<TrackedDocument>,
}

/// A tracked symbol.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct TrackedDocument {
    /// As it was asked for, upper case.
    pub(crate) symbol: Arc<str>,
    /// The pair it means.
    pub(crate) pair: Pair,
    /// Since when it is tracked.
    pub(crate) added_at: Wall,
}

/// `GET /api/v1/pairs`.
pub(crate) fn pairs(call: &Call) -> Outcome {
    let view = &call.api.view;
    Ok(Answer::json(&PairsDocument {
        directions: view.directions().to_vec(),
        published: view.pairs(),
        tracked: tracked(call),
    }))
}

/// The tracked symbols.
pub(crate) fn tracked(call: &Call) -> Vec<TrackedDocument> {
    let tracked = call.api.view.tracked();
    tracked
        .iter()
        .map(|symbol| TrackedDocument {
            symbol: Arc::clone(&symbol.symbol),
            pair: symbol.pair,
            added_at: symbol.added_at,
        })
        .collect()
}
