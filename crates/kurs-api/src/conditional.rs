//! Validators and caching (RFC 9110 sections 8.8 and 13, RFC 9111).

use http::header::{IF_MATCH, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue};
use std::hash::Hasher;
use std::sync::LazyLock;
use std::time::Duration;

/// True when `If-None-Match` names this tag, or any tag by `*`: the answer is 304. Compared
/// weakly, as section 13.1.2 asks.
pub(crate) fn none_match_hits(headers: &HeaderMap, etag: &HeaderValue) -> bool {
    let own = opaque(etag.as_bytes());
    headers.get_all(IF_NONE_MATCH).iter().any(|value| {
        let bytes = value.as_bytes();
        bytes.trim_ascii() == b"*" || tags(bytes).any(|tag| tag == own)
    })
}

/// The versions that `If-Match` names: a change is wanted only of one of them. `None`: of any. A tag
/// begins with its version, see [`version_etag`]; one that does not is of no version. Whether a tag
/// is weak says how its body was coded, and nothing of what it is the version of.
pub(crate) fn expected_versions(headers: &HeaderMap) -> Option<Vec<u64>> {
    let mut values = headers.get_all(IF_MATCH).iter().peekable();
    values.peek()?;
    let mut versions = Vec::new();
    for value in values {
        let bytes = value.as_bytes();
        if bytes.trim_ascii() == b"*" {
            return None;
        }
        versions.extend(tags(bytes).filter_map(|tag| {
            let text = std::str::from_utf8(tag).ok()?.trim_matches('"');
            text.split('-').next()?.parse::<u64>().ok()
        }));
    }
    Some(versions)
}

/// A tag for a body of this version, parts of which may change without one.
pub(crate) fn version_etag(version: u64, body: &[u8]) -> HeaderValue {
    let content = content_etag(body);
    let content = content.to_str().unwrap_or("").trim_matches('"');
    HeaderValue::from_str(&format!("\"{version}-{content}\""))
        .unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// A tag without its mark of weakness.
fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

/// The quoted tags of a list. A comma may stand inside quotes, so quotes lead.
fn tags(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = list;
    std::iter::from_fn(move || {
        let start = rest.iter().position(|byte| *byte == b'"')?;
        let from_quote = rest.get(start..)?;
        let length = from_quote.get(1..)?.iter().position(|byte| *byte == b'"')? + 2;
        let (tag, after) = from_quote.split_at_checked(length)?;
        rest = after;
        Some(tag)
    })
}

/// The weak form of a tag, for a body whose bytes were compressed.
pub(crate) fn weakened(etag: &HeaderValue) -> HeaderValue {
    if etag.as_bytes().starts_with(b"W/") {
        return etag.clone();
    }
    HeaderValue::from_bytes(&[b"W/", etag.as_bytes()].concat()).unwrap_or_else(|_| etag.clone())
}

/// A tag made of the content, for bodies that have no sequence of their own.
pub(crate) fn content_etag(body: &[u8]) -> HeaderValue {
    // Keys are fixed, so the same content has the same tag on every instance of one version.
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(body);
    HeaderValue::from_str(&format!("\"{:016x}\"", hasher.finish()))
        .unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}

/// How long an answer may be kept by caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caching {
    /// Not at all.
    NoStore,
    /// This long, whole seconds, at most 60.
    For(Duration),
    /// Kept, but asked about before every use.
    Revalidate,
}

/// Longest a rate may be kept, seconds.
const MAX_AGE_MAX: usize = 60;

static MAX_AGE: LazyLock<Vec<HeaderValue>> = LazyLock::new(|| {
    (0..=MAX_AGE_MAX)
        .map(|seconds| {
            HeaderValue::from_str(&format!("max-age={seconds}"))
                .unwrap_or_else(|_| HeaderValue::from_static("no-store"))
        })
        .collect()
});

static PRIVATE_MAX_AGE: LazyLock<Vec<HeaderValue>> = LazyLock::new(|| {
    (0..=MAX_AGE_MAX)
        .map(|seconds| {
            HeaderValue::from_str(&format!("private, max-age={seconds}"))
                .unwrap_or_else(|_| HeaderValue::from_static("no-store"))
        })
        .collect()
});

/// `Cache-Control` for what is valid this long, for one caller.
pub(crate) fn private_max_age(valid_for: Duration) -> HeaderValue {
    of_age(&PRIVATE_MAX_AGE, valid_for)
}

/// `Cache-Control` for what is valid this long.
pub(crate) fn max_age(valid_for: Duration) -> HeaderValue {
    of_age(&MAX_AGE, valid_for)
}

fn of_age(ages: &[HeaderValue], valid_for: Duration) -> HeaderValue {
    let seconds = usize::try_from(valid_for.as_secs())
        .unwrap_or(MAX_AGE_MAX)
        .min(MAX_AGE_MAX);
    ages.get(seconds)
        .cloned()
        .unwrap_or_else(|| HeaderValue::from_static("no-store"))
}

impl Caching {
    /// The field's value.
    pub(crate) fn header(self) -> HeaderValue {
        match self {
            Self::NoStore => HeaderValue::from_static("no-store"),
            Self::For(valid_for) => max_age(valid_for),
            Self::Revalidate => HeaderValue::from_static("no-cache"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(value: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(IF_NONE_MATCH, HeaderValue::from_str(value).unwrap());
        none_match_hits(&headers, &HeaderValue::from_static("\"0.1-7\""))
    }

    #[test]
    fn if_none_match_compares_weakly_over_lists_and_stars() {
        for value in [
            "\"0.1-7\"",
            "W/\"0.1-7\"",
            "\"a\", \"0.1-7\"",
            "\"a,b\",W/\"0.1-7\"",
            "*",
            " * ",
        ] {
            assert!(hits(value), "{value}");
        }
        for value in [
            "\"0.1-8\"",
            "0.1-7",
            "\"0.1-7",
            "",
            "W/",
            "\"x0.1-7\"",
            "\"a\" *",
        ] {
            assert!(!hits(value), "{value}");
        }
    }

    #[test]
    fn if_match_names_versions_whatever_the_coding() {
        let expected = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(IF_MATCH, HeaderValue::from_static(value));
            expected_versions(&headers)
        };
        assert_eq!(expected_versions(&HeaderMap::new()), None);
        assert_eq!(expected("*"), None);
        assert_eq!(expected("\"7\""), Some(vec![7]));
        assert_eq!(expected("W/\"7-0f\", \"8\""), Some(vec![7, 8]));
        assert_eq!(
            expected("\"x\""),
            Some(Vec::new()),
            "no version is this one"
        );
        let etag = version_etag(7, b"body");
        let mut headers = HeaderMap::new();
        headers.insert(IF_MATCH, weakened(&etag));
        assert_eq!(expected_versions(&headers), Some(vec![7]));
    }

    #[test]
    fn cache_time_is_whole_seconds_up_to_sixty() {
        assert_eq!(max_age(Duration::from_millis(4_999)), "max-age=4");
        assert_eq!(max_age(Duration::from_millis(999)), "max-age=0");
        assert_eq!(max_age(Duration::from_secs(86_400)), "max-age=60");
    }

    #[test]
    fn content_tags_depend_on_content_only() {
        assert_eq!(content_etag(b"a"), content_etag(b"a"));
        assert_ne!(content_etag(b"a"), content_etag(b"b"));
        assert_eq!(weakened(&HeaderValue::from_static("\"a\"")), "W/\"a\"");
        assert_eq!(weakened(&HeaderValue::from_static("W/\"a\"")), "W/\"a\"");
    }
}
