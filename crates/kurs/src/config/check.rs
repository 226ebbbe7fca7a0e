//! Holds one layer against the schema: unknown keys, wrong types, values out of range. What is
//! wrong is reported and left out, so that everything else can still be judged.

use super::environment::variable_of;
use super::mistake::Mistake;
use super::origin::Origin;
use super::redact::redact_url;
use super::schema::{Schema, Shape};
use super::secrets;
use super::tree::{Content, Node, show_path};
use serde_json::{Number, Value};
use std::collections::BTreeMap;

/// A checked layer.
pub struct Checker<'a> {
    /// What is allowed.
    pub schema: &'a Schema,
    /// Where secrets in files are looked for.
    pub files: &'a secrets::Files,
    /// True when values are texts that have to become what the schema wants.
    pub from_text: bool,
    /// True when values may be read from files that the layer names. Whoever may set values must
    /// not read files of the machine by it.
    pub takes_files: bool,
    /// What was found.
    pub mistakes: &'a mut Vec<Mistake>,
}

impl Checker<'_> {
    /// The layer without what is wrong in it.
    pub fn check(&mut self, layer: Node) -> Option<Node> {
        let schema = self.schema;
        self.node(layer, schema.root(), &mut Vec::new())
    }

    fn node(&mut self, node: Node, expected: &Value, path: &mut Vec<String>) -> Option<Node> {
        let schema = self.schema;
        let shape = schema.shape(expected);
        let Node { origin, content } = node;
        match (content, &shape) {
            (Content::Table(members), Shape::Table { properties, extra }) => {
                let members = if self.takes_files {
                    secrets::take_files(self, members, *properties, path)
                } else {
                    members
                };
                let mut kept = BTreeMap::new();
                for (written, member) in members {
                    let key = match_key(&written, *properties, path);
                    let known = properties.and_then(|known| known.get(&key)).or(*extra);
                    path.push(key.clone());
                    if let Some(known) = known {
                        if let Some(good) = self.node(member, known, path) {
                            kept.insert(key, good);
                        }
                    } else {
                        let hint = self.nearest(path, &written, *properties, &member.origin);
                        let what = format!("unknown key{hint}");
                        self.mistakes.push(Mistake::at(path, &member.origin, what));
                    }
                    path.pop();
                }
                Some(Node {
                    origin,
                    content: Content::Table(kept),
                })
            }
            (Content::Table(members), _) => {
                // An object for a type that only its own parser knows.
                let value = Node {
                    origin: origin.clone(),
                    content: Content::Table(members),
                };
                if shape == Shape::Other {
                    return Some(Node::leaf(origin, value.to_json()));
                }
                let what = format!("expected {}, got a table", shape.expected());
                self.mistakes.push(Mistake::at(path, &origin, what));
                None
            }
            (Content::Leaf(value), shape) => {
                let value = match self.coerce(value, shape, expected, path) {
                    Ok(value) => value,
                    Err(what) => {
                        self.mistakes.push(Mistake::at(path, &origin, what));
                        return None;
                    }
                };
                if matches!(shape, Shape::Table { .. }) && value.is_object() {
                    return self.node(Node::from_json(&origin, value), expected, path);
                }
                Some(Node::leaf(origin, value))
            }
        }
    }

    /// The value as the schema wants it, or what is wrong with it.
    fn coerce(
        &self,
        value: Value,
        shape: &Shape<'_>,
        expected: &Value,
        path: &[String],
    ) -> Result<Value, String> {
        let empty_text = value.as_str().is_some_and(str::is_empty);
        if self.schema.is_nullable(expected) && (value.is_null() || (self.from_text && empty_text))
        {
            return Ok(Value::Null);
        }
        let wrong = |value: &Value| {
            // A table's name holding a text may well be a misplaced secret.
            let hidden = self.schema.is_secret_path(path) || matches!(shape, Shape::Table { .. });
            let got = if hidden {
                kind_of(value).to_owned()
            } else {
                show(value)
            };
            format!("expected {}, got {got}", shape.expected())
        };
        match (shape, value) {
            (Shape::Words(words), Value::String(text)) => words
                .iter()
                .find(|word| word.eq_ignore_ascii_case(&text))
                .map(|word| Value::from(*word))
                .ok_or_else(|| wrong(&Value::String(text))),
            (Shape::Boolean, Value::String(text)) if self.from_text => {
                match text.to_ascii_lowercase().as_str() {
                    "true" | "1" | "yes" | "on" => Ok(Value::Bool(true)),
                    "false" | "0" | "no" | "off" => Ok(Value::Bool(false)),
                    _ => Err(wrong(&Value::String(text))),
                }
            }
            (Shape::Integer { .. }, Value::String(text)) if self.from_text => {
                match text.trim().parse::<i64>() {
                    Ok(number) => self.coerce(Value::from(number), shape, expected, path),
                    Err(_) => Err(wrong(&Value::String(text))),
                }
            }
            (Shape::Number, Value::String(text)) if self.from_text => text
                .trim()
                .parse::<Number>()
                .map(Value::Number)
                .map_err(|_| wrong(&Value::String(text))),
            (Shape::List(items), Value::String(text)) if self.from_text => {
                self.list_of_text(&text, items, path)
            }
            (Shape::Table { .. }, Value::String(text)) if self.from_text => {
                match serde_json::from_str::<Value>(&text) {
                    Ok(object) if object.is_object() => Ok(object),
                    _ if self.schema.takes_text(expected) => Ok(Value::String(text)),
                    _ => Err(wrong(&Value::String(text))),
                }
            }
            (Shape::Table { .. }, value @ Value::String(_)) if self.schema.takes_text(expected) => {
                Ok(value)
            }
            (Shape::List(items), Value::Array(values)) => {
                let shape = self.schema.shape(items);
                let mut list = Vec::with_capacity(values.len());
                for value in values {
                    list.push(self.coerce(value, &shape, items, path)?);
                }
                Ok(Value::Array(list))
            }
            (Shape::Integer { least, most }, Value::Number(number)) => {
                let whole = number
                    .as_i64()
                    .map(i128::from)
                    .or(number.as_u64().map(i128::from));
                let fits = whole.is_some_and(|whole| {
                    least.is_none_or(|least| whole >= least)
                        && most.is_none_or(|most| whole <= most)
                });
                if fits {
                    Ok(Value::Number(number))
                } else {
                    Err(wrong(&Value::Number(number)))
                }
            }
            (Shape::Text, value @ Value::String(_))
            | (Shape::Boolean, value @ Value::Bool(_))
            | (Shape::Number, value @ Value::Number(_))
            | (Shape::Table { .. }, value @ Value::Object(_))
            | (Shape::Other, value) => Ok(value),
            (_, value) => Err(wrong(&value)),
        }
    }

    fn list_of_text(&self, text: &str, items: &Value, path: &[String]) -> Result<Value, String> {
        if text.trim_start().starts_with('[') {
            let list: Value = serde_json::from_str(text)
                .map_err(|_| "expected a list, separated by commas or as JSON".to_owned())?;
            let shape = Shape::List(items);
            return self.coerce(list, &shape, &Value::Null, path);
        }
        let shape = self.schema.shape(items);
        let mut list = Vec::new();
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            list.push(self.coerce(Value::from(part), &shape, items, path)?);
        }
        Ok(Value::Array(list))
    }

    /// `; did you mean ...?` for a key that is nearly right.
    fn nearest(
        &self,
        path: &[String],
        written: &str,
        properties: Option<&serde_json::Map<String, Value>>,
        origin: &Origin,
    ) -> String {
        // As it must be written where the mistake was made.
        let spell = |path: &[String]| match origin {
            Origin::DotEnv(_) | Origin::Environment(_) => variable_of(path),
            _ => show_path(path),
        };
        let parent = path.split_last().map_or(&[][..], |(_, parent)| parent);
        let siblings = properties
            .into_iter()
            .flat_map(|known| known.keys())
            .map(|known| {
                let full = [parent, std::slice::from_ref(known)].concat();
                (strsim::jaro_winkler(written, known), spell(&full))
            });
        // `HTTP_ADDR` for `HTTP__ADDR`: the whole path compared with every whole path.
        let whole = path.join("_");
        let everywhere = self.schema.leaves().into_iter().map(|(known, _)| {
            (
                strsim::jaro_winkler(&whole, &known.join("_")),
                spell(&known),
            )
        });
        let best = siblings
            .chain(everywhere)
            .max_by(|a, b| a.0.total_cmp(&b.0));
        match best {
            Some((likeness, known)) if likeness > 0.8 => format!("; did you mean `{known}`?"),
            _ => match properties {
                Some(known) if !known.is_empty() => {
                    let names: Vec<&str> = known.keys().map(String::as_str).collect();
                    format!("; known here: {}", names.join(", "))
                }
                _ => String::new(),
            },
        }
    }
}

