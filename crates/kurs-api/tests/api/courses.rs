//! The form of older clients.

use crate::harness::{HOUR, Harness, assert_names, assert_problem};
use kurs_core::RateState;
use std::time::Duration;

#[tokio::test]
async fn all_directions_come_as_numbers_with_all_their_digits() {
    let harness = Harness::start().await;
    let expect = r#"{"exchanger":"binance","courses":[{"direction":"BTC-USD","value":54000.000123},{"direction":"USDTTRC-RUB","value":90.50}]}"#;
    for target in ["/api/v1/courses", "/courses", "/api/courses"] {
        assert_eq!(harness.get(target).await.text(), expect, "{target}");
    }
}

#[tokio::test]
async fn a_value_that_no_float_can_hold_keeps_its_digits() {
    let harness = Harness::start().await;
    harness.rate("BTC-USD", "12345678901234567.123456789", "binance", HOUR);
    let reply = harness.get("/api/v1/courses?direction=BTC-USD").await;
    assert!(
        reply
            .text()
            .contains("\"value\":12345678901234567.123456789}"),
        "{}",
        reply.text()
    );
}

#[tokio::test]
async fn directions_are_repeated_or_separated_by_commas_and_keep_their_order() {
    let harness = Harness::start().await;
    let reply = harness
        .get("/courses?direction=USDTTRC-RUB&directions=btc/usd,BTCUSDT")
        .await
        .json();
    let names: Vec<_> = reply["courses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["direction"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["USDTTRC-RUB", "BTC-USD", "BTC-USDT"]);
}

#[tokio::test]
async fn an_exchanger_pins_the_source_under_either_spelling() {
    let harness = Harness::start().await;
    for name in ["coingecko", "coingeko"] {
        let reply = harness
            .get(&format!("/courses?direction=BTC-USD&exchanger={name}"))
            .await;
        assert_eq!(reply.json()["exchanger"], "coingecko");
        assert!(reply.text().contains("53990.5"), "{}", reply.text());
    }
    assert_problem(
        &harness.get("/courses?exchanger=nobody").await,
        404,
        "unknown-source",
    );
    let reply = harness.get("/courses?exchanger=no%20body").await;
    assert_names(&reply, &["exchanger"]);
}

#[tokio::test]
async fn an_exchanger_that_is_no_source_is_told_which_there_are() {
    let harness = Harness::start().await;
    harness.rate("BTC-USD", "54000.5", "median", HOUR);
    let served = harness.get("/courses?direction=BTC-USD").await.json();
    assert_eq!(served["exchanger"], "median");
    for (name, expect) in [
        (
            "median",
            "exchanger: median is a policy, no source: without exchanger its rates are given; \
             there are binance, coingecko",
        ),
        (
            "sim:rule",
            "exchanger: sim:rule is a policy, no source: without exchanger its rates are given; \
             there are binance, coingecko",
        ),
        (
            "nobody",
            "exchanger: nobody is not enabled; there are binance, coingecko",
        ),
    ] {
        let reply = harness
            .get(&format!(
                "/currency_pair?currency_pair=BTC-USD&exchanger={name}"
            ))
            .await;
        assert_problem(&reply, 404, "unknown-source");
        assert_eq!(reply.json()["detail"], expect);
        assert_eq!(reply.json()["errors"][0]["parameter"], "exchanger");
    }
}

#[tokio::test]
async fn a_direction_without_a_rate_does_not_fail_the_others() {
    let harness = Harness::start().await;
    harness.clock.advance(Duration::from_secs(6));
    let reply = harness
        .get("/courses?direction=QQQWWW,btc-usd,USDTTRC-RUB,NOPE-USD")
        .await;
    assert_eq!(
        (reply.status, reply.header("cache-control")),
        (200, Some("max-age=60")),
        "{}",
        reply.text()
    );
    let document = reply.json();
    assert_eq!(document["exchanger"], "coingecko");
    assert_eq!(document["courses"].as_array().unwrap().len(), 1);
    assert_eq!(document["courses"][0]["direction"], "USDTTRC-RUB");
    let errors: Vec<_> = document["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| {
            assert!(!error["detail"].as_str().unwrap().is_empty());
            (
                error["direction"].as_str().unwrap(),
                error["type"].as_str().unwrap(),
                error["status"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        errors,
        [
            ("QQQWWW", "/docs/problems#unknown-pair", 404),
            ("btc-usd", "/docs/problems#rate-expired", 503),
            ("NOPE-USD", "/docs/problems#unknown-asset", 404),
        ]
    );
    let allowed = harness.get("/courses?allow_stale=true").await;
    assert_eq!(
        (allowed.status, allowed.header("cache-control")),
        (200, Some("no-store"))
    );
    assert!(allowed.json().get("errors").is_none(), "{}", allowed.text());
    // A mistake of the request is one of the whole request.
    assert_names(
        &harness.get("/courses?direction=BTC-USD,,").await,
        &["direction"],
    );
}

#[tokio::test]
async fn no_rate_at_all_is_the_problem_of_the_first_direction() {
    let harness = Harness::start().await;
    harness.clock.advance(2 * HOUR);
    let reply = harness.get("/courses").await;
    assert_problem(&reply, 503, "rate-expired");
    assert_eq!(reply.json()["rate"]["pair"], "BTC-USD");
    assert_problem(
        &harness.get("/courses?direction=QQQWWW,BTC-USD").await,
        404,
        "unknown-pair",
    );
}

#[tokio::test]
async fn one_pair_has_the_same_body_with_one_element() {
    let harness = Harness::start().await;
    let reply = harness
        .get("/api/v1/currency_pair?currency_pair=bitcoin-usd")
        .await;
    assert_eq!(
        reply.text(),
        r#"{"exchanger":"binance","courses":[{"direction":"BTC-USD","value":54000.000123}]}"#
    );
    assert_names(&harness.get("/currency_pair").await, &["currency_pair"]);
    assert_problem(
        &harness.get("/currency_pair?currency_pair=QQQWWW").await,
        404,
        "unknown-pair",
    );
}

#[tokio::test]
async fn a_suspect_rate_is_never_a_bare_number_and_never_cached() {
    let harness = Harness::start().await;
    harness.rate_in(RateState::Suspect, "BTC-USD", "54000.5", "median", HOUR);
    let alone = harness.get("/api/v1/courses?direction=BTC-USD").await;
    assert_problem(&alone, 503, "rate-suspect");
    assert_eq!(alone.json()["rate"]["value"], "54000.5");
    let beside = harness
        .get("/api/v1/courses?directions=BTC-USD,USDTTRC-RUB")
        .await
        .json();
    assert_eq!(beside["courses"].as_array().map(Vec::len), Some(1));
    assert_eq!(beside["errors"][0]["type"], "/docs/problems#rate-suspect");
    let allowed = harness
        .get("/api/v1/courses?direction=BTC-USD&allow_stale=true")
        .await;
    assert_eq!(allowed.status, 200, "{}", allowed.text());
    for target in ["/api/v1/rates/BTC/USD", "/api/v1/rates/USD/BTC"] {
        let rate = harness.get(target).await;
        assert_eq!(rate.status, 200, "{}", rate.text());
        assert_eq!(rate.json()["state"], "suspect", "{target}");
        assert_eq!(rate.header("cache-control"), Some("no-store"), "{target}");
    }
}
