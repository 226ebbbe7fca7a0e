//! The REST routes of v5 public market data.

use super::frames::{levels, ticker_row};
use crate::exchange::Exchange;
use crate::exchange::book::{Level, Poison, Window};
use crate::exchange::scene::Digits;
use crate::faults::Channel;
use crate::http::query::Query;
use crate::http::reply::Reply;
use crate::market::symbol::SymbolMarket;
use crate::shared::Shared;
use crate::venue::Venue;
use rust_decimal::Decimal;
use serde_json::json;

/// Answers one request.
pub(crate) fn answer(route: &str, query: &Query, exchange: &Exchange, shared: &Shared) -> Reply {
    match route {
        "/api/v5/public/time" => data(&format!(r#"{{"ts":"{}"}}"#, shared.wall().unix_ms())),
        "/api/v5/market/tickers" | "/api/v5/public/instruments" => {
            match query.get("instType") {
                Some("SPOT") => {}
                Some(_) => return error(400, "51000", "Parameter instType error"),
                None => return error(400, "50014", "Parameter instType can not be empty."),
            }
            if route.ends_with("tickers") {
                rows(query, exchange, |symbol| ticker(symbol, shared))
            } else {
                rows(query, exchange, instrument)
            }
        }
        "/api/v5/market/ticker" | "/api/v5/market/books" => {
            if query.get("instId").is_none_or(str::is_empty) {
                return error(400, "50014", "Parameter instId can not be empty.");
            }
            if route.ends_with("ticker") {
                return rows(query, exchange, |symbol| ticker(symbol, shared));
            }
            let depth = query.get("sz").unwrap_or("1").parse().ok();
            match depth.filter(|depth| (1..=400).contains(depth)) {
                Some(depth) => rows(query, exchange, |symbol| books(symbol, depth, shared)),
                None => error(400, "51000", "Parameter sz error"),
            }
        }
        "/api/v5/market/history-candles" => super::candles::answer(query, exchange, shared),
        _ => Reply::value(
            404,
            &json!({"msg": "API endpoint doesn't exist", "code": "404", "data": []}),
        ),
    }
}

/// A refusal by status.
pub(crate) fn refusal(status: u16) -> Reply {
    match status {
        429 => error(429, "50011", "Too Many Requests"),
        503 => error(
            503,
            "50001",
            "Service temporarily unavailable. Try again later",
        ),
        500.. => error(status, "50026", "System error. Try again later."),
        _ => Reply::html(status, format!("<html><body>{status}</body></html>")),
    }
}

pub(super) fn error(status: u16, code: &str, message: &str) -> Reply {
    Reply::value(status, &json!({"code": code, "data": [], "msg": message}))
}

pub(super) fn data(rows: &str) -> Reply {
    Reply::json(200, format!(r#"{{"code":"0","msg":"","data":[{rows}]}}"#))
}

/// The instrument a request names, or all.
fn rows(query: &Query, exchange: &Exchange, one: impl Fn(&SymbolMarket) -> String) -> Reply {
    let state = exchange.state.lock();
    match query.get("instId") {
        None => {
            let rows: Vec<String> = state.market.symbols().map(one).collect();
            data(&rows.join(","))
        }
        Some(name) => match state.market.symbol(name) {
            Some(symbol) => data(&one(symbol)),
            None => error(
                200,
                "51001",
                "Instrument ID, Instrument ID code, or Spread ID doesn't exist.",
            ),
        },
    }
}

fn poison(shared: &Shared, symbol: &SymbolMarket) -> Poison {
    let board = &shared.board;
    Poison::of(board.wrong_price(Venue::Okx, Channel::Rest, &symbol.spec.name))
}

fn ticker(symbol: &SymbolMarket, shared: &Shared) -> String {
    let poison = poison(shared, symbol);
    let window = Window::of(symbol, 1, &poison);
    let decimals = symbol.spec.price_decimals();
    let best = |levels: &[Level]| match levels.first() {
        Some((ticks, lots)) => (
            poison.ticks(symbol.price(*ticks), decimals, Digits::Short),
            Digits::Short.write(symbol.quantity(*lots)),
        ),
        None => (String::new(), String::new()),
    };
    let price = |price: Decimal| poison.price(price, decimals, Digits::Short);
    ticker_row(
        symbol,
        &best(&window.bids),
        &best(&window.asks),
        price,
        shared.wall().unix_ms(),
    )
}

fn books(symbol: &SymbolMarket, depth: usize, shared: &Shared) -> String {
    let poison = poison(shared, symbol);
    let window = Window::of(symbol, depth, &poison);
    let decimals = symbol.spec.price_decimals();
    let side = |side: &[Level]| {
        levels(
            side,
            |ticks| poison.ticks(symbol.price(ticks), decimals, Digits::Short),
            |lots| Digits::Short.write(symbol.quantity(lots)),
        )
    };
    format!(
        r#"{{"asks":[{}],"bids":[{}],"ts":"{}"}}"#,
        side(&window.asks),
        side(&window.bids),
        shared.wall().unix_ms()
    )
}

fn instrument(symbol: &SymbolMarket) -> String {
    let spec = &symbol.spec;
    let state = match symbol.trading {
        crate::market::Trading::Trading => "live",
        crate::market::Trading::Halt => "suspend",
    };
    let (tick, lot) = (
        Digits::Short.write(spec.tick()),
        Digits::Short.write(spec.lot()),
    );
    json!({
        "instType": "SPOT",
        "instId": &*spec.name,
        "uly": "",
        "instFamily": "",
        "category": "1",
        "baseCcy": &*spec.base,
        "quoteCcy": &*spec.quote,
        "settleCcy": "",
        "ctVal": "",
        "listTime": "1548133413000",
        "expTime": "",
        "lever": "",
        "tickSz": tick,
        "lotSz": lot,
        "minSz": lot,
        "ctType": "",
        "state": state,
        "ruleType": "normal",
    })
    .to_string()
}
