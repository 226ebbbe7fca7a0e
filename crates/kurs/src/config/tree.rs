//! Values with their origins, as a tree; layers are merged here.

use super::origin::Origin;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A value or a table of values, each with where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it came from; for a table, where it was first named.
    pub origin: Origin,
    /// What it is.
    pub content: Content,
}

/// What a [`Node`] holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A value; a list is one value, replaced as a whole.
    Leaf(Value),
    /// Keys of their own, merged key by key.
    Table(BTreeMap<String, Node>),
}

impl Node {
    /// A value.
    #[must_use]
    pub const fn leaf(origin: Origin, value: Value) -> Self {
        Self {
            origin,
            content: Content::Leaf(value),
        }
    }

    /// A table without keys.
    #[must_use]
    pub const fn table(origin: Origin) -> Self {
        Self {
            origin,
            content: Content::Table(BTreeMap::new()),
        }
    }

    /// The tree of a JSON value, all of one origin. Objects become tables.
    #[must_use]
    pub fn from_json(origin: &Origin, value: Value) -> Self {
        match value {
            Value::Object(members) => Self {
                origin: origin.clone(),
                content: Content::Table(
                    members
                        .into_iter()
                        .map(|(key, value)| (key, Self::from_json(origin, value)))
                        .collect(),
                ),
            },
            other => Self::leaf(origin.clone(), other),
        }
    }

    /// The plain JSON of this tree.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match &self.content {
            Content::Leaf(value) => value.clone(),
            Content::Table(members) => Value::Object(
                members
                    .iter()
                    .map(|(key, node)| (key.clone(), node.to_json()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    /// Lays `upper` over this: tables key by key, anything else replaced.
    pub fn overlay(&mut self, upper: Self) {
        match (&mut self.content, upper.content) {
            (Content::Table(lower_members), Content::Table(upper_members)) => {
                for (key, node) in upper_members {
                    match lower_members.get_mut(&key) {
                        Some(lower) => lower.overlay(node),
                        None => {
                            lower_members.insert(key, node);
                        }
                    }
                }
            }
            (_, content) => {
                self.content = content;
                self.origin = upper.origin;
            }
        }
    }

    /// Puts a node at a path, tables on the way made as needed. What is in the way is replaced.
    pub fn insert(&mut self, path: &[String], node: Self) {
        let Some((key, rest)) = path.split_first() else {
            *self = node;
            return;
        };
        if !matches!(self.content, Content::Table(_)) {
            *self = Self::table(node.origin.clone());
        }
        if let Content::Table(members) = &mut self.content {
            members
                .entry(key.clone())
                .or_insert_with(|| Self::table(node.origin.clone()))
                .insert(rest, node);
        }
    }

    /// The node at a path.
    #[must_use]
    pub fn get(&self, path: &[String]) -> Option<&Self> {
        let Some((key, rest)) = path.split_first() else {
            return Some(self);
        };
        match &self.content {
            Content::Table(members) => members.get(key)?.get(rest),
            Content::Leaf(_) => None,
        }
    }

    /// Every value with its path, in order.
    #[must_use]
    pub fn leaves(&self) -> Vec<(Vec<String>, &Value, &Origin)> {
        let mut found = Vec::new();
        self.collect(&mut Vec::new(), &mut found);
        found
    }

    fn collect<'n>(
        &'n self,
        path: &mut Vec<String>,
        found: &mut Vec<(Vec<String>, &'n Value, &'n Origin)>,
    ) {
        match &self.content {
            Content::Leaf(value) => found.push((path.clone(), value, &self.origin)),
            Content::Table(members) => {
                for (key, node) in members {
                    path.push(key.clone());
                    node.collect(path, found);
                    path.pop();
                }
            }
        }
    }
}

/// `sources.binance.ws_url`; a key that is no plain word is quoted.
#[must_use]
pub fn show_path(path: &[String]) -> String {
    let parts: Vec<String> = path
        .iter()
        .map(|key| {
            let plain = !key.is_empty()
                && key
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
            if plain {
                key.clone()
            } else {
                format!("{key:?}")
            }
        })
        .collect();
    parts.join(".")
}
