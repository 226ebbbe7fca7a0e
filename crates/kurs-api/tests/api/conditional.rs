//! Validators, caching, codings, HEAD (conventions 10, 11, 16).

use crate::harness::{HOUR, Harness};
use std::io::Read;
use std::time::Duration;

#[tokio::test]
async fn a_304_repeats_what_the_200_said() {
    let harness = Harness::start().await;
    for target in [
        "/api/v1/rates/BTC/USD",
        "/api/v1/rates/BTC",
        "/api/v1/courses",
        "/openapi.json",
        "/asyncapi.json",
        "/docs",
    ] {
        let full = harness.get(target).await;
        let etag = full
            .header("etag")
            .unwrap_or_else(|| panic!("{target} has no tag"))
            .to_owned();
        for value in [
            etag.clone(),
            format!("W/{}", etag.trim_start_matches("W/")),
            format!("\"x\", {etag}"),
            "*".into(),
        ] {
            let reply = harness
                .ask("GET", target, &format!("If-None-Match: {value}\r\n"))
                .await;
            assert_eq!(reply.status, 304, "{target} {value}");
            assert!(reply.body.is_empty());
            for name in ["etag", "cache-control", "vary"] {
                assert_eq!(reply.header(name), full.header(name), "{target} {name}");
            }
            assert!(reply.header("date").is_some());
        }
        let reply = harness
            .ask("GET", target, "If-None-Match: \"other\"\r\n")
            .await;
        assert_eq!(reply.status, 200, "{target}");
    }
}

#[tokio::test]
async fn a_new_rate_has_a_new_tag_and_the_same_rate_the_same() {
    let harness = Harness::start().await;
    let first = harness.get("/api/v1/rates/BTC/USD").await;
    harness.clock.advance(Duration::from_secs(1));
    let again = harness.get("/api/v1/rates/BTC/USD").await;
    assert_eq!(first.header("etag"), again.header("etag"));
    harness.rate("BTC-USD", "54000.000123", "binance", HOUR);
    let changed = harness.get("/api/v1/rates/BTC/USD").await;
    assert_ne!(first.header("etag"), changed.header("etag"));
}

#[tokio::test]
async fn caches_may_keep_a_rate_until_it_expires_and_a_minute_at_most() {
    let harness = Harness::start().await;
    let cache = async |target: &str| {
        harness
            .get(target)
            .await
            .header("cache-control")
            .map(ToOwned::to_owned)
            .unwrap()
    };
    assert_eq!(cache("/api/v1/rates/BTC/USD").await, "max-age=5");
    harness.clock.advance(Duration::from_millis(1_500));
    assert_eq!(cache("/api/v1/rates/BTC/USD").await, "max-age=3");
    assert_eq!(cache("/api/v1/courses").await, "max-age=3");
    assert_eq!(cache("/api/v1/rates/BTC/USDT").await, "max-age=60");
    assert_eq!(
        cache("/api/v1/rates?pairs=BTC-USDT,BTC-USD").await,
        "max-age=3"
    );
    harness.clock.advance(Duration::from_millis(3_400));
    assert_eq!(cache("/api/v1/rates/BTC/USD").await, "max-age=0");
}

#[tokio::test]
async fn head_says_what_get_says_without_the_body() {
    let harness = Harness::start().await;
    let document = harness.get("/openapi.json").await.json();
    let mut client = harness.client().await;
    for path in document["paths"].as_object().unwrap().keys() {
        if document["paths"][path]["get"].is_null() || path == "/metrics" {
            continue;
        }
        let target = path
            .replace("{base}", "BTC")
            .replace("{quote}", "USDT")
            .replace("{symbol}", "BTCUSDT");
        let get = client.ask("GET", &target, "").await;
        let head = client.ask("HEAD", &target, "").await;
        assert_eq!(head.status, get.status, "{target}");
        for name in ["content-type", "content-length", "etag", "vary", "location"] {
            // hyper leaves the length of nothing out of an answer to HEAD.
            let expect = get
                .header(name)
                .filter(|value| (name, *value) != ("content-length", "0"));
            assert_eq!(head.header(name), expect, "{target} {name}");
        }
    }
}

#[tokio::test]
async fn large_bodies_are_compressed_as_asked_and_small_ones_never() {
    let harness = Harness::start().await;
    for target in ["/openapi.json", "/api/v1/rates/BTC", "/api/v1/sources"] {
        let plain = harness.get(target).await;
        if plain.body.len() <= 860 {
            continue;
        }
        assert_eq!(plain.header("vary"), Some("Accept-Encoding"));
        for coding in ["gzip", "br", "zstd"] {
            let reply = harness
                .ask("GET", target, &format!("Accept-Encoding: {coding}\r\n"))
                .await;
            assert_eq!(reply.header("content-encoding"), Some(coding), "{target}");
            assert_eq!(reply.header("vary"), Some("Accept-Encoding"));
            assert!(reply.body.len() < plain.body.len());
            let weak = format!("W/{}", plain.header("etag").unwrap());
            assert_eq!(
                reply.header("etag"),
                Some(weak.as_str()),
                "other bytes, so not the same strong tag"
            );
            assert_eq!(decode(coding, &reply.body), plain.body, "{target} {coding}");
        }
        let reply = harness
            .ask("GET", target, "Accept-Encoding: gzip;q=0, identity\r\n")
            .await;
        assert_eq!(
            (reply.header("content-encoding"), &reply.body),
            (None, &plain.body)
        );
    }
    let small = harness
        .ask(
            "GET",
            "/api/v1/rates/BTC/USD",
            "Accept-Encoding: gzip, br, zstd\r\n",
        )
        .await;
    assert_eq!(small.header("content-encoding"), None);
}

fn decode(coding: &str, body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    match coding {
        "gzip" => flate2::read::GzDecoder::new(body)
            .read_to_end(&mut plain)
            .unwrap(),
        "br" => brotli::Decompressor::new(body, 4_096)
            .read_to_end(&mut plain)
            .unwrap(),
        _ => zstd::stream::read::Decoder::new(body)
            .unwrap()
            .read_to_end(&mut plain)
            .unwrap(),
    };
    plain
}