/// The key as the configuration names it: any case of a known key, `BTC-USD` for any spelling
/// of a pair under `policy`, and sources by the name they are known by.
pub(super) fn match_key(
    written: &str,
    properties: Option<&serde_json::Map<String, Value>>,
    path: &[String],
) -> String {
    let known = properties
        .into_iter()
        .flat_map(|known| known.keys())
        .find(|known| known.eq_ignore_ascii_case(written));
    if let Some(known) = known {
        return known.clone();
    }
    match path {
        [section] if section == "policy" => kurs_core::PairParser::default()
            .parse(written)
            .map_or_else(|_| written.to_owned(), |pair| pair.to_string()),
        [section] if section == "sources" => kurs_core::SourceId::parse(written)
            .map_or_else(|_| written.to_owned(), |source| source.to_string()),
        _ => written.to_owned(),
    }
}

const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

/// A value for a message: short, and without passwords in URLs.
pub(super) fn show(value: &Value) -> String {
    let text = match value {
        Value::String(text) => format!("{:?}", redact_url(text)),
        Value::Array(_) | Value::Object(_) => return kind_of(value).to_owned(),
        other => other.to_string(),
    };
    if text.chars().count() <= 80 {
        return text;
    }
    let cut: String = text.chars().take(77).collect();
    format!("{cut}...")
}
