//! The commented default file, made from the schema and the defaults, so that it cannot be
//! wrong. `kurs.example.toml` in the repository is this text; a test compares them.

use super::load::default_tree;
use super::print::toml_value;
use super::schema::{Schema, Shape};
use super::tree::{Content, Node, show_path};
use serde_json::Value;
use std::fmt::Write as _;

const HEAD: &str = "\
# kurs: every setting with its default. Copy it to kurs.toml and change what you need; a file
# is not needed at all. Stronger than this file: .env, the environment (KURS_HTTP__ADDR for
# http.addr), what is set while kurs runs (kurs settings), flags. Secrets also as files:
# key_file = \"/run/secrets/name\".
# What is in force and why: kurs config print. What is wrong: kurs config check.
";

/// The whole example file.
#[must_use]
pub fn text() -> String {
    let schema = Schema::of::<super::Config>();
    let mut text = HEAD.to_owned();
    table(
        &schema,
        schema.root(),
        &default_tree(),
        &mut Vec::new(),
        &mut text,
    );
    text
}

fn comment(text: &mut String, words: &str) {
    for line in words.lines() {
        let line = line.trim_end();
        let _ = if line.is_empty() {
            writeln!(text, "#")
        } else {
            writeln!(text, "# {line}")
        };
    }
}

/// Values first, then tables: the order TOML needs.
fn table(
    schema: &Schema,
    node: &Value,
    defaults: &Node,
    path: &mut Vec<String>,
    text: &mut String,
) {
    let Shape::Table {
        properties: Some(properties),
        ..
    } = schema.shape(node)
    else {
        return;
    };
    let is_table = |property: &Value| {
        matches!(
            schema.shape(property),
            Shape::Table {
                properties: Some(_),
                ..
            }
        ) && !schema.is_nullable(property)
    };
    for (key, property) in properties
        .iter()
        .filter(|(_, property)| !is_table(property))
    {
        text.push('\n');
        comment(text, schema.description(property).unwrap_or_default());
        comment(text, &hint(schema, property));
        let default = match &defaults
            .get(std::slice::from_ref(key))
            .map(|node| &node.content)
        {
            Some(Content::Leaf(value)) if !value.is_null() => Some(toml_value(value)),
            _ => None,
        };
        let _ = match default {
            Some(value) => writeln!(text, "{key} = {value}"),
            None => writeln!(text, "# {key} ="),
        };
    }
    for (key, property) in properties.iter().filter(|(_, property)| is_table(property)) {
        path.push(key.clone());
        text.push('\n');
        comment(text, schema.description(property).unwrap_or_default());
        let _ = writeln!(text, "[{}]", show_path(path));
        if let Some(defaults) = defaults.get(std::slice::from_ref(key)) {
            table(schema, property, defaults, path, text);
        }
        path.pop();
    }
}

/// What may stand there, where the description does not say it.
fn hint(schema: &Schema, property: &Value) -> String {
    match schema.shape(property) {
        Shape::Words(words) => format!("One of: {}.", words.join(", ")),
        Shape::Table { .. } => "A table; keys of your choice.".to_owned(),
        _ => String::new(),
    }
}
