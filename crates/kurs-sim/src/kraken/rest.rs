//! The public REST routes of Kraken. Errors come with status 200.

use super::names;
use crate::exchange::Exchange;
use crate::exchange::book::{Level, Poison, Window};
use crate::exchange::scene::Digits;
use crate::faults::Channel;
use crate::http::query::Query;
use crate::http::reply::Reply;
use crate::market::symbol::SymbolMarket;
use crate::shared::Shared;
use crate::venue::Venue;
use kurs_core::Wall;
use serde_json::{Map, Value, json};

/// Answers one request.
pub(crate) fn answer(route: &str, query: &Query, exchange: &Exchange, shared: &Shared) -> Reply {
    let wall = shared.wall();
    match route.strip_prefix("/0/public/").unwrap_or("") {
        "Time" => result(json!({"unixtime": wall.unix_ms() / 1_000, "rfc1123": http_date(wall)})),
        "SystemStatus" => result(json!({"status": "online", "timestamp": seconds_text(wall)})),
        "AssetPairs" => pairs(query, exchange, asset_pair),
        "Ticker" => pairs(query, exchange, |symbol| ticker(symbol, shared)),
        "OHLC" => super::ohlc::answer(query, exchange, shared),
        "Depth" => {
            if query.get("pair").is_none() {
                return error("EGeneral:Invalid arguments");
            }
            let count = query.get("count").and_then(|count| count.parse().ok());
            let count = count.unwrap_or(100).clamp(1, 500);
            pairs(query, exchange, |symbol| depth(symbol, count, shared))
        }
        _ => error("EGeneral:Unknown method"),
    }
}

/// A refusal by status.
pub(crate) fn refusal(status: u16) -> Reply {
    Reply::html(status, format!("<html><body>{status}</body></html>"))
}

/// Too many requests are told with status 200.
pub(crate) fn too_many_requests() -> Reply {
    error("EGeneral:Too many requests")
}

/// The symbol that a `pair` parameter means, in the word of WebSocket v2.
pub(crate) fn symbol_of(pair: &str, exchange: &Exchange) -> Option<String> {
    let state = exchange.state.lock();
    state
        .market
        .symbols()
        .find(|symbol| names::means(pair, &symbol.spec))
        .map(|symbol| symbol.spec.name.to_string())
}

pub(super) fn error(what: &str) -> Reply {
    Reply::value(200, &json!({"error": [what]}))
}

pub(super) fn result(result: Value) -> Reply {
    Reply::value(200, &json!({"error": [], "result": result}))
}

/// The symbols a request names, or all, each under its key.
fn pairs(query: &Query, exchange: &Exchange, one: impl Fn(&SymbolMarket) -> Value) -> Reply {
    let state = exchange.state.lock();
    let asked = query.list("pair");
    let mut rows = Map::new();
    for pair in &asked {
        let found = state
            .market
            .symbols()
            .find(|symbol| names::means(pair, &symbol.spec));
        let Some(symbol) = found else {
            return error("EQuery:Unknown asset pair");
        };
        rows.insert(names::pair_key(&symbol.spec), one(symbol));
    }
    if asked.is_empty() {
        for symbol in state.market.symbols() {
            rows.insert(names::pair_key(&symbol.spec), one(symbol));
        }
    }
    result(Value::Object(rows))
}

fn asset_pair(symbol: &SymbolMarket) -> Value {
    let spec = &symbol.spec;
    let status = match symbol.trading {
        crate::market::Trading::Trading => "online",
        crate::market::Trading::Halt => "cancel_only",
    };
    json!({
        "altname": names::altname(spec),
        "wsname": names::wsname(spec),
        "aclass_base": "currency",
        "base": names::asset_key(&spec.base),
        "aclass_quote": "currency",
        "quote": names::asset_key(&spec.quote),
        "lot": "unit",
        "cost_decimals": spec.price_decimals() + 4,
        "pair_decimals": spec.price_decimals(),
        "lot_decimals": spec.size_decimals(),
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [[0, 0.4]],
        "fees_maker": [[0, 0.25]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": Digits::Short.write(spec.lot()),
        "costmin": "0.5",
        "tick_size": Digits::Short.write(spec.tick()),
        "status": status,
    })
}

/// Texts of one symbol.
struct Writer<'a> {
    symbol: &'a SymbolMarket,
    poison: Poison,
}

impl<'a> Writer<'a> {
    fn new(symbol: &'a SymbolMarket, shared: &Shared) -> Self {
        let board = &shared.board;
        let wrong = board.wrong_price(Venue::Kraken, Channel::Rest, &symbol.spec.name);
        Self {
            symbol,
            poison: Poison::of(wrong),
        }
    }

    fn ticks(&self, ticks: u64) -> String {
        let decimals = self.symbol.spec.price_decimals();
        // REST pads to five decimals at least.
        let digits = Digits::Padded(decimals.max(5));
        self.poison
            .ticks(self.symbol.price(ticks), decimals, digits)
    }

    fn price(&self, price: rust_decimal::Decimal) -> String {
        let decimals = self.symbol.spec.price_decimals();
        self.poison
            .price(price, decimals, Digits::Padded(decimals.max(5)))
    }

    fn window(&self, depth: usize) -> Window {
        Window::of(self.symbol, depth, &self.poison)
    }
}

fn ticker(symbol: &SymbolMarket, shared: &Shared) -> Value {
    let writer = Writer::new(symbol, shared);
    let window = writer.window(1);
    let best = |levels: &[Level]| match levels.first() {
        Some((ticks, lots)) => {
            let size = symbol.quantity(*lots);
            let whole = Digits::Short.write(size.trunc());
            json!([writer.ticks(*ticks), whole, Digits::Padded(3).write(size)])
        }
        None => json!(["0.00000", "0", "0.000"]),
    };
    let summary = &symbol.summary;
    let twice = |text: String| json!([text.clone(), text]);
    let volume = Digits::Padded(8).write(summary.volume);
    json!({
        "a": best(&window.asks),
        "b": best(&window.bids),
        "c": [
            writer.price(symbol.last_trade.price),
            Digits::Padded(8).write(symbol.last_trade.quantity),
        ],
        "v": twice(volume),
        "p": twice(writer.price(summary.open)),
        "t": [1, 1],
        "l": twice(writer.price(summary.low)),
        "h": twice(writer.price(summary.high)),
        "o": writer.price(summary.open),
    })
}

fn depth(symbol: &SymbolMarket, count: usize, shared: &Shared) -> Value {
    let writer = Writer::new(symbol, shared);
    let window = writer.window(count);
    let seconds = shared.wall().unix_ms() / 1_000;
    let side = |levels: &[Level]| -> Vec<Value> {
        let level = |(ticks, lots): &Level| {
            let size = Digits::Padded(3).write(symbol.quantity(*lots));
            json!([writer.ticks(*ticks), size, seconds])
        };
        levels.iter().map(level).collect()
    };
    json!({"asks": side(&window.asks), "bids": side(&window.bids)})
}

/// `Mon, 24 Aug 26 22:21:57 +0000`.
fn http_date(wall: Wall) -> String {
    match jiff::Timestamp::from_microsecond(wall.0) {
        Ok(at) => at.strftime("%a, %d %b %y %H:%M:%S +0000").to_string(),
        Err(_) => String::new(),
    }
}

fn seconds_text(wall: Wall) -> String {
    let mut text = wall.to_string();
    text.truncate(19);
    text + "Z"
}
