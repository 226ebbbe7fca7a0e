//! How one pair gets its rate, as configured.

use super::units::{Day, Exact, Percent, Span};
use crate::fair::DepthSettings;
use crate::gate::GateSettings;
use kurs_core::SourceId;
use kurs_core::rate::{FairMethod, PolicyKind};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// How one pair gets its rate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// The kind of policy. Not set: `rule` where a rule is given, `fixed` where a value is,
    /// `priority` otherwise.
    pub kind: Option<PolicyKind>,
    /// The fair price that is taken from each source. A source that does not give what it
    /// needs (sizes, depth) serves with its mid, and the explanation says so.
    pub price: FairMethod,
    /// For priority: sources in order of preference, best first; those not named come after
    /// these in the order of their own priority. For median and merged: the only sources that
    /// take part. Empty: all sources.
    pub sources: Vec<SourceId>,
    /// Priority: how long a better source must be live again before it is used again,
    /// milliseconds. Absent: the hold time of that source.
    pub hold_ms: Option<u64>,
    /// Priority: a source further than this from the median is passed over, when at least two
    /// others can be compared; it comes back below half of it. Median, merged, rule: two sources
    /// further apart than this, with no third to judge them, are both not believed. `0%` switches
    /// this off.
    pub max_deviation: Percent,
    /// Median, merged, rule: with fewer sources than this the rate is not fresh.
    #[schemars(range(min = 1, max = 100))]
    pub min_sources: u32,
    /// Median, merged, rule: what happens with fewer sources.
    pub below_min: BelowMin,
    /// The outlier gate leaves out what is further from the median than this many scaled
    /// median distances.
    pub outlier_k: Exact,
    /// The outlier gate lets in whatever is within this share of the median. `2%` suits
    /// thinly traded pairs.
    pub band: Percent,
    /// A source that the majority agrees with is not kept out longer than this.
    pub readmit_after: Span,
    /// Bid and ask are put this far below and above the value.
    pub spread: Option<Percent>,
    /// For depth_weighted: the step of volume, in the base asset. Absent: what one BTC is worth.
    pub step: Option<Exact>,
    /// For depth_weighted: volume counts up to this distance of the ask from the middle.
    pub max_spread: Percent,
    /// For depth_weighted: whether single order sizes far beyond the others are capped.
    pub cap_sizes: bool,
    /// The rule, such as `median(binance, kraken)(BTC-USDT) * USDT-USD * cbr(USD-RUB) * 1.005`.
    pub rule: Option<String>,
    /// The fixed rate.
    pub value: Option<Exact>,
    /// Who answers for the fixed rate; it must be given.
    pub owner: Option<String>,
    /// The last day of the fixed rate, in UTC. Past it there is no rate.
    pub until: Option<Day>,
}

/// What becomes of a rate with too few sources.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BelowMin {
    /// It is published as `suspect`, with the reason.
    #[default]
    Degraded,
    /// There is no rate.
    None,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            kind: None,
            price: FairMethod::Mid,
            sources: Vec::new(),
            hold_ms: None,
            max_deviation: Percent::of_basis_points(500),
            min_sources: 2,
            below_min: BelowMin::Degraded,
            outlier_k: Exact::FIVE,
            band: Percent::of_basis_points(50),
            readmit_after: Span(Duration::from_secs(60)),
            spread: None,
            step: None,
            max_spread: Percent::of_basis_points(50),
            cap_sizes: false,
            rule: None,
            value: None,
            owner: None,
            until: None,
        }
    }
}

impl Policy {
    /// A policy that is nothing but a rule.
    #[must_use]
    pub fn of_rule(rule: impl Into<String>) -> Self {
        Self {
            rule: Some(rule.into()),
            ..Self::default()
        }
    }

    /// The kind, where it is not set by what else is given.
    #[must_use]
    pub fn kind(&self) -> PolicyKind {
        self.kind.unwrap_or({
            if self.rule.is_some() {
                PolicyKind::Rule
            } else if self.value.is_some() {
                PolicyKind::Fixed
            } else {
                PolicyKind::Priority
            }
        })
    }

