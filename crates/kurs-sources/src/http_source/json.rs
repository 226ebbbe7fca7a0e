//! JSON with its numbers as text: no number passes through binary floating point.

use super::limits::{MAX_DEPTH, MAX_NODES};
use crate::decode::{DecodeError, excerpt};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// A JSON value. What a number is, its reader decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value<'t> {
    /// null
    Null,
    /// true or false
    Bool(bool),
    /// A number, digit by digit as it was written.
    Number(&'t str),
    /// A text.
    Text(Cow<'t, str>),
    /// A list.
    List(Vec<Value<'t>>),
    /// Members in the order of the document. A name may come twice; then both are there.
    Object(Vec<(Cow<'t, str>, Value<'t>)>),
}

impl<'t> Value<'t> {
    /// Reads a document.
    ///
    /// # Errors
    /// [`DecodeError::Format`] for what is no JSON, and for a document nested deeper or with
    /// more values than any rate service sends.
    pub fn read(text: &'t str) -> Result<Self, DecodeError> {
        let raw: &RawValue = serde_json::from_str(text).map_err(|error| not_json(&error))?;
        let mut nodes_left = MAX_NODES;
        value(raw, MAX_DEPTH, &mut nodes_left)
    }

    /// What it is, for messages.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

fn not_json(error: &serde_json::Error) -> DecodeError {
    DecodeError::Format(format!("no JSON: {}", excerpt(&error.to_string(), 120)))
}

/// Every level scans its own text once more, so that a document costs its length times its
/// depth; both are bounded.
fn value<'t>(
    raw: &'t RawValue,
    depth_left: usize,
    nodes_left: &mut usize,
) -> Result<Value<'t>, DecodeError> {
    *nodes_left = nodes_left
        .checked_sub(1)
        .ok_or_else(|| DecodeError::Format(format!("more than {MAX_NODES} values")))?;
    let text = raw.get().trim_ascii();
    let deeper = || {
        depth_left
            .checked_sub(1)
            .ok_or_else(|| DecodeError::Format(format!("nested deeper than {MAX_DEPTH} levels")))
    };
    match text.as_bytes().first() {
        Some(b'{') => {
            let depth = deeper()?;
            let members: Members<'t> = parse(text)?;
            let mut object = Vec::with_capacity(members.0.len());
            for (name, member) in members.0 {
                object.push((name, value(member, depth, nodes_left)?));
            }
            Ok(Value::Object(object))
        }
        Some(b'[') => {
            let depth = deeper()?;
            let items: Vec<&'t RawValue> = parse(text)?;
            let mut list = Vec::with_capacity(items.len());
            for item in items {
                list.push(value(item, depth, nodes_left)?);
            }
            Ok(Value::List(list))
        }
        Some(b'"') => parse::<Name<'t>>(text).map(|text| Value::Text(text.0)),
        Some(b't') => Ok(Value::Bool(true)),
        Some(b'f') => Ok(Value::Bool(false)),
        Some(b'n') => Ok(Value::Null),
        _ => Ok(Value::Number(text)),
    }
}

fn parse<'t, T: Deserialize<'t>>(text: &'t str) -> Result<T, DecodeError> {
    serde_json::from_str(text).map_err(|error| not_json(&error))
}

/// The members of an object, in their order and however often each name comes.
struct Members<'t>(Vec<(Cow<'t, str>, &'t RawValue)>);

impl<'t> Deserialize<'t> for Members<'t> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'t> Visitor<'t> for MembersVisitor {
    type Value = Members<'t>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Members<'t>, A::Error> {
        let mut members = Vec::new();
        while let Some((name, member)) = map.next_entry::<Name<'t>, &'t RawValue>()? {
            members.push((name.0, member));
        }
        Ok(Members(members))
    }
}

/// A text, borrowed unless it has escapes. `Cow` itself always copies.
struct Name<'t>(Cow<'t, str>);

impl<'t> Deserialize<'t> for Name<'t> {
    fn deserialize<D: Deserializer<'t>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor).map(Name)
    }
}

struct TextVisitor;

impl<'t> Visitor<'t> for TextVisitor {
    type Value = Cow<'t, str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text")
    }

    fn visit_borrowed_str<E>(self, text: &'t str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_keep_every_digit() {
        let text =
            r#"{"a":0.1234567890123456789012345,"b":[1e308,-0.10,1E-5],"c":"\u00e4","c":null}"#;
        let Value::Object(members) = Value::read(text).unwrap() else {
            panic!("no object");
        };
        assert_eq!(members[0].1, Value::Number("0.1234567890123456789012345"));
        let numbers = ["1e308", "-0.10", "1E-5"].map(Value::Number).to_vec();
        assert_eq!(members[1].1, Value::List(numbers));
        assert_eq!(members[2].1, Value::Text("ä".into()));
        assert_eq!(members[3], ("c".into(), Value::Null));
    }

    #[test]
    fn documents_without_end_are_refused_and_do_not_overflow_the_stack() {
        for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
            let nested = |depth: usize| open.repeat(depth) + "1" + &close.repeat(depth);
            assert!(Value::read(&nested(MAX_DEPTH)).is_ok());
            let error = Value::read(&nested(MAX_DEPTH + 1)).unwrap_err();
            assert!(error.to_string().contains("nested deeper"), "{error}");
            assert!(Value::read(&nested(100_000)).is_err());
            assert!(Value::read(&open.repeat(100_000)).is_err());
        }
        let many = format!("[{}1]", "1,".repeat(MAX_NODES));
        let error = Value::read(&many).unwrap_err();
        assert!(error.to_string().contains("more than"), "{error}");
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for text in [
            "",
            " ",
            "{",
            "[1,]",
            "{\"a\":1}x",
            "NaN",
            "01",
            "'a'",
            "\"\\ud800\"",
            "<a/>",
        ] {
            assert!(Value::read(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[\\[\\]{}\",:0-9a-z.\\\\ -]{0,80}") {
            let _ = Value::read(&text);
        }
    }
}
