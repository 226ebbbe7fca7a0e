//! The REST routes of Binance spot market data.

use super::frames::levels;
use super::limits::Ruling;
use crate::capture;
use crate::faults::{Channel, FaultKind, WrongPrice, price_text};
use crate::http::query::Query;
use crate::http::reply::Reply;
use crate::market::symbol::{SymbolMarket, Top};
use crate::market::{Market, Trading};
use crate::shared::Shared;
use crate::venue::Venue;
use kurs_core::Wall;
use serde_json::{Value, json};

/// A stale snapshot is so many changes old: more than any client has buffered.
const STALE_BY: u64 = 10_000_000;

/// Answers one request; weight is counted first.
pub(crate) fn answer(route: &str, query: &Query, shared: &Shared) -> Reply {
    let weight = weight(route, query);
    let ruling = shared.binance.limits.lock().spend(shared.up_ms(), weight);
    let reply = match ruling {
        Ruling::Allowed { used } => {
            let reply = route_answer(route, query, shared);
            reply
                .with("x-mbx-used-weight", &used.to_string())
                .with("x-mbx-used-weight-1m", &used.to_string())
        }
        Ruling::TooMuch {
            used,
            retry_after_seconds,
        } => {
            shared.ledger.with(Venue::Binance, |state| {
                state.violations.too_much_weight += 1
            });
            refusal(429, Some(retry_after_seconds), shared.wall())
                .with("retry-after", &retry_after_seconds.to_string())
                .with("x-mbx-used-weight-1m", &used.to_string())
        }
        Ruling::Banned {
            retry_after_seconds,
        } => {
            shared
                .ledger
                .with(Venue::Binance, |state| state.violations.while_banned += 1);
            refusal(418, Some(retry_after_seconds), shared.wall())
                .with("retry-after", &retry_after_seconds.to_string())
        }
    };
    reply.with("x-mbx-uuid", "00000000-0000-4000-8000-000000000000")
}

fn weight(route: &str, query: &Query) -> u32 {
    match route {
        "/api/v3/exchangeInfo" => 20,
        "/api/v3/depth" => match depth_limit(query) {
            0..=100 => 5,
            101..=500 => 25,
            501..=1_000 => 50,
            _ => 250,
        },
        "/api/v3/ticker/price" | "/api/v3/ticker/bookTicker" if query.get("symbol").is_none() => 4,
        "/api/v3/ticker/price" | "/api/v3/ticker/bookTicker" | "/api/v3/klines" => 2,
        _ => 1,
    }
}

fn depth_limit(query: &Query) -> usize {
    query
        .get("limit")
        .and_then(|limit| limit.parse().ok())
        .unwrap_or(100)
        .min(5_000)
}

fn route_answer(route: &str, query: &Query, shared: &Shared) -> Reply {
    let player = shared.binance.player.as_ref();
    let recorded = player.and_then(|player| capture::rest::answer(player, route, query, shared));
    if let Some(reply) = recorded {
        return reply;
    }
    match route {
        "/api/v3/ping" => Reply::json(200, "{}"),
        "/api/v3/time" => Reply::value(200, &json!({"serverTime": shared.wall().unix_ms()})),
        "/api/v3/depth" => depth(query, shared),
        "/api/v3/exchangeInfo" => exchange_info(query, shared),
        "/api/v3/ticker/bookTicker" => tickers(query, shared, book_ticker),
        "/api/v3/ticker/price" => tickers(query, shared, price_ticker),
        "/api/v3/klines" => klines(query, shared),
        _ => Reply::html(404, "<html><body><h2>404 Not found</h2></body></html>"),
    }
}

/// `{"code":..,"msg":".."}` with HTTP 400.
pub(crate) fn error(code: i32, msg: &str) -> Reply {
    Reply::value(400, &json!({"code": code, "msg": msg}))
}

fn invalid_symbol() -> Reply {
    error(-1121, "Invalid symbol.")
}

