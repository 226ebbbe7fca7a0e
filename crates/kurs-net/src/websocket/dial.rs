//! From a URL to an open WebSocket: name, TCP, proxy, TLS, handshake.

use crate::http::tls_config;
use crate::proxy::{Proxies, Proxy, Route};
use ::http::{HeaderValue, Uri, header};
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, protocol::WebSocketConfig};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream};

/// An open WebSocket, over TLS and through a TLS proxy or not.
pub(super) type Socket = WebSocketStream<MaybeTlsStream<MaybeTlsStream<TcpStream>>>;

/// Read at once. The whole of it is zeroed before every read, which at 128 KiB cost a twentieth of
/// the program's time; most reads bring a frame or two of some hundred bytes.
const READ_BYTES: usize = 16 << 10;
/// Addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;
/// A further address is tried beside the earlier ones after this long.
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(300);
/// A longer answer of a proxy is no answer.
const PROXY_HEAD_BYTES_MAX: usize = 8 << 10;

/// Why there is no connection.
#[derive(Debug, Error)]
pub(super) enum DialError {
    /// Name, route, TLS or proxy failed.
    #[error("cannot be reached: {0}")]
    Unreachable(String),
    /// The server answered the handshake with another status than 101.
    #[error("the handshake was refused with HTTP {status}")]
    Refused {
        /// The status.
        status: u16,
        /// From Retry-After.
        retry_after: Option<Duration>,
    },
}

/// Where to connect and how.
#[derive(Debug, Clone)]
pub(super) struct Target {
    uri: Uri,
    tls: bool,
    host: String,
    port: u16,
    user_agent: HeaderValue,
    route: Option<Route>,
    tls_config: Arc<rustls::ClientConfig>,
    message_bytes_max: usize,
}

impl Target {
    /// Reads the URL and chooses the route.
    pub(super) fn new(
        url: &str,
        user_agent: &str,
        proxies: &Proxies,
        message_bytes_max: usize,
    ) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|error| format!("not a URL: {error}"))?;
        let tls = match uri.scheme_str() {
            Some("wss") => true,
            Some("ws") => false,
            _ => return Err("a WebSocket URL begins with ws:// or wss://".to_owned()),
        };
        let host = uri
            .host()
            .unwrap_or_default()
            .trim_matches(['[', ']'])
            .to_owned();
        if host.is_empty() {
            return Err("the URL has no host".to_owned());
        }
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Ok(Self {
            tls,
            port,
            user_agent: HeaderValue::from_str(user_agent)
                .map_err(|_| "the user agent is no header value".to_owned())?,
            route: proxies.route(tls, &host, port).cloned(),
            tls_config: Arc::new(tls_config()?),
            message_bytes_max,
            host,
            uri,
        })
    }

    /// Connects; the caller bounds the time.
    pub(super) async fn dial(&self) -> Result<Socket, DialError> {
        let stream = match &self.route {
            None => MaybeTlsStream::Plain(connect_tcp(&self.host, self.port).await?),
            Some(Route::Unsupported(why)) => return Err(DialError::Unreachable(why.clone())),
            Some(Route::Through(proxy)) => self.through(proxy).await?,
        };
        let mut request = (&self.uri)
            .into_client_request()
            .map_err(|error| unreachable(&error))?;
        request
            .headers_mut()
            .insert(header::USER_AGENT, self.user_agent.clone());
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .max_message_size(Some(self.message_bytes_max))
            .max_frame_size(Some(self.message_bytes_max));
        let connector = if self.tls {
            Connector::Rustls(self.tls_config.clone())
        } else {
            Connector::Plain
        };
        tokio_tungstenite::client_async_tls_with_config(
            request,
            stream,
            Some(config),
            Some(connector),
        )
        .await
        .map(|(socket, _)| socket)
        .map_err(|error| refused(&error))
    }

    async fn through(&self, proxy: &Proxy) -> Result<MaybeTlsStream<TcpStream>, DialError> {
        let tcp = connect_tcp(&proxy.host, proxy.port).await?;
        let mut stream = if proxy.tls {
            let name =
                ServerName::try_from(proxy.host.clone()).map_err(|error| unreachable(&error))?;
            let connector = tokio_rustls::TlsConnector::from(self.tls_config.clone());
            let stream = connector
                .connect(name, tcp)
                .await
                .map_err(|error| unreachable(&error))?;
            MaybeTlsStream::Rustls(stream)
        } else {
            MaybeTlsStream::Plain(tcp)
        };
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        let target = format!("{host}:{}", self.port);
        let mut head = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        if let Some(authorization) = &proxy.authorization {
            head.push_str(&format!("Proxy-Authorization: {authorization}\r\n"));
        }
        head.push_str("\r\n");
        stream
            .write_all(head.as_bytes())
            .await
            .map_err(|error| unreachable(&error))?;
        stream.flush().await.map_err(|error| unreachable(&error))?;
        let answer = read_head(&mut stream).await?;
        let status = answer.split(' ').nth(1).unwrap_or_default();
        if status == "200" {
            return Ok(stream);
        }
        Err(DialError::Unreachable(format!(
            "the proxy answered CONNECT with status {status:.3}"
        )))
    }
}

