//! What events tell, before it is put into words: JSON here, other forms elsewhere.

use crate::event::EventKind;
use crate::hub::{ErrorEvent, HelloDocument, RateEvent, SnapshotDocument, SourceEvent};
use crate::topic::Topic;
use kurs_bus::{Body, Update};
use kurs_reader::RateDocument;
use schemars::JsonSchema;
use serde::Serialize;
use std::borrow::Cow;
use std::sync::Arc;

/// What an event tells. Shared by everybody who hears it, in whatever form.
#[derive(Debug, Clone)]
pub enum Document {
    /// The stream begins.
    Hello(HelloDocument),
    /// How everything stands.
    Snapshot(SnapshotDocument),
    /// How the rate of a pair stands, by no single update.
    Rate(RateEvent),
    /// What the Writer has told: see [`Document::of_update`].
    Update(Arc<Update>),
    /// There is no rate.
    Error(ErrorEvent),
    /// Something was left out.
    Gap(GapDocument),
    /// Nothing more was told up to here.
    Heartbeat(HeartbeatDocument),
    /// The stream ends.
    Bye(ByeDocument),
}

/// What an update tells.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum UpdateDocument<'a> {
    /// A rate has changed.
    Rate(RateEvent),
    /// A source, or its price, has changed.
    Source(SourceEvent<'a>),
    /// There is no rate any more.
    Error(ErrorEvent),
}

/// Data of `gap`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GapDocument {
    /// `resume`: the place to go on from is not known any more. `lost`: this Reader fell behind
    /// the bus. `slow`: the client did.
    pub reason: &'static str,
    /// The same for people; not of `slow`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Arc<str>>,
    /// Of `slow`: how many events were replaced by newer ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missed: Option<u64>,
}

/// Data of `heartbeat`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct HeartbeatDocument {
    /// Empty while all is well, else why updates may be late.
    pub degraded: Arc<str>,
}

/// Data of `bye`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ByeDocument {
    /// Why; `drain`: this Reader ends.
    pub reason: Cow<'static, str>,
    /// After how long to come back, milliseconds.
    pub reconnect_after_ms: u64,
}

impl Document {
    /// What the update tells, with its topic; `None` for what is of no topic.
    #[must_use]
    pub fn of_update(update: &Update) -> Option<(Topic, UpdateDocument<'_>)> {
        let none = |pair, code, detail: &str| {
            let topic = Topic::Rate(pair);
            let told = UpdateDocument::Error(ErrorEvent {
                topic: Some(topic),
                code,
                detail: detail.to_owned(),
            });
            (topic, told)
        };
        Some(match &update.body {
            Body::Rate(rate) => {
                let topic = Topic::Rate(rate.pair);
                let rate = RateDocument::of(rate.pair, update.id, rate, rate.state);
                let rate = Arc::new(rate);
                (topic, UpdateDocument::Rate(RateEvent { topic, rate }))
            }
            Body::NoRate(told) => none(told.pair, "no-rate", &told.why),
            Body::Withdrawn(pair) => none(*pair, "withdrawn", "it is not published any more"),
            Body::SourcePrice(price) => {
                let topic = Topic::Top(price.source, price.pair);
                let told = UpdateDocument::Source(SourceEvent {
                    topic,
                    price: Some(price),
                    status: None,
                });
                (topic, told)
            }
            Body::SourceStatus(status) => {
                let told = UpdateDocument::Source(SourceEvent {
                    topic: Topic::Sources,
                    price: None,
                    status: Some(status),
                });
                (Topic::Sources, told)
            }
            Body::Tracked(_) | Body::Heartbeat(_) | Body::Unknown(_) => return None,
        })
    }

    /// What kind of event tells it.
    #[must_use]
    pub fn kind(&self) -> EventKind {
        match self {
            Self::Hello(_) => EventKind::Hello,
            Self::Snapshot(_) => EventKind::Snapshot,
            Self::Rate(_) => EventKind::Rate,
            Self::Update(update) => match update.body {
                Body::NoRate(_) | Body::Withdrawn(_) => EventKind::Error,
                Body::SourcePrice(_) | Body::SourceStatus(_) => EventKind::Source,
                _ => EventKind::Rate,
            },
            Self::Error(_) => EventKind::Error,
            Self::Gap(_) => EventKind::Gap,
            Self::Heartbeat(_) => EventKind::Heartbeat,
            Self::Bye(_) => EventKind::Bye,
        }
    }

    /// As JSON.
    #[must_use]
    pub fn json(&self) -> Vec<u8> {
        match self {
            Self::Hello(document) => json(document),
            Self::Snapshot(document) => json(document),
            Self::Rate(document) => json(document),
            Self::Update(update) => json(&Self::of_update(update).map(|(_, told)| told)),
            Self::Error(document) => json(document),
            Self::Gap(document) => json(document),
            Self::Heartbeat(document) => json(document),
            Self::Bye(document) => json(document),
        }
    }
}

/// Documents are plain data: this cannot fail, and should it ever, the document is empty rather
/// than broken.
pub(crate) fn json(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(document).unwrap_or_else(|_| b"{}".to_vec())
}