    /// Settings of the outlier gate.
    #[must_use]
    pub const fn gate(&self) -> GateSettings {
        GateSettings {
            k: self.outlier_k.value(),
            band: self.band.fraction(),
            apart: self.max_deviation.fraction(),
            readmit_after: self.readmit_after.0,
        }
    }

    /// Settings of the guard over `priority`; `None` when it is switched off.
    #[must_use]
    pub fn guard(&self) -> Option<GateSettings> {
        let band = self.max_deviation.fraction();
        let is_on = self.kind() == PolicyKind::Priority && !band.is_zero();
        is_on.then_some(GateSettings {
            band,
            ..self.gate()
        })
    }

    /// Settings of the depth-weighted price for this step.
    #[must_use]
    pub const fn depth(&self, step: Decimal) -> DepthSettings {
        DepthSettings {
            step,
            max_spread: self.max_spread.fraction(),
            cap_sizes: self.cap_sizes,
        }
    }

    /// True when the pricing looks deeper into books than their best levels.
    #[must_use]
    pub fn needs_depth(&self) -> bool {
        match self.kind() {
            PolicyKind::Merged => true,
            PolicyKind::Fixed => false,
            PolicyKind::Priority | PolicyKind::Median | PolicyKind::Rule => {
                self.price == FairMethod::DepthWeighted
            }
        }
    }
}

/// A policy as written: a table, or a text that is a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenPolicy(pub Policy);

impl<'de> Deserialize<'de> for WrittenPolicy {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> serde::de::Visitor<'de> for Reader {
            type Value = Policy;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a table of keys, or a rule as a text")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Policy, E> {
                Ok(Policy::of_rule(text))
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Policy, A::Error> {
                Policy::deserialize(serde::de::value::MapAccessDeserializer::new(map))
            }
        }
        from.deserialize_any(Reader).map(Self)
    }
}

impl JsonSchema for WrittenPolicy {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "WrittenPolicy".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let table = generator.subschema_for::<Policy>();
        schemars::json_schema!({
            "anyOf": [table, { "type": "string", "description": "A rule." }],
            "description": "How one pair gets its rate: a table of keys, or a rule as a text.",
        })
    }
}

/// Reads policies by pair, each a table or a text that is a rule.
///
/// # Errors
/// Of the deserializer, with the name of what is wrong.
pub fn written_policies<'de, K, D>(from: D) -> Result<BTreeMap<K, Policy>, D::Error>
where
    K: Deserialize<'de> + Ord,
    D: serde::Deserializer<'de>,
{
    let written = BTreeMap::<K, WrittenPolicy>::deserialize(from)?;
    Ok(written
        .into_iter()
        .map(|(pair, WrittenPolicy(policy))| (pair, policy))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_a_table_or_a_rule_as_a_text() {
        let read =
            |json: &str| serde_json::from_str::<WrittenPolicy>(json).map(|written| written.0);
        assert_eq!(
            read("\"cbr(USD-RUB)\"").unwrap(),
            Policy::of_rule("cbr(USD-RUB)")
        );
        assert_eq!(
            read("{\"rule\": \"cbr(USD-RUB)\"}").unwrap().kind(),
            PolicyKind::Rule
        );
        assert_eq!(read("{\"value\": 80.5}").unwrap().kind(), PolicyKind::Fixed);
        let median =
            read("{\"kind\": \"median\", \"band\": \"2%\", \"readmit_after\": \"30s\"}").unwrap();
        assert_eq!(median.gate().band.to_string(), "0.02");
        assert_eq!(median.gate().k.to_string(), "5");
        assert_eq!(median.gate().readmit_after, Duration::from_secs(30));
        assert!(median.guard().is_none());
        let error = read("{\"bend\": \"2%\"}").unwrap_err().to_string();
        assert!(error.contains("unknown field `bend`"), "{error}");
    }

    #[test]
    fn the_default_policy_guards_against_a_liar() {
        let guard = Policy::default().guard().unwrap();
        assert_eq!(guard.band.to_string(), "0.0500");
        let off = Policy {
            max_deviation: "0%".parse().unwrap(),
            ..Policy::default()
        };
        assert_eq!(off.guard(), None);
    }
}
