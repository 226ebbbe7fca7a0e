//! The HTTP client: one GET with a deadline, a size limit, validators, and the server's word on
//! when to come back.

mod client;
mod roots;
#[cfg(test)]
mod tests;

use bytes::Bytes;
pub use client::HttpClient;
pub use roots::tls_config;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// What to get.
#[derive(Clone)]
pub struct Fetch {
    /// Absolute URL, query included, without secrets where a header will do.
    pub url: String,
    /// The URL as it may be shown, for one with a secret in its path; `None` for the URL itself.
    /// The query is never shown.
    pub shown: Option<Arc<str>>,
    /// Further headers; values marked secret are never shown.
    pub headers: Vec<Header>,
    /// Validators of the last full answer, sent as If-None-Match and If-Modified-Since.
    pub validators: Option<Validators>,
    /// From first byte sent to last byte received.
    pub timeout: Duration,
    /// A longer body is refused.
    pub max_body_bytes: usize,
}

impl std::fmt::Debug for Fetch {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Fetch")
            .field("url", &self.shown_url())
            .field("headers", &self.headers)
            .field("validators", &self.validators)
            .finish_non_exhaustive()
    }
}

impl Fetch {
    /// The URL as it may be shown: some services want the key in the query.
    #[must_use]
    pub fn shown_url(&self) -> &str {
        let shown = self.shown.as_deref().unwrap_or(&self.url);
        shown.split(['?', '#']).next().unwrap_or_default()
    }
}

/// One request header.
#[derive(Clone)]
pub struct Header {
    /// Name, lower case.
    pub name: Cow<'static, str>,
    /// Value.
    pub value: Arc<str>,
    /// True when the value must never be shown.
    pub secret: bool,
}

impl std::fmt::Debug for Header {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = if self.secret { "***" } else { &*self.value };
        write!(formatter, "{}: {shown}", self.name)
    }
}

/// What makes the next request conditional.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Validators {
    /// The ETag, quotes included.
    pub etag: Option<String>,
    /// Last-Modified, or the Date of the answer where there is none.
    pub last_modified: Option<String>,
}

/// A successful answer.
#[derive(Debug, Clone)]
pub enum Fetched {
    /// 304: what was received last still holds.
    NotModified,
    /// 200 with its body.
    Body {
        /// The body, decompressed.
        bytes: Bytes,
        /// What makes the next request conditional.
        validators: Validators,
        /// Content-Type, lower case, if there was one.
        content_type: Option<String>,
        /// All response headers, names lower case; for budgets such as `x-mbx-used-weight-1m`.
        headers: Vec<(String, String)>,
    },
}

/// Why there is no answer, named by what the caller can do.
#[derive(Debug, Clone, Error)]
pub enum FetchError {
    /// Nothing came back: name, route, TLS or connection failed.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// The deadline passed.
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// 429 or 418 (or 503 with Retry-After): ask again only after this long.
    #[error("limited by the server (HTTP {status}), {}", in_words(*.retry_after))]
    Limited {
        /// The status.
        status: u16,
        /// From Retry-After; `None` when the server named no time.
        retry_after: Option<Duration>,
        /// The body, cut to 4 KiB, for venues that say more there.
        body: Bytes,
    },
    /// Another 4xx or a redirect: asking again the same way will not help.
    #[error("refused with HTTP {status}")]
    Refused {
        /// The status.
        status: u16,
        /// The body, cut to 4 KiB.
        body: Bytes,
    },
    /// 5xx.
    #[error("the server failed with HTTP {status}")]
    ServerError {
        /// The status.
        status: u16,
    },
    /// The body is longer than allowed.
    #[error("the answer is longer than {0} bytes")]
    TooLarge(usize),
    /// The answer broke off or could not be decompressed.
    #[error("the answer is broken: {0}")]
    Broken(String),
}

/// A wait in whole seconds, never shorter than it is.
fn in_words(wait: Option<Duration>) -> String {
    wait.map_or_else(
        || "no time named".to_owned(),
        |wait| {
            let seconds = wait.as_millis().div_ceil(1_000);
            format!("retry after {seconds} s")
        },
    )
}
