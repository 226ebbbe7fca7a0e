//! Candles: series of their own, joined ones, pages, forms.

use crate::harness::{Harness, START, assert_names, assert_problem, pair, price, source};
use kurs_core::Wall;
use kurs_store::{Batch, Candle, Interval, Origin, Store};
use std::time::Duration;

const MINUTE: i64 = 60_000_000;

/// A candle that began this many minutes after the start of the harness.
fn minute(market: &str, by: Option<&str>, minutes: i64, prices: [&str; 4]) -> Candle {
    let [open, high, low, close] = prices.map(price);
    Candle {
        pair: pair(market),
        source: by.map(source),
        interval: Interval::Minute,
        start: Wall(START.0 + minutes * MINUTE),
        open,
        high,
        low,
        close,
        count: 3,
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

async fn with_minutes(count: i64) -> Harness {
    let flat = ["2", "3", "1", "2.50"];
    with(
        (0..count)
            .map(|number| minute("BTC-USDT", None, number - count + 1, flat))
            .collect(),
    )
    .await
}

const BTC: &str = "/api/v1/candles/BTC/USDT";

#[tokio::test]
async fn candles_are_given_with_what_they_are_and_the_open_one_is_marked() {
    let harness = with_minutes(2).await;
    let reply = harness.get(BTC).await;
    assert_eq!(
        reply.text(),
        concat!(
            r#"{"pair":"BTC-USDT","interval":"1m","candles":["#,
            r#"{"start":"2026-11-21T09:59:00.000Z","open":"2","high":"3","low":"1","close":"2.50","count":3,"origin":"live","closed":true},"#,
            r#"{"start":"2026-11-21T10:00:00.000Z","open":"2","high":"3","low":"1","close":"2.50","count":3,"origin":"live","closed":false}]}"#,
        )
    );
    assert_eq!(reply.header("cache-control"), Some("no-cache"));
    let tag = reply.header("etag").unwrap().to_owned();
    let again = harness
        .ask("GET", BTC, &format!("If-None-Match: {tag}\r\n"))
        .await;
    assert_eq!(again.status, 304);
    harness.clock.advance(Duration::from_secs(60));
    let closed = harness.get(BTC).await;
    assert_eq!(closed.json()["candles"][1]["closed"], true);
}

#[tokio::test]
async fn without_a_span_the_last_candles_are_given() {
    let harness = with_minutes(150).await;
    for (query, first, count) in [
        ("", "2026-11-21T08:21:00.000Z", 100),
        ("?limit=10", "2026-11-21T09:51:00.000Z", 10),
        (
            "?limit=2&end=2026-11-21T09:00:00Z",
            "2026-11-21T08:58:00.000Z",
            2,
        ),
        (
            "?limit=2&end=2026-11-21T09:00:01Z",
            "2026-11-21T08:59:00.000Z",
            2,
        ),
    ] {
        let page = harness.get(&format!("{BTC}{query}")).await.json();
        let candles = page["candles"].as_array().unwrap();
        assert_eq!(candles[0]["start"], first, "{query}");
        assert_eq!(candles.len(), count, "{query}");
        assert!(page["next"].is_null(), "{query}");
    }
}

#[tokio::test]
async fn pages_lead_to_each_other_and_hold_every_candle_once() {
    let harness = with_minutes(25).await;
    let pages = harness
        .pages(&format!("{BTC}?limit=10&start=2026-11-21T00:00:00Z"))
        .await;
    let all = pages
        .iter()
        .flat_map(|page| page["candles"].as_array().unwrap());
    let starts: Vec<_> = all
        .map(|one| one["start"].as_str().unwrap().to_owned())
        .collect();
    let expect: Vec<_> = (0..25)
        .map(|number| Wall(START.0 + (number - 24) * MINUTE).to_string())
        .collect();
    assert_eq!((starts, pages.len()), (expect, 3));
}

#[tokio::test]
async fn a_pair_that_is_not_published_is_joined_from_its_markets_and_says_so() {
    let harness = with(vec![
        minute("BTC-USDT", None, -2, ["10", "20", "10", "20"]),
        minute("USDT-RUB", None, -3, ["3", "3", "3", "3"]),
        minute("USDT-RUB", None, -1, ["2", "4", "2", "4"]),
    ])
    .await;
    let joined = harness.get("/api/v1/candles/BTC/RUB?limit=1000").await;
    let document = joined.json();
    assert_eq!(document["derived"], true, "{}", joined.text());
    assert_eq!(
        document["path"],
        serde_json::json!(["BTC-USDT", "USDT-RUB"])
    );
    let prices: Vec<String> = document["candles"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| {
            format!(
                "{} {} {} {} {}",
                c["open"], c["high"], c["low"], c["close"], c["count"]
            )
        })
        .collect();
    assert_eq!(
        prices,
        [r#""30" "60" "30" "60" 3"#, r#""40" "80" "40" "80" 3"#]
    );
    let inverse = harness.get("/api/v1/candles/RUB/USDT").await.json();
    assert_eq!(inverse["candles"][1]["high"], "0.5");
    assert_eq!(inverse["path"], serde_json::json!(["USDT-RUB"]));
    let alias = harness.get("/api/v1/candles/USDTTRC/RUB").await.json();
    assert_eq!(alias["pair"], "USDTTRC-RUB");
    assert!(alias["derived"].is_null(), "priced as its asset: {alias}");
    assert_eq!(alias["candles"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn one_source_can_be_asked_for() {
    let harness = with(vec![
        minute("BTC-USDT", None, -1, ["1", "1", "1", "1"]),
        minute("BTC-USDT", Some("binance"), -1, ["4", "8", "2", "4"]),
        minute("BTC-USDT", Some("oldvenue"), -9_000, ["5", "5", "5", "5"]),
        Candle {
            interval: Interval::Day,
            start: Interval::Day.start_of(START),
            ..minute("BTC-USDT", Some("oldvenue"), 0, ["5", "5", "5", "5"])
        },
    ])
    .await;
    let own = harness.get(&format!("{BTC}?source=Binance")).await.json();
    assert_eq!(own["source"], "binance");
    assert_eq!(own["candles"][0]["high"], "8");
    let turned = "/api/v1/candles/USDT/BTC?source=binance";
    let turned = harness.get(turned).await.json();
    assert_eq!(turned["candles"][0]["high"], "0.5");
    assert_eq!(turned["derived"], true);
    let gone = harness.get(&format!("{BTC}?source=oldvenue")).await;
    assert_eq!(gone.status, 200, "{}", gone.text());
    let unknown = harness.get(&format!("{BTC}?source=nosuch")).await;
    assert_problem(&unknown, 404, "unknown-source");
}

#[tokio::test]
async fn the_form_follows_accept() {
    let harness = with_minutes(2).await;
    let ask = async |accept: &str| {
        let accept = format!("Accept: {accept}\r\n");
        harness.ask("GET", &format!("{BTC}?limit=1"), &accept).await
    };
    let ndjson = ask("application/x-ndjson").await;
    assert_eq!(ndjson.header("vary"), Some("Accept"));
    assert_eq!(
        ndjson.text(),
        "{\"pair\":\"BTC-USDT\",\"interval\":\"1m\",\"start\":\"2026-11-21T10:00:00.000Z\",\
         \"open\":\"2\",\"high\":\"3\",\"low\":\"1\",\"close\":\"2.50\",\"count\":3,\
         \"origin\":\"live\",\"closed\":false}\n"
    );
    let csv = ask("text/csv").await;
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    assert_eq!(
        csv.text(),
        "pair,interval,source,derived,start,open,high,low,close,count,origin,closed\r\n\
         BTC-USDT,1m,,false,2026-11-21T10:00:00.000Z,2,3,1,2.50,3,live,false\r\n"
    );
    assert_problem(&ask("text/html").await, 406, "not-acceptable");
}

#[tokio::test]
async fn wrong_questions_are_named() {
    let harness = with_minutes(1).await;
    for (query, names) in [
        ("interval=2m", ["interval"].as_slice()),
        ("interval=", &["interval"]),
        ("interval=1s&source=binance", &["interval"]),
        ("limit=0", &["limit"]),
        ("limit=1001", &["limit"]),
        ("start=yesterday", &["start"]),
        ("start=2026-11-22T00:00:00Z", &["start"]),
        ("cursor=abc", &["cursor"]),
        ("cursor=1_BTC-USD", &["cursor"]),
        ("cursor=9223372036854775807_own", &["cursor"]),
        ("intervall=1m", &["intervall"]),
    ] {
        let reply = harness.get(&format!("{BTC}?{query}")).await;
        assert_problem(&reply, 400, "invalid-parameter");
        assert_names(&reply, names);
    }
    for (asked, slug) in [("NOPE/USD", "unknown-asset"), ("BTC/CHF", "unknown-pair")] {
        let reply = harness.get(&format!("/api/v1/candles/{asked}")).await;
        assert_problem(&reply, 404, slug);
    }
}

#[tokio::test]
async fn a_pair_without_candles_yet_has_an_empty_page() {
    let harness = Harness::start().await;
    let reply = harness.get(BTC).await;
    assert_eq!(
        reply.text(),
        r#"{"pair":"BTC-USDT","interval":"1m","candles":[]}"#
    );
}