/// A refusal by status, as the venue words it.
pub(crate) fn refusal(status: u16, retry_after_seconds: Option<u64>, wall: Wall) -> Reply {
    let body = match status {
        418 => {
            let seconds =
                i64::try_from(retry_after_seconds.unwrap_or(120)).unwrap_or(i64::MAX / 2_000);
            let until = wall.unix_ms().saturating_add(seconds.saturating_mul(1_000));
            json!({"code": -1003, "msg": format!("Way too much request weight used; IP banned until {until}. Please use WebSocket Streams for live updates to avoid bans.")})
        }
        429 => {
            json!({"code": -1003, "msg": "Too much request weight used; current limit is 6000 request weight per 1 MINUTE. Please use WebSocket Streams for live updates to avoid polling the API."})
        }
        451 => {
            json!({"code": 0, "msg": "Service unavailable from a restricted location according to 'b. Eligibility' in https://www.binance.com/en/terms."})
        }
        403 => {
            return Reply::html(
                403,
                "<html><head><title>403 Forbidden</title></head></html>",
            );
        }
        500.. => {
            json!({"code": -1000, "msg": "An unknown error occurred while processing the request."})
        }
        _ => json!({"code": -1000, "msg": "An error occurred while processing the request."}),
    };
    Reply::value(status, &body)
}

/// The symbols a request names: one, several, or all.
enum Asked {
    One(String),
    Several(Vec<String>),
    All,
}

fn asked(query: &Query) -> Result<Asked, Reply> {
    let legal = |name: &str| {
        (1..=20).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b"-_.".contains(&b))
    };
    let illegal = |key: &str| {
        let msg = format!(
            "Illegal characters found in parameter '{key}'; legal range is '^[A-Z0-9-_.]{{1,20}}$'."
        );
        error(-1100, &msg)
    };
    match (query.get("symbol"), query.get("symbols")) {
        (Some(_), Some(_)) => Err(error(-1128, "Combination of optional parameters invalid.")),
        (Some(name), None) if legal(name) => Ok(Asked::One(name.to_owned())),
        (Some(_), None) => Err(illegal("symbol")),
        (None, Some(text)) => match serde_json::from_str::<Vec<String>>(text) {
            Ok(names) if !names.is_empty() && names.iter().all(|name| legal(name)) => {
                Ok(Asked::Several(names))
            }
            _ => Err(illegal("symbols")),
        },
        (None, None) => Ok(Asked::All),
    }
}

fn one_symbol(query: &Query) -> Result<String, Reply> {
    match asked(query)? {
        Asked::One(name) => Ok(name),
        _ => Err(error(
            -1102,
            "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.",
        )),
    }
}

fn wrong(shared: &Shared, symbol: &str) -> Option<WrongPrice> {
    shared
        .board
        .wrong_price(Venue::Binance, Channel::Rest, symbol)
}

fn depth(query: &Query, shared: &Shared) -> Reply {
    let name = match one_symbol(query) {
        Ok(name) => name,
        Err(reply) => return reply,
    };
    if query
        .get("limit")
        .is_some_and(|limit| !limit.parse::<usize>().is_ok_and(|limit| limit > 0))
    {
        return error(-1130, "Data sent for parameter 'limit' is not valid.");
    }
    let market = shared.market.lock();
    let Some(symbol) = market.symbol(&name) else {
        return invalid_symbol();
    };
    let mut snapshot = symbol.snapshot(depth_limit(query));
    drop(market);
    if shared
        .board
        .take(Venue::Binance, &FaultKind::StaleSnapshot, &name)
    {
        snapshot.last_id = snapshot.last_id.saturating_sub(STALE_BY).max(1);
    }
    let wrong = wrong(shared, &name);
    Reply::json(
        200,
        format!(
            r#"{{"lastUpdateId":{},"bids":{},"asks":{}}}"#,
            snapshot.last_id,
            levels(&snapshot.bids, wrong.as_ref()),
            levels(&snapshot.asks, wrong.as_ref()),
        ),
    )
}

fn tickers(
    query: &Query,
    shared: &Shared,
    one: fn(&str, &Top, Option<&WrongPrice>) -> Option<String>,
) -> Reply {
    let asked = match asked(query) {
        Ok(asked) => asked,
        Err(reply) => return reply,
    };
    let market = shared.market.lock();
    let row = |symbol: &SymbolMarket| {
        let name = &symbol.spec.name;
        one(name, &symbol.top()?, wrong(shared, name).as_ref())
    };
    match asked {
        Asked::One(name) => match market.symbol(&name).and_then(row) {
            Some(body) => Reply::json(200, body),
            None => invalid_symbol(),
        },
        Asked::Several(names) => {
            let rows: Option<Vec<_>> = names
                .iter()
                .map(|name| market.symbol(name).and_then(row))
                .collect();
            rows.map_or_else(invalid_symbol, |rows| {
                Reply::json(200, format!("[{}]", rows.join(",")))
            })
        }
        Asked::All => {
            let rows: Vec<_> = market.symbols().filter_map(row).collect();
            Reply::json(200, format!("[{}]", rows.join(",")))
        }
    }
}

