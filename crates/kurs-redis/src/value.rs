//! Answers of the server taken apart. Nothing here trusts their shape.

use redis::Value;

/// Text of an answer.
pub(crate) fn text(value: Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// A whole number of an answer.
pub(crate) fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok()?.parse().ok(),
        _ => None,
    }
}

/// The list of an answer, if it has this length.
pub(crate) fn list<const N: usize>(value: Value) -> Option<[Value; N]> {
    match value {
        Value::Array(values) => values.try_into().ok(),
        _ => None,
    }
}

/// Milliseconds since 1970 of an answer to TIME.
pub(crate) fn time_ms(value: Value) -> Option<u64> {
    let [seconds, micros] = list(value)?;
    let (seconds, micros) = (number(&seconds)?, number(&micros)?);
    seconds.checked_mul(1_000)?.checked_add(micros / 1_000)
}

/// An entry of a stream.
#[derive(Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) id: String,
    /// The field `d`, if it has one.
    pub(crate) data: Option<Vec<u8>>,
}

/// The entries in an answer to XREAD of one stream; `None` when it is no such answer.
pub(crate) fn entries(value: Value) -> Option<Vec<Entry>> {
    if matches!(value, Value::Nil) {
        return Some(Vec::new());
    }
    let [stream] = list(value)?;
    let [_, entries] = list(stream)?;
    let Value::Array(entries) = entries else {
        return None;
    };
    entries.into_iter().map(entry).collect()
}

fn entry(value: Value) -> Option<Entry> {
    let [id, fields] = list(value)?;
    let id = text(id)?;
    let mut data = None;
    if let Value::Array(fields) = fields {
        let mut fields = fields.into_iter();
        while let (Some(name), Some(content)) = (fields.next(), fields.next()) {
            if let (Value::BulkString(name), Value::BulkString(content)) = (name, content)
                && name == b"d"
            {
                data = Some(content);
            }
        }
    }
    Some(Entry { id, data })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    #[test]
    fn entries_are_found_and_other_shapes_are_refused() {
        let of = |fields: Value| {
            let entry = Value::Array(vec![bulk("1-0"), fields]);
            let stream = Value::Array(vec![bulk("flow"), Value::Array(vec![entry])]);
            entries(Value::Array(vec![stream]))
        };
        let found = |data: Option<&[u8]>| {
            let data = data.map(<[u8]>::to_vec);
            let id = "1-0".to_owned();
            Some(vec![Entry { id, data }])
        };
        let both = vec![bulk("s"), bulk("x"), bulk("d"), bulk("text")];
        assert_eq!(of(Value::Array(both)), found(Some(b"text")));
        assert_eq!(of(Value::Array(vec![bulk("d")])), found(None));
        assert_eq!(of(Value::Nil), found(None));
        assert_eq!(entries(Value::Nil), Some(vec![]));
        assert_eq!(entries(Value::Int(3)), None);
        assert_eq!(entries(Value::Array(vec![Value::Okay])), None);
    }

    #[test]
    fn a_time_is_milliseconds() {
        let told = Value::Array(vec![bulk("1700000000"), bulk("123456")]);
        assert_eq!(time_ms(told), Some(1_700_000_000_123));
        assert_eq!(time_ms(Value::Array(vec![bulk("x"), bulk("1")])), None);
        assert_eq!(time_ms(Value::Nil), None);
    }
}
