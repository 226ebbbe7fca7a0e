//! Takes updates that Telegram sends. TLS ends in front of this listener.

use crate::desk::Desk;
use crate::wire::Update;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use kurs_telemetry::Secret;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The header that carries the secret.
pub const SECRET_HEADER: &str = "x-telegram-bot-api-secret-token";
/// Telegram opens at most 40 connections.
const CONNECTIONS_MAX: usize = 128;
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// A request that takes longer is answered with an error, and Telegram sends the update again.
const HANDLE_TIMEOUT: Duration = Duration::from_secs(20);
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(300);
const BODY_BYTES_MAX: usize = 1_024 * 1_024;

/// Why an update is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WebhookError {
    /// The secret is missing or wrong.
    #[error("the secret is wrong")]
    WrongSecret,
    /// This is no update.
    #[error("this is no update")]
    NoUpdate,
}

/// Takes one request: its secret as the header said it, and its body. Handles the update before
/// it returns.
///
/// # Errors
/// [`WebhookError`].
pub async fn webhook(
    desk: &Arc<Desk>,
    expected: &Secret,
    secret: Option<&[u8]>,
    body: &[u8],
) -> Result<(), WebhookError> {
    let given = secret.unwrap_or_default();
    if !bool::from(given.ct_eq(expected.reveal().as_bytes())) {
        return Err(WebhookError::WrongSecret);
    }
    let update = serde_json::from_slice(body).ok().and_then(Update::read);
    let (id, update) = update.ok_or(WebhookError::NoUpdate)?;
    // A task of its own: a caller that gives up must not leave an update half handled.
    let desk = Arc::clone(desk);
    let handled = tokio::spawn(async move { desk.handle(id, update).await });
    if let Err(error) = handled.await {
        tracing::error!(%error, "handling an update of Telegram panicked");
    }
    Ok(())
}

/// Listens until dropped.
pub(crate) async fn serve(listener: TcpListener, desk: Arc<Desk>, secret: Secret) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
            continue;
        }
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let (desk, secret) = (Arc::clone(&desk), secret.clone());
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let (desk, secret) = (Arc::clone(&desk), secret.clone());
                async move { Ok::<_, Infallible>(respond(request, &desk, &secret).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(stream), service);
            // Whatever ended it, there is nobody left to tell.
            let _ = tokio::time::timeout(CONNECTION_TIMEOUT, connection).await;
        });
    }
}

async fn respond(
    request: Request<Incoming>,
    desk: &Arc<Desk>,
    secret: &Secret,
) -> Response<Full<Bytes>> {
    let status = if request.method() == Method::POST {
        take(request, desk, secret).await
    } else {
        StatusCode::METHOD_NOT_ALLOWED
    };
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

async fn take(request: Request<Incoming>, desk: &Arc<Desk>, secret: &Secret) -> StatusCode {
    let given = request.headers().get(SECRET_HEADER).cloned();
    let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect();
    let Ok(Ok(body)) = tokio::time::timeout(BODY_TIMEOUT, body).await else {
        return StatusCode::BAD_REQUEST;
    };
    let body = body.to_bytes();
    let given = given.as_ref().map(|value| value.as_bytes());
    let taken = webhook(desk, secret, given, &body);
    match tokio::time::timeout(HANDLE_TIMEOUT, taken).await {
        Ok(Ok(())) => StatusCode::OK,
        Ok(Err(WebhookError::WrongSecret)) => StatusCode::UNAUTHORIZED,
        // Sending it again would not make it one.
        Ok(Err(WebhookError::NoUpdate)) => StatusCode::OK,
        Err(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}
