//! The documents that events tell.

use crate::event::{Event, EventKind};
use crate::topic::Topic;
use kurs_bus::{Body, SourcePrice, SourceStatus, Update};
use kurs_core::Pair;
use kurs_reader::{Answer, Missing, RateDocument};
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

/// Data of `rate`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RateEvent {
    /// `rate:BTC-USD`.
    #[schemars(with = "String")]
    pub topic: Topic,
    /// The rate, as every other answer shows it.
    pub rate: RateDocument,
}

/// Data of `error`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ErrorEvent {
    /// What it is about, if it is about a topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub topic: Option<Topic>,
    /// A word for programs: `no-rate`, `withdrawn`, `unknown-asset`, `unknown-pair`,
    /// `no-rate-yet`, `unknown-source`, `no-price-yet`.
    pub code: &'static str,
    /// A phrase for people.
    pub detail: String,
}

/// Data of `source`.
#[derive(Debug, Serialize, JsonSchema)]
pub struct SourceEvent<'a> {
    /// `top:SOURCE:PAIR` or `sources`.
    #[schemars(with = "String")]
    pub topic: Topic,
    /// A source's own price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price: Option<&'a SourcePrice>,
    /// State and counters of a source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<&'a SourceStatus>,
}

impl ErrorEvent {
    /// Why there is no rate.
    pub(super) fn of(pair: Pair, missing: &Missing) -> Self {
        let (code, detail) = match missing {
            Missing::UnknownAsset(asset) => ("unknown-asset", format!("{asset} is not known")),
            Missing::NoPath(pair) => ("unknown-pair", format!("no markets connect {pair}")),
            Missing::UnknownSource(source) => {
                ("unknown-source", format!("{source} gives nothing for it"))
            }
            Missing::NoRateYet(_) => ("no-rate-yet", "no source has given a price yet".into()),
            Missing::NoRate(_, why) => ("no-rate", why.to_string()),
            Missing::Expired(document) => (
                "rate-expired",
                format!("it ran out at {}", document.expires_at),
            ),
        };
        Self {
            topic: Some(Topic::Rate(pair)),
            code,
            detail,
        }
    }
}

impl Event {
    /// What an update tells; `None` for what is of no topic.
    pub(super) fn from_update(update: &Update, position: Arc<str>) -> Option<Self> {
        let none = |pair, code, detail: &str| {
            let topic = Topic::Rate(pair);
            let document = ErrorEvent {
                topic: Some(topic),
                code,
                detail: detail.to_owned(),
            };
            (EventKind::Error, topic, json(&document))
        };
        let (kind, topic, data) = match &update.body {
            Body::Rate(rate) => {
                let topic = Topic::Rate(rate.pair);
                let rate = RateDocument::of(rate.pair, update.id, rate, rate.state);
                (EventKind::Rate, topic, json(&RateEvent { topic, rate }))
            }
            Body::NoRate(told) => none(told.pair, "no-rate", &told.why),
            Body::Withdrawn(pair) => none(*pair, "withdrawn", "it is not published any more"),
            Body::SourcePrice(price) => {
                let topic = Topic::Top(price.source, price.pair);
                (EventKind::Source, topic, json(&top(topic, price)))
            }
            Body::SourceStatus(status) => {
                let data = json(&of_source(status));
                (EventKind::Source, Topic::Sources, data)
            }
            Body::Tracked(_) | Body::Heartbeat(_) | Body::Unknown(_) => return None,
        };
        Some(Self::new(kind, data.into(), position).about(topic, update.id))
    }

    /// How the rate of a pair stands, by no single update.
    pub(super) fn from_answer(
        pair: Pair,
        answer: &Result<Answer, Missing>,
        position: Arc<str>,
    ) -> Self {
        let topic = Topic::Rate(pair);
        let rate = match answer {
            Ok(answer) => RateDocument::clone(&answer.document),
            Err(Missing::Expired(document)) => RateDocument::clone(document),
            Err(missing) => {
                let document = ErrorEvent::of(pair, missing);
                return Self::of(EventKind::Error, &document, position).on(topic);
            }
        };
        Self::of(EventKind::Rate, &RateEvent { topic, rate }, position).on(topic)
    }
}

pub(super) const fn top(topic: Topic, price: &SourcePrice) -> SourceEvent<'_> {
    SourceEvent {
        topic,
        price: Some(price),
        status: None,
    }
}

pub(super) const fn of_source(status: &SourceStatus) -> SourceEvent<'_> {
    SourceEvent {
        topic: Topic::Sources,
        price: None,
        status: Some(status),
    }
}

fn json(document: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(document).unwrap_or_else(|_| b"{}".to_vec())
}
