//! The REST routes of v5 spot market data. Errors come with status 200 and a `retCode`.

use super::frames::{change, levels};
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
use serde_json::{Value, json};

/// Answers one request.
pub(crate) fn answer(route: &str, query: &Query, exchange: &Exchange, shared: &Shared) -> Reply {
    let needs_category = route != "/v5/market/time";
    if needs_category && query.get("category") != Some("spot") {
        return error(10_001, "Illegal category", shared);
    }
    match route {
        "/v5/market/time" => {
            let now = shared.wall();
            let (seconds, nanos) = (now.unix_ms() / 1_000, now.0);
            let nanos = format!("{nanos}000");
            result(
                &json!({"timeSecond": seconds.to_string(), "timeNano": nanos}),
                shared,
            )
        }
        "/v5/market/kline" => super::kline::answer(query, exchange, shared),
        "/v5/market/orderbook" => orderbook(query, exchange, shared),
        "/v5/market/tickers" => list(query, exchange, shared, |symbol| ticker(symbol, shared)),
        "/v5/market/instruments-info" => list(query, exchange, shared, instrument),
        _ => Reply::html(404, "404 page not found"),
    }
}

/// A refusal by status.
pub(crate) fn refusal(status: u16) -> Reply {
    match status {
        // The venue's own word for too many requests.
        403 => Reply::html(403, "access too frequent"),
        _ => Reply::html(status, format!("<html><body>{status}</body></html>")),
    }
}

fn envelope(code: i32, message: &str, result: &str, shared: &Shared) -> Reply {
    Reply::json(
        200,
        format!(
            r#"{{"retCode":{code},"retMsg":{},"result":{result},"retExtInfo":{{}},"time":{}}}"#,
            json!(message),
            shared.wall().unix_ms(),
        ),
    )
    .with("x-bapi-limit", "600")
    .with("x-bapi-limit-status", "599")
}

pub(super) fn error(code: i32, message: &str, shared: &Shared) -> Reply {
    envelope(code, message, "{}", shared)
}

pub(super) fn result(result: &Value, shared: &Shared) -> Reply {
    envelope(0, "OK", &result.to_string(), shared)
}

fn poison(shared: &Shared, symbol: &SymbolMarket) -> Poison {
    let board = &shared.board;
    Poison::of(board.wrong_price(Venue::Bybit, Channel::Rest, &symbol.spec.name))
}

/// One symbol or all of them.
fn list(
    query: &Query,
    exchange: &Exchange,
    shared: &Shared,
    one: impl Fn(&SymbolMarket) -> Value,
) -> Reply {
    let state = exchange.state.lock();
    let rows: Vec<Value> = match query.get("symbol") {
        None => state.market.symbols().map(one).collect(),
        Some(name) => match state.market.symbol(name) {
            Some(symbol) => vec![one(symbol)],
            None => return error(10_001, "Not supported symbols", shared),
        },
    };
    result(&json!({"category": "spot", "list": rows}), shared)
}

fn orderbook(query: &Query, exchange: &Exchange, shared: &Shared) -> Reply {
    let limit = query.get("limit").unwrap_or("1");
    let Some(limit) = limit
        .parse()
        .ok()
        .filter(|limit| (1..=1_000).contains(limit))
    else {
        return error(10_001, "params error: limit invalid", shared);
    };
    let name = query.get("symbol").unwrap_or("");
    let state = exchange.state.lock();
    let Some(symbol) = state.market.symbol(name) else {
        return error(10_001, "Not supported symbols", shared);
    };
    let poison = poison(shared, symbol);
    let window = Window::of(symbol, limit, &poison);
    let decimals = symbol.spec.price_decimals();
    let side = |side: &[Level]| {
        levels(
            side,
            |ticks| poison.ticks(symbol.price(ticks), decimals, Digits::Short),
            |lots| Digits::Short.write(symbol.quantity(lots)),
        )
    };
    let ts = shared.wall().unix_ms();
    // The numbering of the deepest stream, which is nobody else's.
    let count = symbol.id() % 1_000_000_000;
    let body = format!(
        r#"{{"s":"{name}","b":[{}],"a":[{}],"ts":{ts},"u":{count},"seq":{},"cts":{}}}"#,
        side(&window.bids),
        side(&window.asks),
        symbol.id(),
        ts - 3,
    );
    envelope(0, "OK", &body, shared)
}

fn ticker(symbol: &SymbolMarket, shared: &Shared) -> Value {
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
    let (bid, bid_size) = best(&window.bids);
    let (ask, ask_size) = best(&window.asks);
    let price = |price: Decimal| poison.price(price, decimals, Digits::Short);
    let summary = &symbol.summary;
    json!({
        "symbol": &*symbol.spec.name,
        "bid1Price": bid,
        "bid1Size": bid_size,
        "ask1Price": ask,
        "ask1Size": ask_size,
        "lastPrice": price(symbol.last_trade.price),
        "prevPrice24h": price(summary.open),
        "price24hPcnt": change(summary.open, summary.close),
        "highPrice24h": price(summary.high),
        "lowPrice24h": price(summary.low),
        "turnover24h": Digits::Short.write(summary.quote_volume),
        "volume24h": Digits::Short.write(summary.volume),
        "usdIndexPrice": "",
    })
}

fn instrument(symbol: &SymbolMarket) -> Value {
    let spec = &symbol.spec;
    let (tick, lot) = (
        Digits::Short.write(spec.tick()),
        Digits::Short.write(spec.lot()),
    );
    json!({
        "symbol": &*spec.name,
        "baseCoin": &*spec.base,
        "quoteCoin": &*spec.quote,
        "innovation": "0",
        "status": match symbol.trading {
            crate::market::Trading::Trading => "Trading",
            crate::market::Trading::Halt => "Closed",
        },
        "marginTrading": "utaOnly",
        "lotSizeFilter": {
            "basePrecision": lot,
            "quotePrecision": "0.00000001",
            "minOrderQty": lot,
            "maxOrderQty": "1000000",
            "minOrderAmt": "5",
            "maxOrderAmt": "4000000",
        },
        "priceFilter": {"tickSize": tick},
        "riskParameters": {"priceLimitRatioX": "0.01", "priceLimitRatioY": "0.02"},
    })
}
