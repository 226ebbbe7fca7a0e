//! `/v5/market/kline`: candles of the past, newest first.

use super::rest::{error, result};
use crate::exchange::Exchange;
use crate::exchange::scene::Digits;
use crate::http::query::Query;
use crate::http::reply::Reply;
use crate::market::history::{History, Most};
use crate::market::listings;
use crate::shared::Shared;
use crate::venue::Venue;
use serde_json::{Value, json};

/// Candles of an answer unless the client says otherwise, and at most.
const USUAL: u64 = 200;
const MOST: u64 = 1_000;

/// Answers one request.
pub(crate) fn answer(query: &Query, exchange: &Exchange, shared: &Shared) -> Reply {
    let length_s: u64 = match query.get("interval") {
        Some("1") => 60,
        Some("5") => 300,
        Some("60") => 3_600,
        Some("D") => 86_400,
        _ => return error(10_001, "Invalid period!", shared),
    };
    let number = |key: &str| query.get(key).map(str::parse::<u64>).transpose();
    let (Ok(start_ms), Ok(end_ms), Ok(limit)) = (number("start"), number("end"), number("limit"))
    else {
        return error(10_001, "params error", shared);
    };
    let limit = limit.unwrap_or(USUAL);
    if !(1..=MOST).contains(&limit) {
        return error(10_001, "params error: limit invalid", shared);
    }
    let name = query.get("symbol").unwrap_or("");
    let spec = {
        let state = exchange.state.lock();
        match state.market.symbol(name) {
            Some(symbol) => symbol.spec.clone(),
            None => return error(10_001, "Not supported symbols", shared),
        }
    };
    let habit = listings::habit(Venue::Bybit);
    let history = History::new(shared.config.seed, habit, &spec, shared.unix_seconds());
    let start_s = start_ms.unwrap_or(0).div_ceil(1_000);
    let end_s = end_ms.map_or(u64::MAX / 2, |end| end / 1_000 + 1);
    let candles = history.candles(length_s, start_s..end_s, Most::Newest(limit));
    let rows: Vec<Value> = candles
        .iter()
        .rev()
        .map(|candle| {
            let [open, high, low, close] = history
                .prices(candle)
                .map(|price| Digits::Short.write(price));
            let volume = history.volume(candle);
            let value = volume.checked_mul(history.price(candle.close));
            json!([
                (candle.start_s * 1_000).to_string(),
                open,
                high,
                low,
                close,
                Digits::Short.write(volume),
                Digits::Short.write(value.unwrap_or_default()),
            ])
        })
        .collect();
    result(
        &json!({"category": "spot", "symbol": name, "list": rows}),
        shared,
    )
}
