//! [`HttpClient`] over reqwest.

use super::{Fetch, FetchError, Fetched, Validators, tls_config};
use bytes::{Bytes, BytesMut};
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Client, Response, StatusCode, Url};
use std::error::Error;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, timeout_at};

/// Of the body of a refusal, no more than this is kept.
const MAX_REFUSAL_BYTES: usize = 4_096;

/// Idle connections are closed after this long; polls are mostly further apart.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(90);

/// Gets things by HTTP/1.1 and HTTP/2, over TLS or plain. Follows no redirects: a source's URL
/// means exactly that host. Proxies come from the environment (`HTTPS_PROXY`, `NO_PROXY`, ...);
/// loopback hosts are never asked through one. Clones share their connections.
#[derive(Debug, Clone)]
pub struct HttpClient {
    outward: Client,
    loopback: Client,
}

impl HttpClient {
    /// A client that introduces itself as `user_agent`.
    ///
    /// # Errors
    /// [`FetchError::Broken`] when TLS or the user agent cannot be set up.
    pub fn new(user_agent: &str) -> Result<Self, FetchError> {
        // Fails only when another part of the program was first, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut tls = tls_config().map_err(FetchError::Broken)?;
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let builder = || {
            Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .user_agent(user_agent)
                .redirect(reqwest::redirect::Policy::none())
                .retry(reqwest::retry::never())
                .pool_idle_timeout(POOL_IDLE_TIMEOUT)
                .referer(false)
        };
        let built = |client: reqwest::Result<Client>| {
            client.map_err(|error| FetchError::Broken(describe(error)))
        };
        Ok(Self {
            outward: built(builder().build())?,
            loopback: built(builder().no_proxy().build())?,
        })
    }

