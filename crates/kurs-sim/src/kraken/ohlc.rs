//! `/0/public/OHLC`: the newest 720 candles, whatever is asked for, the last one under way.

use super::names;
use super::rest::{error, result};
use crate::exchange::Exchange;
use crate::exchange::scene::Digits;
use crate::http::query::Query;
use crate::http::reply::Reply;
use crate::market::history::{History, Most};
use crate::market::listings;
use crate::shared::Shared;
use crate::venue::Venue;
use serde_json::{Map, Value, json};

/// Candles of an answer at most.
const MOST: u64 = 720;

/// Answers one request.
pub(crate) fn answer(query: &Query, exchange: &Exchange, shared: &Shared) -> Reply {
    let Some(pair) = query.get("pair") else {
        return error("EGeneral:Invalid arguments");
    };
    let minutes = query.get("interval").unwrap_or("1").parse::<u64>();
    let Some(minutes) = minutes
        .ok()
        .filter(|minutes| [1, 5, 15, 30, 60, 240, 1_440].contains(minutes))
    else {
        return error("EGeneral:Invalid arguments");
    };
    let spec = {
        let state = exchange.state.lock();
        let mut symbols = state.market.symbols();
        match symbols.find(|symbol| names::means(pair, &symbol.spec)) {
            Some(symbol) => symbol.spec.clone(),
            None => return error("EQuery:Unknown asset pair"),
        }
    };
    let habit = listings::habit(Venue::Kraken);
    let history = History::new(shared.config.seed, habit, &spec, shared.unix_seconds());
    let mut candles = history.candles(minutes * 60, 0..u64::MAX / 2, Most::Newest(MOST));
    let since = query
        .get("since")
        .and_then(|since| since.parse::<u64>().ok());
    // The candle under way comes in any case.
    let last = candles.pop();
    candles.retain(|candle| since.is_none_or(|since| candle.start_s > since));
    let closed = candles.last().map_or(0, |candle| candle.start_s);
    candles.extend(last);
    // REST pads to five decimals at least.
    let padded = Digits::Padded(spec.price_decimals().max(5));
    let rows: Vec<Value> = candles
        .iter()
        .map(|candle| {
            let [open, high, low, close] = history.prices(candle).map(|price| padded.write(price));
            let volume = Digits::Padded(8).write(history.volume(candle));
            let average = if candle.count == 0 {
                "0.0".to_owned()
            } else {
                close.clone()
            };
            json!([
                candle.start_s,
                open,
                high,
                low,
                close,
                average,
                volume,
                candle.count
            ])
        })
        .collect();
    let mut body = Map::new();
    body.insert(names::pair_key(&spec), Value::Array(rows));
    body.insert("last".to_owned(), json!(closed));
    result(Value::Object(body))
}
