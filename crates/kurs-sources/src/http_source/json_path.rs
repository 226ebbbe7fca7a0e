//! Places in a JSON document: JSON Pointer (RFC 6901) and the part of JSONPath (RFC 9535) that
//! needs no functions. Numbers in filters are compared as exact decimals.

mod parse;
#[cfg(test)]
mod tests;

use super::json::Value;
use super::limits::{Budget, Exhausted};
use kurs_core::price::parse_decimal;
use std::cmp::Ordering;

/// A compiled path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonPath {
    /// True when it starts at the document, false when it starts at the row.
    pub from_document: bool,
    segments: Vec<Segment>,
}

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Segment {
    /// `..`: from the value itself and everything below it.
    everywhere: bool,
    selectors: Vec<Selector>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Selector {
    /// The member of this name.
    Name(String),
    /// In a list, counted from the end when negative.
    Index(i64),
    /// A token of a JSON Pointer: a name or an index, as the value is an object or a list.
    Token(String),
    Slice {
        start: Option<i64>,
        end: Option<i64>,
        step: i64,
    },
    All,
    /// The members or items for which all conditions hold.
    Filter(Vec<Condition>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Condition {
    path: JsonPath,
    /// `None`: that there is something at the path is enough.
    test: Option<(Comparison, Literal)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Different,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Literal {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
}

/// A value with the name it has in its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<'d> {
    /// Its name, if it is the member of an object.
    pub name: Option<&'d str>,
    /// The value.
    pub value: &'d Value<'d>,
}

impl<'d> Found<'d> {
    /// A value that is nobody's member.
    #[must_use]
    pub const fn of(value: &'d Value<'d>) -> Self {
        Self { name: None, value }
    }
}

impl JsonPath {
    /// Everything the path leads to, from where it starts.
    ///
    /// # Errors
    /// [`Exhausted`] when it would look at more than it may.
    pub fn find<'d>(&self, start: Found<'d>, budget: &Budget) -> Result<Vec<Found<'d>>, Exhausted> {
        let mut found = vec![start];
        for segment in &self.segments {
            if segment.everywhere {
                found = with_everything_below(found, budget)?;
            }
            let mut next = Vec::new();
            for at in found {
                for selector in &segment.selectors {
                    selector.select(at.value, &mut next, budget)?;
                }
            }
            found = next;
        }
        Ok(found)
    }
}

fn with_everything_below<'d>(
    found: Vec<Found<'d>>,
    budget: &Budget,
) -> Result<Vec<Found<'d>>, Exhausted> {
    let mut all = Vec::new();
    // Reversed, so that the last one pushed is the first in the document.
    let mut open: Vec<Found<'d>> = found.into_iter().rev().collect();
    while let Some(at) = open.pop() {
        budget.visit(1)?;
        all.push(at);
        let before = open.len();
        open.extend(children(at.value));
        if let Some(added) = open.get_mut(before..) {
            added.reverse();
        }
    }
    Ok(all)
}

fn children<'d>(value: &'d Value<'d>) -> Vec<Found<'d>> {
    match value {
        Value::List(items) => items.iter().map(Found::of).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| Found {
                name: Some(name),
                value,
            })
            .collect(),
        _ => Vec::new(),
    }
}

