//! The JSON Schema of the configuration, read as what a key may hold.

use serde_json::{Map, Value};

/// The schema of a configuration type.
#[derive(Debug, Clone)]
pub struct Schema {
    root: Value,
}

/// What a key may hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape<'s> {
    /// A table of named keys; `extra` is what keys of free name hold, if there are any.
    Table {
        /// Keys by name.
        properties: Option<&'s Map<String, Value>>,
        /// What keys of free name hold.
        extra: Option<&'s Value>,
    },
    /// One of these words.
    Words(Vec<&'s str>),
    /// A list of values.
    List(&'s Value),
    /// true or false.
    Boolean,
    /// A whole number within bounds.
    Integer {
        /// Least allowed.
        least: Option<i128>,
        /// Greatest allowed.
        most: Option<i128>,
    },
    /// A number.
    Number,
    /// A text.
    Text,
    /// Something only its own type can judge.
    Other,
}

impl Schema {
    /// The schema of a type.
    #[must_use]
    pub fn of<T: schemars::JsonSchema>() -> Self {
        Self {
            root: schemars::schema_for!(T).to_value(),
        }
    }

    /// The schema as JSON.
    #[must_use]
    pub const fn json(&self) -> &Value {
        &self.root
    }

    /// The schema of the whole.
    #[must_use]
    pub const fn root(&self) -> &Value {
        &self.root
    }

    /// Follows references and steps over "or null".
    fn resolve<'s>(&'s self, mut node: &'s Value) -> &'s Value {
        // Chains of references are short; the bound only guards against a circle.
        for _ in 0..16 {
            if let Some(reference) = node.get("$ref").and_then(Value::as_str) {
                let pointer = reference.trim_start_matches('#');
                match self.root.pointer(pointer) {
                    Some(target) => node = target,
                    None => return node,
                }
            } else if let Some(choices) = node.get("anyOf").and_then(Value::as_array) {
                let real: Vec<&Value> = choices.iter().filter(|choice| !is_null(choice)).collect();
                match (real.as_slice(), self.table_or_text(node)) {
                    ([only], _) => node = only,
                    (_, Some(table)) => node = table,
                    _ => return node,
                }
            } else {
                return node;
            }
        }
        node
    }

    /// The table of something that is a table of keys or, in short, a text.
    fn table_or_text<'s>(&'s self, node: &'s Value) -> Option<&'s Value> {
        let choices = node.get("anyOf").and_then(Value::as_array)?;
        let is = |choice: &Value, kind: &str| {
            self.resolve(choice).get("type").and_then(Value::as_str) == Some(kind)
        };
        match choices.as_slice() {
            [table, text] | [text, table] if is(table, "object") && is(text, "string") => {
                Some(table)
            }
            _ => None,
        }
    }

    /// True when a text may stand where [`Self::shape`] says a table.
    #[must_use]
    pub fn takes_text(&self, node: &Value) -> bool {
        let target = match node.get("$ref").and_then(Value::as_str) {
            Some(reference) => self.root.pointer(reference.trim_start_matches('#')),
            None => Some(node),
        };
        target.is_some_and(|target| self.table_or_text(target).is_some())
    }

    /// True when null is allowed: the key may be absent.
    #[must_use]
    pub fn is_nullable(&self, node: &Value) -> bool {
        let in_type = |node: &Value| match node.get("type") {
            Some(Value::Array(types)) => types.iter().any(|name| name == "null"),
            _ => false,
        };
        let in_choice = node
            .get("anyOf")
            .and_then(Value::as_array)
            .is_some_and(|choices| choices.iter().any(is_null));
        in_type(node) || in_choice
    }

    /// True when the value must never be shown.
    #[must_use]
    pub fn is_secret(&self, node: &Value) -> bool {
        let marked = |node: &Value| node.get("writeOnly") == Some(&Value::Bool(true));
        marked(node) || marked(self.resolve(node))
    }

    /// What this part of the schema allows.
    #[must_use]
    pub fn shape<'s>(&'s self, node: &'s Value) -> Shape<'s> {
        let node = self.resolve(node);
        if let Some(words) = words_of(node) {
            return Shape::Words(words);
        }
        let kind = match node.get("type") {
            Some(Value::String(name)) => name.as_str(),
            Some(Value::Array(names)) => names
                .iter()
                .filter_map(Value::as_str)
                .find(|name| *name != "null")
                .unwrap_or(""),
            _ => "",
        };
        match kind {
            "object" => Shape::Table {
                properties: node.get("properties").and_then(Value::as_object),
                extra: extra_of(node),
            },
            "array" => Shape::List(node.get("items").unwrap_or(&Value::Null)),
            "boolean" => Shape::Boolean,
            "integer" => Shape::Integer {
                least: bound(node, "minimum"),
                most: bound(node, "maximum"),
            },
            "number" => Shape::Number,
            "string" => Shape::Text,
            _ => Shape::Other,
        }
    }

    /// The schema of a key, and true when the way to it leads over a key of free name.
    #[must_use]
    pub fn find<'s>(&'s self, path: &[String]) -> Option<(&'s Value, Option<usize>)> {
        let mut node = &self.root;
        let mut free_at = None;
        for (depth, key) in path.iter().enumerate() {
            let Shape::Table { properties, extra } = self.shape(node) else {
                return None;
            };
            node = match properties.and_then(|known| known.get(key)) {
                Some(property) => property,
                None => {
                    free_at = free_at.or(Some(depth));
                    extra?
                }
            };
        }
        Some((node, free_at))
    }

    /// True when the keys of this table mean something each on its own: none is needed by the
    /// others.
    #[must_use]
    pub fn may_be_split(&self, path: &[String]) -> bool {
        let Some((node, _)) = self.find(path) else {
            return false;
        };
        let table = self.resolve(node);
        let needs_none = table
            .get("required")
            .and_then(Value::as_array)
            .is_none_or(Vec::is_empty);
        matches!(self.shape(table), Shape::Table { .. }) && needs_none
    }

    /// True when the key holds a secret: marked so, or named like one.
    #[must_use]
    pub fn is_secret_path(&self, path: &[String]) -> bool {
        let named = path.last().is_some_and(|key| {
            let key = key.to_ascii_lowercase();
            ["key", "token", "secret", "password"]
                .iter()
                .any(|word| key == *word || key.ends_with(&format!("_{word}")))
        });
        named
            || self
                .find(path)
                .is_some_and(|(node, _)| self.is_secret(node))
    }

    /// Every key that holds a value, without those under keys of free name.
    #[must_use]
    pub fn leaves(&self) -> Vec<(Vec<String>, &Value)> {
        let mut found = Vec::new();
        self.collect(&self.root, &mut Vec::new(), &mut found);
        found
    }

    fn collect<'s>(
        &'s self,
        node: &'s Value,
        path: &mut Vec<String>,
        found: &mut Vec<(Vec<String>, &'s Value)>,
    ) {
        match self.shape(node) {
            Shape::Table {
                properties: Some(properties),
                ..
            } => {
                for (key, property) in properties {
                    path.push(key.clone());
                    self.collect(property, path, found);
                    path.pop();
                }
            }
            _ if path.is_empty() => {}
            _ => found.push((path.clone(), node)),
        }
    }

    /// The words that describe a key: its own, else those of its type.
    #[must_use]
    pub fn description<'s>(&'s self, node: &'s Value) -> Option<&'s str> {
        let own = node.get("description").and_then(Value::as_str);
        own.or_else(|| {
            self.resolve(node)
                .get("description")
                .and_then(Value::as_str)
        })
    }
}

