//! The accept loop, and the way of a request: control or venue, faults first, then the answer.

use crate::binance;
use crate::faults::{Channel, Close, Occasion, Stage, Verdict};
use crate::http::query::Query;
use crate::http::reply::Reply;
use crate::http::socket::{Socket, Switch};
use crate::shared::Shared;
use crate::telegram;
use crate::venue::Venue;
use crate::ws;
use crate::{bybit, cbr, coinbase, coingecko, control, ecb, kraken, okx, openexchangerates};
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::sync::Arc;
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Connections served at one time; further ones wait in the backlog.
const CONNECTIONS_MAX: usize = 4_096;
/// A client that sends no request for so long is disconnected.
const IDLE: Duration = Duration::from_secs(300);
/// A stalled request is given up after so long even when nobody heals the venue.
const STALL_MAX: Duration = Duration::from_secs(900);

/// The connection ends instead of an answer.
#[derive(Debug, Error)]
#[error("the connection is ended by a fault")]
pub(crate) struct Aborted;

/// The connection a request came by.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) id: u64,
    pub(crate) switch: Arc<Switch>,
}

/// Accepts until dropped; dropping it ends every connection.
pub(crate) async fn run(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
            continue;
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(serve(stream, shared.clone()));
            }
            // Out of descriptors or an aborted handshake: others may go on.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    // Frames are small and must not wait for each other.
    let _ = stream.set_nodelay(true);
    let switch = Switch::new();
    let socket = Socket::new(stream, switch.clone(), shared.registry.clone());
    let origin = Origin {
        id: socket.id(),
        switch: switch.clone(),
    };
    let service = service_fn(move |request| respond(request, shared.clone(), origin.clone()));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE)
        .serve_connection(TokioIo::new(socket), service)
        .with_upgrades();
    tokio::select! {
        // Whatever ended it, there is nobody left to tell.
        _ = connection => {}
        () = switch.closed() => {}
    }
}

async fn respond(
    request: Request<Incoming>,
    shared: Arc<Shared>,
    origin: Origin,
) -> Result<Response<Full<Bytes>>, Aborted> {
    let path = request.uri().path().to_owned();
    if path.starts_with("/telegram/") || path.starts_with("/control/telegram") {
        let answer = telegram::respond(request, &shared.telegram).await;
        return answer.map(Reply::into_response).ok_or(Aborted);
    }
    if path == "/control" || path.starts_with("/control/") {
        return Ok(control::respond(request, &shared).await.into_response());
    }
    let Some((venue, route)) = Venue::of_path(&path) else {
        return Ok(Reply::html(404, "not found").into_response());
    };
    let asks = ws::handshake::is_asked(request.headers());
    if ws::is_stream_path(venue, &route) && (asks || venue == Venue::Binance) {
        let route = route.into_owned();
        return ws::handshake::upgrade(request, venue, route, shared, origin).await;
    }
    let route = &*route;
    shared.registry.name(origin.id, venue, Channel::Rest);
    let query_text = request.uri().query().unwrap_or("").to_owned();
    let noted = shared
        .ledger
        .note_request(venue, route, &query_text, shared.up_ms());
    let query = Query::parse(&query_text);
    let symbol = symbol_asked(venue, route, &query, &shared);
    let occasion = Occasion {
        venue,
        stage: Stage::Request,
        symbol: symbol.as_deref(),
        route,
    };
    let verdict = shared.board.judge(&occasion, Instant::now());
    let held = hold(&verdict, &shared, &origin).await?;
    let mut reply = match held {
        Some((status, retry_after)) => refusal(venue, status, retry_after, &shared),
        None if request.method() != Method::GET => Reply::html(405, "method not allowed"),
        None => match venue {
            Venue::Binance => binance::rest::answer(route, &query, &shared),
            Venue::Coinbase | Venue::Kraken | Venue::Bybit | Venue::Okx => {
                exchange_answer(venue, route, &query, &shared)
            }
            Venue::Coingecko => coingecko::answer(route, &query, request.headers(), &shared),
            Venue::OpenExchangeRates => {
                openexchangerates::answer(route, &query, &query_text, request.headers(), &shared)
            }
            Venue::Ecb => ecb::answer(route, request.headers(), &shared),
            Venue::Cbr => cbr::answer(route, &query, &shared),
        },
    };
    if verdict.malformed {
        reply.body = broken(&reply.body);
    }
    shared.ledger.note_status(&noted, reply.status);
    Ok(reply.into_response())
}

