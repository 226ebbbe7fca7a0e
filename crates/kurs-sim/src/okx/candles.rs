//! `/api/v5/market/history-candles`: candles of the past, newest first; the times that `before`
//! and `after` name do not count themselves.

use super::rest::{data, error};
use crate::exchange::Exchange;
use crate::exchange::scene::Digits;
use crate::http::query::Query;
use crate::http::reply::Reply;
use crate::market::history::{History, Most};
use crate::market::listings;
use crate::shared::Shared;
use crate::venue::Venue;

/// Candles of an answer unless the client says otherwise, and at most.
const USUAL: u64 = 100;
const MOST: u64 = 300;

/// Answers one request.
pub(crate) fn answer(query: &Query, exchange: &Exchange, shared: &Shared) -> Reply {
    let length_s: u64 = match query.get("bar").unwrap_or("1m") {
        "1m" => 60,
        "5m" => 300,
        "1H" => 3_600,
        "1Dutc" => 86_400,
        _ => return error(400, "51000", "Parameter bar error"),
    };
    let number = |key: &str| query.get(key).map(str::parse::<u64>).transpose();
    let (Ok(before), Ok(after), Ok(limit)) = (number("before"), number("after"), number("limit"))
    else {
        return error(400, "51000", "Parameter before error");
    };
    let limit = limit.unwrap_or(USUAL).clamp(1, MOST);
    let name = query.get("instId").unwrap_or("");
    let spec = {
        let state = exchange.state.lock();
        match state.market.symbol(name) {
            Some(symbol) => symbol.spec.clone(),
            None => {
                return error(
                    200,
                    "51001",
                    "Instrument ID, Instrument ID code, or Spread ID doesn't exist.",
                );
            }
        }
    };
    let now_s = shared.unix_seconds();
    let habit = listings::habit(Venue::Okx);
    let history = History::new(shared.config.seed, habit, &spec, now_s);
    let start_s = before.map_or(0, |before| before / 1_000 + 1);
    let end_s = after.map_or(u64::MAX / 2, |after| after.div_ceil(1_000));
    let candles = history.candles(length_s, start_s..end_s, Most::Newest(limit));
    let rows: Vec<String> = candles
        .iter()
        .rev()
        .map(|candle| {
            let [open, high, low, close] = history
                .prices(candle)
                .map(|price| Digits::Short.write(price));
            let volume = history.volume(candle);
            let value = volume.checked_mul(history.price(candle.close));
            let (volume, value) = (
                Digits::Short.write(volume),
                Digits::Short.write(value.unwrap_or_default()),
            );
            let confirm = u8::from(candle.start_s + length_s <= now_s);
            format!(
                r#"["{}","{open}","{high}","{low}","{close}","{volume}","{value}","{value}","{confirm}"]"#,
                candle.start_s * 1_000
            )
        })
        .collect();
    data(&rows.join(","))
}
