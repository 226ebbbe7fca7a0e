//! Candles as pictures.

use crate::harness::{Harness, START, assert_names, assert_problem, pair, price};
use kurs_core::{SourceKind, Wall};
use kurs_store::{Batch, Candle, Interval, Origin, Store};
use std::time::Duration;

const MINUTE: i64 = 60_000_000;
const SVG: &str = "/api/v1/candles/BTC/USDT.svg";
const PNG: &str = "/api/v1/candles/BTC/USDT.png";

/// A server with this many minutes of BTC-USDT, the last of which is open.
async fn with_minutes(count: i64) -> Harness {
    let harness = Harness::start().await;
    let candles = (0..count)
        .filter(|number| *number != 3)
        .map(|number| Candle {
            pair: pair("BTC-USDT"),
            source: None,
            interval: Interval::Minute,
            start: Wall(START.0 + (number - count + 1) * MINUTE),
            open: price("2"),
            high: price("3"),
            low: price("1"),
            close: price("2.50"),
            count: 3,
            origin: Origin::Live,
        })
        .collect();
    let batch = Batch {
        candles,
        ..Batch::default()
    };
    harness.store.write(batch).await.unwrap();
    harness
}

#[tokio::test]
async fn candles_are_given_as_pictures_with_a_tag() {
    for (target, media) in [(SVG, "image/svg+xml"), (PNG, "image/png")] {
        let harness = with_minutes(20).await;
        let reply = harness.get(target).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.header("content-type"), Some(media));
        assert_eq!(reply.header("cache-control"), Some("no-cache"));
        let tag = reply.header("etag").unwrap().to_owned();
        let condition = format!("If-None-Match: {tag}\r\n");
        let again = harness.ask("GET", target, &condition).await;
        assert_eq!(
            (again.status, again.header("etag")),
            (304, Some(tag.as_str()))
        );
        assert_eq!(again.header("vary"), reply.header("vary"));
        // The moment has no say, the end of the last candle has.
        harness.clock.advance(Duration::from_secs(1));
        assert_eq!(harness.ask("GET", target, &condition).await.status, 304);
        harness.clock.advance(Duration::from_secs(60));
        assert_eq!(harness.ask("GET", target, &condition).await.status, 200);
    }
}

#[tokio::test]
async fn a_picture_says_what_it_shows() {
    let harness = with_minutes(20).await;
    let svg = harness.get(SVG).await;
    for said in ["BTC-USDT", ">2.50<", "1 missing", "still open", "UTC"] {
        assert!(
            svg.text().contains(said),
            "{said} is missing in {}",
            svg.text()
        );
    }
    assert!(!svg.text().contains("SIMULATED"));
    harness.status("sim:binance", SourceKind::Exchange, 1);
    assert!(harness.get(SVG).await.text().contains(">SIMULATED<"));
    let inverse = harness.get("/api/v1/candles/USDT/BTC.svg").await;
    assert!(inverse.text().contains("USDT-BTC"), "{}", inverse.text());
}

#[tokio::test]
async fn size_theme_form_and_span_are_as_asked() {
    let harness = with_minutes(20).await;
    let plain = harness.get(SVG).await;
    let asked = "?width=400&height=300&theme=dark&form=line&limit=5&end=2026-11-21T09:50:00Z";
    let other = harness.get(&format!("{SVG}{asked}")).await;
    assert!(other.text().contains("width=\"400\" height=\"300\""));
    assert!(other.text().contains("09:45 to 09:50"), "{}", other.text());
    assert_ne!(plain.header("etag"), other.header("etag"));
    let early = harness
        .get(&format!("{SVG}?start=2026-11-21T09:00:00Z"))
        .await;
    assert!(early.text().contains("09:00 to 10:01"), "{}", early.text());
}

#[tokio::test]
async fn what_cannot_be_drawn_is_a_problem_that_names_the_parameter() {
    let harness = with_minutes(2).await;
    for (query, name) in [
        ("width=159", "width"),
        ("height=1501", "height"),
        ("theme=blue", "theme"),
        ("form=bars", "form"),
        ("limit=1001", "limit"),
        ("cursor=1_own", "cursor"),
    ] {
        let reply = harness.get(&format!("{PNG}?{query}")).await;
        assert_problem(&reply, 400, "invalid-parameter");
        assert_names(&reply, &[name]);
    }
    let reply = harness.get("/api/v1/candles/NOPE/USD.png").await;
    assert_problem(&reply, 404, "unknown-asset");
    let reply = harness
        .ask("GET", PNG, "Accept: application/json\r\n")
        .await;
    assert_problem(&reply, 406, "not-acceptable");
    let reply = harness.get("/api/v1/candles/BTC/USDT.gif").await;
    assert_problem(&reply, 400, "invalid-parameter");
}

#[tokio::test]
async fn many_who_want_a_picture_at_once_are_all_answered() {
    let harness = with_minutes(200).await;
    let mut waiting = tokio::task::JoinSet::new();
    for number in 0..12 {
        let mut client = harness.client().await;
        let target = format!("{PNG}?width={}", 300 + number);
        waiting.spawn(async move { client.ask("GET", &target, "").await.status });
    }
    let mut drawn = 0;
    while let Some(status) = waiting.join_next().await {
        let status = status.unwrap();
        // Who waits too long is told so.
        assert!(matches!(status, 200 | 503), "{status}");
        drawn += usize::from(status == 200);
    }
    assert!(drawn > 0);
}
