//! From the HTTP request to the open socket.

use super::connection::Stream;
use crate::binance;
use crate::exchange;
use crate::faults::{Channel, Occasion, Stage};
use crate::http::query::Query;
use crate::http::reply::Reply;
use crate::http::server::{Aborted, Origin, hold, refusal};
use crate::http::socket::Socket;
use crate::shared::Shared;
use crate::venue::Venue;
use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue, UPGRADE};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use std::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// A client sends nothing longer than its commands.
const MESSAGE_BYTES_MAX: usize = 256 * 1_024;

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Whether a request asks for a WebSocket.
pub(crate) fn is_asked(headers: &HeaderMap) -> bool {
    header(headers, "upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

/// Answers a handshake; the connection then lives in a task of its own.
pub(crate) async fn upgrade(
    mut request: Request<Incoming>,
    venue: Venue,
    route: String,
    shared: Arc<Shared>,
    origin: Origin,
) -> Result<Response<Full<Bytes>>, Aborted> {
    shared.registry.name(origin.id, venue, Channel::Ws);
    shared
        .ledger
        .with(venue, |state| state.ws_attempts_total += 1);
    let occasion = Occasion {
        venue,
        stage: Stage::Handshake,
        symbol: None,
        route: &route,
    };
    let verdict = shared.board.judge(&occasion, Instant::now());
    if let Some((status, retry_after)) = hold(&verdict, &shared, &origin).await? {
        return Ok(refusal(venue, status, retry_after, &shared).into_response());
    }
    let allowed = match shared.exchange(venue) {
        Some(exchange) => exchange.allows_connection(shared.up_ms()),
        None => shared.binance.limits.lock().attempt(shared.up_ms()),
    };
    if !allowed {
        shared
            .ledger
            .with(venue, |state| state.violations.too_many_attempts += 1);
        return Ok(refusal(venue, 429, Some(300), &shared).into_response());
    }
    let asks = is_asked(request.headers())
        && header(request.headers(), "sec-websocket-version") == Some("13");
    let Some(key) = header(request.headers(), "sec-websocket-key").filter(|_| asks) else {
        return Ok(Reply::html(400, "WebSocket handshake expected").into_response());
    };
    let accept = derive_accept_key(key.as_bytes());
    let query = Query::parse(request.uri().query().unwrap_or(""));
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let Ok(upgraded) = upgraded.await else { return };
        let Ok(parts) = upgraded.downcast::<TokioIo<Socket>>() else {
            return;
        };
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX));
        let socket = parts.io.into_inner();
        let read = parts.read_buf.to_vec();
        let stream: Stream =
            WebSocketStream::from_partially_read(socket, read, Role::Server, Some(config)).await;
        match venue {
            Venue::Binance => binance::socket::live(stream, &route, &query, &shared, origin).await,
            _ => exchange::live(stream, venue, &shared, origin).await,
        }
    });
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept) = HeaderValue::from_str(&accept) {
        headers.insert("sec-websocket-accept", accept);
    }
    Ok(response)
}
