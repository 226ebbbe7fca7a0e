//! The client side: commands that talk to a running server.

use crate::exit::{Exit, Failure};
use crate::output::clean;
use reqwest::header::HeaderValue;
use serde_json::Value;
use std::time::Duration;

/// From the request to the last byte of its answer.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Of a whole stream; its reader has a deadline for each silence.
const STREAM_TIMEOUT: Duration = Duration::from_secs(10 * 365 * 86_400);

/// A longer answer is refused.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A running server.
#[derive(Debug, Clone)]
pub struct Client {
    server: String,
    http: reqwest::Client,
    /// The key that every request carries.
    key: Option<HeaderValue>,
}

/// An answer that is no problem document.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body as it came.
    pub body: String,
}

/// What to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Read.
    Get,
    /// Add.
    Post,
    /// Set.
    Put,
    /// Change.
    Patch,
    /// Remove.
    Delete,
}

impl Client {
    /// A client of the server at this URL.
    ///
    /// # Errors
    /// When the URL is none, or TLS cannot be set up.
    pub fn new(server: &str) -> Result<Self, Failure> {
        let wrong = || {
            Failure::new(
                Exit::Usage,
                format!(
                    "{:?} is no server URL; write it like http://127.0.0.1:8080",
                    clean(server)
                ),
            )
        };
        let server = server.trim_end_matches('/');
        let url = reqwest::Url::parse(server).map_err(|_| wrong())?;
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
            return Err(wrong());
        }
        let mut builder = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .user_agent(concat!("kurs/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&url) {
            // No proxy can reach a server on this machine.
            builder = builder.no_proxy();
        }
        let http = builder
            .build()
            .map_err(|error| Failure::new(Exit::Failure, chain(&error)))?;
        Ok(Self {
            server: server.to_owned(),
            http,
            key: None,
        })
    }

    /// Sends this key with every request.
    ///
    /// # Errors
    /// [`Exit::Usage`] when it is no header text; it is not repeated.
    pub fn with_key(mut self, key: &str) -> Result<Self, Failure> {
        let value = HeaderValue::from_str(&format!("Bearer {}", key.trim()));
        let mut value = value
            .map_err(|_| Failure::new(Exit::Usage, "KURS_API_KEY holds what no key can hold"))?;
        // Neither shown nor sent elsewhere.
        value.set_sensitive(true);
        self.key = Some(value);
        Ok(self)
    }

    /// The server as it was named.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Reads a path; parameters are encoded here.
    ///
    /// # Errors
    /// A [`Failure`] that carries the server's own words and the exit code of its status.
    pub async fn get(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Answer, Failure> {
        self.send(Method::Get, path, parameters, None)
            .await?
            .accepted()
    }

    /// Sends a request and returns the answer, whatever its status.
    ///
    /// # Errors
    /// [`Exit::Unavailable`] when there is no whole answer.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        parameters: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<Answer, Failure> {
        let (status, bytes) = self.exchange(method, path, parameters, body).await?;
        Ok(Answer {
            status,
            body: text_of(bytes)?,
        })
    }

    /// Reads a path whose answer is no text.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn get_bytes(
        &self,
        path: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Vec<u8>, Failure> {
        let (status, bytes) = self.exchange(Method::Get, path, parameters, None).await?;
        if status < 400 {
            return Ok(bytes);
        }
        let body = text_of(bytes)?;
        Answer { status, body }.accepted().map(|_| Vec::new())
    }

    /// A request and its answer: status and body.
    async fn exchange(
        &self,
        method: Method,
        path: &str,
        parameters: &[(&str, &str)],
        body: Option<&Value>,
    ) -> Result<(u16, Vec<u8>), Failure> {
        let url = self.url(path, parameters)?;
        let mut request = match method {
            Method::Get => self.http.get(url),
            Method::Post => self.http.post(url),
            Method::Put => self.http.put(url),
            Method::Patch => self.http.patch(url),
            Method::Delete => self.http.delete(url),
        };
        if let Some(key) = &self.key {
            request = request.header(reqwest::header::AUTHORIZATION, key.clone());
        }
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let response = request
            .send()
            .await
            .map_err(|error| self.unreachable(&error))?;
        let status = response.status().as_u16();
        Ok((status, self.read(response).await?))
    }

