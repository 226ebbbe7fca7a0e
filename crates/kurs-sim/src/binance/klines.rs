//! `/api/v3/klines`: candles of the past, oldest first.

use super::rest::error;
use crate::http::query::Query;
use crate::http::reply::Reply;
use crate::market::Habit;
use crate::market::history::{History, Most};
use crate::shared::Shared;
use serde_json::{Value, json};

/// Candles of an answer unless the client says otherwise, and at most.
const USUAL: u64 = 500;
const MOST: u64 = 1_000;

/// Answers a request about a symbol that was found to be named rightly.
pub(crate) fn answer(name: &str, query: &Query, shared: &Shared) -> Reply {
    let length_s: u64 = match query.get("interval") {
        Some("1m") => 60,
        Some("5m") => 300,
        Some("1h") => 3_600,
        Some("1d") => 86_400,
        _ => return error(-1120, "Invalid interval."),
    };
    let number = |key: &str| query.get(key).map(str::parse::<u64>).transpose();
    let (Ok(start_ms), Ok(end_ms), Ok(limit)) =
        (number("startTime"), number("endTime"), number("limit"))
    else {
        return error(-1100, "Illegal characters found in a parameter.");
    };
    let limit = limit.unwrap_or(USUAL).clamp(1, MOST);
    let spec = {
        let market = shared.market.lock();
        let Some(symbol) = market.symbol(name) else {
            return error(-1121, "Invalid symbol.");
        };
        symbol.spec.clone()
    };
    let history = History::new(
        shared.config.seed,
        Habit::BINANCE,
        &spec,
        shared.unix_seconds(),
    );
    // Both ends count; without a begin the newest are meant.
    let end_s = end_ms.map_or(u64::MAX / 2, |end| end / 1_000 + 1);
    let most = match start_ms {
        Some(_) => Most::Oldest(limit),
        None => Most::Newest(limit),
    };
    let start_s = start_ms.unwrap_or(0).div_ceil(1_000);
    let rows: Vec<Value> = history
        .candles(length_s, start_s..end_s, most)
        .iter()
        .map(|candle| {
            let [open, high, low, close] =
                history.prices(candle).map(|price| format!("{price:.8}"));
            let volume = history.volume(candle);
            let value = volume.checked_mul(history.price(candle.close));
            json!([
                candle.start_s * 1_000,
                open,
                high,
                low,
                close,
                format!("{volume:.8}"),
                (candle.start_s + length_s) * 1_000 - 1,
                format!("{:.8}", value.unwrap_or_default()),
                candle.count,
                "0.00000000",
                "0.00000000",
                "0"
            ])
        })
        .collect();
    Reply::value(200, &Value::Array(rows))
}
