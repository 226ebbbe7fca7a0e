//! What is wrong with rules that can be read: names, units, circles. Everything is told, each
//! with its place.

use super::mistake::{RuleMistake, nearest};
use super::syntax::{FUNCTION_NAMES, Node, NodeKind, Operator, Rule, Span};
use kurs_core::{Asset, Pair};
use std::collections::BTreeMap;

/// Powers of assets: `RUB per BTC` is RUB to 1 and BTC to -1. Only plain numbers have none.
type Units = BTreeMap<Asset, i32>;

/// Checks names and units of the rule of a pair. `sources` are the known names;
/// `never_gives(source, pair)` is true where it is certain that no price can come.
pub fn check(
    rule: &Rule,
    target: Pair,
    sources: &[&str],
    never_gives: impl Fn(&str, Pair) -> bool,
    mistakes: &mut Vec<RuleMistake>,
) {
    rule.root.walk(&mut |node| {
        let NodeKind::Source { source, pair } = &node.kind else {
            return;
        };
        let name = source.plain();
        if !sources.contains(&name) {
            let known = FUNCTION_NAMES.iter().chain(sources).copied();
            let hint = match nearest(name, known) {
                hint if hint.is_empty() => format!("; there are {}", sources.join(", ")),
                hint => hint,
            };
            let span = name_span(node.span, name);
            mistakes.push(RuleMistake::at(
                span,
                format!("there is no source {name}{hint}"),
            ));
        } else if never_gives(name, *pair) && never_gives(name, pair.inverse()) {
            mistakes.push(RuleMistake::at(
                node.span,
                format!("{name} never gives {pair}"),
            ));
        }
    });
    let found = units(&rule.root, mistakes);
    let target = target.canonical();
    if let Ok(Some(found)) = found
        && found != units_of(target)
    {
        let what = format!(
            "the rule gives {}, but {target} is {}",
            shown(&found),
            shown(&units_of(target))
        );
        mistakes.push(RuleMistake::at(rule.root.span, what));
    }
}

/// The name at the beginning of `name(PAIR)`.
const fn name_span(span: Span, name: &str) -> Span {
    Span {
        start: span.start,
        end: span.start + name.len(),
    }
}

fn units_of(pair: Pair) -> Units {
    Units::from([(pair.base, -1), (pair.quote, 1)])
}

fn scaled(mut left: Units, right: Units, sign: i32) -> Units {
    for (asset, power) in right {
        let sum = left.entry(asset).or_default();
        *sum += sign * power;
    }
    left.retain(|_, power| *power != 0);
    left
}

/// `RUB per BTC`.
fn shown(units: &Units) -> String {
    let list = |wanted: fn(i32) -> bool| {
        let parts: Vec<String> = units
            .iter()
            .filter(|(_, power)| wanted(**power))
            .map(|(asset, power)| match power.abs() {
                1 => asset.to_string(),
                many => format!("{asset}^{many}"),
            })
            .collect();
        parts.join(" x ")
    };
    let (above, below) = (list(|power| power > 0), list(|power| power < 0));
    match (above.is_empty(), below.is_empty()) {
        (true, true) => "a plain number".to_owned(),
        (false, true) => above,
        (true, false) => format!("1 per {below}"),
        (false, false) => format!("{above} per {below}"),
    }
}

/// Already told.
struct Told;

/// The units of a part; `None` for a plain number.
fn units(node: &Node, mistakes: &mut Vec<RuleMistake>) -> Result<Option<Units>, Told> {
    match &node.kind {
        NodeKind::Number(_) => Ok(None),
        NodeKind::Fixed { of, .. } => Ok(of.map(units_of)),
        NodeKind::Pair(pair) | NodeKind::Source { pair, .. } => Ok(Some(units_of(*pair))),
        NodeKind::Spread { inner, .. } => units(inner, mistakes),
        NodeKind::Inverse(inner) => {
            let inner = units(inner, mistakes)?;
            Ok(inner.map(|units| scaled(Units::new(), units, -1)))
        }
        NodeKind::Function {
            function,
            arguments,
            ..
        } => {
            let mut common: Option<(Units, Span)> = None;
            let mut is_told = false;
            for argument in arguments {
                match units(argument, mistakes) {
                    Err(Told) => is_told = true,
                    Ok(None) => {}
                    Ok(Some(units)) => match &common {
                        Some((first, _)) if *first != units => {
                            let what = format!(
                                "{} of {} and {}: these cannot be compared",
                                function.as_str(),
                                shown(first),
                                shown(&units)
                            );
                            mistakes.push(RuleMistake::at(argument.span, what));
                            is_told = true;
                        }
                        Some(_) => {}
                        None => common = Some((units, argument.span)),
                    },
                }
            }
            if is_told {
                return Err(Told);
            }
            Ok(common.map(|(units, _)| units))
        }
        NodeKind::Binary {
            operator,
            left,
            right,
        } => {
            let (left_units, right_units) = (units(left, mistakes), units(right, mistakes));
            let (left_units, right_units) = (left_units?, right_units?);
            match (operator, left_units, right_units) {
                (_, None, None) => Ok(None),
                (Operator::Times, left, right) => Ok(Some(scaled(
                    left.unwrap_or_default(),
                    right.unwrap_or_default(),
                    1,
                ))),
                (Operator::Over, left, right) => Ok(Some(scaled(
                    left.unwrap_or_default(),
                    right.unwrap_or_default(),
                    -1,
                ))),
                // A plain number takes the unit of what it is added to.
                (_, Some(units), None) | (_, None, Some(units)) => Ok(Some(units)),
                (_, Some(left), Some(right)) if left == right => Ok(Some(left)),
                (_, Some(left), Some(right)) => {
                    let what = format!(
                        "{} and {} cannot be added or subtracted",
                        shown(&left),
                        shown(&right)
                    );
                    mistakes.push(RuleMistake::at(node.span, what));
                    Err(Told)
                }
            }
        }
    }
}

/// Circles among rules: each as the pairs on its way, the first one again at the end.
#[must_use]
pub fn circles(rules: &BTreeMap<Pair, Rule>) -> Vec<Vec<Pair>> {
    let mut circles: Vec<Vec<Pair>> = Vec::new();
    for start in rules.keys() {
        // The shortest way back, leg by leg; told once, at its first pair.
        let mut ways: Vec<Vec<Pair>> = vec![vec![*start]];
        let mut seen: Vec<Pair> = Vec::new();
        'search: while !ways.is_empty() {
            let mut longer = Vec::new();
            for way in ways {
                let Some(rule) = way.last().and_then(|last| rules.get(last)) else {
                    continue;
                };
                for next in rule.pairs() {
                    if next == *start {
                        let mut circle = way.clone();
                        circle.push(next);
                        if circle.iter().min() == Some(start) {
                            circles.push(circle);
                        }
                        break 'search;
                    }
                    if !seen.contains(&next) && rules.contains_key(&next) {
                        seen.push(next);
                        let mut way = way.clone();
                        way.push(next);
                        longer.push(way);
                    }
                }
            }
            ways = longer;
        }
    }
    circles
}
