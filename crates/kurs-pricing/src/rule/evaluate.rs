//! From tree to number. What a rule came to is told with every number that went into it, also
//! when it came to nothing.

mod medians;

use super::figure::Figure;
use super::syntax::{Function, Node, NodeKind, Operator, Rule};
use crate::config::units::Day;
use crate::gate::{Gate, GateSettings};
use kurs_core::price::round_published;
use kurs_core::rate::{Constituent, FairMethod};
use kurs_core::{Leg, Now, Pair, Price, Skipped, SourceId};
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Where a rule gets its prices from. Every price comes with its one leg; `Err` says who was to
/// give it, under the name of answers, in which state that source is and why.
pub trait Prices {
    /// The rate of a pair by its own policy.
    ///
    /// # Errors
    /// Who does not give it, and why.
    fn pair(&mut self, pair: Pair) -> Result<Figure, Skipped>;

    /// What a source says of a pair, with the fair price it could give.
    ///
    /// # Errors
    /// The source, and why it does not give it.
    fn source(&mut self, source: SourceId, pair: Pair) -> Result<(Figure, FairMethod), Skipped>;
}

/// What an evaluation needs besides prices.
#[derive(Debug)]
pub struct Evaluation<'e> {
    /// The time.
    pub now: Now,
    /// For the gates of medians.
    pub gate: GateSettings,
    /// A median of fewer is doubtful.
    pub min_sources: usize,
    /// True when a median of too few is none at all.
    pub refuses_few: bool,
    /// Names sources in legs: the source of a median.
    pub combined: SourceId,
    /// The memory of the medians, by where they stand in the rule.
    pub gates: &'e mut BTreeMap<usize, Gate>,
}

/// What a rule came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evaluated {
    /// The number; `Err` says why there is none.
    pub outcome: Result<Figure, Arc<str>>,
    /// The rule with its numbers.
    pub text: String,
    /// Everything that was looked at.
    pub constituents: Vec<Constituent>,
    /// Those of them, by position, that had no price.
    pub missing: BTreeMap<usize, Skipped>,
    /// When time alone will change a median.
    pub next_change: Option<kurs_core::Mono>,
}

/// The outcome of a part, and its text.
type Part = (Result<Figure, Arc<str>>, String);

impl Evaluation<'_> {
    /// Evaluates a rule.
    pub fn run(self, rule: &Rule, prices: &mut impl Prices) -> Evaluated {
        let mut run = Run {
            with: self,
            prices,
            constituents: Vec::new(),
            missing: BTreeMap::new(),
            next_change: None,
        };
        let (outcome, mut text) = run.node(&rule.root);
        text.push_str(" = ");
        text.push_str(&match &outcome {
            Ok(figure) => shown(figure.value),
            Err(_) => "no rate".to_owned(),
        });
        Evaluated {
            outcome,
            text,
            constituents: run.constituents,
            missing: run.missing,
            next_change: run.next_change,
        }
    }
}

struct Run<'e, 'p, P> {
    with: Evaluation<'e>,
    prices: &'p mut P,
    constituents: Vec<Constituent>,
    missing: BTreeMap<usize, Skipped>,
    next_change: Option<kurs_core::Mono>,
}

impl<P: Prices> Run<'_, '_, P> {
    fn node(&mut self, node: &Node) -> Part {
        match &node.kind {
            NodeKind::Number(number) => {
                let outcome = held(Figure::number(*number).checked());
                (outcome, number.to_string())
            }
            NodeKind::Pair(pair) => {
                let outcome = match self.prices.pair(*pair) {
                    Ok(figure) => {
                        self.note(*pair, &figure, self.with.combined, FairMethod::Mid);
                        Ok(figure)
                    }
                    Err(missing) => {
                        let why = Arc::clone(&missing.why);
                        self.note_missing(*pair, missing);
                        Err(why)
                    }
                };
                let text = format!("{pair}{}", bracket(&outcome));
                (outcome, text)
            }
            NodeKind::Source { source, pair } => {
                let outcome = self.source(*source, *pair);
                let text = format!("{source}({pair}){}", bracket(&outcome));
                (outcome, text)
            }
            NodeKind::Function {
                function,
                arguments,
                of,
            } => self.function(node.span.start, *function, arguments, *of),
            NodeKind::Inverse(inner) => {
                let (outcome, text) = self.node(inner);
                let outcome = outcome.and_then(|figure| held(figure.inverse()));
                let text = format!("inv({text}){}", bracket(&outcome));
                (outcome, text)
            }
            NodeKind::Binary {
                operator,
                left,
                right,
            } => self.binary(*operator, left, right),
            NodeKind::Spread { inner, percent } => {
                let (outcome, text) = self.node(inner);
                let outcome = outcome.and_then(|figure| held(figure.around(percent.fraction())));
                (outcome, format!("{text} +-{percent}"))
            }
            NodeKind::Fixed { value, until, of } => self.fixed(*value, *until, *of),
        }
    }

