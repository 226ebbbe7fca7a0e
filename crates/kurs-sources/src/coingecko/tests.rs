//! What CoinGecko's answers mean.

use super::*;
use kurs_core::{Mono, Pair, Wall};

const UPDATED: i64 = 1_777_111_200;

fn now(seconds_later: i64) -> Now {
    Now {
        mono: Mono(9),
        wall: Wall::from_unix_seconds(UPDATED + seconds_later),
    }
}

fn body(text: &str) -> Fetched {
    Fetched::Body {
        bytes: text.to_owned().into(),
        validators: Default::default(),
        content_type: None,
        headers: Vec::new(),
    }
}

fn config(json: serde_json::Value) -> Config {
    serde_json::from_value(json).unwrap()
}

fn two_coins() -> Config {
    config(serde_json::json!({
        "ids": {"bitcoin": "BTC", "tether": "USDT"}, "vs_currencies": ["USD", "RUB"],
    }))
}

fn shown(picture: &Picture) -> Vec<String> {
    picture
        .entries
        .iter()
        .map(|entry| format!("{} {}", entry.pair, entry.quote.value().unwrap()))
        .collect()
}

fn missing<'a>(picture: &'a Picture, pair: &str) -> Option<&'a str> {
    picture
        .missing
        .get(&Pair::parse(pair).unwrap())
        .map(String::as_str)
}

#[test]
fn every_coin_gives_its_direct_pairs_digit_by_digit() {
    let mut source = CoinGecko::new(two_coins());
    let text = format!(
        r#"{{"bitcoin":{{"usd":67187.3358936566,"rub":6.0112345e6,"last_updated_at":{UPDATED}}},
            "tether":{{"usd":0.99987,"rub":90.5,"last_updated_at":{UPDATED}}}}}"#
    );
    source.receive(body(&text), now(20)).unwrap();
    let picture = source.picture(now(20));
    assert_eq!(
        shown(&picture),
        [
            "BTC-USD 67187.3358936566",
            "BTC-RUB 6011234.5",
            "USDT-USD 0.99987",
            "USDT-RUB 90.5",
        ]
    );
    assert!(picture.missing.is_empty());
    assert_eq!(
        picture.entries[0].observed_at,
        Some(Wall::from_unix_seconds(UPDATED))
    );
}

#[test]
fn a_frozen_coin_is_not_used_and_the_others_are() {
    let mut source = CoinGecko::new(two_coins());
    let old = UPDATED - 601;
    let text = format!(
        r#"{{"bitcoin":{{"usd":1,"rub":2,"last_updated_at":{old}}},
            "tether":{{"usd":3,"rub":4,"last_updated_at":{UPDATED}}}}}"#
    );
    source.receive(body(&text), now(0)).unwrap();
    let picture = source.picture(now(0));
    assert_eq!(shown(&picture), ["USDT-USD 3", "USDT-RUB 4"]);
    assert_eq!(missing(&picture, "BTC-USD"), Some("last updated 601 s ago"));
}

