//! The configuration in force, redacted, each value with where it came from.

use super::check::show;
use super::redact::redact_url;
use super::schema::Schema;
use super::tree::{Node, show_path};
use kurs_telemetry::secret::REDACTED;
use serde_json::{Value, json};

/// A value as it may be shown.
pub(super) fn shown(schema: &Schema, path: &[String], value: &Value) -> Value {
    match value {
        Value::Null => Value::Null,
        _ if schema.is_secret_path(path) => Value::from(REDACTED),
        Value::String(text) => Value::from(redact_url(text)),
        Value::Array(values) => Value::Array(
            values
                .iter()
                .map(|value| shown(schema, path, value))
                .collect(),
        ),
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(key, value)| {
                    let full = [path, std::slice::from_ref(key)].concat();
                    (key.clone(), shown(schema, &full, value))
                })
                .collect(),
        ),
        other => other.clone(),
    }
}

/// Lines `key = value  # origin`. Keys without a value are left out.
#[must_use]
pub fn text(schema: &Schema, tree: &Node) -> String {
    let lines: Vec<(String, String)> = tree
        .leaves()
        .into_iter()
        .filter(|(_, value, _)| !value.is_null())
        .map(|(path, value, origin)| {
            let value = toml_value(&shown(schema, &path, value));
            (
                format!("{} = {value}", show_path(&path)),
                origin.to_string(),
            )
        })
        .collect();
    let width = lines
        .iter()
        .map(|(line, _)| line.chars().count())
        .max()
        .unwrap_or(0)
        .min(60);
    let lines: Vec<String> = lines
        .into_iter()
        .map(|(line, origin)| format!("{line:<width$}  # {origin}\n"))
        .collect();
    lines.concat()
}

/// `{"http.addr": {"value": ..., "origin": ...}}`.
#[must_use]
pub fn json(schema: &Schema, tree: &Node) -> Value {
    let members = tree.leaves().into_iter().map(|(path, value, origin)| {
        let entry = json!({ "value": shown(schema, &path, value), "origin": origin.to_string() });
        (show_path(&path), entry)
    });
    Value::Object(members.collect())
}

/// A value as TOML writes it.
#[must_use]
pub(super) fn toml_value(value: &Value) -> String {
    match value {
        Value::Array(values) => {
            let parts: Vec<String> = values.iter().map(toml_value).collect();
            format!("[{}]", parts.join(", "))
        }
        Value::Object(members) => {
            let parts: Vec<String> = members
                .iter()
                .map(|(key, value)| {
                    format!(
                        "{} = {}",
                        show_path(std::slice::from_ref(key)),
                        toml_value(value)
                    )
                })
                .collect();
            format!("{{ {} }}", parts.join(", "))
        }
        Value::String(text) => toml::Value::String(text.clone()).to_string(),
        other => show(other),
    }
}
