//! What is wrong with rules that can be read: names, units, circles. Everything is told, each
//! with its place.

use super::lexer::{Token, tokens};
use super::mistake::{RuleMistake, nearest};
use super::parser::LENGTH_MAX;
use super::syntax::{FUNCTION_NAMES, Function, Node, NodeKind, Operator, Rule, Span};
use crate::decimal::median;
use kurs_core::{Asset, Pair, SourceId};
use rust_decimal::Decimal;
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
            mistakes.push(no_source(name, name_span(node.span, name), sources));
        } else if never_gives(name, *pair) && never_gives(name, pair.inverse()) {
            mistakes.push(RuleMistake::at(
                node.span,
                format!("{name} never gives {pair}"),
            ));
        }
    });
    if rule.names_no_market() {
        mistakes.push(RuleMistake::at(rule.root.span, no_market(rule, target)));
    }
    let _ = constant(&rule.root, mistakes);
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

/// Unknown sources in a text that is no rule: what can be told beside the mistake `told`.
#[must_use]
pub fn unknown_names(text: &str, told: Span, sources: &[&str]) -> Vec<RuleMistake> {
    if text.len() > LENGTH_MAX {
        return Vec::new();
    }
    let found = match tokens(text) {
        Ok(found) => found,
        Err(mistake) => {
            let readable = text.get(..mistake.span.start).unwrap_or_default();
            tokens(readable).unwrap_or_default()
        }
    };
    let is_pair = |token: Option<&(Token<'_>, Span)>| match token {
        Some((Token::Word(word), _)) => Pair::parse(word).is_ok(),
        _ => false,
    };
    let mut mistakes = Vec::new();
    for (at, (token, span)) in found.iter().enumerate() {
        let Token::Word(name) = token else { continue };
        let after = |count: usize| found.get(at + count).map(|(token, _)| token);
        let before = at.checked_sub(1).and_then(|at| found.get(at));
        let is_asked = after(1) == Some(&Token::Open)
            && is_pair(found.get(at + 2))
            && after(3).is_none_or(|token| *token == Token::Close);
        let is_listed = matches!(before, Some((Token::Open | Token::Comma, _)))
            && matches!(after(1), Some(Token::Comma | Token::Close));
        let is_name = SourceId::parse(name).is_ok() && Pair::parse(name).is_err();
        let is_known = sources.contains(name) || FUNCTION_NAMES.contains(name);
        let is_told = span.start < told.end && told.start < span.end;
        if is_name && (is_asked || is_listed) && !is_known && !is_told {
            mistakes.push(no_source(name, *span, sources));
        }
    }
    mistakes
}

fn no_source(name: &str, span: Span, sources: &[&str]) -> RuleMistake {
    let known = FUNCTION_NAMES.iter().chain(sources).copied();
    let hint = match nearest(name, known) {
        hint if hint.is_empty() => format!("; there are {}", sources.join(", ")),
        hint => hint,
    };
    RuleMistake::at(span, format!("there is no source {name}{hint}"))
}

fn no_market(rule: &Rule, target: Pair) -> String {
    let value = match &rule.root.kind {
        NodeKind::Number(value) | NodeKind::Fixed { value, .. } if !value.is_zero() => *value,
        _ => Decimal::new(805, 1),
    };
    let until = match &rule.root.kind {
        NodeKind::Fixed {
            until: Some(day), ..
        } => day.to_string(),
        _ => "2026-12-31".to_owned(),
    };
    format!(
        "a rule names a market, such as {target}; a fixed rate is written {{ value = \"{value}\", \
         owner = \"who answers for it\", until = \"{until}\" }}"
    )
}

/// The number that a part without any price comes to; `None` for one with prices. What can
/// never come to anything is told.
fn constant(node: &Node, mistakes: &mut Vec<RuleMistake>) -> Result<Option<Decimal>, Told> {
    let found = match &node.kind {
        NodeKind::Pair(_) | NodeKind::Source { .. } => return Ok(None),
        NodeKind::Number(number) if number.is_zero() => {
            let what = "numbers are greater than zero";
            mistakes.push(RuleMistake::at(node.span, what));
            return Err(Told);
        }
        NodeKind::Number(number) | NodeKind::Fixed { value: number, .. } => Some(*number),
        NodeKind::Spread { inner, .. } => return constant(inner, mistakes),
        NodeKind::Inverse(inner) => match constant(inner, mistakes)? {
            Some(number) => Decimal::ONE.checked_div(number),
            None => return Ok(None),
        },
        NodeKind::Function {
            function,
            arguments,
            ..
        } => {
            let all: Vec<_> = arguments
                .iter()
                .map(|argument| constant(argument, mistakes))
                .collect();
            let all: Result<Vec<Option<Decimal>>, Told> = all.into_iter().collect();
            let Some(numbers) = all?.into_iter().collect::<Option<Vec<Decimal>>>() else {
                return Ok(None);
            };
            match function {
                Function::Median => median(numbers),
                Function::First => numbers.first().copied(),
                Function::Min => numbers.into_iter().min(),
                Function::Max => numbers.into_iter().max(),
            }
        }
        NodeKind::Binary {
            operator,
            left,
            right,
        } => {
            let (left, right) = (constant(left, mistakes), constant(right, mistakes));
            let (Some(left), Some(right)) = (left?, right?) else {
                return Ok(None);
            };
            match operator {
                Operator::Times => left.checked_mul(right),
                Operator::Over => left.checked_div(right),
                Operator::Plus => left.checked_add(right),
                Operator::Minus => left.checked_sub(right),
            }
        }
    };
    let what = match found {
        Some(number) if !number.is_zero() && !number.is_sign_negative() => return Ok(found),
        // What is less than can be held is zero by then, whatever it was made of.
        Some(_) if is_difference(node) => {
            "this is not greater than zero, so there would never be a rate"
        }
        _ => "this is too great or too small to compute with",
    };
    mistakes.push(RuleMistake::at(node.span, what));
    Err(Told)
}

const fn is_difference(node: &Node) -> bool {
    matches!(
        node.kind,
        NodeKind::Binary {
            operator: Operator::Minus,
            ..
        }
    )
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
