//! `kurs.toml` as a layer, each value with its line.

use super::mistake::Mistake;
use super::origin::Origin;
use super::tree::{Content, Node};
use serde_json::{Number, Value};
use std::collections::BTreeMap;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Name of the file in the working folder.
pub const FILE_NAME: &str = "kurs.toml";

/// A longer file is no configuration.
const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The layer of a TOML text; what cannot be read is reported with its line.
pub(super) fn layer(text: &str, path: &Path, mistakes: &mut Vec<Mistake>) -> Node {
    let lines = Lines { text, path };
    if text.len() > FILE_BYTES_MAX {
        mistakes.push(Mistake::general(format!(
            "{} is longer than {FILE_BYTES_MAX} bytes",
            path.display()
        )));
        return Node::table(lines.origin(0));
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = error.span().map_or(0, |span| span.start);
        mistakes.push(Mistake {
            key: String::new(),
            what: format!("not TOML: {}", error.message()),
            origin: Some(lines.origin(at)),
        });
    }
    lines.table(table.get_ref(), 0)
}

struct Lines<'t> {
    text: &'t str,
    path: &'t Path,
}

impl Lines<'_> {
    fn origin(&self, at: usize) -> Origin {
        let before = self.text.as_bytes().get(..at).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        Origin::File {
            path: self.path.to_owned(),
            line,
        }
    }

    fn table(&self, table: &DeTable<'_>, at: usize) -> Node {
        let members = table.iter().map(|(key, value)| {
            (
                key.get_ref().to_string(),
                self.value(value, key.span().start),
            )
        });
        let members: BTreeMap<String, Node> = members.collect();
        Node {
            origin: self.origin(at),
            content: Content::Table(members),
        }
    }

    fn value(&self, value: &Spanned<DeValue<'_>>, at: usize) -> Node {
        match value.get_ref() {
            DeValue::Table(table) => self.table(table, at),
            other => Node::leaf(self.origin(at), plain(other)),
        }
    }
}

fn plain(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Value::String(number.as_str().to_owned()), Value::from),
        DeValue::Float(number) => number
            .as_str()
            .parse::<Number>()
            .map_or_else(|_| Value::String(number.as_str().to_owned()), Value::Number),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Array(values) => {
            Value::Array(values.iter().map(|value| plain(value.get_ref())).collect())
        }
        DeValue::Table(table) => Value::Object(
            table
                .iter()
                .map(|(key, value)| (key.get_ref().to_string(), plain(value.get_ref())))
                .collect(),
        ),
    }
}
