//! Reads the JSON body of a request: bounded in size, time and depth.

use crate::config::Limits;
use crate::problem::{FieldError, Kind, Problem};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use hyper::body::{Body, Incoming};
use serde_json::Value;
use std::future::poll_fn;
use std::pin::Pin;

/// Deepest nesting of a JSON body.
const DEPTH_MAX: usize = 32;

/// The body as JSON, at most `limit` bytes of it.
///
/// # Errors
/// A problem for another media type, for too many bytes, for a body that does not arrive, and
/// for what is no JSON.
pub(crate) async fn json(
    headers: &HeaderMap,
    body: Incoming,
    limits: &Limits,
    limit: usize,
) -> Result<Value, Problem> {
    check_media(headers)?;
    let too_large = || Problem::new(Kind::BodyTooLarge, format!("the limit is {limit} bytes"));
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > u64::try_from(limit).unwrap_or(u64::MAX)) {
        return Err(too_large());
    }
    let bytes = tokio::time::timeout(limits.body(), collect(body, limit))
        .await
        .map_err(|_| {
            Problem::new(
                Kind::RequestTimeout,
                format!("the limit is {} ms", limits.body_ms),
            )
        })?;
    match bytes {
        Ok(Some(bytes)) => parse(&bytes),
        Ok(None) => Err(too_large()),
        Err(_) => Err(invalid("", "the body was cut off")),
    }
}

fn check_media(headers: &HeaderMap) -> Result<(), Problem> {
    let refuse = |detail: &str| Err(Problem::new(Kind::UnsupportedMediaType, detail.to_owned()));
    if headers.contains_key(CONTENT_ENCODING) {
        return refuse("compressed bodies are not accepted");
    }
    let media = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    let plain = media.split(';').next().unwrap_or("").trim();
    if plain.eq_ignore_ascii_case("application/json") {
        Ok(())
    } else {
        refuse("the body must be application/json")
    }
}

/// All bytes, or `None` when there are more than `limit`.
async fn collect(mut body: Incoming, limit: usize) -> Result<Option<Vec<u8>>, hyper::Error> {
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        if let Ok(data) = frame?.into_data() {
            if bytes.len() + data.len() > limit {
                return Ok(None);
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok(Some(bytes))
}

fn invalid(pointer: &str, detail: impl Into<String>) -> Problem {
    Problem::with_errors(
        Kind::InvalidBody,
        vec![FieldError::pointer(pointer, detail)],
    )
}

fn parse(bytes: &[u8]) -> Result<Value, Problem> {
    if depth(bytes) > DEPTH_MAX {
        return Err(invalid("", format!("nested more than {DEPTH_MAX} deep")));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        invalid(
            "",
            format!("not JSON: line {}, column {}", error.line(), error.column()),
        )
    })
}

/// The deepest nesting, found before anything is built.
fn depth(bytes: &[u8]) -> usize {
    let (mut deepest, mut now) = (0_usize, 0_usize);
    let (mut in_string, mut escaped) = (false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                now += 1;
                deepest = deepest.max(now);
            }
            b']' | b'}' if !in_string => now = now.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Beyond it not every whole number has a place among floating-point numbers.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// A whole number, however it is written: to JSON `5.0` is the same as `5`.
pub(crate) fn whole(value: &Value) -> Option<i64> {
    let number = value.as_number()?;
    number.as_i64().or_else(|| {
        let written = number.as_f64()?;
        let is_whole = written.trunc() == written && written.abs() <= EXACT_MAX;
        // The text of such a number has no fraction.
        is_whole.then(|| format!("{written:.0}").parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_is_one_however_it_is_written() {
        for (text, expect) in [
            ("5", Some(5)),
            ("899.0", Some(899)),
            ("-1.71e2", Some(-171)),
            ("0.0", Some(0)),
            ("9223372036854775807", Some(i64::MAX)),
            ("1.5", None),
            ("1e30", None),
            ("\"5\"", None),
            ("null", None),
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(whole(&value), expect, "{text}");
        }
    }

    #[test]
    fn depth_counts_brackets_outside_strings() {
        for (text, expect) in [("1", 0), ("[{}]", 2), (r#"["[[\"[["]"#, 1), ("[][[]]", 2)] {
            assert_eq!(depth(text.as_bytes()), expect, "{text}");
        }
        assert!(
            parse("[".repeat(33).as_bytes())
                .unwrap_err()
                .detail
                .contains("deep")
        );
        assert!(parse(b"{").unwrap_err().detail.contains("not JSON"));
    }
}