#[test]
fn what_was_asked_for_and_not_given_is_noticed() {
    let mut source = CoinGecko::new(two_coins());
    source
        .receive(body(r#"{"bitcoin":{"usd":null,"rub":"5"}}"#), now(0))
        .unwrap();
    let picture = source.picture(now(0));
    assert!(picture.entries.is_empty());
    assert_eq!(missing(&picture, "BTC-USD"), Some("not in the answer"));
    assert_eq!(
        missing(&picture, "BTC-RUB"),
        Some("not an exact decimal number")
    );
    assert_eq!(missing(&picture, "USDT-USD"), Some("not in the answer"));
    source.receive(body("{}"), now(0)).unwrap();
    assert_eq!(source.picture(now(0)).missing.len(), 4);
}

#[test]
fn the_key_goes_into_the_header_of_its_plan_and_never_into_the_url() {
    let check = |json: serde_json::Value, host: &str, header: Option<&str>| {
        let fetch = CoinGecko::new(config(json)).request(now(0));
        assert!(fetch.url.starts_with(host), "{}", fetch.url);
        assert!(!fetch.url.contains("s3cret"));
        assert_eq!(fetch.headers.first().map(|header| &*header.name), header);
        assert!(
            fetch
                .headers
                .iter()
                .all(|header| header.secret && &*header.value == "s3cret")
        );
        assert!(!format!("{fetch:?}").contains("s3cret"));
    };
    check(
        serde_json::json!({}),
        "https://api.coingecko.com/api/v3/simple/price?",
        None,
    );
    check(
        serde_json::json!({"key": "s3cret"}),
        "https://api.coingecko.com/",
        Some("x-cg-demo-api-key"),
    );
    check(
        serde_json::json!({"key": "s3cret\n", "plan": "pro"}),
        "https://pro-api.coingecko.com/api/v3/",
        Some("x-cg-pro-api-key"),
    );
}

#[test]
fn a_demo_key_is_polled_within_its_monthly_quota() {
    assert_eq!(config(serde_json::json!({})).period().to_string(), "1m");
    assert_eq!(
        config(serde_json::json!({"key": "k"})).period().to_string(),
        "5m"
    );
    assert_eq!(
        config(serde_json::json!({"key": "k", "period": "20s"}))
            .period()
            .to_string(),
        "20s"
    );
}

#[test]
fn all_three_shapes_of_refusal_are_understood() {
    let source = CoinGecko::new(config(serde_json::json!({"key": "s3cret"})));
    let judge = |text: &str| {
        let body = text.to_owned().into();
        source.judge(&FetchError::Refused { status: 400, body })
    };
    let outer = judge(
        r#"{"status":{"error_code":10010,"error_message":"Wrong key s3cret","timestamp":"x"}}"#,
    )
    .unwrap();
    assert_eq!(outer.failure, PollFailure::Lasting(WRONG_KEY_WAIT));
    assert!(
        outer.needs_action && !outer.why.contains("s3cret"),
        "{outer:?}"
    );
    let inner = judge(r#"{"error":{"status":{"error_code":10011,"error_message":"m"}}}"#).unwrap();
    assert!(inner.needs_action);
    let text = judge(r#"{"error":"Missing parameter vs_currencies"}"#).unwrap();
    assert_eq!(
        (text.failure, text.needs_action),
        (PollFailure::Passing, false)
    );
    assert_eq!(judge("<html>blocked</html>"), None);
    assert_eq!(judge("{}"), None);
}

#[test]
fn the_status_decides_where_the_body_names_no_known_code() {
    let source = CoinGecko::new(config(serde_json::json!({"key": "s3cret"})));
    let wait = |status: u16, text: &'static str| {
        let body = text.into();
        let refusal = source.judge(&FetchError::Refused { status, body }).unwrap();
        assert!(refusal.needs_action, "{refusal:?}");
        refusal.failure
    };
    let forbidden = PollFailure::Lasting(Duration::from_secs(300));
    assert_eq!(wait(403, r#"{"error":"not from here"}"#), forbidden);
    let coded = r#"{"status":{"error_code":10012,"error_message":"m"}}"#;
    assert_eq!(wait(403, coded), forbidden);
    assert_eq!(wait(401, coded), PollFailure::Lasting(WRONG_KEY_WAIT));
    let html = FetchError::Refused {
        status: 403,
        body: "<html>blocked</html>".into(),
    };
    assert_eq!(source.judge(&html), None, "every source waits then");
}

#[test]
fn a_limit_told_with_status_200_is_a_limit() {
    let mut source = CoinGecko::new(two_coins());
    let text = r#"{"status":{"error_code":429,"error_message":"You've exceeded the Rate Limit"}}"#;
    let refusal = source.receive(body(text), now(0)).unwrap_err();
    assert_eq!(refusal.failure, PollFailure::Limited(None));
}