    fn source(&mut self, source: SourceId, pair: Pair) -> Result<Figure, Arc<str>> {
        match self.prices.source(source, pair) {
            Ok((figure, price)) => {
                self.note(pair, &figure, source, price);
                Ok(figure)
            }
            Err(missing) => {
                let state = missing.state.as_str();
                let why = format!("{} {state}: {}", missing.source, missing.why).into();
                self.note_missing(pair, missing);
                Err(why)
            }
        }
    }

    /// Keeps what was looked at; what is found out later about it is added there.
    fn note(&mut self, pair: Pair, found: &Figure, source: SourceId, price: FairMethod) {
        let of = |number: Decimal| Price::new(number).ok().map(Price::published);
        self.constituents.push(Constituent {
            source: found.legs.first().map_or(source, |leg| leg.source),
            pair,
            path: Vec::new(),
            value: of(found.value),
            bid: found.sides.and_then(|(bid, _)| of(bid)),
            ask: found.sides.and_then(|(_, ask)| of(ask)),
            price,
            used: true,
            why: found.doubt.clone().unwrap_or_default(),
            observed_at: found.observed_at,
            expires_at: Some(found.expires_at),
        });
    }

    /// Keeps what was looked for in vain.
    fn note_missing(&mut self, pair: Pair, missing: Skipped) {
        let at = self.constituents.len();
        self.constituents.push(Constituent {
            source: missing.source,
            pair,
            path: Vec::new(),
            value: None,
            bid: None,
            ask: None,
            price: FairMethod::Mid,
            used: false,
            why: format!("{}: {}", missing.state.as_str(), missing.why).into(),
            observed_at: None,
            expires_at: None,
        });
        self.missing.insert(at, missing);
    }

    fn binary(&mut self, operator: Operator, left: &Node, right: &Node) -> Part {
        let (left_outcome, left_text) = self.node(left);
        let (right_outcome, right_text) = self.node(right);
        let outcome = match (left_outcome, right_outcome) {
            (Ok(left), Ok(right)) => match operator {
                Operator::Times => held(left.times(right)),
                Operator::Over => held(left.over(right)),
                Operator::Plus => held(left.plus(right)),
                Operator::Minus => left
                    .minus(right)
                    .ok_or_else(|| Arc::from("the difference is not greater than zero")),
            },
            (Err(why), _) | (_, Err(why)) => Err(why),
        };
        let left_text = wrapped(left, left_text, operator.power() - 1);
        // a - (b - c) and a / (b / c) keep their parentheses.
        let right_text = wrapped(right, right_text, operator.power());
        let text = format!("{left_text} {} {right_text}", operator.as_str());
        (outcome, text)
    }

    fn fixed(&mut self, value: Decimal, until: Option<Day>, of: Option<Pair>) -> Part {
        let mut text = format!("fixed({value}");
        if let Some(day) = until {
            text.push_str(&format!(", until {day}"));
        }
        text.push(')');
        if let Some(pair) = of {
            text.push_str(&format!("({pair})"));
        }
        let mut figure = Figure::number(value);
        if let Some(day) = until {
            let end = day.end();
            let left = end.since(self.with.now.wall);
            if left.is_zero() {
                return (Err(format!("the fixed rate ended on {day}").into()), text);
            }
            figure.valid_until = self.with.now.mono.plus(left);
            figure.expires_at = end;
        }
        (Ok(figure), text)
    }

