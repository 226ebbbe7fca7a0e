//! Everything that is wrong with the policies, at once, each with its key.

use super::policy::Policy;
use crate::rule::check::{check, circles, unknown_names};
use crate::rule::{self, Rule};
use kurs_core::rate::PolicyKind;
use kurs_core::{Pair, SourceId, Wall};
use std::collections::BTreeMap;

/// What policies are held against.
#[derive(Debug, Clone, Copy)]
pub struct Knowledge<'k> {
    /// The names of all sources, without the mark of simulated ones.
    pub sources: &'k [&'k str],
    /// True where it is certain that a source never gives a pair. When in doubt, false.
    pub never_gives: fn(&str, Pair) -> bool,
}

impl Knowledge<'_> {
    fn knows(&self, source: &SourceId) -> bool {
        self.sources.contains(&source.plain())
    }
}

/// Adds a sentence with the key path for everything that cannot be used.
pub fn validate(
    policies: &BTreeMap<Pair, Policy>,
    knowledge: &Knowledge<'_>,
    mistakes: &mut Vec<String>,
) {
    let mut rules: BTreeMap<Pair, Rule> = BTreeMap::new();
    let mut names: BTreeMap<Pair, Pair> = BTreeMap::new();
    for (pair, policy) in policies {
        let key = format!("policy.{pair}");
        if let Some(other) = names.insert(pair.canonical(), *pair) {
            mistakes.push(format!(
                "{key}: {other} is priced as the same pair and has a policy"
            ));
        }
        if pair.canonical().base == pair.canonical().quote {
            mistakes.push(format!("{key}: both sides are priced as the same asset"));
        }
        validate_sources(&key, policy, knowledge, mistakes);
        validate_kind(&key, policy, knowledge.sources.len(), mistakes);
        if let Some(text) = &policy.rule {
            let mut wrong = Vec::new();
            match rule::parse(text, *pair) {
                Ok(rule) => {
                    check(
                        &rule,
                        *pair,
                        knowledge.sources,
                        knowledge.never_gives,
                        &mut wrong,
                    );
                    rules.insert(pair.canonical(), rule);
                }
                Err(mistake) => {
                    let names = unknown_names(text, mistake.span, knowledge.sources);
                    wrong.push(mistake);
                    wrong.extend(names);
                }
            }
            for mistake in wrong {
                mistakes.push(format!("{key}.rule: {}", mistake.show(text)));
            }
        }
    }
    for circle in circles(&rules) {
        let Some(first) = circle.first() else {
            continue;
        };
        let way: Vec<String> = circle.iter().map(ToString::to_string).collect();
        let hint = if circle.len() == 2 {
            format!("; name the source: binance({first})")
        } else {
            String::new()
        };
        let named = names.get(first).unwrap_or(first);
        mistakes.push(format!(
            "policy.{named}.rule: rules in a circle: {}{hint}",
            way.join(" -> ")
        ));
    }
}

fn validate_sources(
    key: &str,
    policy: &Policy,
    knowledge: &Knowledge<'_>,
    mistakes: &mut Vec<String>,
) {
    for (at, source) in policy.sources.iter().enumerate() {
        if !knowledge.knows(source) {
            let known = knowledge.sources.join(", ");
            mistakes.push(format!(
                "{key}.sources: there is no source {source}; there are {known}"
            ));
        }
        if policy.sources.iter().take(at).any(|other| other == source) {
            mistakes.push(format!("{key}.sources: {source} is there twice"));
        }
    }
}

fn validate_kind(key: &str, policy: &Policy, known: usize, mistakes: &mut Vec<String>) {
    let kind = policy.kind();
    let mut only_for = |name: &str, is_given: bool, wanted: PolicyKind| {
        if is_given && kind != wanted {
            let (kind, wanted) = (kind.as_str(), wanted.as_str());
            mistakes.push(format!(
                "{key}.{name}: belongs to the kind {wanted}, but this is {kind}"
            ));
        }
    };
    only_for("rule", policy.rule.is_some(), PolicyKind::Rule);
    only_for("value", policy.value.is_some(), PolicyKind::Fixed);
    only_for("owner", policy.owner.is_some(), PolicyKind::Fixed);
    only_for("until", policy.until.is_some(), PolicyKind::Fixed);
    if kind == PolicyKind::Rule && policy.rule.is_none() {
        mistakes.push(format!("{key}.rule: is missing"));
    }
    if kind == PolicyKind::Fixed && policy.value.is_none() {
        mistakes.push(format!("{key}.value: is missing"));
    }
    if kind == PolicyKind::Fixed && policy.owner.is_none() {
        mistakes.push(format!(
            "{key}.owner: is missing; somebody answers for a fixed rate, such as owner = \"treasury\""
        ));
    }
    let takes_sources = matches!(
        kind,
        PolicyKind::Priority | PolicyKind::Median | PolicyKind::Merged
    );
    if !policy.sources.is_empty() && !takes_sources {
        let kind = kind.as_str();
        mistakes.push(format!(
            "{key}.sources: the kind {kind} does not look at it"
        ));
    }
    let is_chosen = matches!(kind, PolicyKind::Median | PolicyKind::Merged);
    let named = policy.sources.len();
    if policy.min_sources == 0 {
        mistakes.push(format!("{key}.min_sources: at least 1"));
    } else if is_chosen
        && named == 0
        && usize::try_from(policy.min_sources).is_ok_and(|least| least > known)
    {
        let least = policy.min_sources;
        mistakes.push(format!(
            "{key}.min_sources: {least} can never be, there are {known} sources"
        ));
    } else if is_chosen
        && named > 0
        && usize::try_from(policy.min_sources).is_ok_and(|least| least > named)
    {
        let least = policy.min_sources;
        mistakes.push(format!(
            "{key}.min_sources: {least} of {named} sources can never be"
        ));
    }
    if policy.band.fraction().is_zero() {
        mistakes.push(format!("{key}.band: must be more than 0%"));
    }
    if policy.max_spread.fraction().is_zero() {
        mistakes.push(format!("{key}.max_spread: must be more than 0%"));
    }
    if policy.readmit_after.0.is_zero() {
        mistakes.push(format!("{key}.readmit_after: must be more than 0s"));
    }
    if policy
        .owner
        .as_ref()
        .is_some_and(|owner| owner.trim().is_empty() || owner.len() > 200)
    {
        mistakes.push(format!("{key}.owner: 1 to 200 characters"));
    }
}

/// Sentences about what is allowed but will hardly be meant: rates whose end has passed.
#[must_use]
pub fn warnings(policies: &BTreeMap<Pair, Policy>, now: Wall) -> Vec<String> {
    let mut warnings = Vec::new();
    for (pair, policy) in policies {
        if let Some(day) = policy.until
            && day.end() <= now
        {
            let owner = policy.owner.as_deref().unwrap_or("nobody");
            warnings.push(format!(
                "policy.{pair}.until: the fixed rate of {owner} ended on {day}; there is no rate"
            ));
        }
        let rule = policy
            .rule
            .as_deref()
            .and_then(|text| rule::parse(text, *pair).ok());
        if let Some(rule) = rule {
            rule.root.walk(&mut |node| {
                if let rule::NodeKind::Fixed {
                    until: Some(day), ..
                } = node.kind
                    && day.end() <= now
                {
                    warnings.push(format!(
                        "policy.{pair}.rule: a fixed rate in it ended on {day}"
                    ));
                }
            });
        }
    }
    warnings
}
