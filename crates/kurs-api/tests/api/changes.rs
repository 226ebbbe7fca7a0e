//! Changes of rates: percent against an hour and a day ago, outlines, lists.

use crate::harness::{Harness, START, assert_problem, pair, price};
use kurs_core::Wall;
use kurs_store::{Batch, Candle, Interval, Origin, Store};
use std::time::Duration;

const MINUTE: i64 = 60_000_000;

/// A candle that began this many minutes before the start of the harness.
fn candle(market: &str, interval: Interval, minutes: i64, close: &str) -> Candle {
    let close = price(close);
    Candle {
        pair: pair(market),
        source: None,
        interval,
        start: Wall(START.0 - minutes * MINUTE),
        open: close,
        high: close,
        low: close,
        close,
        count: 1,
        origin: Origin::Live,
    }
}

async fn with(candles: Vec<Candle>) -> Harness {
    let harness = Harness::start().await;
    let batch = Batch {
        candles,
        ..Batch::default()
    };
    harness.store.write(batch).await.unwrap();
    harness
}

const FIVE: Interval = Interval::FiveMinutes;

#[tokio::test]
async fn a_change_is_against_the_last_close_before_that_hour_and_that_day() {
    // The rate is 54010.00 now.
    let harness = with(vec![
        candle("BTC-USDT", FIVE, 24 * 60 + 5, "50000"),
        candle("BTC-USDT", FIVE, 24 * 60, "1"),
        candle("BTC-USDT", FIVE, 65, "54100"),
        candle("BTC-USDT", FIVE, 60, "1"),
        candle("BTC-USDT", FIVE, 5, "54005"),
    ])
    .await;
    let reply = harness.get("/api/v1/changes?pairs=BTC-USDT").await;
    assert_eq!(
        reply.text(),
        concat!(
            r#"{"changes":[{"pair":"BTC-USDT","change_1h_percent":"-0.1664","change_24h_percent":"8.02","#,
            r#""points":["1","54100","1","54005"]}],"errors":[]}"#
        )
    );
}

#[tokio::test]
async fn what_is_not_known_is_absent() {
    let harness = with(vec![candle("BTC-USDT", Interval::Minute, 3, "54000")]).await;
    let young = harness.get("/api/v1/changes?pairs=BTC-USDT").await;
    assert_eq!(
        young.text(),
        r#"{"changes":[{"pair":"BTC-USDT","points":["54000"]}],"errors":[]}"#
    );
    let silent = with(vec![candle("BTC-USDT", Interval::Hour, 60 * 48, "27005")]).await;
    let silent = silent.get("/api/v1/changes?pairs=BTC-USDT").await.json();
    assert_eq!(
        silent["changes"][0]["change_1h_percent"], "100",
        "a price that was not told again since stands"
    );
    let old = with(vec![candle("BTC-USDT", Interval::Hour, 60 * 200, "27005")]).await;
    let old = old.get("/api/v1/changes?pairs=BTC-USDT").await.json();
    assert!(old["changes"][0]["change_1h_percent"].is_null(), "{old}");
}

#[tokio::test]
async fn an_outline_has_at_most_48_points_whatever_the_history() {
    for (interval, step, count) in [
        (Interval::Minute, 1, 48),
        (FIVE, 5, 40),
        (FIVE, 5, 100),
        (FIVE, 5, 288),
    ] {
        let candles = (1..=count).map(|number| candle("BTC-USDT", interval, number * step, "2"));
        let harness = with(candles.collect()).await;
        let reply = harness.get("/api/v1/changes?pairs=BTC-USDT").await.json();
        let points = reply["changes"][0]["points"].as_array().unwrap().len();
        assert!(
            (16..=48).contains(&points),
            "{count} of {interval}: {points}"
        );
    }
}

#[tokio::test]
async fn without_pairs_the_directions_are_told_and_bad_pairs_fail_alone() {
    let harness = Harness::start().await;
    let all = harness.get("/api/v1/changes").await.json();
    let answered =
        all["changes"].as_array().unwrap().len() + all["errors"].as_array().unwrap().len();
    let directions = harness.get("/api/v1/pairs").await.json();
    assert_eq!(answered, directions["directions"].as_array().unwrap().len());
    let some = harness
        .get("/api/v1/changes?pairs=BTC-USDT,NOPE-USD,x,RUB-USDT")
        .await
        .json();
    assert_eq!(some["changes"][0]["pair"], "BTC-USDT");
    assert_eq!(some["changes"][1]["pair"], "RUB-USDT", "derived: {some}");
    assert_eq!(some["errors"][0]["status"], 404);
    assert_eq!(some["errors"][1]["type"], "/docs/problems#malformed-pair");
    let many = vec!["BTC-USD"; 501].join(",");
    let many = harness.get(&format!("/api/v1/changes?pairs={many}")).await;
    assert_problem(&many, 400, "invalid-parameter");
}

#[tokio::test]
async fn changes_are_computed_once_a_minute() {
    let harness = with(vec![candle("BTC-USDT", FIVE, 90, "54000")]).await;
    let target = "/api/v1/changes?pairs=BTC-USDT";
    let first = harness.get(target).await;
    let etag = first.header("etag").unwrap().to_owned();
    let batch = Batch {
        candles: vec![candle("BTC-USDT", FIVE, 80, "27005")],
        ..Batch::default()
    };
    harness.store.write(batch).await.unwrap();
    harness.clock.advance(Duration::from_secs(30));
    assert_eq!(harness.get(target).await.text(), first.text());
    let same = harness
        .ask("GET", target, &format!("If-None-Match: {etag}\r\n"))
        .await;
    assert_eq!(same.status, 304);
    harness.clock.advance(Duration::from_secs(31));
    let later = harness.get(target).await;
    assert_eq!(later.json()["changes"][0]["change_1h_percent"], "100");
}
