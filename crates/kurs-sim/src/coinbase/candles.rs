//! `/products/<id>/candles`: candles of the past, newest first. A span without a trade has none.

use crate::exchange::scene::Digits;
use crate::http::query::Query;
use crate::http::reply::Reply;
use crate::market::catalog::SymbolSpec;
use crate::market::history::{History, Most};
use crate::market::listings;
use crate::shared::Shared;
use crate::venue::Venue;
use kurs_core::Wall;
use serde_json::json;

/// Candles of an answer at most; a longer span is refused.
const MOST: u64 = 300;

/// Answers a request about a product.
pub(crate) fn answer(spec: &SymbolSpec, query: &Query, shared: &Shared) -> Reply {
    let refused = |message: &str| Reply::value(400, &json!({ "message": message }));
    let length_s: u64 = match query.get("granularity").unwrap_or("60") {
        "60" => 60,
        "300" => 300,
        "3600" => 3_600,
        "86400" => 86_400,
        _ => return refused("Unsupported granularity"),
    };
    let now_s = shared.unix_seconds();
    let span = match (query.get("start"), query.get("end")) {
        (Some(start), Some(end)) => {
            let (Some(start_s), Some(end_s)) = (second(start), second(end)) else {
                return refused("start must be a valid ISO8601 timestamp");
            };
            // Both ends count.
            start_s..end_s.saturating_add(1)
        }
        // Only one of them is as good as none.
        _ => (now_s + 1).saturating_sub(length_s * MOST)..now_s + 1,
    };
    if span.end.saturating_sub(span.start).div_ceil(length_s) > MOST {
        return refused(
            "granularity too small for the requested time range. Count of aggregations requested exceeds 300",
        );
    }
    let habit = listings::habit(Venue::Coinbase);
    let history = History::new(shared.config.seed, habit, spec, now_s);
    let candles = history.candles(length_s, span, Most::Newest(MOST));
    let row = |candle: &crate::market::history::PastCandle| {
        let [open, high, low, close] = history
            .prices(candle)
            .map(|price| Digits::Short.write(price));
        let volume = Digits::Short.write(history.volume(candle));
        format!("[{},{low},{high},{open},{close},{volume}]", candle.start_s)
    };
    let traded = candles.iter().rev().filter(|candle| candle.count > 0);
    let rows: Vec<String> = traded.map(row).collect();
    Reply::json(200, format!("[{}]", rows.join(",")))
}

fn second(text: &str) -> Option<u64> {
    let at: Wall = text.parse().ok()?;
    u64::try_from(at.unix_seconds()).ok()
}
