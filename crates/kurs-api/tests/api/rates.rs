//! One rate, batches, lists.

use crate::harness::{HOUR, Harness, START, assert_names, assert_problem};
use kurs_core::SourceKind;
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn a_rate_has_every_field_of_the_conventions() {
    let harness = Harness::start().await;
    let reply = harness.get("/api/v1/rates/BTC/USD").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let rate = reply.json();
    for field in [
        "pair",
        "value",
        "source",
        "state",
        "path",
        "observed_at",
        "published_at",
        "expires_at",
        "seq",
        "epoch",
    ] {
        assert!(!rate[field].is_null(), "{field} is missing in {rate}");
    }
    assert_eq!(rate["pair"], "BTC-USD");
    assert_eq!(rate["value"], "54000.000123");
    assert_eq!(rate["expires_at"], "2026-11-21T10:00:05.000Z");
}

#[tokio::test]
async fn every_spelling_and_alias_gives_the_same_rate() {
    let harness = Harness::start().await;
    let expect = harness.get("/api/v1/rates/BTC/USD").await;
    for target in [
        "/api/v1/rates/btc/usd",
        "/api/v1/rates/%42TC/USD",
        "/api/v1/rates/bitcoin/usd",
        "/rates/BTC/USD",
        "/api/rates/BTC/USD",
        "/api/v1/rates/BTC/USD?",
        "/api/v1/rates/BTC/USD?explain=false",
    ] {
        let reply = harness.get(target).await;
        assert_eq!(reply.text(), expect.text(), "{target}");
    }
}

#[tokio::test]
async fn the_short_way_and_the_general_way_say_the_same() {
    let harness = Harness::start().await;
    for (method, headers) in [
        ("GET", ""),
        ("HEAD", ""),
        ("GET", "X-Request-Id: my-own-id-1\r\n"),
        ("GET", "Accept: application/json\r\n"),
        ("GET", "If-None-Match: \"0.1-3\"\r\n"),
        ("GET", "If-None-Match: W/\"0.1-3\"\r\n"),
        ("HEAD", "If-None-Match: \"0.1-3\"\r\n"),
        ("GET", "If-None-Match: \"other\"\r\n"),
    ] {
        let short = harness.ask(method, "/api/v1/rates/BTC/USD", headers).await;
        let general = harness
            .ask(method, "/api/v1/rates/BTC/USD?explain=false", headers)
            .await;
        assert_eq!(short.status, general.status, "{method} {headers}");
        assert_eq!(short.body, general.body);
        let comparable = |reply: &crate::client::Reply| {
            let mut headers = reply.headers.clone();
            headers.retain(|(name, value)| {
                name != "date" && !(name == "x-request-id" && value.len() == 24)
            });
            headers.sort();
            headers
        };
        assert_eq!(
            comparable(&short),
            comparable(&general),
            "{method} {headers}"
        );
    }
}

#[tokio::test]
async fn an_expired_rate_is_a_problem_that_holds_the_last_one() {
    let harness = Harness::start().await;
    harness.clock.advance(Duration::from_secs(5));
    let reply = harness.get("/api/v1/rates/BTC/USD").await;
    assert_problem(&reply, 503, "rate-expired");
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let last = &reply.json()["rate"];
    assert_eq!(
        (&last["value"], &last["state"]),
        (&json!("54000.000123"), &json!("stale"))
    );

    let allowed = harness.get("/api/v1/rates/BTC/USD?allow_stale=true").await;
    assert_eq!(allowed.status, 200);
    assert_eq!(allowed.header("cache-control"), Some("no-store"));
    assert_eq!(&allowed.json(), last);
    assert_problem(
        &harness.get("/api/v1/rates/BTC/USD?allow_stale=false").await,
        503,
        "rate-expired",
    );
}

#[tokio::test]
async fn what_is_configured_but_has_no_rate_yet_says_so() {
    let harness = Harness::empty(|_| {}).await;
    assert_problem(
        &harness.get("/api/v1/rates/BTC/USD").await,
        503,
        "no-rate-yet",
    );
    assert_problem(&harness.get("/api/v1/courses").await, 503, "no-rate-yet");
}

