//! Checks that the configurations of all sources share.

use crate::period::{Period, TimeOfDay};
use crate::timetable::Timetable;
use http::Uri;
use kurs_telemetry::Secret;
use std::time::Duration;

/// Longest time a request may take, if the user asks for more.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(120);

/// Checks that a URL is absolute, of one of the schemes, and names a host. `key` is the path
/// of the setting; the URL itself is not repeated, for it may hold a secret.
pub fn check_url(key: &str, url: &str, schemes: &[&str], mistakes: &mut Vec<String>) {
    let allowed = schemes.join("://, ");
    let Ok(uri) = url.parse::<Uri>() else {
        mistakes.push(format!("{key}: not a URL; it starts with {allowed}://"));
        return;
    };
    if !uri
        .scheme_str()
        .is_some_and(|scheme| schemes.contains(&scheme))
    {
        mistakes.push(format!("{key}: must start with {allowed}://"));
    } else if uri.host().is_none_or(str::is_empty) {
        mistakes.push(format!("{key}: names no host"));
    }
}

/// Checks anchor, period and zone of a timetable under `prefix`, such as `sources.ecb`.
pub fn check_timetable(
    prefix: &str,
    anchor: TimeOfDay,
    period: Period,
    zone: Option<&str>,
    mistakes: &mut Vec<String>,
) {
    // One at a time, so that both mistakes are told.
    if let Err(error) = Timetable::new(anchor, period, None) {
        mistakes.push(format!("{prefix}.period: {error}"));
    }
    if let Err(error) = Timetable::new(anchor, Period::hours(24), zone) {
        mistakes.push(format!("{prefix}.zone: {error}"));
    }
}

/// Checks that a duration lies between two others, inclusive.
pub fn check_range(key: &str, value: Period, from: Period, to: Period, mistakes: &mut Vec<String>) {
    if value < from || value > to {
        mistakes.push(format!("{key}: is between {from} and {to}, not {value}"));
    }
}

/// Checks what every polled source has: place in the order, timeout, longest age.
pub fn check_common(
    prefix: &str,
    priority: u16,
    timeout: Period,
    max_age_ms: Option<u64>,
    mistakes: &mut Vec<String>,
) {
    if priority == 0 {
        mistakes.push(format!("{prefix}.priority: is 1 (best) or more"));
    }
    let key = format!("{prefix}.timeout");
    check_range(
        &key,
        timeout,
        Period::seconds(1),
        Period(LONGEST_TIMEOUT),
        mistakes,
    );
    if max_age_ms == Some(0) {
        mistakes.push(format!(
            "{prefix}.max_age_ms: is 1 or more; leave it out for no limit"
        ));
    }
}

/// The URL with `path` appended, unless it has a path of its own. A URL given by the user means
/// exactly that host.
#[must_use]
pub fn with_default_path(url: &str, path: &str) -> String {
    let has_path = url
        .parse::<Uri>()
        .is_ok_and(|uri| !matches!(uri.path(), "" | "/"));
    if has_path {
        url.to_owned()
    } else {
        format!("{}{path}", url.trim_end_matches('/'))
    }
}

/// The URL itself when its path ends so, otherwise with `path` appended to what path it has.
#[must_use]
pub fn with_file(url: &str, ending: &str, path: &str) -> String {
    let is_file = url
        .parse::<Uri>()
        .is_ok_and(|uri| uri.path().ends_with(ending));
    if is_file {
        url.to_owned()
    } else {
        format!("{}{path}", url.trim_end_matches('/'))
    }
}

/// The key, if there is one that is not blank.
#[must_use]
pub fn given(key: Option<&Secret>) -> Option<&Secret> {
    key.filter(|secret| !secret.reveal().trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_the_user_means_exactly_that_host() {
        let check = |url: &str, expect: &str| assert_eq!(with_default_path(url, "/api"), expect);
        check("http://127.0.0.1:81", "http://127.0.0.1:81/api");
        check("http://127.0.0.1:81/", "http://127.0.0.1:81/api");
        check("http://127.0.0.1:81/other", "http://127.0.0.1:81/other");
        let file = |url: &str| with_file(url, ".xml", "/a/daily.xml");
        assert_eq!(file("http://h"), "http://h/a/daily.xml");
        assert_eq!(file("http://h/base/"), "http://h/base/a/daily.xml");
        assert_eq!(file("http://h/x.xml?y=1"), "http://h/x.xml?y=1");
    }

    #[test]
    fn wrong_urls_are_told_without_being_repeated() {
        for url in [
            "",
            "host",
            "ftp://host/",
            "https://",
            "/path",
            "http://a b/",
            "ws://host?key=s3cret",
        ] {
            let mut mistakes = Vec::new();
            check_url(
                "sources.ecb.rest_url",
                url,
                &["https", "http"],
                &mut mistakes,
            );
            assert_eq!(mistakes.len(), 1, "{url:?}");
            assert!(
                mistakes[0].starts_with("sources.ecb.rest_url: "),
                "{mistakes:?}"
            );
            assert!(!mistakes[0].contains("s3cret"));
        }
        let mut mistakes = Vec::new();
        check_url(
            "k",
            "http://127.0.0.1:8080",
            &["https", "http"],
            &mut mistakes,
        );
        assert_eq!(mistakes, Vec::<String>::new());
    }
}
