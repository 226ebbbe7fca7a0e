//! Signed requests to programs.
//!
//! Where they go was written by somebody else, so it is not trusted: https only, the name resolved
//! once, every address of it must be one of the open internet, the connection goes to an address
//! that was checked, redirects are not followed, five seconds for all of it, and of the answer only
//! its head is read. A setting for development lifts the first three.
//!
//! | module | what it holds |
//! |---|---|
//! | [`address`] | which addresses may be reached; pure |
//! | [`url`] | [`url::Hook`]: a URL that may be one of a webhook; pure |
//! | [`sign`] | secrets and signatures; pure |

pub mod address;
pub mod sign;
pub mod url;

use crate::courier::{Courier, Delivered, Delivery};
use crate::target::Target;
use address::is_global;
use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use kurs_core::{Clock, Wall};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Hook;

/// How long one attempt may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest head of an answer, in bytes.
const HEAD_MAX: usize = 16_384;
/// Addresses of one name that are looked at.
const ADDRESSES_MAX: usize = 64;
/// Longest time that an answer may ask for.
const AFTER_MAX: Duration = Duration::from_secs(86_400);
/// The header that carries the signature.
pub const SIGNATURE: &str = "kurs-signature";
/// The header that carries the id of the delivery.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Finds the addresses of a name.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// All addresses.
    async fn resolve(&self, host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>>;
}

/// As the machine resolves names.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemResolver;

#[async_trait]
impl Resolver for SystemResolver {
    async fn resolve(&self, host: &str, port: u16) -> std::io::Result<Vec<SocketAddr>> {
        let found = tokio::net::lookup_host((host, port)).await?;
        Ok(found.take(ADDRESSES_MAX).collect())
    }
}

/// Brings deliveries to webhooks.
pub struct WebhookCourier {
    tls: TlsConnector,
    resolver: Arc<dyn Resolver>,
    clock: Arc<dyn Clock>,
    user_agent: String,
    is_insecure: bool,
}

impl WebhookCourier {
    /// `is_insecure`: http and every address, for development.
    #[must_use]
    pub fn new(
        tls: ClientConfig,
        resolver: Arc<dyn Resolver>,
        clock: Arc<dyn Clock>,
        user_agent: String,
        is_insecure: bool,
    ) -> Self {
        Self {
            tls: TlsConnector::from(Arc::new(tls)),
            resolver,
            clock,
            user_agent,
            is_insecure,
        }
    }

    async fn attempt(&self, url: &str, delivery: &Delivery) -> Result<Delivered, Failed> {
        let hook = Hook::parse(url, self.is_insecure).map_err(Failed::for_good)?;
        let secret = delivery.secret.as_deref();
        let secret = secret.ok_or_else(|| Failed::for_good("the secret of the alert is gone"))?;
        let address = self.address(&hook).await?;
        let socket = TcpStream::connect(address)
            .await
            .map_err(|error| Failed::for_now(format!("cannot connect: {error}")))?;
        let request = self.request(&hook, secret, delivery)?;
        if !hook.is_tls {
            return send(socket, request, self.clock.now().wall).await;
        }
        let name = ServerName::try_from(hook.host.clone())
            .map_err(|_| Failed::for_good("its host is no name for TLS"))?;
        let stream = self
            .tls
            .connect(name, socket)
            .await
            .map_err(|error| Failed::for_now(format!("no TLS: {error}")))?;
        send(stream, request, self.clock.now().wall).await
    }

    /// An address that was looked at, with all others of its name.
    async fn address(&self, hook: &Hook) -> Result<SocketAddr, Failed> {
        let found = match hook.host.parse::<IpAddr>() {
            Ok(literal) => vec![SocketAddr::new(literal, hook.port)],
            Err(_) => self
                .resolver
                .resolve(&hook.host, hook.port)
                .await
                .map_err(|error| Failed::for_now(format!("its name is not found: {error}")))?,
        };
        if !self.is_insecure
            && let Some(wrong) = found.iter().find(|found| !is_global(found.ip()))
        {
            let why = format!("{} is no address of the open internet", wrong.ip());
            return Err(Failed::for_good(why));
        }
        found
            .first()
            .copied()
            .ok_or_else(|| Failed::for_now("its name has no address"))
    }