    fn function(
        &mut self,
        at: usize,
        function: Function,
        arguments: &[Node],
        of: Option<Pair>,
    ) -> Part {
        let first_constituent = self.constituents.len();
        let mut parts = Vec::with_capacity(arguments.len());
        let mut ends = Vec::with_capacity(arguments.len());
        for argument in arguments {
            let (outcome, mut text) = match (&argument.kind, of) {
                (NodeKind::Source { source, pair }, Some(_)) => {
                    let outcome = self.source(*source, *pair);
                    let text = format!("{source}{}", bracket(&outcome));
                    (outcome, text)
                }
                _ => self.node(argument),
            };
            if function == Function::First
                && parts.iter().any(|(outcome, _): &Part| outcome.is_ok())
            {
                self.leave_out(first_constituent, ends.last().copied(), "");
                text.push_str(" (not needed)");
            }
            ends.push(self.constituents.len());
            parts.push((outcome, text));
        }
        let outcome = match function {
            Function::Median => {
                self.median((at, of.is_some()), first_constituent, &mut parts, &ends)
            }
            Function::First => first(&parts),
            Function::Min => all(&parts, |numbers| numbers.into_iter().min()),
            Function::Max => all(&parts, |numbers| numbers.into_iter().max()),
        };
        let texts: Vec<&str> = parts.iter().map(|(_, text)| text.as_str()).collect();
        let of_text = of.map(|pair| format!("({pair})")).unwrap_or_default();
        let text = format!(
            "{}({}){of_text}{}",
            function.as_str(),
            texts.join(", "),
            bracket(&outcome)
        );
        // Several sources of one pair are one leg: the number that came out of them.
        let outcome = outcome.map(|mut figure| {
            if let (Some(pair), true) = (of, figure.legs.len() > 1)
                && let Some(value) = figure.price()
            {
                let leg = Leg {
                    pair,
                    source: figure.marks.put_on(self.with.combined),
                    value: value.published(),
                    inverted: false,
                    observed_at: figure.observed_at.unwrap_or(self.with.now.wall),
                    expires_at: figure.expires_at,
                };
                figure.legs = vec![leg];
            }
            figure
        });
        (outcome, text)
    }

    /// Marks the constituents from `from` (or from the end of the last argument) on as not used.
    fn leave_out(&mut self, from: usize, since: Option<usize>, why: &str) {
        for constituent in self.constituents.iter_mut().skip(since.unwrap_or(from)) {
            constituent.used = false;
            if !why.is_empty() {
                constituent.why = why.into();
            }
        }
    }
}

fn first(parts: &[Part]) -> Result<Figure, Arc<str>> {
    let found = parts.iter().find_map(|(outcome, _)| outcome.as_ref().ok());
    found.cloned().ok_or_else(|| none_of(parts))
}

/// All must be there: the least of fewer would be another number.
fn all(parts: &[Part], pick: impl Fn(Vec<Decimal>) -> Option<Decimal>) -> Result<Figure, Arc<str>> {
    let figures: Result<Vec<Figure>, Arc<str>> =
        parts.iter().map(|(outcome, _)| outcome.clone()).collect();
    held(Figure::of_all(figures?, pick))
}

fn none_of(parts: &[Part]) -> Arc<str> {
    let reasons: Vec<&str> = parts
        .iter()
        .filter_map(|(outcome, _)| outcome.as_ref().err().map(|why| &**why))
        .collect();
    reasons.join("; ").into()
}

fn held(figure: Option<Figure>) -> Result<Figure, Arc<str>> {
    figure.ok_or_else(|| Arc::from("a number is too great or too small to compute with"))
}

/// A number as the rule is told with: rounded as what leaves the server.
fn shown(number: Decimal) -> String {
    round_published(number).to_string()
}

fn bracket(outcome: &Result<Figure, Arc<str>>) -> String {
    match outcome {
        Ok(figure) => format!("[{}]", shown(figure.value)),
        Err(why) => format!("[none: {why}]"),
    }
}

/// Parentheses where they are needed to read it as it was meant.
fn wrapped(node: &Node, text: String, power: u8) -> String {
    let needs = match &node.kind {
        NodeKind::Binary { operator, .. } => operator.power() <= power,
        NodeKind::Spread { .. } => true,
        _ => false,
    };
    if needs { format!("({text})") } else { text }
}

/// How long a rate without any price in it holds before it is looked at again.
pub const NUMBER_HOLDS: Duration = Duration::from_secs(86_400);
