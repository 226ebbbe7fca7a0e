//! Parameters of a call: from the query, a JSON body, a form, or multipart with files.

use crate::http::query::Query;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Parts of a multipart body that are looked at.
const PARTS_MAX: usize = 32;

/// A file of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The parameters of one call.
#[derive(Debug, Clone, Default)]
pub struct Params {
    values: Map<String, Value>,
    files: BTreeMap<String, Upload>,
}

impl Params {
    /// Parameters without files.
    #[must_use]
    pub fn of(values: Value) -> Self {
        let values = match values {
            Value::Object(values) => values,
            _ => Map::new(),
        };
        Self {
            values,
            files: BTreeMap::new(),
        }
    }

    /// The same with a file.
    #[must_use]
    pub fn with_file(mut self, name: &str, bytes: Vec<u8>) -> Self {
        self.files.insert(name.to_owned(), Upload { bytes });
        self
    }

    pub(crate) fn read(query: &str, content_type: &str, body: &[u8]) -> Result<Self, String> {
        let mut params = Self::default();
        params.take_form(query);
        let kind = content_type.split(';').next().unwrap_or("").trim();
        match kind {
            _ if body.is_empty() => {}
            "application/json" => {
                let read: Value = serde_json::from_slice(body)
                    .map_err(|_| "can't parse JSON object".to_owned())?;
                let Value::Object(values) = read else {
                    return Err("JSON object expected".to_owned());
                };
                params.values.extend(values);
            }
            "application/x-www-form-urlencoded" => {
                params.take_form(&String::from_utf8_lossy(body));
            }
            "multipart/form-data" => params.take_multipart(content_type, body)?,
            _ => return Err("unsupported content type".to_owned()),
        }
        Ok(params)
    }

    fn take_form(&mut self, text: &str) {
        let query = Query::parse(text);
        for (name, value) in query.iter() {
            self.values
                .insert(name.to_owned(), Value::String(value.to_owned()));
        }
    }

    fn take_multipart(&mut self, content_type: &str, body: &[u8]) -> Result<(), String> {
        let boundary = content_type
            .split(';')
            .find_map(|part| part.trim().strip_prefix("boundary="))
            .map(|boundary| boundary.trim_matches('"'))
            .filter(|boundary| (1..=70).contains(&boundary.len()))
            .ok_or("multipart without a boundary")?;
        let mark = format!("--{boundary}");
        let mut parts = split(body, mark.as_bytes()).into_iter();
        parts.next();
        for part in parts.take(PARTS_MAX) {
            if part.starts_with(b"--") {
                return Ok(());
            }
            let part = part.strip_prefix(b"\r\n").ok_or("broken multipart")?;
            let end = find(part, b"\r\n\r\n").ok_or("broken multipart")?;
            let (head, rest) = part.split_at(end);
            let content = rest
                .strip_prefix(b"\r\n\r\n")
                .and_then(|rest| rest.strip_suffix(b"\r\n"))
                .ok_or("broken multipart")?;
            let head = String::from_utf8_lossy(head);
            let name = attribute(&head, "name").ok_or("a part without a name")?;
            if attribute(&head, "filename").is_some() {
                let bytes = content.to_vec();
                self.files.insert(name, Upload { bytes });
            } else {
                let text = String::from_utf8_lossy(content).into_owned();
                self.values.insert(name, Value::String(text));
            }
        }
        Err("multipart without an end".to_owned())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// A text; a number counts as its text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        match self.values.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// A whole number, also written as a text.
    pub(crate) fn integer(&self, name: &str) -> Option<i64> {
        match self.values.get(name)? {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    }

    pub(crate) fn is_true(&self, name: &str) -> bool {
        match self.values.get(name) {
            Some(Value::Bool(yes)) => *yes,
            Some(Value::String(text)) => text == "true",
            _ => false,
        }
    }

    /// An object or a list, also as its JSON text, as forms send it.
    pub(crate) fn structure(&self, name: &str) -> Option<Value> {
        match self.values.get(name)? {
            Value::String(text) => serde_json::from_str(text).ok(),
            Value::Null => None,
            other => Some(other.clone()),
        }
    }

    pub(crate) fn file(&self, name: &str) -> Option<&Upload> {
        self.files.get(name)
    }
}

fn attribute(head: &str, name: &str) -> Option<String> {
    let line = head.lines().find(|line| {
        line.to_ascii_lowercase()
            .starts_with("content-disposition:")
    })?;
    line.split(';').find_map(|part| {
        let (key, value) = part.trim().split_once('=')?;
        (key == name).then(|| value.trim_matches('"').to_owned())
    })
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

fn split<'a>(mut text: &'a [u8], mark: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    while let Some(at) = find(text, mark) {
        let (part, rest) = text.split_at(at);
        parts.push(part);
        text = rest.get(mark.len()..).unwrap_or_default();
    }
    parts.push(text);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn parameters_come_in_every_form_the_real_one_takes() {
        let of = |query: &str, kind: &str, body: &str| {
            Params::read(query, kind, body.as_bytes()).unwrap()
        };
        let multipart = "--x\r\nContent-Disposition: form-data; name=\"chat_id\"\r\n\r\n7\r\n\
             --x\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"a.png\"\r\n\
             Content-Type: image/png\r\n\r\n\u{1}\r\n2\r\n--x--\r\n";
        for params in [
            of("chat_id=7", "", ""),
            of("", "application/json", "{\"chat_id\":7}"),
            of("", "application/x-www-form-urlencoded", "chat_id=7"),
            of("", "multipart/form-data; boundary=x", multipart),
        ] {
            assert_eq!(params.integer("chat_id"), Some(7));
        }
        let params = of("", "multipart/form-data; boundary=x", multipart);
        assert_eq!(params.file("photo").unwrap().bytes, b"\x01\r\n2");
        let listed = of("allowed_updates=%5B%22message%22%5D", "", "");
        assert_eq!(
            listed.structure("allowed_updates"),
            Some(json!(["message"]))
        );
    }

    proptest! {
        #[test]
        fn no_body_panics(body in any::<Vec<u8>>(), glue in "(--x|\r\n|name=|\"|;|--){0,12}") {
            let body = [glue.as_bytes(), &body].concat();
            let _ = Params::read("", "multipart/form-data; boundary=x", &body);
            let _ = Params::read("", "application/json", &body);
        }
    }
}
