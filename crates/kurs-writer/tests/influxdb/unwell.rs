//! With servers that are unwell, or of another kind.

use crate::fake::{Answer, Asked, Fake, WRITTEN};
use crate::rig::{AT, PATIENCE, Rig, after, config, rate, source_price};
use kurs_bus::memory::MemoryBus;
use kurs_telemetry::Secret;
use kurs_telemetry::health::Status;
use kurs_writer::sinks::InfluxConfig;
use std::sync::Arc;
use std::time::{Duration, Instant};

async fn asked(fake: &Fake, times: usize) -> Vec<Asked> {
    let what = format!("{times} requests");
    kurs_testkit::until(&what, PATIENCE, || {
        let asked = fake.asked();
        (asked.len() >= times).then_some(asked)
    })
    .await
}

#[tokio::test]
async fn version_2_is_asked_by_its_own_path_and_token() {
    let fake = Fake::start(&[], WRITTEN).await;
    let rig = Rig::new();
    let version_2 = InfluxConfig {
        org: "desk".to_owned(),
        bucket: "rates".to_owned(),
        token: Some(Secret::new("canary")),
        gzip: false,
        exact: false,
        ..config(&fake.url)
    };
    let sink = rig.start(&version_2).await;
    rig.publish(source_price("BTC-USDT", "64364.27", AT));
    sink.finish().await;
    let asked = &fake.asked()[0];
    let path = "/api/v2/write?org=desk&bucket=rates&precision=us";
    assert_eq!(asked.line, format!("POST {path} HTTP/1.1"));
    assert_eq!(asked.header("authorization"), Some("Token canary"));
    assert_eq!(asked.header("content-encoding"), None);
    assert_eq!(
        asked.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    let expected = "price,pair=BTC-USDT,source=sim:kraken,state=live value=64364.27,bid=1,\
                    ask=79228162514264337593543950335 1790000000123456\n";
    assert_eq!(asked.body, expected);
}

#[tokio::test]
async fn what_failed_is_sent_again_until_it_is_taken() {
    let ill = [
        Answer::Status("503 Service Unavailable", "Retry-After: 0\r\n"),
        Answer::Status("429 Too Many Requests", ""),
        Answer::Status("502 Bad Gateway", ""),
        Answer::Status("408 Request Timeout", ""),
        Answer::Status("500 Internal Server Error", ""),
        Answer::Silence,
    ];
    let fake = Fake::start(&ill, WRITTEN).await;
    let rig = Rig::new();
    let impatient = InfluxConfig {
        timeout_ms: 200,
        ..config(&fake.url)
    };
    let sink = rig.start(&impatient).await;
    rig.publish(rate("BTC-USDT", "64364.27", AT));
    rig.written(1).await;
    let asked = asked(&fake, 7).await;
    assert_eq!(asked.len(), 7);
    assert!(asked.iter().all(|one| one.body == asked[0].body));
    assert_eq!(rig.metrics.failures.get(), 6);
    assert_eq!(rig.metrics.requests.get(), 7);
    rig.status(Status::Ok).await;
    sink.finish().await;
}

#[tokio::test]
async fn what_is_refused_is_dropped_counted_and_never_sent_again() {
    let elsewhere = Fake::start(&[], WRITTEN).await;
    let fake = Fake::start(
        &[
            Answer::Status("400 Bad Request", ""),
            Answer::Status("404 Not Found", ""),
            // Nobody looks there.
            Answer::Status("307 Temporary Redirect", "Location: /elsewhere\r\n"),
        ],
        WRITTEN,
    )
    .await;
    let rig = Rig::new();
    let sink = rig.start(&config(&fake.url)).await;
    for number in 1..=4_i64 {
        rig.publish(rate("BTC-USDT", "64364.27", after(number)));
        let times = usize::try_from(number).unwrap();
        let asked = asked(&fake, times).await;
        assert!(asked[times - 1].body.contains(&format!(",seq={number}i ")));
        if number < 4 {
            rig.status(Status::Degraded).await;
        }
    }
    rig.written(1).await;
    rig.status(Status::Ok).await;
    assert_eq!(rig.metrics.dropped_refused.get(), 3);
    assert_eq!(fake.asked().len(), 4);
    assert!(elsewhere.asked().is_empty());
    sink.finish().await;
}

#[tokio::test]
async fn an_end_does_not_wait_for_a_server_that_says_nothing() {
    let fake = Fake::start(&[], Answer::Silence).await;
    let rig = Rig::new();
    let hasty = InfluxConfig {
        finish_ms: 200,
        timeout_ms: 60_000,
        batch_rows: 1,
        ..config(&fake.url)
    };
    let sink = rig.start(&hasty).await;
    for number in 0..10 {
        rig.publish(rate("BTC-USDT", "64364.27", after(number)));
    }
    asked(&fake, 1).await;
    let start = Instant::now();
    assert_eq!(sink.finish().await, 10);
    assert!(start.elapsed() < Duration::from_secs(20));
    assert_eq!(rig.metrics.dropped_unsent.get(), 10);
    assert_eq!(rig.metrics.lines.get(), 10);
}

#[tokio::test]
async fn a_silent_server_holds_nobody_up_and_a_gap_on_the_bus_is_counted() {
    let fake = Fake::start(&[], Answer::Silence).await;
    let mut rig = Rig::new();
    rig.bus = Arc::new(MemoryBus::with_capacity(64));
    let sink = rig.start(&config(&fake.url)).await;
    rig.publish(rate("ETH-USDT", "1", AT));
    asked(&fake, 1).await;
    // On one thread the sink has no turn meanwhile: it loses what the bus does not keep.
    for number in 0..1_000 {
        rig.publish(rate("BTC-USDT", "64364.27", after(number)));
    }
    kurs_testkit::until("a gap", PATIENCE, || {
        (rig.metrics.dropped_lost.get() == 1_000 - 64).then_some(())
    })
    .await;
    fake.answer(WRITTEN);
    drop(sink);
    let sink = rig.start(&config(&fake.url)).await;
    // The last values of two pairs.
    rig.written(2).await;
    sink.finish().await;
}