impl Selector {
    fn select<'d>(
        &self,
        value: &'d Value<'d>,
        found: &mut Vec<Found<'d>>,
        budget: &Budget,
    ) -> Result<(), Exhausted> {
        match (self, value) {
            (Self::Name(wanted) | Self::Token(wanted), Value::Object(members)) => {
                budget.visit(1 + members.len())?;
                let named = children_named(members, wanted);
                found.extend(named);
            }
            (Self::Index(index), Value::List(items)) => {
                budget.visit(1)?;
                let at = from_end(*index, items.len());
                found.extend(at.and_then(|at| items.get(at)).map(Found::of));
            }
            (Self::Token(token), Value::List(items)) => {
                budget.visit(1)?;
                let has_zero = token.len() > 1 && token.starts_with('0');
                let digits = token.bytes().all(|byte| byte.is_ascii_digit()) && !has_zero;
                let at = token.parse::<usize>().ok().filter(|_| digits);
                found.extend(at.and_then(|at| items.get(at)).map(Found::of));
            }
            (Self::Slice { start, end, step }, Value::List(items)) => {
                budget.visit(1 + items.len())?;
                let places = slice(*start, *end, *step, items.len());
                found.extend(places.filter_map(|at| items.get(at)).map(Found::of));
            }
            (Self::All, _) => {
                let below = children(value);
                budget.visit(1 + below.len())?;
                found.extend(below);
            }
            (Self::Filter(conditions), _) => {
                for child in children(value) {
                    budget.visit(1)?;
                    let mut holds = true;
                    for condition in conditions {
                        holds = holds && condition.holds(child, budget)?;
                    }
                    if holds {
                        found.push(child);
                    }
                }
            }
            _ => budget.visit(1)?,
        }
        Ok(())
    }
}

fn children_named<'d>(
    members: &'d [(std::borrow::Cow<'d, str>, Value<'d>)],
    wanted: &str,
) -> impl Iterator<Item = Found<'d>> {
    members
        .iter()
        .filter(move |(name, _)| name == wanted)
        .map(|(name, value)| Found {
            name: Some(name),
            value,
        })
}

fn from_end(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let at = if index < 0 { length + index } else { index };
    usize::try_from(at).ok()
}

/// The places of a slice as RFC 9535 section 2.3.4 has them; a step of zero selects nothing.
fn slice(
    start: Option<i64>,
    end: Option<i64>,
    step: i64,
    length: usize,
) -> Box<dyn Iterator<Item = usize>> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let normal = |at: i64| {
        if at < 0 {
            at.saturating_add(length)
        } else {
            at
        }
    };
    let place = |at: i64| usize::try_from(at).ok();
    let stride = usize::try_from(step.unsigned_abs()).unwrap_or(usize::MAX);
    match step {
        0 => Box::new(std::iter::empty()),
        1.. => {
            let from = normal(start.unwrap_or(0)).clamp(0, length);
            let to = normal(end.unwrap_or(length)).clamp(0, length);
            Box::new((from..to).step_by(stride).filter_map(place))
        }
        _ => {
            let from = normal(start.unwrap_or(length - 1)).clamp(-1, length - 1);
            let to = end.map_or(-1, normal).clamp(-1, length - 1);
            Box::new((to + 1..=from).rev().step_by(stride).filter_map(place))
        }
    }
}

impl Condition {
    fn holds(&self, child: Found<'_>, budget: &Budget) -> Result<bool, Exhausted> {
        let found = self.path.find(child, budget)?;
        let Some((comparison, literal)) = &self.test else {
            return Ok(!found.is_empty());
        };
        Ok(match found.as_slice() {
            [only] => comparison.holds(only.value, literal),
            // Nothing is equal to no literal.
            [] => *comparison == Comparison::Different,
            _ => false,
        })
    }
}

impl Comparison {
    fn holds(self, value: &Value<'_>, literal: &Literal) -> bool {
        let order = order(value, literal);
        match self {
            Self::Equal => order == Some(Ordering::Equal),
            Self::Different => order != Some(Ordering::Equal),
            Self::Less => order == Some(Ordering::Less),
            Self::LessOrEqual => order.is_some_and(Ordering::is_le),
            Self::Greater => order == Some(Ordering::Greater),
            Self::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
        }
    }
}

/// How the two stand to each other; values of different kinds do not.
fn order(value: &Value<'_>, literal: &Literal) -> Option<Ordering> {
    match (value, literal) {
        (Value::Null, Literal::Null) => Some(Ordering::Equal),
        (Value::Bool(left), Literal::Bool(right)) if left == right => Some(Ordering::Equal),
        (Value::Text(left), Literal::Text(right)) => Some((**left).cmp(right.as_str())),
        (Value::Number(left), Literal::Number(right)) => {
            Some(parse_decimal(left).ok()?.cmp(&parse_decimal(right).ok()?))
        }
        _ => None,
    }
}
