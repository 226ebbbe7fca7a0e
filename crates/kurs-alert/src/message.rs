//! What is told.

use crate::alert::Alert;
use crate::condition::{Condition, ConditionDocument, Side};
use crate::machine::Fired;
use kurs_core::price::DecimalText;
use kurs_core::{Price, RateState, SourceId, SourceState, Wall};
use kurs_reader::RateDocument;
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a target is told: the body of a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AlertMessage {
    /// Id of the delivery, the same as its `Idempotency-Key`.
    pub id: Arc<str>,
    /// The alert.
    pub alert: Arc<str>,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Arc<str>>,
    /// True for a delivery that was asked for to try the target.
    #[serde(default)]
    pub is_test: bool,
    /// What is watched.
    pub condition: ConditionDocument,
    /// When it fired.
    pub fired_at: Wall,
    /// How often it has fired, this time among them; 0 for a test.
    pub number: u64,
    /// The rate, where one is looked at and there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Price>,
    /// State of the rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<RateState>,
    /// The source of the rate, or the source that is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceId>,
    /// State of the source that is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_state: Option<SourceState>,
    /// When the rate was observed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<Wall>,
    /// The value that the move is counted from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Price>,
    /// The move, or the distance from the dollar, in percent; negative below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<DecimalText>")]
    pub change_percent: Option<Decimal>,
    /// Since when a source is lost or a pair is frozen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Wall>,
    /// The rate as the API shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<RateDocument>")]
    pub rate: Option<serde_json::Value>,
    /// One sentence for people.
    pub text: String,
}

impl AlertMessage {
    /// What an alert tells that has fired.
    #[must_use]
    pub fn fired(id: Arc<str>, alert: &Alert, fired: &Fired, rate: Option<&RateDocument>) -> Self {
        Self {
            id,
            alert: Arc::clone(&alert.id),
            name: alert.name.clone(),
            is_test: false,
            condition: alert.terms.document(),
            fired_at: fired.at,
            number: alert.fired.saturating_add(1),
            value: fired.value,
            state: fired.state,
            source: fired.source,
            source_state: fired.source_state,
            observed_at: fired.observed_at,
            reference: fired.reference,
            change_percent: fired.change_percent,
            since: fired.since,
            rate: rate.and_then(|rate| serde_json::to_value(rate).ok()),
            text: sentence(&alert.terms.condition, fired),
        }
    }

    /// What an alert tells to try its target.
    #[must_use]
    pub fn test(id: Arc<str>, alert: &Alert, rate: Option<&RateDocument>, at: Wall) -> Self {
        Self {
            id,
            alert: Arc::clone(&alert.id),
            name: alert.name.clone(),
            is_test: true,
            condition: alert.terms.document(),
            fired_at: at,
            number: 0,
            value: rate.map(|rate| rate.value),
            state: rate.map(|rate| rate.state),
            source: rate.map(|rate| rate.source),
            source_state: None,
            observed_at: rate.map(|rate| rate.observed_at),
            reference: None,
            change_percent: None,
            since: None,
            rate: rate.and_then(|rate| serde_json::to_value(rate).ok()),
            text: format!("test of the alert {}", alert.id),
        }
    }
}

/// One sentence for people.
#[must_use]
pub fn sentence(condition: &Condition, fired: &Fired) -> String {
    let value = || {
        fired
            .value
            .map_or_else(String::new, |value| format!(" at {value}"))
    };
    let change = || {
        let percent = fired.change_percent.unwrap_or_default().normalize();
        let sign = if percent.is_sign_negative() { "" } else { "+" };
        format!("{sign}{percent} %")
    };
    let since = || {
        fired
            .since
            .map_or_else(String::new, |since| format!(" since {since}"))
    };
    match condition {
        Condition::Threshold {
            pair,
            side,
            value: limit,
        } => {
            let side = match side {
                Side::Above => "above",
                Side::Below => "below",
            };
            let at = fired.value.map_or_else(String::new, |at| at.to_string());
            format!("{pair} is {at}, {side} {limit}")
        }
        Condition::Percent { pair, window, .. } => {
            let from = fired
                .reference
                .map_or_else(String::new, |from| format!(" from {from}"));
            let within = window.map_or_else(String::new, |window| {
                format!(" within {} s", window.as_secs())
            });
            format!("{pair} moved {}{from}{within}, now{}", change(), value())
        }
        Condition::SourceLoss { source, .. } => {
            let state = fired.source_state.map_or("gone", SourceState::as_str);
            format!("{source} is {state}{}", since())
        }
        Condition::Freeze { pair, .. } => {
            let last = fired
                .value
                .map_or_else(String::new, |last| format!(", last value {last}"));
            format!("{pair} is frozen{}{last}", since())
        }
        Condition::Depeg { asset, .. } => {
            format!("{asset} is {} away from its dollar,{}", change(), value())
        }
    }
}