    fn url(&self, path: &str, parameters: &[(&str, &str)]) -> Result<reqwest::Url, Failure> {
        let mut url = reqwest::Url::parse(&format!("{}{path}", self.server))
            .map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
        if !parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(parameters);
            // A space as forms write it is a plus to whoever reads a URL as RFC 3986 says.
            let query = url.query().map(|query| query.replace('+', "%20"));
            url.set_query(query.as_deref());
        }
        Ok(url)
    }

    /// Opens a stream of server-sent events, to be read for as long as it lasts; `position` is the
    /// place to go on from, empty at first.
    ///
    /// # Errors
    /// [`Exit::Unavailable`] when there is no answer; else as [`Client::get`].
    pub async fn open(
        &self,
        path: &str,
        parameters: &[(&str, &str)],
        position: &str,
    ) -> Result<reqwest::Response, Failure> {
        let mut request = self
            .http
            .get(self.url(path, parameters)?)
            .timeout(STREAM_TIMEOUT)
            .header(reqwest::header::ACCEPT, "text/event-stream");
        if let Some(key) = &self.key {
            request = request.header(reqwest::header::AUTHORIZATION, key.clone());
        }
        if !position.is_empty() {
            request = request.header("last-event-id", position);
        }
        // Only the head has to come soon.
        let response = match tokio::time::timeout(TIMEOUT, request.send()).await {
            Ok(sent) => sent.map_err(|error| self.unreachable(&error))?,
            Err(_) => return Err(self.late()),
        };
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        let body = text_of(self.read(response).await?)?;
        Answer { status, body }.accepted()?;
        let message = format!("the server answered with status {status} and no stream");
        Err(Failure::new(Exit::Failure, message))
    }

    async fn read(&self, mut response: reqwest::Response) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.unreachable(&error))?
        {
            if bytes.len() + chunk.len() > BODY_BYTES_MAX {
                let message = format!("the answer is longer than {BODY_BYTES_MAX} bytes");
                return Err(Failure::new(Exit::Failure, message));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        if error.is_timeout() {
            return self.late();
        }
        let server = &self.server;
        let message = format!(
            "{server} cannot be reached: {}; is kurs running there? \
             Name another server with --server or KURS_SERVER",
            chain(error)
        );
        Failure::new(Exit::Unavailable, message)
    }

    fn late(&self) -> Failure {
        let server = &self.server;
        let message = format!("{server} did not answer within {} s", TIMEOUT.as_secs());
        Failure::new(Exit::Unavailable, message)
    }
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none: the server is not a kurs.
    pub fn json(&self) -> Result<Value, Failure> {
        serde_json::from_str(&self.body).map_err(|_| {
            Failure::new(
                Exit::Failure,
                "the answer is not JSON; is this server a kurs?".to_owned(),
            )
        })
    }

    /// This answer if its status is below 400, else what its problem document says.
    ///
    /// # Errors
    /// A [`Failure`] with the problem's detail and the exit code of the status.
    pub fn accepted(self) -> Result<Self, Failure> {
        if self.status < 400 {
            return Ok(self);
        }
        let exit = match self.problem_kind().as_deref() {
            // Well formed, but no venue has it.
            Some("not-listed") => Exit::NotFound,
            _ => Exit::of_status(self.status),
        };
        Err(Failure::new(exit, self.problem_text()))
    }

    /// The last part of the problem's type, such as `rate-expired`.
    #[must_use]
    pub fn problem_kind(&self) -> Option<String> {
        let problem: Value = serde_json::from_str(&self.body).ok()?;
        let kind = problem.get("type")?.as_str()?;
        kind.rsplit(['/', '#']).next().map(str::to_owned)
    }

    fn problem_text(&self) -> String {
        let status = self.status;
        let Ok(problem) = serde_json::from_str::<Value>(&self.body) else {
            return format!("the server answered with status {status}");
        };
        let member = |name: &str| problem.get(name).and_then(Value::as_str).map(clean);
        let mut text = match (member("title"), member("detail")) {
            (Some(title), Some(detail)) if title != detail => format!("{title}: {detail}"),
            (Some(text), _) | (None, Some(text)) => text,
            (None, None) => format!("the server answered with status {status}"),
        };
        for error in problem
            .get("errors")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let part = |name: &str| error.get(name).and_then(Value::as_str).map(clean);
            let place = part("parameter")
                .or_else(|| part("pointer"))
                .or_else(|| part("field"));
            if let Some(detail) = part("detail").or_else(|| part("message")) {
                let said = format!("{}: {detail}", place.unwrap_or_default());
                // One mistake alone is the detail already.
                if !text.ends_with(&said) {
                    text.push_str(&format!("\n  - {said}"));
                }
            }
        }
        if let Some(instance) = member("instance") {
            text.push_str(&format!(" (request {instance})"));
        }
        text
    }
}

fn text_of(bytes: Vec<u8>) -> Result<String, Failure> {
    String::from_utf8(bytes)
        .map_err(|_| Failure::new(Exit::Failure, "the answer is not text".to_owned()))
}

fn is_loopback(url: &reqwest::Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// An error with its causes, shortest form.
fn chain(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    deepest.to_string()
}