#[tokio::test]
async fn unknown_is_404_and_malformed_is_400() {
    let harness = Harness::start().await;
    assert_problem(
        &harness.get("/api/v1/rates/NOPE/USD").await,
        404,
        "unknown-asset",
    );
    assert_problem(
        &harness.get("/api/v1/rates/BTC/NOPE").await,
        404,
        "unknown-asset",
    );
    let same = harness.get("/api/v1/rates/BTC/btc").await;
    assert_problem(&same, 404, "unknown-pair");
    assert_names(&same, &["quote"]);
    for (target, names) in [
        ("/api/v1/rates/B!C/USD", ["base"].as_slice()),
        ("/api/v1/rates/B%2FC/USD", &["base"]),
        ("/api/v1/rates/BTC/ABCDEFGHIJKLMNOPQ", &["quote"]),
        ("/api/v1/rates/%FF/USD", &["base"]),
        ("/api/v1/rates/BTC/USD?on=2026-11-21", &["on"]),
        ("/api/v1/rates/BTC/USD?at=2026-11-21", &["at"]),
        ("/api/v1/rates/BTC/USD?at=9000-01-01T00:00:00Z", &["at"]),
        ("/api/v1/rates/BTC/USD?seq=5", &["seq"]),
        (
            "/api/v1/rates/BTC/USD?at=2026-11-21T10:00:00Z&seq=-5",
            &["seq"],
        ),
        ("/api/v1/rates/BTC/USD?amount=0", &["amount"]),
        (
            "/api/v1/rates/BTC/USD?amount=1e3&explain=1",
            &["amount", "explain"],
        ),
        ("/api/v1/rates/BTC/USD?amount=1&amount=2", &["amount"]),
        ("/api/v1/rates", &["pairs"]),
        ("/api/v1/rates?pairs=", &["pairs"]),
    ] {
        let reply = harness.get(target).await;
        assert_problem(&reply, 400, "invalid-parameter");
        assert_names(&reply, names);
    }
}

#[tokio::test]
async fn an_amount_is_converted_exactly_and_rounded_half_even_to_fifteen_digits() {
    let harness = Harness::start().await;
    let reply = harness.get("/api/v1/rates/BTC/USD?amount=2.5").await.json();
    assert_eq!(
        (&reply["amount"], &reply["result"]),
        (&json!("2.5"), &json!("135000.0003075"))
    );
    assert_eq!(reply["value"], "54000.000123");
    harness.rate("AAA-USD", "1", "binance", HOUR);
    for (amount, result) in [
        ("100.0000000000005", "100"),
        ("100.0000000000015", "100.000000000002"),
    ] {
        let reply = harness
            .get(&format!("/api/v1/rates/AAA/USD?amount={amount}"))
            .await
            .json();
        assert_eq!(reply["result"], result);
    }
    let reply = harness
        .get("/api/v1/rates/BTC/USD?amount=9999999999999999999999999999")
        .await;
    assert_problem(&reply, 400, "invalid-parameter");
    assert_names(&reply, &["amount"]);
}

#[tokio::test]
async fn explain_adds_what_is_behind_a_rate() {
    let harness = Harness::start().await;
    let reply = harness
        .get("/api/v1/rates/BTC/USD?explain=true&amount=2")
        .await;
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let document = reply.json();
    assert_eq!(document["reason"], "first by priority");
    assert_eq!(document["constituents"][0]["source"], "coingecko");
    assert_eq!(document["legs"][0]["source"], "binance");
    assert_eq!(document["result"], "108000.000246");
}

#[tokio::test]
async fn one_bad_pair_does_not_fail_a_batch() {
    let harness = Harness::start().await;
    let long = "x".repeat(100);
    let reply = harness
        .get(&format!(
            "/api/v1/rates?pairs=BTC-USD,NOPE-USD,btc_usdt,,B%20TC-USD&pairs=BTC-BTC,QQQWWW,%C3%84-USD,{long},"
        ))
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let document = reply.json();
    let rates: Vec<_> = document["rates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rate| &rate["pair"])
        .collect();
    assert_eq!(rates, [&json!("BTC-USD"), &json!("BTC-USDT")]);
    let errors: Vec<_> = document["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| {
            (
                error["pair"].as_str().unwrap(),
                error["status"].as_u64().unwrap(),
                error["type"]
                    .as_str()
                    .unwrap()
                    .strip_prefix("/docs/problems#")
                    .unwrap(),
            )
        })
        .collect();
    assert_eq!(
        errors,
        [
            ("NOPE-USD", 404, "unknown-asset"),
            ("", 400, "malformed-pair"),
            ("B TC-USD", 400, "malformed-pair"),
            ("BTC-BTC", 404, "unknown-pair"),
            ("QQQWWW", 404, "unknown-pair"),
            ("Ä-USD", 400, "malformed-pair"),
            (&long[..64], 400, "malformed-pair"),
            ("", 400, "malformed-pair"),
        ]
    );
}

