//! History: pages, forms, bounds.

use crate::harness::{Harness, START, assert_names, assert_problem, pair, price, source};
use kurs_store::{HistoryRow, Store};
use std::time::Duration;

async fn with_rows(count: u64) -> Harness {
    let harness = Harness::start().await;
    let rows = (0..count).map(|number| HistoryRow {
        pair: pair("BTC-USDT"),
        source: source(if number % 2 == 0 {
            "binance"
        } else {
            "coingecko"
        }),
        id: harness.next_id(),
        value: price(&format!("{}.5", 54_000 + number)),
        bid: None,
        ask: None,
        observed_at: None,
        received_at: kurs_core::Wall(START.0 - 1_000_000 + i64::try_from(number).unwrap()),
    });
    harness.store.append(rows.collect()).await.unwrap();
    harness
}

#[tokio::test]
async fn pages_lead_to_each_other_and_hold_every_row_once() {
    let harness = with_rows(25).await;
    let pages = harness.pages("/api/v1/history/BTC/USDT?limit=10").await;
    let all = pages
        .iter()
        .flat_map(|page| page["points"].as_array().unwrap());
    let values: Vec<_> = all
        .map(|one| one["value"].as_str().unwrap().to_owned())
        .collect();
    let expect: Vec<_> = (0..25)
        .map(|number| format!("{}.5", 54_000 + number))
        .collect();
    assert_eq!((values, pages.len()), (expect, 3));
}

#[tokio::test]
async fn the_form_follows_accept() {
    let harness = with_rows(2).await;
    let ndjson = harness
        .ask(
            "GET",
            "/api/v1/history/BTC/USDT",
            "Accept: application/x-ndjson\r\n",
        )
        .await;
    assert_eq!(ndjson.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(ndjson.header("vary"), Some("Accept"));
    let lines: Vec<serde_json::Value> = ndjson
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[1]["source"], "coingecko");
    let csv = harness
        .ask("GET", "/api/v1/history/BTC/USDT", "Accept: text/csv\r\n")
        .await;
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    let first = csv.text().lines().nth(1).unwrap();
    assert!(
        first.starts_with("BTC-USDT,binance,54000.5,,,,2026-11-21T09:59:59.000Z,1,"),
        "{first}"
    );
    let refused = harness
        .ask("GET", "/api/v1/history/BTC/USDT", "Accept: text/html\r\n")
        .await;
    assert_problem(&refused, 406, "not-acceptable");
}

#[tokio::test]
async fn one_source_and_a_span_can_be_asked_for() {
    let harness = with_rows(10).await;
    let reply = harness
        .get("/api/v1/history/BTC/USDT?source=coingeko")
        .await
        .json();
    assert_eq!(reply["points"].as_array().unwrap().len(), 5);
    let reply = harness
        .get("/api/v1/history/BTC/USDT?start=2026-11-21T13:00:00%2B03:00")
        .await
        .json();
    assert_eq!(reply["points"].as_array().unwrap().len(), 0);
    harness.clock.advance(Duration::from_secs(25 * 3_600));
    let reply = harness.get("/api/v1/history/BTC/USDT").await.json();
    assert_eq!(
        reply["points"].as_array().unwrap().len(),
        0,
        "a day by default"
    );
}

#[tokio::test]
async fn wrong_questions_are_named() {
    let harness = with_rows(1).await;
    for (query, names) in [
        ("limit=0", ["limit"].as_slice()),
        ("limit=1001", &["limit"]),
        ("limit=007", &["limit"]),
        ("start=yesterday", &["start"]),
        ("start=2026-11-22T00:00:00Z", &["start"]),
        ("end=2026-02-30T00:00:00Z", &["end"]),
        ("cursor=%20", &["cursor"]),
        ("cursor=abc", &["cursor"]),
    ] {
        let reply = harness
            .get(&format!("/api/v1/history/BTC/USDT?{query}"))
            .await;
        assert_problem(&reply, 400, "invalid-parameter");
        assert_names(&reply, names);
    }
    assert_problem(
        &harness.get("/api/v1/history/NOPE/USD").await,
        404,
        "unknown-asset",
    );
}

#[tokio::test]
async fn a_source_that_is_unknown_and_left_nothing_is_404() {
    let harness = with_rows(2).await;
    let gone = HistoryRow {
        pair: pair("BTC-USDT"),
        source: source("oldvenue"),
        id: harness.next_id(),
        value: price("1"),
        bid: None,
        ask: None,
        observed_at: None,
        received_at: kurs_core::Wall(START.0 - 100 * 3_600_000_000),
    };
    harness.store.append(vec![gone]).await.unwrap();
    let target = "/api/v1/history/BTC/USDT?source=";
    let reply = harness.get(&format!("{target}nosuch")).await;
    assert_problem(&reply, 404, "unknown-source");
    for known in ["binance", "oldvenue"] {
        let reply = harness
            .get(&format!("{target}{known}&end=2026-11-20T00:00:00Z"))
            .await;
        assert_eq!(reply.status, 200, "{known}: {}", reply.text());
        assert_eq!(reply.json()["points"].as_array().unwrap().len(), 0);
    }
}
