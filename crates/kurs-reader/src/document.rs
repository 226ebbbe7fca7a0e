//! The JSON documents that answers are made of. Names and fields: conventions 2 to 6.

use kurs_core::rate::{Depeg, Evidence};
use kurs_core::{
    Leg, Pair, Price, Rate, RateState, Skipped, SourceId, SourceState, UpdateId, Wall,
};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

/// One rate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RateDocument {
    /// The pair under the names it was asked for.
    pub pair: Pair,
    /// Fair price: units of the quote asset for one unit of the base asset.
    pub value: Price,
    /// Best bid; absent unless known on every leg.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bid: Option<Price>,
    /// Best ask; absent unless known on every leg.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<Price>,
    /// Half-width of what the constituents support, in units of the quote asset.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Price>")]
    pub confidence: Option<Decimal>,
    /// The source of the leg that starts at the base asset; `sim:` marks a simulated one.
    pub source: SourceId,
    /// Only `fresh` may be used blindly.
    pub state: RateState,
    /// The markets it is made of, from base to quote.
    pub path: Vec<Pair>,
    /// Stablecoins on the path that are not worth their dollar, more than 1 % away; absent when
    /// all are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub depeg: Vec<Depeg>,
    /// The markets with their numbers; absent when the rate is one market's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub legs: Vec<LegDocument>,
    /// When the oldest leg was observed.
    pub observed_at: Wall,
    /// When it was published.
    pub published_at: Wall,
    /// Until when it may be used as fresh.
    pub expires_at: Wall,
    /// Lease epoch of the Writer that published it.
    pub epoch: u64,
    /// Order within the epoch; of a derived rate, the greatest of its legs.
    pub seq: u64,
}

/// One market of a cross rate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LegDocument {
    /// The market as its source quotes it.
    pub pair: Pair,
    /// Who quotes it.
    pub source: SourceId,
    /// The price used, in the market's own direction.
    pub value: Price,
    /// True when 1 / value was used.
    pub inverted: bool,
    /// When it was observed.
    pub observed_at: Wall,
    /// Until when it is valid.
    pub expires_at: Wall,
}

/// Every rate of one base asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ListDocument {
    /// The base asset under the name it was asked for.
    pub base: String,
    /// Its fresh rates, by quote asset.
    pub rates: Vec<RateDocument>,
}

/// One source's own price, as a constituent of a rate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ConstituentDocument {
    /// Who.
    pub source: SourceId,
    /// The market.
    pub pair: Pair,
    /// Its fair price.
    pub value: Price,
    /// Its best bid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bid: Option<Price>,
    /// Its best ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<Price>,
    /// State of this price.
    pub state: SourceState,
    /// Why it is in this state; empty when live.
    pub why: Arc<str>,
    /// True when the rate uses it.
    pub used: bool,
    /// When it was observed.
    pub observed_at: Wall,
    /// Age at the time of this answer, milliseconds.
    pub age_ms: u64,
}

/// A rate with everything behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ExplainDocument {
    /// The rate; its `legs` are always given.
    #[serde(flatten)]
    pub rate: RateDocument,
    /// Age of the oldest leg at the time of this answer, milliseconds.
    pub age_ms: u64,
    /// Since when this source serves the pair.
    pub since: Wall,
    /// Why this source, in one sentence.
    pub reason: Arc<str>,
    /// How the rate was put together, when it is made of more than one source's price: the
    /// policy, its votes and limits, the rule with its numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Arc<Evidence>>,
    /// What every source says about every leg, used or not.
    pub constituents: Vec<ConstituentDocument>,
    /// Better sources that are not used, best first, and why.
    pub rejections: Vec<RejectionDocument>,
}

/// A source that was passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RejectionDocument {
    /// Who.
    pub source: SourceId,
    /// Its state for this pair.
    pub state: SourceState,
    /// Why it is not used.
    pub why: Arc<str>,
}

impl From<&Skipped> for RejectionDocument {
    fn from(skipped: &Skipped) -> Self {
        Self {
            source: skipped.source,
            state: skipped.state,
            why: Arc::clone(&skipped.why),
        }
    }
}

impl From<&Leg> for LegDocument {
    fn from(leg: &Leg) -> Self {
        Self {
            pair: leg.pair,
            source: leg.source,
            value: leg.value,
            inverted: leg.inverted,
            observed_at: leg.observed_at,
            expires_at: leg.expires_at,
        }
    }
}

impl RateDocument {
    /// The document of a published rate, under the name it was asked for.
    #[must_use]
    pub fn of(asked: Pair, id: UpdateId, rate: &Rate, state: RateState) -> Self {
        let legs: Vec<LegDocument> = rate
            .legs
            .iter()
            .flat_map(|legs| legs.iter().map(LegDocument::from))
            .collect();
        let path = if legs.is_empty() {
            vec![rate.pair]
        } else {
            legs.iter().map(|leg| leg.pair).collect()
        };
        Self {
            pair: asked,
            value: rate.value,
            bid: rate.bid,
            ask: rate.ask,
            confidence: rate.confidence,
            source: rate.source,
            state,
            depeg: rate
                .depeg
                .as_deref()
                .map(<[Depeg]>::to_vec)
                .unwrap_or_default(),
            path,
            legs,
            observed_at: rate.observed_at,
            published_at: rate.published_at,
            expires_at: rate.expires_at(),
            epoch: id.epoch.0,
            seq: id.seq.0,
        }
    }
}
