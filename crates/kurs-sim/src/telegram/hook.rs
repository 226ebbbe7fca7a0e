//! Delivery of updates to a webhook. The real one wants HTTPS; here plain HTTP is spoken, as it
//! is behind the balancer that ends TLS.

use bytes::Bytes;
use http::{Request, Uri};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::time::Duration;
use tokio::net::TcpStream;

/// Wait before an update that was not taken is sent again.
pub(crate) const RETRY: Duration = Duration::from_millis(500);
/// A webhook must answer within so long.
const ANSWER: Duration = Duration::from_secs(30);

/// Where updates go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Hook {
    pub(crate) url: String,
    host: String,
    port: u16,
    path: String,
    secret: String,
}

impl Hook {
    pub(crate) fn of(url: &str, secret: &str) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|_| "invalid URL".to_owned())?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err("an HTTPS URL must be provided for webhook".to_owned());
        }
        let host = uri.host().ok_or("invalid host")?.to_owned();
        Ok(Self {
            url: url.to_owned(),
            host,
            port: uri.port_u16().unwrap_or(443),
            path: uri
                .path_and_query()
                .map_or("/", |path| path.as_str())
                .to_owned(),
            secret: secret.to_owned(),
        })
    }
}

/// Sends one update.
///
/// # Errors
/// What `getWebhookInfo` shows as the last error.
pub(crate) async fn post(hook: &Hook, update: &Value) -> Result<(), String> {
    let asked = tokio::time::timeout(ANSWER, ask(hook, update)).await;
    let status = asked.map_err(|_| "Read timeout expired".to_owned())??;
    if (200..300).contains(&status) {
        return Ok(());
    }
    Err(format!("Wrong response from the webhook: {status}"))
}

async fn ask(hook: &Hook, update: &Value) -> Result<u16, String> {
    let broken = |error: hyper::Error| format!("Connection failed: {error}");
    let stream = TcpStream::connect((hook.host.as_str(), hook.port))
        .await
        .map_err(|error| format!("Connection failed: {error}"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let mut request = Request::post(&hook.path)
        .header("host", &hook.host)
        .header("connection", "close")
        .header("content-type", "application/json");
    if !hook.secret.is_empty() {
        request = request.header("x-telegram-bot-api-secret-token", &hook.secret);
    }
    let request = request
        .body(Full::new(Bytes::from(update.to_string())))
        .map_err(|error| error.to_string())?;
    let carried = tokio::spawn(connection);
    let answer = sender.send_request(request).await;
    carried.abort();
    let answer = answer.map_err(broken)?;
    Ok(answer.status().as_u16())
}
