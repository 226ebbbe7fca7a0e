//! Documents as messages. Every field of a document is named here, so that one that is new does
//! not compile before it is told here as well.

use crate::proto;
use kurs_bus::{BookCounts, SourcePrice, SourceStatus};
use kurs_core::rate::Depeg;
use kurs_core::{RateState, SourceKind, SourceState, Wall};
use kurs_reader::{LegDocument, RateDocument};
use kurs_stream::document::{
    ByeDocument, Document, GapDocument, HeartbeatDocument, UpdateDocument,
};
use kurs_stream::hub::{ErrorEvent, HelloDocument, RateEvent, SnapshotDocument, SourceEvent};
use prost_types::Timestamp;
use proto::event::Told;

/// A moment, to the microsecond.
pub(crate) fn timestamp(wall: Wall) -> Timestamp {
    let micros = wall.0.rem_euclid(1_000_000);
    Timestamp {
        seconds: wall.0.div_euclid(1_000_000),
        // Below a thousand million.
        nanos: i32::try_from(micros.saturating_mul(1_000)).unwrap_or(0),
    }
}

fn text(value: &impl ToString) -> String {
    value.to_string()
}

fn rate_state(state: RateState) -> i32 {
    let state = match state {
        RateState::Fresh => proto::RateState::Fresh,
        RateState::Stale => proto::RateState::Stale,
        RateState::Suspect => proto::RateState::Suspect,
        RateState::Halted => proto::RateState::Halted,
    };
    state.into()
}

fn source_state(state: SourceState) -> i32 {
    let state = match state {
        SourceState::Live => proto::SourceState::Live,
        SourceState::Stale => proto::SourceState::Stale,
        SourceState::Syncing => proto::SourceState::Syncing,
        SourceState::Down => proto::SourceState::Down,
    };
    state.into()
}

fn source_kind(kind: SourceKind) -> i32 {
    let kind = match kind {
        SourceKind::Exchange => proto::SourceKind::Exchange,
        SourceKind::Aggregator => proto::SourceKind::Aggregator,
        SourceKind::Bank => proto::SourceKind::Bank,
    };
    kind.into()
}

impl From<&RateDocument> for proto::Rate {
    fn from(document: &RateDocument) -> Self {
        let RateDocument {
            pair,
            value,
            bid,
            ask,
            confidence,
            source,
            state,
            path,
            depeg,
            legs,
            observed_at,
            published_at,
            expires_at,
            epoch,
            seq,
        } = document;
        Self {
            pair: text(pair),
            value: text(value),
            bid: bid.as_ref().map(text),
            ask: ask.as_ref().map(text),
            confidence: confidence.as_ref().map(text),
            source: text(source),
            state: rate_state(*state),
            path: path.iter().map(text).collect(),
            depeg: depeg.iter().map(Into::into).collect(),
            legs: legs.iter().map(Into::into).collect(),
            observed_at: Some(timestamp(*observed_at)),
            published_at: Some(timestamp(*published_at)),
            expires_at: Some(timestamp(*expires_at)),
            epoch: *epoch,
            seq: *seq,
        }
    }
}

impl From<&Depeg> for proto::Depeg {
    fn from(document: &Depeg) -> Self {
        let Depeg {
            pair,
            value,
            percent,
        } = document;
        Self {
            pair: text(pair),
            value: text(value),
            percent: text(percent),
        }
    }
}

impl From<&LegDocument> for proto::Leg {
    fn from(document: &LegDocument) -> Self {
        let LegDocument {
            pair,
            source,
            value,
            inverted,
            observed_at,
            expires_at,
        } = document;
        Self {
            pair: text(pair),
            source: text(source),
            value: text(value),
            inverted: *inverted,
            observed_at: Some(timestamp(*observed_at)),
            expires_at: Some(timestamp(*expires_at)),
        }
    }
}

