//! Simulated Open Exchange Rates: `latest.json`, `historical/*.json` and `usage.json`.

mod historical;

use crate::calendar::http_date;
use crate::faults::{Channel, price_text};
use crate::http::query::Query;
use crate::http::reply::Reply;
use crate::market::reference::{Reference, hash_name};
use crate::shared::Shared;
use crate::venue::Venue;
use http::HeaderMap;
use kurs_core::Wall;
use rust_decimal::Decimal;
use serde_json::json;

pub(crate) fn answer(
    route: &str,
    query: &Query,
    query_text: &str,
    headers: &HeaderMap,
    shared: &Shared,
) -> Reply {
    if let Some(refused) = check_key(query, headers, shared) {
        return refused;
    }
    match route {
        "/api/latest.json" => latest(query, query_text, headers, shared),
        "/api/usage.json" => usage(query, shared),
        _ => {
            let day = route
                .strip_prefix("/api/historical/")
                .and_then(|file| file.strip_suffix(".json"));
            match day {
                Some(day) => historical::answer(day, query, shared),
                None => error(
                    404,
                    "not_found",
                    "Client requested a non-existent resource/route.",
                ),
            }
        }
    }
}

fn error(status: u16, message: &str, description: &str) -> Reply {
    Reply::value(
        status,
        &json!({"error": true, "status": status, "message": message, "description": description}),
    )
}

/// A refusal by status, with the message the real service has for it.
pub(crate) fn refusal(status: u16) -> Reply {
    let message = match status {
        401 => "invalid_app_id",
        403 | 429 => "access_restricted",
        404 => "not_found",
        _ => "internal_error",
    };
    error(status, message, "Access is refused at present.")
}

fn check_key(query: &Query, headers: &HeaderMap, shared: &Shared) -> Option<Reply> {
    let from_header = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Token "));
    let key = query
        .get("app_id")
        .or(from_header)
        .filter(|key| !key.is_empty());
    let Some(key) = key else {
        return Some(error(401, "missing_app_id", "No App ID provided."));
    };
    match shared.config.openexchangerates_key.as_deref() {
        Some(expected) if expected != key => {
            Some(error(401, "invalid_app_id", "Invalid App ID provided."))
        }
        _ => None,
    }
}

/// A table published at a second since 1970.
fn table(query: &Query, published: u64, shared: &Shared) -> Result<String, Reply> {
    let base = query.get("base").unwrap_or("USD").to_uppercase();
    let hour = published / 3_600;
    let Some(base_rate) = shared.reference.fiat_live(&base, hour) else {
        return Err(error(
            400,
            "invalid_base",
            "Client requested rates for an unsupported base currency",
        ));
    };
    let wanted = query.list("symbols");
    let is_wanted = |name: &str| {
        wanted.is_empty()
            || wanted
                .iter()
                .any(|symbol| symbol.eq_ignore_ascii_case(name))
    };
    let mut names: Vec<&str> = Reference::fiats().chain(["USD", "BTC"]).collect();
    names.sort_unstable();
    let mut rates = Vec::new();
    for name in names.into_iter().filter(|name| is_wanted(name)) {
        let per_usd = match name {
            "BTC" => {
                let step = shared.market.lock().step();
                Decimal::ONE
                    .checked_div(shared.reference.crypto_usd("BTC", step - step % 3_600_000))
            }
            _ => shared.reference.fiat_live(name, hour),
        };
        let Some(rate) = per_usd.and_then(|rate| rate.checked_div(base_rate)) else {
            continue;
        };
        let places = if name == "BTC" { 12 } else { 6 };
        let rate = shared
            .pins
            .get(Venue::OpenExchangeRates, name)
            .unwrap_or_else(|| rate.round_dp(places).normalize());
        let wrong = shared
            .board
            .wrong_price(Venue::OpenExchangeRates, Channel::Rest, name);
        rates.push(format!(
            "    \"{name}\": {}",
            price_text(rate, wrong.as_ref())
        ));
    }
    Ok(format!(
        "{{\n  \"disclaimer\": \"Usage subject to terms: https://openexchangerates.org/terms\",\n  \"license\": \"https://openexchangerates.org/license\",\n  \"timestamp\": {published},\n  \"base\": \"{base}\",\n  \"rates\": {{\n{}\n  }}\n}}",
        rates.join(",\n")
    ))
}

fn latest(query: &Query, query_text: &str, headers: &HeaderMap, shared: &Shared) -> Reply {
    let period = shared.config.openexchangerates_period_seconds.max(1);
    let now = shared.unix_seconds();
    let published = now - now % period;
    let body = match table(query, published, shared) {
        Ok(body) => body,
        Err(refused) => return refused,
    };
    // The tag belongs to one exact URL.
    let etag = format!(
        "\"{:016x}{:016x}\"",
        hash_name(&body),
        hash_name(query_text)
    );
    let published_at = Wall::from_unix_seconds(i64::try_from(published).unwrap_or(0));
    let modified = http_date(published_at);
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let reply = match header("if-none-match") {
        Some(tag) if tag == etag => Reply::not_modified(),
        None if header("if-modified-since") == Some(modified.as_str()) => Reply::not_modified(),
        _ => Reply::new(200, "application/json; charset=utf-8", body),
    };
    reply
        .with("etag", &etag)
        .with("last-modified", &modified)
        .with("cache-control", "public")
}

fn usage(query: &Query, shared: &Shared) -> Reply {
    let state = shared.ledger.with(Venue::OpenExchangeRates, |state| {
        state
            .routes
            .get("/api/latest.json")
            .map_or(0, |route| route.count)
    });
    let quota = 1_000_u64;
    Reply::value(
        200,
        &json!({"status": 200, "data": {
            "app_id": query.get("app_id").unwrap_or(""),
            "status": "active",
            "plan": {
                "name": "Free", "quota": "1000 requests / month", "update_frequency": "3600s",
                "features": {"base": false, "symbols": true, "experimental": true, "time-series": false, "convert": false},
            },
            "usage": {
                "requests": state, "requests_quota": quota, "requests_remaining": quota.saturating_sub(state),
                "days_elapsed": 10, "days_remaining": 20, "daily_average": state / 10,
            },
        }}),
    )
}
