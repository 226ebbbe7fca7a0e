//! The form of older clients.

use crate::harness::{HOUR, Harness, assert_names, assert_problem};
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
async fn an_expired_direction_is_a_problem_unless_allowed() {
    let harness = Harness::start().await;
    harness.clock.advance(Duration::from_secs(6));
    assert_problem(&harness.get("/courses").await, 503, "rate-expired");
    let reply = harness.get("/courses?allow_stale=true").await;
    assert_eq!(
        (reply.status, reply.header("cache-control")),
        (200, Some("no-store"))
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