impl From<&SourcePrice> for proto::SourcePrice {
    fn from(document: &SourcePrice) -> Self {
        let SourcePrice {
            source,
            pair,
            value,
            bid,
            ask,
            state,
            why,
            observed_at,
            received_at,
            published_at,
            valid_for,
        } = document;
        Self {
            source: text(source),
            pair: text(pair),
            value: text(value),
            bid: bid.as_ref().map(text),
            ask: ask.as_ref().map(text),
            state: source_state(*state),
            why: text(why),
            observed_at: Some(timestamp(*observed_at)),
            received_at: Some(timestamp(*received_at)),
            published_at: Some(timestamp(*published_at)),
            valid_for_ms: u64::try_from(valid_for.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl From<&SourceStatus> for proto::SourceStatus {
    fn from(document: &SourceStatus) -> Self {
        let SourceStatus {
            source,
            kind,
            priority,
            state,
            why,
            since,
            mode,
            pairs,
            messages,
            decode_errors,
            reconnects,
            failures,
            books,
            overlaps,
            last_message_at,
            next_poll_at,
            limited_until,
            lag_ms,
        } = document;
        let BookCounts {
            synced,
            gaps,
            checksum_failures,
            resyncs,
            snapshots,
        } = *books;
        Self {
            source: text(source),
            kind: source_kind(*kind),
            priority: u32::from(*priority),
            state: source_state(*state),
            why: text(why),
            since: Some(timestamp(*since)),
            mode: text(mode),
            pairs: *pairs,
            messages: *messages,
            decode_errors: *decode_errors,
            reconnects: *reconnects,
            failures: *failures,
            books: Some(proto::BookCounts {
                synced,
                gaps,
                checksum_failures,
                resyncs,
                snapshots,
            }),
            overlaps: *overlaps,
            last_message_at: last_message_at.map(timestamp),
            next_poll_at: next_poll_at.map(timestamp),
            limited_until: limited_until.map(timestamp),
            lag_ms: *lag_ms,
        }
    }
}

impl From<&ErrorEvent> for proto::NoRate {
    fn from(document: &ErrorEvent) -> Self {
        let ErrorEvent {
            topic,
            code,
            detail,
        } = document;
        Self {
            topic: topic.as_ref().map(text).unwrap_or_default(),
            code: text(code),
            detail: text(detail),
        }
    }
}

impl From<&SnapshotDocument> for proto::Snapshot {
    fn from(document: &SnapshotDocument) -> Self {
        let SnapshotDocument {
            rates,
            errors,
            prices,
            sources,
            last,
        } = document;
        Self {
            rates: rates.iter().map(|rate| (&**rate).into()).collect(),
            errors: errors.iter().map(Into::into).collect(),
            prices: prices.iter().map(Into::into).collect(),
            sources: sources.iter().map(Into::into).collect(),
            last: *last,
        }
    }
}

fn changed(document: &RateEvent) -> Told {
    let RateEvent { topic, rate } = document;
    Told::Rate(proto::RateChanged {
        topic: text(topic),
        rate: Some((&**rate).into()),
    })
}

fn of_source(document: &SourceEvent<'_>) -> Told {
    let SourceEvent {
        topic,
        price,
        status,
    } = document;
    let price = price.map(|price| proto::source_changed::What::Price(price.into()));
    let status = status.map(|status| proto::source_changed::What::Status(status.into()));
    Told::Source(proto::SourceChanged {
        topic: text(topic),
        what: price.or(status),
    })
}

/// What a document tells; `None` for what is of no topic.
pub(crate) fn told(document: &Document) -> Option<Told> {
    Some(match document {
        Document::Hello(HelloDocument {
            resumed,
            topics,
            heartbeat_ms,
            degraded,
        }) => Told::Hello(proto::Hello {
            resumed: *resumed,
            topics: topics.iter().map(text).collect(),
            heartbeat_ms: *heartbeat_ms,
            degraded: text(degraded),
        }),
        Document::Snapshot(snapshot) => Told::Snapshot(snapshot.into()),
        Document::Rate(rate) => changed(rate),
        Document::Update(update) => match Document::of_update(update)?.1 {
            UpdateDocument::Rate(rate) => changed(&rate),
            UpdateDocument::Source(source) => of_source(&source),
            UpdateDocument::Error(error) => Told::Error((&error).into()),
        },
        Document::Error(error) => Told::Error(error.into()),
        Document::Gap(GapDocument {
            reason,
            detail,
            missed,
        }) => Told::Gap(proto::Gap {
            reason: text(reason),
            detail: detail.as_ref().map(text).unwrap_or_default(),
            missed: missed.unwrap_or(0),
        }),
        Document::Heartbeat(HeartbeatDocument { degraded }) => Told::Heartbeat(proto::Heartbeat {
            degraded: text(degraded),
        }),
        Document::Bye(ByeDocument {
            reason,
            reconnect_after_ms,
        }) => Told::Bye(proto::Bye {
            reason: text(reason),
            reconnect_after_ms: *reconnect_after_ms,
        }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_the_same_before_and_after_1970() {
        let moment = |micros| {
            let stamp = timestamp(Wall(micros));
            (stamp.seconds, stamp.nanos)
        };
        assert_eq!(moment(1_795_255_200_000_123), (1_795_255_200, 123_000));
        assert_eq!(moment(-1), (-1, 999_999_000));
    }
}
