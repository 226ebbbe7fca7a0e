//! The documents that events tell.

use crate::document::Document;
use crate::event::Event;
use crate::topic::Topic;
use kurs_bus::{SourcePrice, SourceStatus, Update};
use kurs_core::Pair;
use kurs_reader::{Answer, Missing, RateDocument};
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

/// Data of `rate`.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RateEvent {
    /// `rate:BTC-USD`.
    #[schemars(with = "String")]
    pub topic: Topic,
    /// The rate, as every other answer shows it.
    pub rate: Arc<RateDocument>,
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
    pub(super) fn from_update(update: &Arc<Update>, position: Arc<str>) -> Option<Self> {
        let (topic, told) = Document::of_update(update)?;
        let data = crate::document::json(&told).into();
        let document = Document::Update(Arc::clone(update));
        Some(Self::telling_as(document, data, position).about(topic, update.id))
    }

    /// How the rate of a pair stands, by no single update.
    pub(super) fn from_answer(
        pair: Pair,
        answer: &Result<Answer, Missing>,
        position: Arc<str>,
    ) -> Self {
        let topic = Topic::Rate(pair);
        let rate = match answer {
            Ok(answer) => Arc::clone(&answer.document),
            Err(Missing::Expired(document)) => Arc::new(RateDocument::clone(document)),
            Err(missing) => {
                let document = Document::Error(ErrorEvent::of(pair, missing));
                return Self::telling(document, position).on(topic);
            }
        };
        let document = Document::Rate(RateEvent { topic, rate });
        Self::telling(document, position).on(topic)
    }
}