    /// Gets one answer, whole, within the fetch's deadline and size.
    ///
    /// # Errors
    /// [`FetchError`], named by what the caller can do. Never shows a query or a secret header.
    pub async fn get(&self, fetch: Fetch) -> Result<Fetched, FetchError> {
        let deadline = Instant::now() + fetch.timeout;
        let url = Url::parse(&fetch.url)
            .map_err(|error| FetchError::Unreachable(format!("the URL is wrong: {error}")))?;
        let shown = match &fetch.shown {
            Some(_) => fetch.shown_url().to_owned(),
            None => shown_url(&url),
        };
        let request = self
            .client_for(&url)
            .get(url)
            .headers(request_headers(&fetch)?);
        let sent = timeout_at(deadline, request.send());
        let response = match sent.await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                return Err(FetchError::Unreachable(format!(
                    "{shown}: {}",
                    describe(error)
                )));
            }
            Err(_) => return Err(FetchError::TimedOut(fetch.timeout)),
        };
        let status = response.status();
        match status {
            StatusCode::OK => read_body(response, &fetch, deadline).await,
            StatusCode::NOT_MODIFIED if fetch.validators.is_some() => Ok(Fetched::NotModified),
            StatusCode::TOO_MANY_REQUESTS | StatusCode::IM_A_TEAPOT => {
                Err(limited(response, deadline).await)
            }
            StatusCode::SERVICE_UNAVAILABLE
                if response.headers().contains_key(header::RETRY_AFTER) =>
            {
                Err(limited(response, deadline).await)
            }
            _ if status.is_server_error() => Err(FetchError::ServerError {
                status: status.as_u16(),
            }),
            _ if status.is_success() => Err(FetchError::Broken(format!(
                "HTTP {} without a body",
                status.as_u16()
            ))),
            _ => {
                let body = read_refusal(response, deadline).await;
                Err(FetchError::Refused {
                    status: status.as_u16(),
                    body,
                })
            }
        }
    }

    fn client_for(&self, url: &Url) -> &Client {
        if is_loopback(url) {
            &self.loopback
        } else {
            &self.outward
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else {
        return false;
    };
    let address = host.trim_start_matches('[').trim_end_matches(']');
    match address.parse::<std::net::IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

/// The URL without what may be secret in it: query, fragment, user and password.
fn shown_url(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url
        .port()
        .map_or_else(String::new, |port| format!(":{port}"));
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

/// The error with its causes, without the URL.
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = inner.source();
    }
    text
}

fn request_headers(fetch: &Fetch) -> Result<HeaderMap, FetchError> {
    let mut headers = HeaderMap::new();
    for wanted in &fetch.headers {
        // The value is left out of the message: it may be a key with a stray line end.
        let wrong = || FetchError::Unreachable(format!("header {} is malformed", wanted.name));
        let name = header::HeaderName::from_bytes(wanted.name.as_bytes()).map_err(|_| wrong())?;
        let mut value = HeaderValue::from_str(&wanted.value).map_err(|_| wrong())?;
        value.set_sensitive(wanted.secret);
        headers.insert(name, value);
    }
    if let Some(validators) = &fetch.validators {
        let pairs = [
            (header::IF_NONE_MATCH, &validators.etag),
            (header::IF_MODIFIED_SINCE, &validators.last_modified),
        ];
        for (name, value) in pairs {
            if let Some(value) = value
                .as_deref()
                .and_then(|text| HeaderValue::from_str(text).ok())
            {
                headers.insert(name, value);
            }
        }
    }
    Ok(headers)
}

async fn read_body(
    mut response: Response,
    fetch: &Fetch,
    deadline: Instant,
) -> Result<Fetched, FetchError> {
    let limit = fetch.max_body_bytes;
    // Absent for compressed bodies, whose true size shows only while reading.
    let announced = response
        .content_length()
        .and_then(|length| usize::try_from(length).ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(FetchError::TooLarge(limit));
    }
    let headers: Vec<(String, String)> = response
        .headers()
        .iter()
        .map(|(name, value)| {
            (
                name.as_str().to_owned(),
                String::from_utf8_lossy(value.as_bytes()).into_owned(),
            )
        })
        .collect();
    let mut bytes = BytesMut::with_capacity(announced.unwrap_or(0));
    loop {
        let chunk = timeout_at(deadline, response.chunk())
            .await
            .map_err(|_| FetchError::TimedOut(fetch.timeout))?;
        match chunk {
            Ok(None) => break,
            Ok(Some(chunk)) if bytes.len().saturating_add(chunk.len()) > limit => {
                return Err(FetchError::TooLarge(limit));
            }
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Err(error) => return Err(FetchError::Broken(describe(error))),
        }
    }
    let find = |name: header::HeaderName| {
        headers
            .iter()
            .find(|(known, _)| known == name.as_str())
            .map(|(_, value)| value.clone())
    };
    Ok(Fetched::Body {
        bytes: bytes.freeze(),
        validators: Validators {
            etag: find(header::ETAG),
            last_modified: find(header::LAST_MODIFIED).or_else(|| find(header::DATE)),
        },
        content_type: find(header::CONTENT_TYPE).map(|value| value.to_ascii_lowercase()),
        headers,
    })
}

async fn limited(response: Response, deadline: Instant) -> FetchError {
    let status = response.status().as_u16();
    let retry_after = retry_after(response.headers(), SystemTime::now());
    let body = read_refusal(response, deadline).await;
    FetchError::Limited {
        status,
        retry_after,
        body,
    }
}

/// What came of the body within deadline and limit; the status says enough without it.
async fn read_refusal(mut response: Response, deadline: Instant) -> Bytes {
    let mut bytes = BytesMut::new();
    while bytes.len() < MAX_REFUSAL_BYTES {
        let Ok(Ok(Some(chunk))) = timeout_at(deadline, response.chunk()).await else {
            break;
        };
        bytes.extend_from_slice(&chunk);
    }
    bytes.truncate(MAX_REFUSAL_BYTES);
    bytes.freeze()
}

/// Retry-After as seconds, or as a date counted from the answer's own Date, so that the two
/// machines' clocks need not agree. `now` serves only where the answer has no Date.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .map(str::trim)
    };
    let value = text(header::RETRY_AFTER)?;
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let until = httpdate::parse_http_date(value).ok()?;
    let answered = text(header::DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    Some(
        until
            .duration_since(answered.unwrap_or(now))
            .unwrap_or_default(),
    )
}
