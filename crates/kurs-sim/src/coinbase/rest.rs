//! The REST routes of Coinbase Exchange.

use crate::exchange::Exchange;
use crate::exchange::book::{Level, Poison, Window};
use crate::exchange::scene::{Digits, time_us};
use crate::faults::Channel;
use crate::http::query::Query;
use crate::http::reply::Reply;
use crate::market::symbol::SymbolMarket;
use crate::shared::Shared;
use crate::venue::Venue;
use serde_json::{Value, json};

/// Answers one request.
pub(crate) fn answer(route: &str, query: &Query, exchange: &Exchange, shared: &Shared) -> Reply {
    if let Some(product) = route
        .strip_prefix("/products/")
        .and_then(|rest| rest.strip_suffix("/candles"))
    {
        // The market goes on while candles are made.
        let spec = {
            let state = exchange.state.lock();
            state
                .market
                .symbol(product)
                .map(|symbol| symbol.spec.clone())
        };
        return match spec {
            Some(spec) => super::candles::answer(&spec, query, shared),
            None => Reply::value(404, &json!({"message": "NotFound"})),
        };
    }
    let state = exchange.state.lock();
    let parts: Vec<&str> = route.split('/').filter(|part| !part.is_empty()).collect();
    let known = |product: &str| state.market.symbol(product);
    let reply = match *parts.as_slice() {
        ["time"] => Some(time(shared)),
        ["products"] => {
            let all: Vec<Value> = state.market.symbols().map(product).collect();
            Some(Reply::value(200, &json!(all)))
        }
        ["products", name] => known(name).map(|symbol| Reply::value(200, &product(symbol))),
        ["products", name, "book"] => known(name).map(|symbol| book(symbol, query, shared)),
        ["products", name, "ticker"] => known(name).map(|symbol| ticker(symbol, shared)),
        _ => None,
    };
    reply.unwrap_or_else(|| Reply::value(404, &json!({"message": "NotFound"})))
}

/// A refusal by status.
pub(crate) fn refusal(status: u16) -> Reply {
    let message = match status {
        429 => "Public rate limit exceeded",
        403 => "Forbidden",
        _ => "Internal server error",
    };
    Reply::value(status, &json!({ "message": message }))
}

fn time(shared: &Shared) -> Reply {
    let wall = shared.wall();
    let (seconds, thousandths) = (wall.unix_ms() / 1_000, wall.unix_ms() % 1_000);
    Reply::json(
        200,
        format!(r#"{{"iso":"{wall}","epoch":{seconds}.{thousandths:03}}}"#),
    )
}

fn product(symbol: &SymbolMarket) -> Value {
    let spec = &symbol.spec;
    json!({
        "id": &*spec.name,
        "base_currency": &*spec.base,
        "quote_currency": &*spec.quote,
        "quote_increment": Digits::Short.write(spec.tick()),
        "base_increment": Digits::Short.write(spec.lot()),
        "display_name": format!("{}/{}", spec.base, spec.quote),
        "min_market_funds": "1",
        "margin_enabled": false,
        "post_only": false,
        "limit_only": false,
        "cancel_only": false,
        "status": "online",
        "status_message": "",
        "trading_disabled": symbol.trading == crate::market::Trading::Halt,
        "fx_stablecoin": matches!(&*spec.base, "USDT" | "USDC"),
        "max_slippage_percentage": "0.02000000",
        "auction_mode": false,
        "high_bid_limit_percentage": "",
    })
}

fn poison(shared: &Shared, symbol: &SymbolMarket) -> Poison {
    Poison::of(
        shared
            .board
            .wrong_price(Venue::Coinbase, Channel::Rest, &symbol.spec.name),
    )
}

fn book(symbol: &SymbolMarket, query: &Query, shared: &Shared) -> Reply {
    let depth = match query.get("level").unwrap_or("1") {
        "1" => 1,
        "2" => usize::MAX,
        "3" => return Reply::value(401, &json!({"message": "Unauthorized."})),
        _ => return Reply::value(400, &json!({"message": "Invalid level"})),
    };
    let poison = poison(shared, symbol);
    let window = Window::of(symbol, depth, &poison);
    let side = |levels: &[Level]| {
        let level = |(ticks, lots): &Level| {
            let price = text_of(symbol, &poison, *ticks);
            let size = Digits::Short.write(symbol.quantity(*lots));
            format!(r#"["{price}","{size}",{}]"#, lots % 7 + 1)
        };
        levels.iter().map(level).collect::<Vec<_>>().join(",")
    };
    Reply::json(
        200,
        format!(
            r#"{{"bids":[{}],"asks":[{}],"sequence":{},"auction_mode":false,"auction":null,"time":"{}"}}"#,
            side(&window.bids),
            side(&window.asks),
            symbol.id(),
            time_us(shared.wall()),
        ),
    )
}

/// A price of a window, which is already scaled.
fn text_of(symbol: &SymbolMarket, poison: &Poison, ticks: u64) -> String {
    let decimals = symbol.spec.price_decimals();
    poison.ticks(symbol.price(ticks), decimals, Digits::Padded(decimals))
}

fn ticker(symbol: &SymbolMarket, shared: &Shared) -> Reply {
    let poison = poison(shared, symbol);
    let window = Window::of(symbol, 1, &poison);
    let best = |levels: &[Level]| {
        levels
            .first()
            .map_or_else(String::new, |(ticks, _)| text_of(symbol, &poison, *ticks))
    };
    let trade = &symbol.last_trade;
    let decimals = symbol.spec.price_decimals();
    Reply::value(
        200,
        &json!({
            "ask": best(&window.asks),
            "bid": best(&window.bids),
            "volume": Digits::Short.write(symbol.summary.volume),
            "trade_id": trade.id,
            "price": poison.price(trade.price, decimals, Digits::Padded(decimals)),
            "size": Digits::Short.write(trade.quantity),
            "time": time_us(shared.wall()),
            "rfq_volume": "0",
        }),
    )
}
