//! What is asked: the URL and headers, with the key in its places.

use super::config::Config;
use crate::settings;
use http::{HeaderName, HeaderValue};
use kurs_net::http::Header;
use kurs_telemetry::{Secret, secret::REDACTED};

/// What stands for the key in URL and headers.
const PLACEHOLDER: &str = "{key}";

/// No more headers than this.
const MOST_HEADERS: usize = 32;

/// Headers that the client sets itself.
const OWN_HEADERS: [&str; 8] = [
    "accept-encoding",
    "connection",
    "content-length",
    "host",
    "if-modified-since",
    "if-none-match",
    "te",
    "transfer-encoding",
];

/// A request that is ready to be sent.
#[derive(Debug, Clone)]
pub struct Template {
    url: Secret,
    shown_url: String,
    headers: Vec<Header>,
    hidden: Vec<Secret>,
}

impl Template {
    /// The request of a configuration; everything that is wrong with it is added to `mistakes`.
    pub fn new(config: &Config, mistakes: &mut Vec<String>) -> Option<Self> {
        let before = mistakes.len();
        let key = config.given_key().map(|key| key.reveal().trim());
        check_url(&config.url, mistakes);
        let in_headers = |text: &Secret| text.reveal().contains(PLACEHOLDER);
        let is_wanted = config.url.contains(PLACEHOLDER) || config.headers.values().any(in_headers);
        match (key, is_wanted) {
            (None, true) => mistakes.push("key: is missing; {key} stands for it".to_owned()),
            (Some(_), false) => {
                mistakes.push("key: is used nowhere; write {key} into url or a header".to_owned())
            }
            _ => {}
        }
        let key = key.unwrap_or_default();
        let mut headers = Vec::new();
        if config.headers.len() > MOST_HEADERS {
            mistakes.push(format!("headers: more than {MOST_HEADERS}"));
        }
        for (name, value) in &config.headers {
            match header(name, &value.reveal().replace(PLACEHOLDER, key)) {
                Ok(header) => headers.push(header),
                Err(why) => mistakes.push(format!("headers.{name}: {why}")),
            }
        }
        if mistakes.len() > before {
            return None;
        }
        let encoded = percent_encoded(key);
        let url = config.url.replace(PLACEHOLDER, &encoded);
        let mut hidden = Vec::new();
        if !key.is_empty() {
            hidden.extend([Secret::new(key), Secret::new(&encoded)]);
        }
        Some(Self {
            url: Secret::new(&url),
            shown_url: config.url.replace(PLACEHOLDER, REDACTED),
            headers,
            hidden,
        })
    }

    /// The URL, key included.
    #[must_use]
    pub fn url(&self) -> String {
        self.url.reveal().to_owned()
    }

    /// The URL as it may be shown.
    #[must_use]
    pub fn shown_url(&self) -> &str {
        &self.shown_url
    }

    /// The headers, all of them secret.
    #[must_use]
    pub fn headers(&self) -> Vec<Header> {
        self.headers.clone()
    }

    /// A text from outside without the key, which servers like to repeat.
    #[must_use]
    pub fn redacted(&self, text: &str) -> String {
        self.hidden.iter().fold(text.to_owned(), |text, secret| {
            text.replace(secret.reveal(), REDACTED)
        })
    }
}

fn check_url(url: &str, mistakes: &mut Vec<String>) {
    if url.is_empty() {
        mistakes.push("url: is missing".to_owned());
        return;
    }
    let filled = url.replace(PLACEHOLDER, "k");
    settings::check_url("url", &filled, &["https", "http"], mistakes);
    let authority = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        let how = "headers = { Authorization = \"Basic {key}\" }";
        mistakes.push(format!(
            "url: holds a user or password; write {how} instead"
        ));
    }
    if authority.contains(PLACEHOLDER) {
        mistakes.push("url: the key cannot stand in the host".to_owned());
    }
}

fn header(name: &str, value: &str) -> Result<Header, String> {
    let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "is no name of a header")?;
    if OWN_HEADERS.contains(&parsed.as_str()) {
        return Err("is set by kurs itself".to_owned());
    }
    HeaderValue::from_str(value)
        .map_err(|_| "holds a line end or another letter that no header may have")?;
    Ok(Header {
        name: parsed.as_str().to_owned().into(),
        value: value.into(),
        secret: true,
    })
}

/// Everything but the unreserved letters of RFC 3986 as %XX.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: serde_json::Value) -> Config {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn the_key_goes_into_url_and_headers_and_is_never_shown() {
        let config = config(serde_json::json!({
            "url": "https://h/v6/{key}/latest?k={key}&x=1", "key": " can/ary ",
            "headers": {"Authorization": "Bearer {key}", "X-Plain": "1"},
        }));
        let template = Template::new(&config, &mut Vec::new()).unwrap();
        assert_eq!(
            template.url(),
            "https://h/v6/can%2Fary/latest?k=can%2Fary&x=1"
        );
        assert_eq!(template.shown_url(), "https://h/v6/***/latest?k=***&x=1");
        let headers = template.headers();
        assert_eq!(
            (&*headers[0].name, &*headers[0].value),
            ("authorization", "Bearer can/ary")
        );
        let shown = format!(
            "{template:?} {config:?} {}",
            template.redacted("a can/ary can%2Fary")
        );
        assert!(
            !shown.contains("can/ary") && !shown.contains("can%2Fary"),
            "{shown}"
        );
    }

    #[test]
    fn requests_that_cannot_be_are_refused() {
        for (json, expect) in [
            (serde_json::json!({}), "url: is missing"),
            (
                serde_json::json!({"url": "ftp://h"}),
                "url: must start with https://",
            ),
            (
                serde_json::json!({"url": "https://u:canary@h/"}),
                "url: holds a user or password",
            ),
            (
                serde_json::json!({"url": "https://{key}.h/", "key": "canary"}),
                "url: the key cannot",
            ),
            (
                serde_json::json!({"url": "https://h/?{key}"}),
                "key: is missing",
            ),
            (
                serde_json::json!({"url": "https://h/", "key": "canary"}),
                "key: is used nowhere",
            ),
            (
                serde_json::json!({"url": "https://h/", "headers": {"a b": "canary"}}),
                "headers.a b: is no name",
            ),
            (
                serde_json::json!({"url": "https://h/", "headers": {"x": "canary\n"}}),
                "headers.x: holds a line end",
            ),
            (
                serde_json::json!({"url": "https://h/", "headers": {"Host": "canary"}}),
                "headers.Host: is set by kurs",
            ),
        ] {
            let mut mistakes = Vec::new();
            assert!(Template::new(&config(json), &mut mistakes).is_none());
            let said = mistakes.join("; ");
            assert!(
                said.starts_with(expect) && !said.contains("canary"),
                "{said}"
            );
        }
    }
}
