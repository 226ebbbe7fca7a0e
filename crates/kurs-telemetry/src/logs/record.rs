//! One event as data, before it becomes a line.

use crate::level::Level;
use std::fmt;
use tracing::field::{Field, Visit};

/// Fields that have a place of their own in every line.
pub(crate) const NAMED: [&str; 3] = ["request_id", "source", "pair"];

/// Fields of an event or a span, in the order they were given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    pub(crate) message: String,
    pub(crate) critical: bool,
    pub(crate) rest: Vec<(&'static str, String)>,
    /// Fields whose text is a JSON number or boolean as it is.
    pub(crate) bare: Vec<&'static str>,
}

impl Fields {
    /// The value of a field.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.rest
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value.as_str())
    }

    /// Takes from an enclosing span what the event does not say itself.
    pub(crate) fn inherit(&mut self, span: &Self) {
        for (name, value) in &span.rest {
            if self.get(name).is_none() {
                self.rest.push((name, value.clone()));
            }
        }
    }

    fn put(&mut self, field: &Field, value: String) {
        match field.name() {
            "message" => self.message = value,
            name => self.rest.push((name, value)),
        }
    }
}

impl Visit for Fields {
    fn record_bool(&mut self, field: &Field, value: bool) {
        if field.name() == "critical" {
            self.critical = value;
        } else {
            self.bare.push(field.name());
            self.put(field, value.to_string());
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare.push(field.name());
        self.put(field, value.to_string());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.bare.push(field.name());
        self.put(field, value.to_string());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.to_owned());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.put(field, value.to_string());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

/// One event, complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// RFC 3339, UTC, milliseconds.
    pub(crate) ts: String,
    pub(crate) level: Level,
    pub(crate) target: String,
    pub(crate) fields: Fields,
    /// How often the same was left out since it was last written.
    pub(crate) left_out: u64,
}

impl Record {
    /// What makes two events the same event for counting repeats: ids and measured values may
    /// differ, the place and the words may not.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.level == other.level
            && self.target == other.target
            && self.fields.message == other.fields.message
            && ["source", "pair", "error", "why"]
                .into_iter()
                .all(|name| self.fields.get(name) == other.fields.get(name))
    }
}