    fn request(
        &self,
        hook: &Hook,
        secret: &str,
        delivery: &Delivery,
    ) -> Result<Request<Full<Bytes>>, Failed> {
        let at = self.clock.now().wall.unix_seconds();
        let body = delivery.body.as_bytes();
        Request::post(&hook.path)
            .header(HOST, &hook.authority)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, &self.user_agent)
            .header(CONNECTION, "close")
            .header(IDEMPOTENCY_KEY, &*delivery.id)
            .header(SIGNATURE, sign::header(secret, at, body))
            .body(Full::new(Bytes::copy_from_slice(body)))
            .map_err(|error| Failed::for_good(error.to_string()))
    }
}

#[async_trait]
impl Courier for WebhookCourier {
    fn takes(&self, target: &Target) -> bool {
        matches!(target, Target::Webhook { .. })
    }

    async fn deliver(&self, delivery: &Delivery) -> Delivered {
        let Target::Webhook { url } = &delivery.target else {
            return Delivered::Never {
                why: "not a webhook".to_owned(),
            };
        };
        match tokio::time::timeout(PATIENCE, self.attempt(url, delivery)).await {
            Ok(Ok(delivered)) => delivered,
            Ok(Err(Failed { why, is_for_good })) if is_for_good => Delivered::Never { why },
            Ok(Err(Failed { why, .. })) => Delivered::Again { after: None, why },
            Err(_) => Delivered::Again {
                after: None,
                why: format!("no answer within {} s", PATIENCE.as_secs()),
            },
        }
    }
}

/// An attempt that did not come to an answer.
struct Failed {
    why: String,
    is_for_good: bool,
}

impl Failed {
    fn for_now(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            is_for_good: false,
        }
    }

    fn for_good(why: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            is_for_good: true,
        }
    }
}

async fn send(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Full<Bytes>>,
    now: Wall,
) -> Result<Delivered, Failed> {
    let failed = |error: hyper::Error| Failed::for_now(format!("no answer: {error}"));
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(failed)?;
    let mut connection = std::pin::pin!(connection);
    let mut answer = std::pin::pin!(sender.send_request(request));
    // Driven here and not by a task: when this ends, for whatever reason, so does the connection.
    let answer = tokio::select! {
        biased;
        answer = &mut answer => answer,
        ended = &mut connection => match ended {
            Ok(()) => answer.await,
            Err(error) => Err(error),
        },
    };
    let answer = answer.map_err(failed)?;
    // The body is not read: the connection ends with this.
    Ok(judge(answer.status(), answer.headers(), now))
}

fn judge(status: StatusCode, headers: &HeaderMap, now: Wall) -> Delivered {
    if status.is_success() {
        return Delivered::Done;
    }
    let why = if status.is_redirection() {
        format!("answered {status}; redirects are not followed")
    } else {
        format!("answered {status}")
    };
    if status == StatusCode::GONE {
        return Delivered::Never { why };
    }
    let after = headers
        .get(RETRY_AFTER)
        .and_then(|after| after.to_str().ok());
    let after = after.and_then(|after| retry_after(after, now));
    Delivered::Again { after, why }
}

fn retry_after(text: &str, now: Wall) -> Option<Duration> {
    let after = match text.trim().parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = httpdate::parse_http_date(text.trim()).ok()?;
            let since_1970 = at.duration_since(std::time::UNIX_EPOCH).ok()?;
            let at = i64::try_from(since_1970.as_secs()).ok()?;
            Wall::from_unix_seconds(at).since(now)
        }
    };
    Some(after.min(AFTER_MAX))
}

#[cfg(test)]
mod tests;
