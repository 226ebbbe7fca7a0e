//! A policy, made ready for use.

use crate::config::{BelowMin, FairMethod, Policy, PolicyKind};
use crate::gate::GateSettings;
use crate::rule::{self, Node, NodeKind, Rule, Span};
use kurs_core::Pair;
use std::sync::Arc;

/// How one pair is priced.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) kind: PolicyKind,
    pub(super) price: FairMethod,
    /// For median and merged.
    pub(super) gate: GateSettings,
    /// For priority, when it is on.
    pub(super) guard: Option<GateSettings>,
    /// The rule, or the fixed rate as one; `Err` says why it cannot be read.
    pub(super) rule: Option<Result<Rule, Arc<str>>>,
    /// At least so many sources make a fresh rate.
    pub(super) min_sources: usize,
    /// Whether there is no rate with fewer.
    pub(super) refuses_few: bool,
    /// Books are looked into deeply, which is not done at every tick.
    pub(super) needs_depth: bool,
    pub(super) policy: Policy,
}

impl Plan {
    /// The plan of a pair with this policy.
    pub(super) fn of(pair: Pair, policy: &Policy) -> Self {
        let rule = match policy.kind() {
            PolicyKind::Rule => Some(read(pair, policy.rule.as_deref().unwrap_or_default())),
            PolicyKind::Fixed => Some(fixed(policy)),
            PolicyKind::Priority | PolicyKind::Median | PolicyKind::Merged => None,
        };
        Self {
            rule,
            ..Self::new(policy)
        }
    }

    /// The plan of a policy of which sources compete.
    pub(super) fn new(policy: &Policy) -> Self {
        Self {
            kind: policy.kind(),
            price: policy.price,
            gate: policy.gate(),
            guard: policy.guard(),
            rule: None,
            min_sources: usize::try_from(policy.min_sources)
                .unwrap_or(usize::MAX)
                .max(1),
            refuses_few: policy.below_min == BelowMin::None,
            needs_depth: policy.needs_depth(),
            policy: policy.clone(),
        }
    }

    /// True when sources compete with their own prices.
    pub(super) const fn has_candidates(&self) -> bool {
        self.rule.is_none()
    }
}

fn read(pair: Pair, text: &str) -> Result<Rule, Arc<str>> {
    rule::parse(text, pair).map_err(|mistake| {
        let column = mistake.column(text);
        format!("the rule cannot be read: column {column}: {}", mistake.what).into()
    })
}

/// A fixed rate is the shortest of all rules.
fn fixed(policy: &Policy) -> Result<Rule, Arc<str>> {
    let value = policy
        .value
        .ok_or_else(|| Arc::from("the fixed rate has no value"))?;
    let kind = NodeKind::Fixed {
        value: value.value(),
        until: policy.until,
        of: None,
    };
    let text = match policy.until {
        Some(day) => format!("fixed({value}, until {day})"),
        None => format!("fixed({value})"),
    };
    Ok(Rule {
        root: Node {
            span: Span {
                start: 0,
                end: text.len(),
            },
            kind,
        },
        text: text.into(),
    })
}
