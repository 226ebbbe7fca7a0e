//! Ids of requests.

use http::HeaderValue;
use std::sync::atomic::{AtomicU64, Ordering};

/// Length of an id made here.
const LENGTH: usize = 24;
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Makes ids: a prefix drawn at random when the process starts, and a counter.
#[derive(Debug)]
pub(crate) struct RequestIds {
    prefix: [u8; 11],
    next: AtomicU64,
}

/// An id made here, kept in place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestId([u8; LENGTH]);

impl RequestIds {
    /// Ids that start with a prefix made of this number. Two processes should draw different
    /// ones; the ids are for finding log lines, not for secrecy.
    #[must_use]
    pub(crate) fn new(seed: u64) -> Self {
        let mut prefix = [b'-'; 11];
        write_digits(&mut prefix[..10], seed);
        Self {
            prefix,
            next: AtomicU64::new(1),
        }
    }

    /// The next id.
    #[must_use]
    pub(crate) fn next(&self) -> RequestId {
        let mut text = [0_u8; LENGTH];
        let (prefix, number) = text.split_at_mut(self.prefix.len());
        prefix.copy_from_slice(&self.prefix);
        write_digits(number, self.next.fetch_add(1, Ordering::Relaxed));
        RequestId(text)
    }
}

fn write_digits(place: &mut [u8], mut number: u64) {
    for digit in place.iter_mut().rev() {
        *digit = DIGITS[usize::from((number & 31) as u8)];
        number >>= 5;
    }
}

impl RequestId {
    /// The id as text.
    #[must_use]
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("")
    }

    /// The id as a header value.
    #[must_use]
    pub(crate) fn header(&self) -> HeaderValue {
        HeaderValue::from_bytes(&self.0).unwrap_or_else(|_| HeaderValue::from_static("none"))
    }
}

/// True for an id that a client may give: 8 to 64 letters, digits and dashes.
#[must_use]
pub(crate) fn is_accepted(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    (8..=64).contains(&bytes.len())
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_are_of_the_form_that_is_accepted() {
        let ids = RequestIds::new(u64::MAX);
        let (first, second) = (ids.next(), ids.next());
        assert_ne!(first.as_str(), second.as_str());
        assert!(is_accepted(&first.header()));
        assert_eq!(first.as_str().len(), LENGTH);
    }

    #[test]
    fn foreign_ids_are_taken_only_in_their_form() {
        for (text, expect) in [
            ("abc-1234", true),
            ("short", false),
            ("has space here", false),
        ] {
            assert_eq!(
                is_accepted(&HeaderValue::from_static(text)),
                expect,
                "{text}"
            );
        }
        let long = HeaderValue::from_str(&"a".repeat(65)).unwrap();
        assert!(!is_accepted(&long));
    }
}
