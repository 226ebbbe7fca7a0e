//! Places in XML and CSV: a small part of XPath. CSV is read as rows of cells, so that
//! `row[code='USD']/sell` is the cell `sell` of the row whose cell `code` is `USD`.

mod parse;
#[cfg(test)]
mod tests;

use super::limits::{Budget, Exhausted};
use super::tree::Element;
use std::collections::BTreeSet;

/// A compiled path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreePath {
    /// True when it starts at the document, false when it starts at the row.
    pub from_document: bool,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Step {
    /// `//`: from the element itself and everything below it.
    everywhere: bool,
    target: Target,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Target {
    /// The elements in it, of one name or of any, that pass all conditions.
    Children {
        name: Option<String>,
        conditions: Vec<Condition>,
    },
    /// An attribute; nothing comes after it.
    Attribute(String),
    /// `.`
    Itself,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    /// `[2]`, counted from 1 among those that passed the conditions before.
    Position(usize),
    /// `[last()]`
    Last,
    /// `[@code]`, `[@code='USD']`
    Attribute(String, Option<String>),
    /// `[code]`, `[code='USD']`
    Child(String, Option<String>),
    /// `[.='USD']`
    Text(String),
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'d> {
    /// An element.
    Element(&'d Element),
    /// The value of an attribute.
    Attribute(&'d str),
}

impl TreePath {
    /// Everything the path leads to, from where it starts.
    ///
    /// # Errors
    /// [`Exhausted`] when it would look at more than it may.
    pub fn find<'d>(
        &self,
        start: &'d Element,
        budget: &Budget,
    ) -> Result<Vec<Found<'d>>, Exhausted> {
        let mut elements = vec![start];
        for step in &self.steps {
            if step.everywhere {
                elements = with_everything_below(elements, budget)?;
            }
            match &step.target {
                Target::Itself => {}
                Target::Attribute(name) => {
                    let mut values = Vec::new();
                    for element in elements {
                        budget.visit(1 + element.attributes.len())?;
                        values.extend(element.attributes_called(name).map(Found::Attribute));
                    }
                    return Ok(values);
                }
                Target::Children { name, conditions } => {
                    let mut next = Vec::new();
                    for element in elements {
                        budget.visit(1 + element.children.len())?;
                        let children = element.children.iter();
                        let mut passed: Vec<&Element> = children
                            .filter(|child| name.as_ref().is_none_or(|name| child.is_called(name)))
                            .collect();
                        for condition in conditions {
                            passed = condition.filter(passed, budget)?;
                        }
                        next.extend(passed);
                    }
                    elements = next;
                }
            }
        }
        Ok(elements.into_iter().map(Found::Element).collect())
    }
}

fn with_everything_below<'d>(
    elements: Vec<&'d Element>,
    budget: &Budget,
) -> Result<Vec<&'d Element>, Exhausted> {
    let mut all = Vec::new();
    // What lies below two of the elements is there once.
    let mut seen: BTreeSet<*const Element> = BTreeSet::new();
    let mut open: Vec<&Element> = elements.into_iter().rev().collect();
    while let Some(element) = open.pop() {
        budget.visit(1)?;
        if seen.insert(std::ptr::from_ref(element)) {
            all.push(element);
            open.extend(element.children.iter().rev());
        }
    }
    Ok(all)
}

impl Condition {
    fn filter<'d>(
        &self,
        elements: Vec<&'d Element>,
        budget: &Budget,
    ) -> Result<Vec<&'d Element>, Exhausted> {
        Ok(match self {
            Self::Position(position) => {
                let at = position.checked_sub(1);
                let only = at.and_then(|at| elements.get(at).copied());
                only.into_iter().collect()
            }
            Self::Last => elements.last().copied().into_iter().collect(),
            _ => {
                let mut passed = Vec::new();
                for element in elements {
                    budget.visit(1 + element.children.len() + element.attributes.len())?;
                    if self.holds(element) {
                        passed.push(element);
                    }
                }
                passed
            }
        })
    }

    fn holds(&self, element: &Element) -> bool {
        let is = |found: &str, text: &Option<String>| {
            text.as_ref().is_none_or(|text| found.trim() == text)
        };
        match self {
            Self::Position(_) | Self::Last => true,
            Self::Attribute(name, text) => {
                element.attributes_called(name).any(|value| is(value, text))
            }
            Self::Child(name, text) => element
                .children
                .iter()
                .any(|child| child.is_called(name) && is(&child.text, text)),
            Self::Text(text) => element.trimmed() == text,
        }
    }
}