fn is_null(node: &Value) -> bool {
    node.get("type").is_some_and(|kind| kind == "null")
}

fn bound(node: &Value, name: &str) -> Option<i128> {
    let number = node.get(name)?;
    number
        .as_i64()
        .map(i128::from)
        .or_else(|| number.as_u64().map(i128::from))
}

/// The words of an enumeration, with or without documented variants.
fn words_of(node: &Value) -> Option<Vec<&str>> {
    if let Some(words) = node.get("enum").and_then(Value::as_array) {
        return words.iter().map(Value::as_str).collect();
    }
    let choices = node.get("oneOf").and_then(Value::as_array)?;
    let mut words = Vec::new();
    for choice in choices {
        if let Some(word) = choice.get("const").and_then(Value::as_str) {
            words.push(word);
        } else {
            words.extend(words_of(choice)?);
        }
    }
    Some(words)
}

fn extra_of(node: &Value) -> Option<&Value> {
    let patterns = node.get("patternProperties").and_then(Value::as_object);
    if let Some(schema) = patterns.and_then(|patterns| patterns.values().next()) {
        return Some(schema);
    }
    node.get("additionalProperties")
        .filter(|schema| schema.is_object())
}

impl Shape<'_> {
    /// What is expected, for messages.
    #[must_use]
    pub fn expected(&self) -> String {
        match self {
            Self::Table { .. } => "a table of keys".into(),
            Self::Words(words) => format!("one of {}", words.join(", ")),
            Self::List(_) => "a list".into(),
            Self::Boolean => "true or false".into(),
            Self::Integer {
                least: Some(least),
                most: Some(most),
            } => {
                format!("a whole number from {least} to {most}")
            }
            Self::Integer {
                least: Some(0),
                most: None,
            } => "a whole number, 0 or more".into(),
            Self::Integer { .. } => "a whole number".into(),
            Self::Number => "a number".into(),
            Self::Text => "a text".into(),
            Self::Other => "something else".into(),
        }
    }
}