/// Reads byte by byte up to the empty line: what follows belongs to the tunnel.
async fn read_head(stream: &mut MaybeTlsStream<TcpStream>) -> Result<String, DialError> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= PROXY_HEAD_BYTES_MAX {
            return Err(DialError::Unreachable(
                "the proxy's answer is too long".to_owned(),
            ));
        }
        head.push(
            stream
                .read_u8()
                .await
                .map_err(|error| unreachable(&error))?,
        );
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// Tries the addresses of a name, each a little after the one before, and takes the first that
/// answers: one dead address family must not cost the whole time limit.
async fn connect_tcp(host: &str, port: u16) -> Result<TcpStream, DialError> {
    let found = tokio::net::lookup_host((host, port))
        .await
        .map_err(|error| unreachable(&error))?;
    let mut attempts: JoinSet<std::io::Result<TcpStream>> = JoinSet::new();
    let mut delay = Duration::ZERO;
    for address in alternating(found.collect()) {
        attempts.spawn(async move {
            tokio::time::sleep(delay).await;
            TcpStream::connect(address).await
        });
        delay += NEXT_ADDRESS_AFTER;
    }
    let mut why = "the name has no address".to_owned();
    while let Some(attempt) = attempts.join_next().await {
        match attempt {
            Ok(Ok(stream)) => {
                // Commands are small and must not wait for company.
                stream
                    .set_nodelay(true)
                    .map_err(|error| unreachable(&error))?;
                return Ok(stream);
            }
            Ok(Err(error)) => why = error.to_string(),
            Err(error) => why = error.to_string(),
        }
    }
    Err(DialError::Unreachable(why))
}

/// The addresses with both families in turn.
fn alternating(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let (mut six, mut four): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(SocketAddr::is_ipv6);
    six.reverse();
    four.reverse();
    let mut ordered = Vec::new();
    while ordered.len() < ADDRESSES_MAX && !(six.is_empty() && four.is_empty()) {
        ordered.extend(six.pop());
        ordered.extend(four.pop());
    }
    ordered
}

fn unreachable(error: &dyn std::fmt::Display) -> DialError {
    DialError::Unreachable(error.to_string())
}

fn refused(error: &tungstenite::Error) -> DialError {
    let tungstenite::Error::Http(response) = error else {
        return unreachable(error);
    };
    let seconds = response.headers().get(header::RETRY_AFTER);
    let seconds = seconds.and_then(|value| value.to_str().ok()?.trim().parse().ok());
    DialError::Refused {
        status: response.status().as_u16(),
        retry_after: seconds.map(Duration::from_secs),
    }
}
