//! Simulated CoinGecko API v3: `simple/price`, the list of quote currencies, `ping`.

use crate::faults::{Channel, price_text};
use crate::http::query::Query;
use crate::http::reply::Reply;
use crate::market::reference::Reference;
use crate::shared::Shared;
use crate::venue::Venue;
use http::HeaderMap;
use kurs_core::Wall;
use kurs_core::pair::COINGECKO_IDS;
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::json;

/// Crypto assets one can ask prices in.
const CRYPTO_QUOTES: [&str; 3] = ["btc", "eth", "bnb"];

pub(crate) fn answer(route: &str, query: &Query, headers: &HeaderMap, shared: &Shared) -> Reply {
    if let Some(refused) = check_key(query, headers, shared) {
        return refused;
    }
    match route {
        "/api/v3/ping" => Reply::value(200, &json!({"gecko_says": "(V3) To the Moon!"})),
        "/api/v3/simple/price" => simple_price(query, shared),
        "/api/v3/simple/supported_vs_currencies" => {
            let mut names: Vec<_> = CRYPTO_QUOTES
                .iter()
                .map(|name| (*name).to_owned())
                .collect();
            names.push("usd".to_owned());
            names.extend(Reference::fiats().map(str::to_lowercase));
            Reply::value(200, &json!(names))
        }
        _ => Reply::value(
            404,
            &json!({"error": "Incorrect path. Please check https://www.coingecko.com/api/"}),
        ),
    }
}

fn check_key(query: &Query, headers: &HeaderMap, shared: &Shared) -> Option<Reply> {
    let expected = shared.config.coingecko_key.as_deref()?;
    let given = ["x-cg-demo-api-key", "x-cg-pro-api-key"]
        .into_iter()
        .find_map(|name| headers.get(name).and_then(|value| value.to_str().ok()))
        .or_else(|| query.get("x_cg_demo_api_key"))
        .or_else(|| query.get("x_cg_pro_api_key"));
    let (code, message) = match given {
        Some(key) if key == expected => return None,
        Some(_) => (
            10_010,
            "If you are using Demo API key, please change your root URL from pro-api.coingecko.com to api.coingecko.com",
        ),
        None => (10_002, "API Key Missing"),
    };
    let timestamp = shared.wall().to_string();
    let status = json!({"timestamp": timestamp, "error_code": code, "error_message": message});
    let (http, body) = match code {
        10_010 => (400, json!({"error": {"status": status}})),
        _ => (401, json!({"status": status})),
    };
    Some(Reply::value(http, &body))
}

/// A refusal by status.
pub(crate) fn refusal(status: u16, wall: Wall) -> Reply {
    let message = match status {
        429 => {
            "You've exceeded the Rate Limit. Please visit https://www.coingecko.com/en/api/pricing to subscribe to our API plans for higher rate limits."
        }
        403 => "Forbidden",
        _ => "Internal Server Error",
    };
    let timestamp = wall.to_string();
    Reply::value(
        status,
        &json!({"status": {"timestamp": timestamp, "error_code": status, "error_message": message}}),
    )
}

fn simple_price(query: &Query, shared: &Shared) -> Reply {
    for name in ["vs_currencies", "ids"] {
        if query.list(name).is_empty() {
            return Reply::value(422, &json!({"error": format!("Missing parameter {name}")}));
        }
    }
    // One computed price is served for a while, as the real service caches.
    let step = shared.market.lock().step();
    let period_ms = shared
        .config
        .coingecko_cache_seconds
        .max(1)
        .saturating_mul(1_000);
    let cached_step = step - step % period_ms;
    let updated_at = shared
        .unix_seconds()
        .saturating_sub((step - cached_step) / 1_000);
    let hour = updated_at / 3_600;
    let mut coins: Vec<String> = Vec::new();
    let mut seen = Vec::new();
    for id in query.list("ids").into_iter().take(500) {
        let id = id.to_lowercase();
        let known = COINGECKO_IDS.iter().find(|(known, _)| *known == id);
        let Some((id, asset)) = known.filter(|(id, _)| !seen.contains(id)) else {
            continue;
        };
        seen.push(id);
        let usd = shared.reference.crypto_usd(asset, cached_step);
        let mut fields = Vec::new();
        for quote in query.list("vs_currencies").into_iter().take(100) {
            let quote = quote.to_lowercase();
            let pinned = shared.pins.get(Venue::Coingecko, &format!("{id}/{quote}"));
            let price = pinned.or_else(|| {
                let price = in_quote(shared, usd, &quote, cached_step, hour)?;
                Some(rounded(price, query.get("precision")))
            });
            let Some(price) = price else { continue };
            let wrong = shared
                .board
                .wrong_price(Venue::Coingecko, Channel::Rest, id);
            let text = match wrong {
                Some(wrong) => price_text(price, Some(&wrong)),
                None => number(price),
            };
            fields.push(format!(r#""{quote}":{text}"#));
        }
        if query.is_true("include_last_updated_at") {
            fields.push(format!(r#""last_updated_at":{updated_at}"#));
        }
        coins.push(format!(r#""{id}":{{{}}}"#, fields.join(",")));
    }
    Reply::json(200, format!("{{{}}}", coins.join(","))).with(
        "cache-control",
        "max-age=30, public, must-revalidate, s-maxage=60",
    )
}

fn in_quote(shared: &Shared, usd: Decimal, quote: &str, step: u64, hour: u64) -> Option<Decimal> {
    let upper = quote.to_uppercase();
    if CRYPTO_QUOTES.contains(&quote) {
        return usd.checked_div(shared.reference.crypto_usd(&upper, step));
    }
    usd.checked_mul(shared.reference.fiat_live(&upper, hour)?)
}

fn rounded(price: Decimal, precision: Option<&str>) -> Decimal {
    let even = RoundingStrategy::MidpointNearestEven;
    let significant = |digits| price.round_sf_with_strategy(digits, even).unwrap_or(price);
    let value = match precision {
        Some("full") => significant(15),
        Some(places) => price.round_dp(places.parse().unwrap_or(18).min(18)),
        None if price >= Decimal::ONE => price.round_dp(2),
        None => significant(6),
    };
    value.normalize()
}

/// A JSON number; small ones in exponent form, as the real service prints them.
fn number(value: Decimal) -> String {
    let value = value.normalize();
    let digits = value.mantissa().unsigned_abs().to_string();
    let exponent = i64::try_from(digits.len()).unwrap_or(0) - 1 - i64::from(value.scale());
    if value.is_zero() || exponent >= -4 {
        return value.to_string();
    }
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let sign = if value.is_sign_negative() { "-" } else { "" };
    format!("{sign}{first}{point}{rest}e-{:02}", -exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_come_in_exponent_form_and_keep_every_digit() {
        for (plain, printed) in [
            ("0.00000259", "2.59e-06"),
            ("0.00002", "2e-05"),
            ("0.0001", "0.0001"),
            ("67187.3358936566", "67187.3358936566"),
            ("-0.00002", "-2e-05"),
            ("0", "0"),
        ] {
            assert_eq!(number(plain.parse().unwrap()), printed);
            assert_eq!(
                kurs_core::price::parse_decimal(printed).unwrap(),
                plain.parse().unwrap()
            );
        }
    }
}