fn book_ticker(name: &str, top: &Top, wrong: Option<&WrongPrice>) -> Option<String> {
    Some(format!(
        r#"{{"symbol":"{name}","bidPrice":"{}","bidQty":"{}","askPrice":"{}","askQty":"{}"}}"#,
        price_text(top.bid.0, wrong),
        top.bid.1,
        price_text(top.ask.0, wrong),
        top.ask.1,
    ))
}

fn price_ticker(name: &str, top: &Top, wrong: Option<&WrongPrice>) -> Option<String> {
    Some(format!(
        r#"{{"symbol":"{name}","price":"{}"}}"#,
        price_text(top.bid.0, wrong)
    ))
}

/// The head of exchangeInfo around its symbols.
pub(crate) fn exchange_info_body(wall: Wall, weight_limit: u32, symbols: Vec<Value>) -> Reply {
    Reply::value(
        200,
        &json!({
            "timezone": "UTC",
            "serverTime": wall.unix_ms(),
            "rateLimits": [
                {"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":weight_limit},
                {"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":100},
                {"rateLimitType":"ORDERS","interval":"DAY","intervalNum":1,"limit":200_000},
                {"rateLimitType":"RAW_REQUESTS","interval":"MINUTE","intervalNum":5,"limit":61_000},
            ],
            "exchangeFilters": [],
            "symbols": symbols,
        }),
    )
}

/// One symbol of exchangeInfo.
pub(crate) fn symbol_info(
    name: &str,
    base: &str,
    quote: &str,
    status: &str,
    tick: &str,
    lot: &str,
    with_sets: bool,
) -> Value {
    let sets = if with_sets {
        json!([["SPOT", "MARGIN"]])
    } else {
        json!([])
    };
    json!({
        "symbol": name, "status": status,
        "baseAsset": base, "baseAssetPrecision": 8,
        "quoteAsset": quote, "quotePrecision": 8, "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8, "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"],
        "icebergAllowed": true, "ocoAllowed": true, "otoAllowed": true,
        "quoteOrderQtyMarketAllowed": true, "allowTrailingStop": true,
        "cancelReplaceAllowed": true, "amendAllowed": true,
        "isSpotTradingAllowed": true, "isMarginTradingAllowed": true,
        "filters": [
            {"filterType":"PRICE_FILTER","minPrice":tick,"maxPrice":"1000000.00000000","tickSize":tick},
            {"filterType":"LOT_SIZE","minQty":lot,"maxQty":"9000000.00000000","stepSize":lot},
            {"filterType":"NOTIONAL","minNotional":"5.00000000","applyMinToMarket":true,"maxNotional":"9000000.00000000","applyMaxToMarket":false,"avgPriceMins":5},
        ],
        "permissions": [],
        "permissionSets": sets,
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
    })
}

fn exchange_info(query: &Query, shared: &Shared) -> Reply {
    let asked = match asked(query) {
        Ok(asked) => asked,
        Err(reply) => return reply,
    };
    let with_sets = query.get("showPermissionSets") != Some("false");
    let info = |symbol: &SymbolMarket| {
        let spec = &symbol.spec;
        let status = match symbol.trading {
            Trading::Trading => "TRADING",
            Trading::Halt => "HALT",
        };
        let (tick, lot) = (spec.tick().to_string(), spec.lot().to_string());
        symbol_info(
            &spec.name,
            &spec.base,
            &spec.quote,
            status,
            &tick,
            &lot,
            with_sets,
        )
    };
    let market: &Market = &shared.market.lock();
    let symbols: Option<Vec<_>> = match asked {
        Asked::One(name) => market.symbol(&name).map(|symbol| vec![info(symbol)]),
        Asked::Several(names) => names
            .iter()
            .map(|name| market.symbol(name).map(info))
            .collect(),
        Asked::All => Some(market.symbols().map(info).collect()),
    };
    match symbols {
        Some(symbols) => exchange_info_body(
            shared.wall(),
            shared.config.binance.weight_per_minute,
            symbols,
        ),
        None => invalid_symbol(),
    }
}

/// Candles of the past.
fn klines(query: &Query, shared: &Shared) -> Reply {
    match one_symbol(query) {
        Ok(name) => super::klines::answer(&name, query, shared),
        Err(reply) => reply,
    }
}
