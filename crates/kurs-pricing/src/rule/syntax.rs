//! A rule as a tree.

use crate::config::units::{Day, Percent};
use kurs_core::{Pair, SourceId};
use rust_decimal::Decimal;
use std::sync::Arc;

/// A part of the text, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// First byte behind it.
    pub end: usize,
}

impl Span {
    /// From the beginning of one to the end of another.
    #[must_use]
    pub const fn to(self, other: Self) -> Self {
        Self {
            start: self.start,
            end: other.end,
        }
    }
}

/// A rule that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// As written.
    pub text: Arc<str>,
    /// What it says.
    pub root: Node,
}

/// A part of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where it is written.
    pub span: Span,
    /// What it is.
    pub kind: NodeKind,
}

/// Kinds of [`Node`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeKind {
    /// A number without unit.
    Number(Decimal),
    /// The rate of a pair by its own policy.
    Pair(Pair),
    /// What one source says of a pair.
    Source {
        /// Who.
        source: SourceId,
        /// Of what.
        pair: Pair,
    },
    /// One of several.
    Function {
        /// Which.
        function: Function,
        /// Of these.
        arguments: Vec<Node>,
        /// Set when it was written `median(a, b)(PAIR)`: all arguments are sources of it.
        of: Option<Pair>,
    },
    /// 1 / x.
    Inverse(Box<Node>),
    /// Arithmetic.
    Binary {
        /// Which.
        operator: Operator,
        /// On the left.
        left: Box<Node>,
        /// On the right.
        right: Box<Node>,
    },
    /// Bid and ask this far around the value.
    Spread {
        /// The value.
        inner: Box<Node>,
        /// How far.
        percent: Percent,
    },
    /// A number that somebody answers for.
    Fixed {
        /// The number.
        value: Decimal,
        /// Its last day.
        until: Option<Day>,
        /// What it is a rate of.
        of: Option<Pair>,
    },
}

/// Functions that give one of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// The median, without those that are out of line.
    Median,
    /// The first there is.
    First,
    /// The least; all must be there.
    Min,
    /// The greatest; all must be there.
    Max,
}

impl Function {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Median => "median",
            Self::First => "first",
            Self::Min => "min",
            Self::Max => "max",
        }
    }

    /// The function of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [Self::Median, Self::First, Self::Min, Self::Max]
            .into_iter()
            .find(|function| function.as_str() == name)
    }
}

/// Names that are no sources.
pub const FUNCTION_NAMES: [&str; 6] = ["median", "first", "min", "max", "inv", "fixed"];

/// Words of rules and sources of combined rates: no source of the user may be called so.
pub const RESERVED_NAMES: [&str; 11] = [
    "median", "first", "min", "max", "inv", "fixed", "until", "merged", "rule", "priority",
    "unknown",
];

/// Arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `*`
    Times,
    /// `/`
    Over,
    /// `+`
    Plus,
    /// `-`
    Minus,
}

impl Operator {
    /// How it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Times => "*",
            Self::Over => "/",
            Self::Plus => "+",
            Self::Minus => "-",
        }
    }

    /// How tightly it binds.
    #[must_use]
    pub const fn power(self) -> u8 {
        match self {
            Self::Plus | Self::Minus => 10,
            Self::Times | Self::Over => 20,
        }
    }
}

impl Node {
    /// Calls `visit` for this node and all below it, from left to right.
    pub fn walk<'n>(&'n self, visit: &mut impl FnMut(&'n Self)) {
        visit(self);
        match &self.kind {
            NodeKind::Function { arguments, .. } => {
                for argument in arguments {
                    argument.walk(visit);
                }
            }
            NodeKind::Inverse(inner) | NodeKind::Spread { inner, .. } => inner.walk(visit),
            NodeKind::Binary { left, right, .. } => {
                left.walk(visit);
                right.walk(visit);
            }
            NodeKind::Number(_)
            | NodeKind::Pair(_)
            | NodeKind::Source { .. }
            | NodeKind::Fixed { .. } => {}
        }
    }
}

impl Rule {
    /// Pairs whose rates by their own policies are used.
    #[must_use]
    pub fn pairs(&self) -> Vec<Pair> {
        let mut pairs = Vec::new();
        self.root.walk(&mut |node| {
            if let NodeKind::Pair(pair) = node.kind
                && !pairs.contains(&pair)
            {
                pairs.push(pair);
            }
        });
        pairs
    }

    /// Sources that are asked, each with the pair.
    #[must_use]
    pub fn sources(&self) -> Vec<(SourceId, Pair)> {
        let mut sources = Vec::new();
        self.root.walk(&mut |node| {
            if let NodeKind::Source { source, pair } = node.kind
                && !sources.contains(&(source, pair))
            {
                sources.push((source, pair));
            }
        });
        sources
    }

    /// True when it is made of numbers alone.
    #[must_use]
    pub fn names_no_market(&self) -> bool {
        self.pairs().is_empty() && self.sources().is_empty()
    }

    /// True when every price in it is of this pair or its inverse: then the result is as good
    /// a market of the pair as any.
    #[must_use]
    pub fn is_about_only(&self, pair: Pair) -> bool {
        let mut is_so = true;
        self.root.walk(&mut |node| match node.kind {
            NodeKind::Pair(_) => is_so = false,
            NodeKind::Source { pair: of, .. } if of != pair && of != pair.inverse() => {
                is_so = false
            }
            _ => {}
        });
        is_so
    }
}