#[tokio::test]
async fn a_batch_holds_five_hundred_pairs_and_no_more() {
    let harness = Harness::start().await;
    let pairs = |count| vec!["BTC-USD"; count].join(",");
    let full = harness
        .get(&format!("/api/v1/rates?pairs={}", pairs(500)))
        .await;
    assert_eq!(full.json()["rates"].as_array().unwrap().len(), 500);
    let reply = harness
        .get(&format!("/api/v1/rates?pairs={}", pairs(501)))
        .await;
    assert_problem(&reply, 400, "invalid-parameter");
    assert_names(&reply, &["pairs"]);
}

#[tokio::test]
async fn the_list_of_an_asset_has_every_quote_that_can_be_reached() {
    let harness = Harness::start().await;
    let reply = harness.get("/api/v1/rates/BTC").await;
    assert_eq!(reply.status, 200);
    let pairs: Vec<_> = reply.json()["rates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rate| rate["pair"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(pairs, ["BTC-RUB", "BTC-USD", "BTC-USDT"]);
    assert!(reply.header("etag").is_some());
    assert_eq!(harness.get("/rates/bitcoin").await.text(), reply.text());
    assert_problem(
        &harness.get("/api/v1/rates/NOPE").await,
        404,
        "unknown-asset",
    );
}

#[tokio::test]
async fn a_list_of_stale_rates_is_given_only_when_allowed() {
    let harness = Harness::start().await;
    let fresh = harness.get("/api/v1/rates/BTC?allow_stale=true").await;
    assert_eq!(
        fresh.text(),
        harness.get("/api/v1/rates/BTC").await.text(),
        "what is fresh goes first"
    );
    harness.clock.advance(2 * HOUR);
    assert_problem(&harness.get("/api/v1/rates/BTC").await, 503, "rate-expired");
    let reply = harness.get("/api/v1/rates/BTC?allow_stale=true").await;
    assert_eq!(
        (reply.status, reply.header("cache-control")),
        (200, Some("no-store")),
        "{}",
        reply.text()
    );
    let document = reply.json();
    let rates = document["rates"].as_array().unwrap();
    assert!(rates.iter().any(|rate| rate["pair"] == "BTC-USD"));
    assert!(rates.iter().all(|rate| rate["state"] == "stale"));
    assert_problem(
        &harness.get("/api/v1/rates/NOPE?allow_stale=true").await,
        404,
        "unknown-asset",
    );
}

#[tokio::test]
async fn retry_after_waits_for_the_first_poll_when_only_polls_can_help() {
    let harness = Harness::empty(|_| {}).await;
    let target = "/api/v1/rates/USDT/RUB";
    let retry_after = async || {
        let reply = harness.get(target).await;
        assert_eq!(reply.status, 503, "{}", reply.text());
        reply.header("retry-after").unwrap().to_owned()
    };
    assert_eq!(retry_after().await, "1", "no source is known yet");
    let after = |seconds| Some(START.plus(Duration::from_secs(seconds)));
    harness.polled("cbr", SourceKind::Aggregator, 10, after(90));
    harness.polled("coingecko", SourceKind::Aggregator, 6, after(30));
    assert_eq!(retry_after().await, "30");
    harness.status("binance", SourceKind::Exchange, 1);
    assert_eq!(retry_after().await, "1", "a stream may bring it any time");
    // Once a rate was there, those who gave it count.
    harness.rate("USDT-RUB", "90", "coingecko", Duration::from_secs(5));
    harness.source_price("cbr", "USDT-RUB", "90", Duration::from_secs(5));
    harness.clock.advance(Duration::from_secs(10));
    assert_eq!(retry_after().await, "20");
    harness.source_price("binance", "USDT-RUB", "90", Duration::from_secs(5));
    assert_eq!(retry_after().await, "1");
    harness.clock.advance(Duration::from_secs(25));
    assert_eq!(retry_after().await, "1", "the poll is due");
}
