//! The control routes: every lever of [`crate::SimHandle`] over HTTP, for people and for tests
//! of another process. No real venue has a path `/control`.
//!
//! | route | body | answer |
//! |---|---|---|
//! | `GET /control/state` | | [`crate::SimState`] |
//! | `GET /control/faults` | | the faults in force, each as it is written to set it |
//! | `POST /control/faults` | `{"venue":"binance","fault":"stall"}` and the keys of [`FaultWord`] | `{"done":true}` |
//! | `DELETE /control/faults[?venue=binance]` | | `{"done":true}` |
//! | `POST /control/cut`, `/control/reset` | `{"venue":"binance","channel":"ws"}`, both optional | `{"closed":1}` |
//! | `POST /control/shutdown-notice` | `{"venue":"okx"}`, optional: Binance | `{"told":1}` |
//! | `POST /control/price` | `{"venue":"binance","symbol":"BTCUSDT","price":"65000"}`, or `bid` and `ask`, or none of them to release | `{"done":true}` |
//! | `POST /control/list` | `{"venue":"binance","symbol":"FOOUSDT","known":true,"halt":false}` | `{"done":true}` |
//! | `POST /control/step` | `{"frames":10}` | `{"frames_played":10}` |
//!
//! What is refused is answered 400 with `{"error":"..."}`.

use crate::faults::{Channel, Close, FaultWord};
use crate::http::query::Query;
use crate::http::reply::Reply;
use crate::levers::{announce_shutdown, report, set_fault, set_pin, with_market};
use crate::market::{Market, Trading};
use crate::pins::Pin;
use crate::shared::Shared;
use crate::venue::Venue;
use http::{Method, Request};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use rust_decimal::Decimal;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

/// No control message is longer.
const BODY_BYTES_MAX: usize = 64 * 1_024;

/// `POST /control/cut`, `POST /control/reset`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ending {
    venue: Option<Venue>,
    channel: Option<Channel>,
}

/// `POST /control/price`. Neither `price` nor sides: release.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pinning {
    #[serde(default = "binance_venue")]
    venue: Venue,
    symbol: String,
    price: Option<Decimal>,
    bid: Option<Decimal>,
    ask: Option<Decimal>,
}

const fn binance_venue() -> Venue {
    Venue::Binance
}

/// `POST /control/shutdown-notice`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Noticing {
    #[serde(default = "binance_venue")]
    venue: Venue,
}

/// `POST /control/list`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    #[serde(default = "binance_venue")]
    venue: Venue,
    symbol: String,
    #[serde(default = "yes")]
    known: bool,
    halt: Option<bool>,
}

const fn yes() -> bool {
    true
}

/// `POST /control/step`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stepping {
    frames: u32,
}

fn refused(why: &str) -> Reply {
    Reply::value(400, &json!({"error": why}))
}

fn done() -> Reply {
    Reply::value(200, &json!({"done": true}))
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Reply> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body).map_err(|error| refused(&error.to_string()))
}

pub(crate) async fn respond(request: Request<Incoming>, shared: &Shared) -> Reply {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return refused("the body is broken or too long");
    };
    let body = body.to_bytes();
    let query = Query::parse(parts.uri.query().unwrap_or(""));
    let answer = match (&parts.method, parts.uri.path()) {
        (&Method::GET, "/control/state") => match serde_json::to_value(report(shared)) {
            Ok(state) => Ok(Reply::value(200, &state)),
            Err(error) => Err(Reply::value(500, &json!({"error": error.to_string()}))),
        },
        (&Method::GET, "/control/faults") => Ok(Reply::value(200, &json!(shared.board.list()))),
        (&Method::POST, "/control/faults") => fault(&body, shared),
        (&Method::DELETE, "/control/faults") => heal(query.get("venue"), shared),
        (&Method::POST, "/control/cut") => end(&body, shared, Close::Cut),
        (&Method::POST, "/control/reset") => end(&body, shared, Close::Reset),
        (&Method::POST, "/control/shutdown-notice") => notice(&body, shared),
        (&Method::POST, "/control/price") => price(&body, shared),
        (&Method::POST, "/control/list") => list(&body, shared),
        (&Method::POST, "/control/step") => step(&body, shared).await,
        _ => Err(Reply::value(
            404,
            &json!({"error": "no such control route"}),
        )),
    };
    answer.unwrap_or_else(|refused| refused)
}

fn fault(body: &[u8], shared: &Shared) -> Result<Reply, Reply> {
    let word: FaultWord = read(body)?;
    if set_fault(shared, word) {
        Ok(done())
    } else {
        Err(refused("there are too many faults"))
    }
}

fn heal(venue: Option<&str>, shared: &Shared) -> Result<Reply, Reply> {
    let venue = match venue.map(str::parse::<Venue>) {
        None => None,
        Some(Ok(venue)) => Some(venue),
        Some(Err(error)) => return Err(refused(&error.to_string())),
    };
    shared.board.heal(venue);
    Ok(done())
}

fn notice(body: &[u8], shared: &Shared) -> Result<Reply, Reply> {
    let Noticing { venue } = read(body)?;
    let told = announce_shutdown(shared, venue);
    Ok(Reply::value(200, &json!({ "told": told })))
}

fn end(body: &[u8], shared: &Shared, how: Close) -> Result<Reply, Reply> {
    let Ending { venue, channel } = read(body)?;
    // Without a venue this very request would be ended too.
    let venues = venue.map_or_else(|| Venue::ALL.to_vec(), |venue| vec![venue]);
    let count = |venue| shared.registry.close(Some(venue), channel, how);
    let closed: usize = venues.into_iter().map(count).sum();
    Ok(Reply::value(200, &json!({"closed": closed})))
}

fn price(body: &[u8], shared: &Shared) -> Result<Reply, Reply> {
    let Pinning {
        venue,
        symbol,
        price,
        bid,
        ask,
    } = read(body)?;
    let pin = match (price, bid, ask) {
        (None, None, None) => None,
        (Some(price), None, None) => Some(Pin::Price(price)),
        (None, Some(bid), Some(ask)) => Some(Pin::Sides { bid, ask }),
        _ => {
            return Err(refused(
                "give price, or bid and ask, or none of them to release",
            ));
        }
    };
    if set_pin(shared, venue, &symbol, pin) {
        Ok(done())
    } else {
        Err(refused(
            "no such symbol, or the price does not fit its ticks, or nothing was pinned",
        ))
    }
}

fn list(body: &[u8], shared: &Shared) -> Result<Reply, Reply> {
    let Listing {
        venue,
        symbol,
        known,
        halt,
    } = read(body)?;
    let act = |market: &mut Market| {
        let listed = if known {
            market.list(&symbol)
        } else {
            market.unlist(&symbol)
        };
        match halt.filter(|_| known) {
            None => listed,
            Some(true) => listed && market.set_trading(&symbol, Trading::Halt),
            Some(false) => listed && market.set_trading(&symbol, Trading::Trading),
        }
    };
    if with_market(shared, venue, act) == Some(true) {
        Ok(done())
    } else {
        Err(refused("no such symbol, or it cannot be one"))
    }
}

async fn step(body: &[u8], shared: &Shared) -> Result<Reply, Reply> {
    let Stepping { frames } = read(body)?;
    match &shared.binance.player {
        Some(player) => Ok(Reply::value(
            200,
            &json!({"frames_played": player.step(frames).await}),
        )),
        None => Err(refused("no capture is played")),
    }
}
