//! The body of a change, read member by member, with every mistake that is found.

use crate::problem::{FieldError, Kind, Problem};
use serde_json::{Map, Value};

/// Longest reason of a change, in characters.
const WHY_MAX: usize = 1_000;
/// A shorter text is no key, in bytes.
const KEY_MIN: usize = 40;
/// Said where a key of kurs was found among words for the log.
pub(super) const HOLDS_A_KEY: &str = "holds a key: nothing secret belongs into the audit log";

pub(super) fn shows_a_key(text: &str) -> bool {
    let mut words = text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '"'));
    words.any(|word| word.len() >= KEY_MIN && kurs_auth::key::looks_like_key(word))
}

pub(super) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The members of a body, taken one by one, with every mistake that is found.
pub(super) struct Members {
    members: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl Members {
    pub(super) fn of(body: Option<&Value>, known: &[&str]) -> Result<Self, Problem> {
        let Some(Value::Object(members)) = body else {
            let error = FieldError::pointer("", "must be an object");
            return Err(Problem::with_errors(Kind::InvalidBody, vec![error]));
        };
        let unknown = members
            .keys()
            .filter(|name| !known.contains(&name.as_str()));
        let errors = unknown.take(20).map(|name| {
            let pointer = format!("/{}", escaped(name));
            FieldError::pointer(&pointer, "is not a member of this document")
        });
        Ok(Self {
            errors: errors.collect(),
            members: members.clone(),
        })
    }

    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name)
    }

    pub(super) fn mistake<T>(&mut self, pointer: &str, detail: impl Into<String>) -> Option<T> {
        self.errors.push(FieldError::pointer(pointer, detail));
        None
    }

    pub(super) fn why(&mut self) -> Option<String> {
        match self.take("why") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text.chars().count() > WHY_MAX => {
                self.mistake("/why", format!("has more than {WHY_MAX} characters"))
            }
            Some(Value::String(text)) if shows_a_key(&text) => self.mistake("/why", HOLDS_A_KEY),
            Some(Value::String(text)) => Some(text),
            Some(_) => self.mistake("/why", "must be a string"),
        }
    }

    pub(super) fn finish(self) -> Result<(), Problem> {
        if self.errors.is_empty() {
            Ok(())
        } else {
            Err(Problem::with_errors(Kind::InvalidBody, self.errors))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pointers(body: &Value) -> Vec<String> {
        let mut members = match Members::of(Some(body), &["value", "why"]) {
            Ok(members) => members,
            Err(problem) => {
                return problem
                    .errors
                    .into_iter()
                    .filter_map(|error| error.pointer)
                    .collect();
            }
        };
        let _ = members.why();
        let errors = members.finish().err().map(|problem| problem.errors);
        errors
            .into_iter()
            .flatten()
            .filter_map(|error| error.pointer)
            .collect()
    }

    #[test]
    fn every_mistake_in_a_body_is_pointed_at() {
        assert_eq!(pointers(&json!([])), [""]);
        assert_eq!(pointers(&json!({"value": 1, "why": "a"})), [""; 0]);
        assert_eq!(pointers(&json!({"why": 1, "b/c": 2})), ["/b~1c", "/why"]);
        assert_eq!(pointers(&json!({"why": "x".repeat(WHY_MAX + 1)})), ["/why"]);
    }

    #[test]
    fn a_key_does_not_get_into_the_log() {
        let key = kurs_auth::SecretKey::make("live", |bytes| bytes.fill(7)).unwrap();
        assert!(shows_a_key(&format!(
            "made with \"{}\", by me",
            key.reveal()
        )));
        assert!(!shows_a_key("the kurs of the ruble, kurs_live"));
    }
}
