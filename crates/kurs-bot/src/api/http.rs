//! [`BotApi`] over HTTP. The token is part of the URL, so no URL is ever shown.

use super::{ApiError, BotApi, Call, PICTURE_NAME};
use async_trait::async_trait;
use kurs_net::http::tls_config;
use kurs_telemetry::Secret;
use reqwest::multipart::{Form, Part};
use reqwest::{Client, Response, Url};
use serde_json::Value;
use std::error::Error;
use std::time::Duration;

/// A longer answer is refused: 100 updates are far below it.
const ANSWER_BYTES_MAX: usize = 8 * 1_024 * 1_024;

/// The Bot API at a URL.
#[derive(Clone)]
pub struct HttpApi {
    client: Client,
    url: String,
    token: Secret,
}

impl std::fmt::Debug for HttpApi {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("HttpApi")
    }
}

impl HttpApi {
    /// The API at `url`, such as `https://api.telegram.org`, for the bot of this token.
    ///
    /// # Errors
    /// A sentence without the token when TLS cannot be set up or the URL is none.
    pub fn new(url: &str, token: Secret) -> Result<Self, String> {
        // Fails only when another part of the program was first, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut tls = tls_config()?;
        tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let parsed = Url::parse(url).map_err(|error| format!("telegram.api_url: {error}"))?;
        let mut builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(concat!("kurs/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false);
        let host = parsed.host_str().unwrap_or("").trim_matches(['[', ']']);
        let address = host.parse::<std::net::IpAddr>();
        if host == "localhost" || address.is_ok_and(|address| address.is_loopback()) {
            builder = builder.no_proxy();
        }
        let client = builder
            .build()
            .map_err(|error| error.without_url().to_string())?;
        Ok(Self {
            client,
            url: url.trim_end_matches('/').to_owned(),
            token,
        })
    }

    async fn ask(&self, call: &Call) -> Result<Value, ApiError> {
        let url = format!("{}/bot{}/{}", self.url, self.token.reveal(), call.method);
        let request = self.client.post(url);
        let request = match &call.picture {
            None => {
                let body = Value::Object(call.params.clone()).to_string();
                request
                    .header("content-type", "application/json")
                    .body(body)
            }
            Some(picture) => {
                let mut form = Form::new();
                for (name, value) in &call.params {
                    let text = match value {
                        Value::String(text) => text.clone(),
                        other => other.to_string(),
                    };
                    form = form.text(name.clone(), text);
                }
                let part = Part::bytes(picture.to_vec()).file_name("chart.png");
                request.multipart(form.part(PICTURE_NAME, part))
            }
        };
        let response = request.send().await.map_err(told)?;
        let status = response.status().as_u16();
        let bytes = read(response).await?;
        let Ok(mut body) = serde_json::from_slice::<Value>(&bytes) else {
            return Err(match status {
                200..300 => ApiError::Unknown("the answer is no JSON".to_owned()),
                _ => ApiError::of(status, &Value::Null),
            });
        };
        if (200..300).contains(&status) && body.get("ok") == Some(&Value::Bool(true)) {
            return Ok(body.get_mut("result").map(Value::take).unwrap_or_default());
        }
        Err(ApiError::of(status, &body))
    }
}

async fn read(mut response: Response) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(told)? {
        if bytes.len() + piece.len() > ANSWER_BYTES_MAX {
            return Err(ApiError::Unknown("the answer is too long".to_owned()));
        }
        bytes.extend_from_slice(&piece);
    }
    Ok(bytes)
}

/// The error with its causes, without the URL, for the token is in it.
fn told(error: reqwest::Error) -> ApiError {
    let never_began = error.is_connect() || error.is_builder();
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    match never_began {
        true => ApiError::Unreachable(text),
        false => ApiError::Unknown(text),
    }
}

#[async_trait]
impl BotApi for HttpApi {
    async fn call(&self, call: &Call, timeout: Duration) -> Result<Value, ApiError> {
        match tokio::time::timeout(timeout, self.ask(call)).await {
            Ok(answer) => answer,
            Err(_) => Err(ApiError::Unknown(format!(
                "nothing within {} s",
                timeout.as_secs()
            ))),
        }
    }
}