/// The symbol a request is about, in the word the faults use for it.
fn symbol_asked(venue: Venue, route: &str, query: &Query, shared: &Shared) -> Option<String> {
    let parameter = |name: &str| query.get(name).map(str::to_owned);
    match venue {
        Venue::Coinbase => {
            let product = route.strip_prefix("/products/")?.split('/').next()?;
            Some(product.to_owned())
        }
        Venue::Kraken => kraken::rest::symbol_of(query.get("pair")?, shared.exchange(venue)?),
        Venue::Okx => parameter("instId"),
        _ => parameter("symbol"),
    }
}

/// An answer of Coinbase, Kraken, Bybit or OKX; their limits are judged first.
fn exchange_answer(venue: Venue, route: &str, query: &Query, shared: &Shared) -> Reply {
    let Some(exchange) = shared.exchange(venue) else {
        return Reply::html(404, "not found");
    };
    if !exchange.allows_request(shared.up_ms()) {
        shared
            .ledger
            .with(venue, |state| state.violations.too_many_requests += 1);
        return match venue {
            Venue::Kraken => kraken::rest::too_many_requests(),
            Venue::Bybit => bybit::rest::refusal(403),
            _ => refusal(venue, 429, None, shared),
        };
    }
    match venue {
        Venue::Coinbase => coinbase::rest::answer(route, query, exchange, shared),
        Venue::Kraken => kraken::rest::answer(route, query, exchange, shared),
        Venue::Bybit => bybit::rest::answer(route, query, exchange, shared),
        _ => okx::rest::answer(route, query, exchange, shared),
    }
}

/// Carries out the part of a verdict that comes before the answer; gives the status that
/// replaces it, if there is one.
pub(crate) async fn hold(
    verdict: &Verdict,
    shared: &Shared,
    origin: &Origin,
) -> Result<Option<(u16, Option<u64>)>, Aborted> {
    let close = verdict.close.or(verdict.drop.then_some(Close::Cut));
    if let Some(how) = close {
        origin.switch.close(how);
        return Err(Aborted);
    }
    if verdict.stall
        && tokio::time::timeout(STALL_MAX, shared.board.until_healed())
            .await
            .is_err()
    {
        return Err(Aborted);
    }
    if !verdict.delay.is_zero() {
        tokio::time::sleep(verdict.delay).await;
    }
    Ok(verdict.status)
}

/// The first half of a text and then something that belongs to no format.
pub(crate) fn broken(body: &[u8]) -> Bytes {
    let mut kept = body.get(..body.len() / 2).unwrap_or_default().to_vec();
    kept.extend_from_slice(b"}\"<\\");
    kept.into()
}

/// A refusal in the venue's own words.
pub(crate) fn refusal(
    venue: Venue,
    status: u16,
    retry_after_seconds: Option<u64>,
    shared: &Shared,
) -> Reply {
    let reply = match venue {
        Venue::Binance => binance::rest::refusal(status, retry_after_seconds, shared.wall()),
        Venue::Coinbase => coinbase::rest::refusal(status),
        Venue::Kraken => kraken::rest::refusal(status),
        Venue::Bybit => bybit::rest::refusal(status),
        Venue::Okx => okx::rest::refusal(status),
        Venue::Coingecko => coingecko::refusal(status, shared.wall()),
        Venue::OpenExchangeRates => openexchangerates::refusal(status),
        Venue::Ecb | Venue::Cbr => {
            Reply::html(status, format!("<html><body>{status}</body></html>"))
        }
    };
    match retry_after_seconds {
        Some(seconds) => reply.with("retry-after", &seconds.to_string()),
        None => reply,
    }
}
