//! One request, and how it ended.

use super::config::InfluxConfig;
use super::sending::Outcome;
use super::target::Target;
use flate2::Compression;
use flate2::write::GzEncoder;
use kurs_net::http::tls_config;
use kurs_telemetry::Secret;
use reqwest::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Response, StatusCode};
use std::error::Error;
use std::io::Write;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Of what a server says about a request, no more than this is read.
const ANSWER_BYTES_MAX: usize = 4_096;
/// Of what a server says about a request, no more than this is shown.
const SHOWN_CHARACTERS_MAX: usize = 300;
/// Idle connections are closed after this long.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const USER_AGENT: &str = concat!("kurs/", env!("CARGO_PKG_VERSION"));

/// Sends lines to one database. Follows no redirect.
#[derive(Debug)]
pub(super) struct Post {
    client: Client,
    target: Target,
    gzip: bool,
    timeout: Duration,
    /// Taken out of everything that is shown, should a server repeat it.
    secrets: Vec<Secret>,
}

impl Post {
    /// # Errors
    /// One phrase for people.
    pub(super) fn new(config: &InfluxConfig) -> Result<Self, String> {
        let target = Target::new(config).map_err(|why| format!("sinks.influxdb.url: {why}"))?;
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls_config()?)
            .user_agent(USER_AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .http1_only()
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .referer(false);
        if target.is_loopback() {
            builder = builder.no_proxy();
        }
        Ok(Self {
            client: builder.build().map_err(describe)?,
            target,
            gzip: config.gzip,
            timeout: Duration::from_millis(config.timeout_ms),
            secrets: [&config.token, &config.password]
                .into_iter()
                .flatten()
                .filter(|secret| !secret.reveal().is_empty())
                .cloned()
                .collect(),
        })
    }

    /// The address as it may be shown.
    pub(super) fn shown(&self) -> &str {
        &self.target.shown
    }

    /// Sends lines, within the configured time.
    pub(super) async fn send(&self, lines: String) -> Outcome {
        let deadline = Instant::now() + self.timeout;
        let mut request = self
            .client
            .post(self.target.url.clone())
            .header(CONTENT_TYPE, "text/plain; charset=utf-8");
        if let Some(authorization) = &self.target.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        if let Some((name, password)) = &self.target.account {
            request = request.basic_auth(name, Some(password.reveal()));
        }
        request = if self.gzip {
            match compressed(lines).await {
                Ok(bytes) => request.header(CONTENT_ENCODING, "gzip").body(bytes),
                Err(why) => return failed(false, None, why),
            }
        } else {
            request.body(lines)
        };
        match timeout_at(deadline, request.send()).await {
            Ok(Ok(response)) => self.ended(response, deadline).await,
            Ok(Err(error)) => failed(false, None, self.showable(&describe(error))),
            Err(_) => failed(
                false,
                None,
                format!("no answer within {} ms", self.timeout.as_millis()),
            ),
        }
    }

    async fn ended(&self, response: Response, deadline: Instant) -> Outcome {
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let answer = read(response, deadline).await;
        if status.is_success() {
            return Outcome::Written;
        }
        let said = self.showable(&answer);
        let colon = if said.is_empty() { "" } else { ": " };
        let why = format!("HTTP {}{colon}{said}", status.as_u16());
        match status {
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => {
                failed(false, retry_after, why)
            }
            // Fewer lines may be taken.
            StatusCode::PAYLOAD_TOO_LARGE | StatusCode::INTERNAL_SERVER_ERROR => {
                failed(true, retry_after, why)
            }
            _ if status.is_server_error() => failed(false, retry_after, why),
            _ => Outcome::Refused {
                lines: dropped_lines(&answer),
                why,
            },
        }
    }

    /// A text of the server's for people: short, on one line, without what is secret.
    fn showable(&self, text: &str) -> String {
        let mut text = text.trim().to_owned();
        for secret in &self.secrets {
            text = text.replace(secret.reveal(), kurs_telemetry::secret::REDACTED);
        }
        let plain = text.chars().map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        });
        plain.take(SHOWN_CHARACTERS_MAX).collect()
    }
}

const fn failed(smaller: bool, retry_after: Option<Duration>, why: String) -> Outcome {
    Outcome::Failed {
        smaller,
        retry_after,
        why,
    }
}

/// Takes some milliseconds, so not on a thread that others wait for.
async fn compressed(lines: String) -> Result<Vec<u8>, String> {
    let work = tokio::task::spawn_blocking(move || {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(lines.as_bytes())?;
        encoder.finish()
    });
    match work.await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) => Err(format!("cannot compress: {error}")),
        Err(error) => Err(format!("cannot compress: {error}")),
    }
}

/// What came of the answer within deadline and limit; the status says enough without it.
async fn read(mut response: Response, deadline: Instant) -> String {
    let mut bytes = Vec::new();
    while bytes.len() < ANSWER_BYTES_MAX {
        let Ok(Ok(Some(chunk))) = timeout_at(deadline, response.chunk()).await else {
            break;
        };
        let room = ANSWER_BYTES_MAX - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Retry-After in seconds, as InfluxDB writes it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

/// InfluxDB 1.x takes the good lines of a batch, and says how many it did not take.
fn dropped_lines(answer: &str) -> Option<usize> {
    let (before, after) = answer.rsplit_once("dropped=")?;
    let digits = after
        .find(|character: char| !character.is_ascii_digit())
        .map_or(after, |end| &after[..end]);
    before
        .contains("partial write")
        .then(|| digits.parse().ok())
        .flatten()
}

/// The error with its causes, without the URL.
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_were_not_taken_are_counted_by_the_server() {
        let check = |answer, expected| assert_eq!(dropped_lines(answer), expected, "{answer}");
        check(
            r#"{"error":"partial write: field type conflict: x dropped=12"}"#,
            Some(12),
        );
        check(
            r#"{"error":"unable to parse 'a b': invalid dropped=3"}"#,
            None,
        );
        check(r#"{"error":"partial write: y dropped="}"#, None);
        check("", None);
    }

    #[test]
    fn what_a_server_says_is_shown_short_on_one_line_and_without_secrets() {
        let config = InfluxConfig {
            url: "http://127.0.0.1:1".to_owned(),
            token: Some(Secret::new("canary")),
            ..InfluxConfig::default()
        };
        let post = Post::new(&config).unwrap();
        let shown = post.showable(&format!("your token\r\nis canary {}\n", "x".repeat(1_000)));
        assert!(shown.starts_with("your token  is *** x"), "{shown}");
        assert_eq!(shown.chars().count(), SHOWN_CHARACTERS_MAX);
        assert!(!format!("{post:?}").contains("canary"));
    }
}
