//! Answers to browsers that ask whether a page of another origin may read (Fetch standard).
//! Off unless origins are configured. Never with credentials of the browser's own: a page sends
//! a key or a token itself.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
    VARY,
};
use http::{HeaderMap, HeaderValue};

fn allowed<'a>(origins: &[HeaderValue], request: &'a HeaderMap) -> Option<&'a HeaderValue> {
    request
        .get(ORIGIN)
        .filter(|origin| origins.contains(origin))
}

/// Lets a page of an allowed origin read the answer.
pub(crate) fn allow(origins: &[HeaderValue], request: &HeaderMap, answer: &mut HeaderMap) {
    if origins.is_empty() {
        return;
    }
    answer.append(VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = allowed(origins, request) {
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        answer.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(
                "ETag, Link, RateLimit, RateLimit-Policy, Retry-After, WWW-Authenticate, X-Request-Id, \
                 Api-Supported-Versions",
            ),
        );
    }
}

/// Answers the question before the request: reads only, whatever the route has.
pub(crate) fn preflight(
    origins: &[HeaderValue],
    request: &HeaderMap,
    allow: &str,
    answer: &mut HeaderMap,
) {
    if allowed(origins, request).is_none() || !request.contains_key(ACCESS_CONTROL_REQUEST_METHOD) {
        return;
    }
    let reads: Vec<&str> = allow
        .split(", ")
        .filter(|method| matches!(*method, "GET" | "HEAD" | "OPTIONS"))
        .collect();
    if let Ok(methods) = HeaderValue::from_str(&reads.join(", ")) {
        answer.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    }
    answer.insert(
        ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(
            "Accept, Authorization, If-None-Match, Last-Event-ID, Traceparent, X-Api-Key, \
             X-Request-Id",
        ),
    );
    answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
}
